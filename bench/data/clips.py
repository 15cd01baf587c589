"""Where the clips of a dataset lie, and reading them.

**Conventions**: times are in seconds. The sound is kept only when a clip is asked for; before that,
each file is hashed and its samples are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.api import Audio, Clip, DatasetError, Style
from bench.audio import SoundForm, measure, read_audio, require_length
from bench.files import json_digest, remembered_digest
from bench.outputs import SHORTEST_S, reference_fault
from bench.outside.containers import require_whole
from bench.outside.names import require_utf8

if TYPE_CHECKING:
    from bench.data.targets import Targets

Kind = Literal["instrument", "natural"]


@dataclass(frozen=True, slots=True)
class ClipSource:
    """A clip that has not been read, and where it lies.

    Args:
        id: Unique among the contents, or among the clips of one style.
        category: Category of a content, or id of the style.
        path: The file.
        recording: The recording that it was cut from; all clips of one stay on one side of a split.
        start_s: Where the clip begins in the file.
        duration_s: Its length.
        digest: SHA-256 of the file.
        channels: Of the file; methods receive their mean.
        channel: The one that is taken, from 0; None takes all.
    """

    id: str
    category: str
    path: Path
    recording: str
    start_s: float
    duration_s: float
    digest: str
    channels: int
    channel: int | None = None

    def read(self, duration_s: float | None = None) -> Clip:
        """Read the sound, at most `duration_s` seconds from its beginning.

        Raises:
            DatasetError: The file is gone, broken, or holds NaN.
        """
        wanted = self.duration_s if duration_s is None else min(duration_s, self.duration_s)
        audio = read_audio(self.path, self.start_s, wanted)
        if self.channel is not None:
            audio = Audio(audio.waveform[self.channel : self.channel + 1].copy(), audio.sample_rate)
        return Clip(self.id, self.category, audio)

    def reference_fault(self, duration_s: float | None = None) -> str | None:
        """Why the clip cannot stand for a style, as the rest of a sentence; None where it can.

        It is decoded for that, at most `duration_s` seconds from its beginning.
        """
        try:
            fault = reference_fault(self.read(duration_s).audio)
        except DatasetError as error:
            return fault_of_file(error, self.path)
        is_cut = duration_s is not None and duration_s < self.duration_s
        return f"{fault} in its first {duration_s:g} s" if fault and is_cut else fault


def fault_of_file(error: DatasetError, path: Path) -> str:
    """What an error says about a file, without the path that it begins with."""
    return str(error).removeprefix(f"{path} ")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A clip of a style that cannot stand for it, and so is neither learnt from nor scored with.

    Args:
        clip: The name of its file.
        reason: What is wrong with it, as the rest of a sentence.
    """

    clip: str
    reason: str


@dataclass(frozen=True, slots=True)
class StyleSource:
    """A style and its clips. `kind` decides how many of them the paper's protocol learns from."""

    id: str
    kind: Kind
    text: str
    clips: tuple[ClipSource, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class StyleSplit:
    """The clips of a style that methods may learn from, and those kept for scoring."""

    id: str
    kind: Kind
    text: str | None
    clips: tuple[ClipSource, ...]
    heldout_clips: tuple[ClipSource, ...]
    left_out: tuple[LeftOut, ...] = ()

    def read(self, duration_s: float | None = None) -> Style:
        """Read all clips, at most `duration_s` seconds of each."""
        clips = tuple(clip.read(duration_s) for clip in self.clips)
        heldout = tuple(clip.read(duration_s) for clip in self.heldout_clips)
        left_out = tuple(f"{one.clip} {one.reason}" for one in self.left_out)
        return Style(self.id, clips, heldout, self.text, left_out)


@dataclass(frozen=True)
class Dataset:
    """Contents and styles, with the licence and whether they may be passed on.

    `targets` says which content is the true result of another in a style, where the card does;
    `changed` holds contents with wrong notes and the like, whose category is the change.
    """

    name: str
    licence: str
    redistributable: bool
    contents: tuple[ClipSource, ...]
    styles: tuple[StyleSource, ...]
    targets: Targets | None = None
    changed: tuple[ClipSource, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that identifies the clips, whichever folder they lie in, 64 hex digits."""
        lines: list[list[str | float | None]] = [clip_identity(clip) for clip in self.contents]
        for style in self.styles:
            lines.append([style.id, style.kind, style.text])
            lines += [clip_identity(clip) for clip in style.clips]
        if self.targets is not None:
            lines += [["piece", *item] for item in self.targets.pieces.items()]
        return json_digest(lines)

    def target_of(self, style: str, content: str) -> str | None:
        """The id of the content that is the true result of one in a style; None without one."""
        return None if self.targets is None else self.targets.of(style, content)


def clip_identity(clip: ClipSource) -> list[str | float | None]:
    """All that identifies a clip, whichever folder it lies in."""
    place = [clip.id, clip.category, clip.recording]
    return [*place, clip.start_s, clip.duration_s, clip.digest]


@dataclass(frozen=True, slots=True)
class ClipFile:
    """What is known of (a part of) an audio file before it is read: see `ClipSource`."""

    duration_s: float
    digest: str
    channels: int
    sample_rate: int


def inspect(path: Path, start_s: float = 0.0, duration_s: float | None = None) -> ClipFile:
    """Look at (the given part of) an audio file without keeping its sound.

    Raises:
        DatasetError: The file is missing, empty, undecodable, or the part is shorter than half a
            second or too long to be read.
    """
    require_utf8(path)
    require_whole(path)
    stat = path.stat()
    form = _form(path, stat.st_mtime_ns, stat.st_size)
    left_s = form.duration_s - start_s
    length_s = left_s if duration_s is None else min(duration_s, left_s)
    if not length_s >= SHORTEST_S:  # a number that is none is refused too
        raise DatasetError(
            f"{path} gives {max(length_s, 0.0):.3f} s from {start_s:g} s on; a clip has at least "
            f"{SHORTEST_S} s. Remove it or name a longer part."
        )
    require_length(path, form, round(length_s * form.sample_rate))
    return ClipFile(length_s, remembered_digest(path), form.channels, form.sample_rate)


@lru_cache(maxsize=4096)
def _form(path: Path, mtime_ns: int, size: int) -> SoundForm:
    del mtime_ns, size  # only keys of the cache: a changed file is looked at again
    return measure(path)

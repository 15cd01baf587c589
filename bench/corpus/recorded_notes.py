"""Instruments of recorded notes: folders in the SFZ format whose makers gave them away under CC0.

BENCH_SAMPLES names a folder with one folder per instrument, for instance clones of the instruments
of FreePats (github.com/freepats). A licence or readme in each has to name CC0. Instruments that no
training may hear are left out (`UNHEARD_WORDS`).

Of SFZ this reads what decides which recording a key plays: regions with what they inherit from
their group and from all, keys, centres of pitch, velocities, tuning. Loops, filters and envelopes
are not played: a note sounds until its key is released, or its recording ends.

**Source**: the SFZ format, sfzformat.com, opcodes of version 1.

**Conventions**: as in `bench.corpus.synthesiser`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.api import DatasetError
from bench.audio import read_audio, to_mono
from bench.corpus.melodies import Note
from bench.corpus.synthesiser import SOUNDING_SHARE

FOLDER = "BENCH_SAMPLES"
# The instruments that are held out (`bench.corpus.rendering`), under the names that others use.
UNHEARD_WORDS = (
    *("kalimba", "mbira", "sansula", "likembe", "thumb", "lamellophone"),
    *("bagpipe", "steel", "cricket", "bubble"),
)
_CC0 = re.compile(r"\bCC0\b|publicdomain/zero", re.IGNORECASE)
_ABOUT = re.compile(r"(licen[cs]e|copying|readme).*", re.IGNORECASE)
_HEADER_OR_OPCODE = re.compile(r"<(\w+)>|(\w+)=(.*?)(?=\s+\w+=|\s*<\w+>|\s*$)", re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_KEY = re.compile(r"([a-g])([#b]?)(-?\d)", re.IGNORECASE)
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_SIGNS = {"": 0, "#": 1, "b": -1}
_INHERITED = ("control", "global", "master", "group", "region")  # each hands on to those after it
_LONGEST_S = 12.0  # of a recording: a clip lasts 5, and an octave up takes twice that
_RELEASE_S = 0.08
_KEPT_RECORDINGS = 256  # about 1 MB each: 12 s at 22 kHz


@dataclass(frozen=True, slots=True)
class Zone:
    """A recording, and the keys and velocities that play it.

    Args:
        path: Of the recording.
        keys: Lowest and highest MIDI number.
        velocities: Softest and loudest.
        centre: MIDI pitch, with fractions, at which the recording sounds as it is.
    """

    path: Path
    keys: tuple[int, int]
    velocities: tuple[int, int]
    centre: float

    def distance(self, note: Note) -> tuple[int, int]:
        """Steps outside the keys, then outside the velocities; (0, 0) is meant for the note."""
        return _outside(note.pitch, self.keys), _outside(note.velocity, self.velocities)


def _outside(value: int, limits: tuple[int, int]) -> int:
    return max(limits[0] - value, value - limits[1], 0)


@dataclass(frozen=True, slots=True)
class Instrument:
    """Recorded notes of one instrument; its name is that of its folder."""

    name: str
    zones: tuple[Zone, ...]


def _key_number(text: str) -> int:
    """MIDI number of a key, which SFZ may write as a note: middle C is 60, and C4.

    Example:
        >>> [_key_number(key) for key in ("60", "c4", "F#3", "eb-1")]
        [60, 60, 54, 3]
    """
    if named := _KEY.fullmatch(text):
        letter, sign, octave = named.groups()
        return 12 * (int(octave) + 1) + _SEMITONES[letter.lower()] + _SIGNS[sign.lower()]
    return int(text)


def _regions(text: str) -> Iterator[dict[str, str]]:
    """Opcodes of each region, with what it inherits."""
    levels: dict[str, dict[str, str]] = {name: {} for name in _INHERITED}
    current = None
    for header, opcode, value in _HEADER_OR_OPCODE.findall(_COMMENT.sub("", text)):
        if header:
            if current == "region":
                yield _merged(levels)
            current = header.lower()
            for later in _INHERITED[_rank(current) :]:
                levels[later] = {}
        elif current in levels:
            levels[current][opcode.lower()] = value.strip()
    if current == "region":
        yield _merged(levels)


def _rank(header: str) -> int:
    return _INHERITED.index(header) if header in _INHERITED else len(_INHERITED)


def _merged(levels: dict[str, dict[str, str]]) -> dict[str, str]:
    return {opcode: value for level in levels.values() for opcode, value in level.items()}


def read_zones(path: Path) -> tuple[Zone, ...]:
    """The zones of an SFZ file that a pressed key plays, each in its first variant.

    Raises:
        DatasetError: A value is not what SFZ says, or no zone has a recording that is there.
    """
    zones = []
    for opcodes in _regions(path.read_text(encoding="utf-8", errors="replace")):
        recording = _recording(path, opcodes)
        if recording is not None and _is_played(opcodes):
            zones.append(_zone(path, opcodes, recording))
    if not zones:
        raise DatasetError(
            f"{path} has no region with a recording that is there; an instrument needs one. Fetch "
            f"its folder anew, or take it out of {FOLDER}."
        )
    return tuple(zones)


def _is_played(opcodes: dict[str, str]) -> bool:
    """Whether a region sounds when a key is pressed, as the first variant in turn or drawn."""
    pressed = opcodes.get("trigger", "attack") == "attack"
    first_in_turn = opcodes.get("seq_position", "1") == "1"
    first_drawn = not opcodes.get("lorand", "").strip("0.")
    return pressed and first_in_turn and first_drawn


def _recording(path: Path, opcodes: dict[str, str]) -> Path | None:
    name = (opcodes.get("default_path", "") + opcodes.get("sample", "")).replace("\\", "/")
    found = path.parent / name
    return found if name and found.is_file() else None


def _zone(path: Path, opcodes: dict[str, str], recording: Path) -> Zone:
    key = opcodes.get("key")
    try:
        low, high = (
            _key_number(opcodes.get(name, key or default))
            for name, default in (("lokey", "0"), ("hikey", "127"))
        )
        centre = _key_number(opcodes.get("pitch_keycenter", key or "60"))
        cents = float(opcodes.get("tune", 0)) + 100 * float(opcodes.get("transpose", 0))
        softest, loudest = int(opcodes.get("lovel", 1)), int(opcodes.get("hivel", 127))
    except ValueError as error:
        raise DatasetError(
            f"{path}: the region of {recording.name} has a value that is neither a number nor a "
            f"key ({error}). Correct it, or take the instrument out of {FOLDER}."
        ) from error
    return Zone(recording, (low, high), (softest, loudest), centre - cents / 100)


def _is_cc0(folder: Path) -> bool:
    about = [one for one in sorted(folder.iterdir()) if one.is_file() and _ABOUT.match(one.name)]
    return any(_CC0.search(one.read_text(encoding="utf-8", errors="replace")) for one in about)


def _is_unheard(*names: str) -> bool:
    return any(word in name.lower() for word in UNHEARD_WORDS for name in names)


@cache
def _instruments(folder: Path) -> tuple[Instrument, ...]:
    found = []
    for one in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(one.rglob("*.sfz"))
        if not files or _is_unheard(one.name, files[0].name):
            continue
        if not _is_cc0(one):
            raise DatasetError(
                f"no licence or readme in {one} names CC0; a training only hears recorded notes "
                f"that were given away. Take the folder out of {FOLDER}."
            )
        found.append(Instrument(one.name, read_zones(files[0])))
    return tuple(found)


def instruments() -> tuple[Instrument, ...]:
    """The instruments below the folder that BENCH_SAMPLES names, by name; none where it names none.

    Raises:
        DatasetError: The folder is not there, or one in it is not under CC0 or cannot be played.
    """
    named = os.environ.get(FOLDER)
    if not named:
        return ()
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise DatasetError(
            f"{FOLDER}={named} is not a folder; it should hold one folder per instrument. Correct "
            "it, or unset it."
        )
    return _instruments(folder.resolve())


@lru_cache(maxsize=_KEPT_RECORDINGS)
def _heard(path: Path, semitones: float, sample_rate: int) -> NDArray[np.float32]:
    """A recording played higher by so many semitones, mono, at a rate of samples."""
    import soxr

    recording = to_mono(read_audio(path, duration_s=_LONGEST_S))
    faster = recording.sample_rate * 2 ** (semitones / 12)
    return np.asarray(soxr.resample(recording.waveform[0], faster, sample_rate), np.float32)


def play_instrument(
    instrument: Instrument, notes: Sequence[Note], duration_s: float, sample_rate: int
) -> NDArray[np.float32]:
    """Play notes on recordings: for each note the zone that is meant for it, or the nearest.

    Args:
        instrument: What is played.
        notes: Any order; what lies after `duration_s` is cut.
        duration_s: Length of the clip in seconds, truncated to whole samples.
        sample_rate: Hz.

    Returns:
        Mono float32 (sample,); its level follows the square of the velocity, as in SFZ.

    Raises:
        DatasetError: A recording cannot be read.
    """
    clip = np.zeros(int(duration_s * sample_rate), np.float32)
    for note in notes:
        zone = min(instrument.zones, key=lambda one: one.distance(note))
        heard = _heard(zone.path, note.pitch - zone.centre, sample_rate)
        start = int(note.onset_s * sample_rate)
        held = round(SOUNDING_SHARE * note.duration_s * sample_rate)
        release = np.linspace(1, 0, round(_RELEASE_S * sample_rate), dtype=np.float32)
        length = min(len(heard), held + len(release), max(len(clip) - start, 0))
        fade = np.concatenate([np.ones(held, np.float32), release])[:length]
        clip[start : start + length] += (note.velocity / 127) ** 2 * heard[:length] * fade
    return clip

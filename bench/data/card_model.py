"""Dataset cards as they are declared: the TOML file that describes the clips of a dataset.

What counts as a recording, and what a card may leave out, is said in `bench.data`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field

from bench.api import DatasetError
from bench.checkout import data_folder
from bench.data.archive import ArchiveCard
from bench.data.clips import ClipSource, Kind, LeftOut, fault_of_file, inspect
from bench.data.hub_card import HubCard
from bench.data.recordings import recording_of
from bench.outside.declarations import Declared, TomlFile, parse, read_toml
from bench.outside.names import composed, on_disk


class ClipCard(Declared):
    """A clip of a card. `path` is relative to the card's root; times in seconds."""

    path: str
    recording: str | None = None
    start_s: float = Field(default=0.0, ge=0)
    duration_s: float | None = Field(default=None, gt=0)


class ContentCard(ClipCard):
    """A content of a card."""

    category: str


class StyleCard(Declared):
    """A style of a card. Without `clips`, they are the files in the folder `style/<style>`."""

    text: str | None = None
    kind: Kind = "instrument"
    clips: list[ClipCard] = Field(default_factory=list)


class RenderingCard(Declared):
    """A dataset that this project renders; `digest` is that of all clips (`bench.corpus`)."""

    digest: str


class Card(Declared):
    """A dataset card. Without `contents`, they are the files in the folder `content`.

    The clips of a card with an `archive` or a `hub` lie in the data folder, where `python -m bench
    fetch` puts them; those of one with a `rendering` lie there too, where `python -m bench.corpus`
    does. How `targets` names true results is said in `bench.data.targets`.
    """

    schema_version: Literal[1]
    name: str
    licence: str
    redistributable: bool
    root: str = "."
    obtain: str = ""
    archive: ArchiveCard | None = None
    rendering: RenderingCard | None = None
    hub: HubCard | None = None
    targets: str | None = None
    contents: dict[str, ContentCard] = Field(default_factory=dict)
    styles: dict[str, StyleCard] = Field(default_factory=dict)
    sha256: dict[str, str] = Field(default_factory=dict)  # path below the root -> 64 hex digits

    @property
    def fetched_bytes(self) -> int | None:
        """About how much is downloaded for it; None where nothing is."""
        source = self.archive or self.hub
        return None if source is None else source.bytes

    @property
    def names_every_clip(self) -> bool:
        """Whether no folder has to be searched for the clips of a style."""
        return bool(self.styles) and all(style.clips for style in self.styles.values())


def read_card(path: Path) -> Card:
    """Read a card without looking at its clips.

    Raises:
        DatasetError: The card breaks a rule.
    """
    return parse_card(read_toml(path, DatasetError))


def parse_card(file: TomlFile) -> Card:
    """Check the contents of a TOML file against the rules of a card.

    Raises:
        DatasetError: The card breaks a rule; the message names the line and the key.
    """
    return parse(Card, file.values, file.at, DatasetError)


def card_root(card: Card, path: Path) -> Path:
    """The folder of a card's clips: beside the card, or the data folder if they came later."""
    came_later = card.fetched_bytes is not None or card.rendering is not None
    return (data_folder() if came_later else path.parent).joinpath(card.root).resolve()


def clip_source(root: Path, name: str, category: str, card: ClipCard) -> ClipSource:
    """Look at the file of a clip and say where the clip lies.

    Args:
        root: The folder of the dataset.
        name: Id of the clip.
        category: Category of a content, or id of the style.
        card: The clip as a card names it.

    Raises:
        DatasetError: The file cannot be used.
    """
    path = on_disk(root / card.path)
    file = inspect(path, card.start_s, card.duration_s)
    recording = card.recording or recording_of(root, path) or composed(path.stem)
    return ClipSource(
        name,
        category,
        path,
        recording,
        card.start_s,
        file.duration_s,
        file.digest,
        file.channels,
    )


def style_clips(
    root: Path, style: str, named: Iterable[tuple[str, ClipCard]]
) -> tuple[tuple[ClipSource, ...], tuple[LeftOut, ...]]:
    """Look at the files of a style: its clips, and those that are left out as unusable.

    A broken file costs itself and not the dataset; a file that is not there at all is a fault of
    the card that names it.

    Args:
        root: The folder of the dataset.
        style: Id of the style.
        named: Id of each clip, and the clip as a card names it.

    Raises:
        DatasetError: A file is missing.
    """
    clips: list[ClipSource] = []
    left_out: list[LeftOut] = []
    for name, card in named:
        path = on_disk(root / card.path)
        try:
            inspect(path, card.start_s, card.duration_s)
        except DatasetError as error:
            if not os.path.lexists(path):
                raise
            left_out.append(LeftOut(path.name, fault_of_file(error, path)))
            continue
        clips.append(clip_source(root, name, style, card))
    return tuple(clips), tuple(left_out)

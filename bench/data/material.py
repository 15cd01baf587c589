"""The audio of a run, read when it is needed.

Contents keep their sample rate and channels; styles are split into seen and held-out clips.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from bench.data.clips import clip_identity
from bench.files import json_digest

if TYPE_CHECKING:
    from bench.api import Audio, Clip, Style
    from bench.data.clips import ClipSource, Dataset, StyleSplit

CONTENTS_IN_MEMORY = 64


def check_contents(contents: Iterable[ClipSource], duration_s: float | None) -> None:
    """Decode every content of a run once, so that a broken one is found before the work.

    Raises:
        DatasetError: One breaks off, cannot be decoded or holds NaN; the message names it.
    """
    for clip in contents:
        clip.read(duration_s)


class Material:
    """Reads the clips of a dataset once, cut to at most `duration_s` seconds."""

    def __init__(
        self, dataset: Dataset, splits: dict[str, StyleSplit], duration_s: float | None
    ) -> None:
        self._dataset = dataset
        self._contents = {source.id: source for source in dataset.contents}
        self._splits = splits
        self._duration_s = duration_s
        self.content = lru_cache(maxsize=CONTENTS_IN_MEMORY)(self._read_content)
        self.style = lru_cache(maxsize=None)(self._read_style)

    @cached_property
    def styles_digest(self) -> str:
        """SHA-256 of the styles and of what is kept for scoring of each, 64 hex digits."""
        kept = {
            name: [clip_identity(clip) for clip in split.heldout_clips]
            for name, split in self._splits.items()
        }
        return json_digest([kept, self._duration_s])

    def rivals(self, style: str) -> tuple[Style, ...]:
        """All styles of the run but this one, in the order of the run."""
        return tuple(self.style(other) for other in self._splits if other != style)

    def target(self, style: str, content: str) -> Audio | None:
        """The true result of a content in a style; None where the dataset has none."""
        found = self._dataset.target_of(style, content)
        return None if found is None else self.content(found).audio

    def _read_content(self, content: str) -> Clip:
        return self._contents[content].read(self._duration_s)

    def _read_style(self, style: str) -> Style:
        return self._splits[style].read(self._duration_s)

"""The audio of a run, read when needed.

Contents at full rate and channels, styles split into seen and held-out clips.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.api import Clip, Style
    from bench.dataset import Dataset, StyleSplit

CONTENTS_IN_MEMORY = 64


class Material:
    """Reads the clips of a dataset once, cut to at most `duration_s` seconds."""

    def __init__(
        self, dataset: Dataset, splits: dict[str, StyleSplit], duration_s: float | None
    ) -> None:
        self._contents = {source.id: source for source in dataset.contents}
        self._splits = splits
        self._duration_s = duration_s
        self.content = lru_cache(maxsize=CONTENTS_IN_MEMORY)(self._read_content)
        self.style = lru_cache(maxsize=None)(self._read_style)

    def _read_content(self, content: str) -> Clip:
        return self._contents[content].read(self._duration_s)

    def _read_style(self, style: str) -> Style:
        return self._splits[style].read(self._duration_s)

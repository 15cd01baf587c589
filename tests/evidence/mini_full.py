"""The run that all evidence is read from, and the styles it is printed apart for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.records.store import Run

STRENGTHS = "0.25|0.65|0.75"
METHODS = f"tve[strength={STRENGTHS}],rti[strength={STRENGTHS}]"
# What the mini models saw in training, which no dataset card can know.
GROUPS = {"seen": ("accordion", "music_box"), "unseen": ("kalimba",), "natural": ("bells",)}
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """A finished run of `mini-full` and the cache with its fits."""

    run: Run
    cache: Path

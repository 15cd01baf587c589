"""Leaving out the clips of a style that cannot stand for it: silent, broken, too short.

A method that learns from silence learns nothing, and an output that is compared with silence gets a
number that means nothing. So such clips are neither learnt from nor scored with, as if their files
were not there: the others are divided by the same rule, and the digest of the dataset is that of
the clips that are left. Each is named with its reason wherever the style is described.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from bench.data.clips import ClipSource, Dataset, LeftOut, StyleSource


def sift(dataset: Dataset, styles: Collection[str], duration_s: float | None) -> Dataset:
    """The dataset without the clips of some styles that cannot be used; their sound is read.

    Args:
        dataset: The whole dataset.
        styles: Ids of the styles that a run uses.
        duration_s: How much of each clip is used, from its beginning; None uses all.
    """
    sifted = (_sifted(s, duration_s) if s.id in styles else s for s in dataset.styles)
    return replace(dataset, styles=tuple(sifted))


def _sifted(style: StyleSource, duration_s: float | None) -> StyleSource:
    faults = {clip: clip.reference_fault(duration_s) for clip in style.clips}
    silent = [LeftOut(_name(clip), fault) for clip, fault in faults.items() if fault]
    kept = tuple(clip for clip, fault in faults.items() if not fault)
    return replace(style, clips=kept, left_out=(*style.left_out, *silent))


def _name(clip: ClipSource) -> str:
    start = f" from {clip.start_s:g} s" if clip.start_s else ""
    return f"{clip.path.name}{start}"

"""Observations of a styles x contents array, for the tests of the statistics."""

from __future__ import annotations

import itertools

import numpy as np

from bench.statistics.intervals import Observations, observe


def crossed(values: np.ndarray, categories: list[str] | None = None) -> Observations:
    """Observations of a styles x contents (x seeds) array; NaN cells are missing."""
    cells = list(itertools.product(*(range(size) for size in values.shape)))
    groups = categories or ["all"] * values.shape[1]
    return observe(
        [float(values[cell]) for cell in cells],
        [f"style{cell[0]}" for cell in cells],
        [f"content{cell[1]:03d}" for cell in cells],
        [groups[cell[1]] for cell in cells],
    )

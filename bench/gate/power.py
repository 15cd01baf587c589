"""The smallest drop that the gate would find if all noise were drawn anew, from a baseline alone.

A change that moves the random numbers leaves nothing of the pairing: both sides of every cell then
differ by the chance of seeds. A baseline with several repetitions shows how large that chance is,
and so which drop such a change could still hide. Nothing here decides a verdict.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.gate.quality import ALPHA, detectable_drop
from bench.gate.snapshot import MeasuredCell, Snapshot
from bench.statistics.spread import SETTLED, Spread

FEWEST_REPETITIONS = 2


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One method and metric.

    Args:
        method: Label of the method.
        metric: Name of the metric.
        noise: Standard deviation that seeds alone leave in the mean over all cells.
        drop: Smallest drop that the gate finds in 4 of 5 cases; 0 where seeds change nothing, NaN
            where the baseline has a single repetition.
    """

    method: str
    metric: str
    noise: float
    drop: float


def foresee(baseline: Snapshot) -> list[Foreseen]:
    """The smallest drop per method and metric, Holm over all that seeds can move.

    With u the mean of a unit (all contents of one fit, or one cell where nothing is fitted), and
    the variance s^2 of u between the K repetitions of one place, pooled over the P places::

        noise = sqrt(s^2 / (P K)),   error of a difference = noise sqrt(2),   df = P K - 1

    The units and degrees of freedom are those of the gate (`bench.gate.quality.change_spread`).
    """
    found = [
        (method, metric, _units(own, metric, fits=baseline.methods[method].fits_per_style))
        for method, own in _by_method(baseline).items()
        for metric in baseline.metrics
    ]
    measured = [(method, metric, units) for method, metric, units in found if units.size]
    noises = [_noise(units) for _, _, units in measured]
    family = sum(noise > SETTLED for noise in noises) or 1
    return [
        Foreseen(method, metric, noise, _drop(noise, units.size, family))
        for (method, metric, units), noise in zip(measured, noises, strict=True)
    ]


def _by_method(baseline: Snapshot) -> dict[str, list[MeasuredCell]]:
    cells: dict[str, list[MeasuredCell]] = {label: [] for label in baseline.methods}
    for cell in baseline.cells:
        if cell.status == "ok":
            cells[cell.method].append(cell)
    return cells


def _units(cells: Sequence[MeasuredCell], metric: str, *, fits: bool) -> np.ndarray:
    """Means of the units, shape (place, repetition); places without every repetition are left out.

    A place is a style where a method fits per style, else a style and content.
    """
    values: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        value = cell.values.get(metric)
        if value is not None:
            place = cell.style if fits else f"{cell.style}\n{cell.content}"
            values[place][cell.repetition].append(value)
    most = max((len(repeated) for repeated in values.values()), default=0)
    return np.array(
        [
            [float(np.mean(repeated[k])) for k in sorted(repeated)]
            for repeated in values.values()
            if len(repeated) == most
        ]
    )


def _noise(units: np.ndarray) -> float:
    if units.shape[1] < FEWEST_REPETITIONS:
        return math.nan
    return math.sqrt(float(units.var(axis=1, ddof=1).mean()) / units.size)


def _drop(noise: float, units: int, family: int) -> float:
    if math.isnan(noise) or noise <= SETTLED:
        return noise if math.isnan(noise) else 0.0
    spread = Spread(0.0, noise * math.sqrt(2), units - 1, units, "cells")
    return detectable_drop(spread, alpha=ALPHA / family)

"""The smallest drop that the gate would find if all noise were drawn anew, from a baseline alone.

A change that moves the random numbers leaves nothing of the pairing: both sides of every cell then
differ by the chance of seeds. A baseline with several repetitions shows how large that chance is,
and so which drop such a change could still hide, and what a lane lacks that would hide too much.
Nothing here decides a verdict.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.gate.quality import shared_alpha
from bench.gate.reach import (
    BORROWED,
    Design,
    Missing,
    demanded_drop,
    found_drop,
    missing,
    reached,
    room_below,
    too_weak,
)
from bench.gate.snapshot import MeasuredCell, MeasuredMetric, Snapshot
from bench.statistics.spread import SETTLED, Range, Spread

FEWEST_REPETITIONS = 2


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One lane.

    Args:
        method: Label of the method.
        metric: Name of the metric.
        style: The style, empty in a lane over all.
        noise: Standard deviation that seeds alone leave in the mean of the lane; NaN where the
            baseline has a single repetition.
        drop: Smallest drop that the gate finds in 4 of 5 cases; 0 where seeds change nothing,
            infinite where it would find nothing, NaN where the noise is not known.
        lacks: What the lane lacks to find what its suite asks for; None where it lacks nothing.
    """

    method: str
    metric: str
    style: str
    noise: float
    drop: float
    lacks: Missing | None


@dataclass(frozen=True, slots=True, eq=False)
class _Lane:
    """A lane of the baseline: means of its units, shape (place, repetition), and their noise.

    A place is a style where a method fits per style, else a style and content.
    """

    method: str
    metric: str
    style: str
    design: Design
    units: np.ndarray
    variance: float  # of a unit; NaN where nothing tells of it
    degrees: int  # as the gate will have them

    @property
    def noise(self) -> float:
        return math.sqrt(self.variance / self.units.size)

    @property
    def moves(self) -> bool:
        """Whether a gate would test it after a change of all noise."""
        return self.degrees > 0 and self.noise > SETTLED


def foresee(baseline: Snapshot, *, least_drop: float | None = None) -> list[Foreseen]:
    """The smallest drop per lane, corrected as the gate does over all that seeds can move.

    With u the mean of a unit (all contents of one fit, or one cell where nothing is fitted), and
    the variance s^2 of u between the K repetitions of one place, pooled over the P places::

        noise = sqrt(s^2 / (P K)),   error of a difference = noise sqrt(2),   df = P K - 1

    On one style the larger of its own s^2 and that of all styles counts, and the degrees of freedom
    are those of `bench.gate.lanes.style_spreads`.

    Args:
        baseline: The baseline.
        least_drop: What is asked of a lane; by default what the baseline's suite says.
    """
    lanes = [
        lane
        for method, own in _by_method(baseline).items()
        for metric in baseline.metrics
        for lane in _lanes(baseline, method, metric, own)
    ]
    over_all = sum(lane.moves and not lane.style for lane in lanes)
    alphas = shared_alpha(over_all, sum(lane.moves for lane in lanes) - over_all)
    asked = baseline.least_drop if least_drop is None else least_drop
    bounds = {metric: _bounds(baseline, metric) for metric in baseline.metrics}
    return [
        _foreseen(
            lane, baseline.metrics[lane.metric], bounds[lane.metric], asked,
            alphas[bool(lane.style)],
        )
        for lane in lanes
    ]  # fmt: skip


def _bounds(baseline: Snapshot, metric: str) -> Range:
    values = (cell.values.get(metric) for cell in baseline.cells if cell.status == "ok")
    return reached(baseline.metrics[metric], (value for value in values if value is not None))


def _by_method(baseline: Snapshot) -> dict[str, list[MeasuredCell]]:
    cells: dict[str, list[MeasuredCell]] = {label: [] for label in baseline.methods}
    for cell in baseline.cells:
        if cell.status == "ok":
            cells[cell.method].append(cell)
    return cells


def _lanes(
    baseline: Snapshot, method: str, metric: str, cells: Sequence[MeasuredCell]
) -> Iterator[_Lane]:
    """The lane over all styles, then one per style where there are several."""
    fits = baseline.methods[method].fits_per_style
    known = [cell for cell in cells if cell.values.get(metric) is not None]
    if not known:
        return
    units = _units(known, metric, fits=fits)
    names = sorted({cell.style for cell in known})
    whole = Design(fits, len(names), _contents(known), units.shape[1])
    yield _Lane(method, metric, "", whole, units, _variance(units), units.size - 1)
    if len(names) == 1:
        return
    parts = {s: [cell for cell in known if cell.style == s] for s in names}
    tables = {style: _units(part, metric, fits=fits) for style, part in parts.items()}
    told = [table for table in tables.values() if table.size > 1]
    free = sum(table.size - 1 for table in told)
    pooled = sum((table.size - 1) * _variance(table) for table in told) / max(1, free)
    for style, table in tables.items():
        design = Design(fits, 1, _contents(parts[style]), table.shape[1], BORROWED)
        degrees = min(free, table.size - 1 + BORROWED) if table.size > 1 else 0
        variance = max(_variance(table), pooled) if degrees else math.nan
        yield _Lane(method, metric, style, design, table, variance, degrees)


def _contents(cells: Sequence[MeasuredCell]) -> int:
    return len({cell.content for cell in cells})


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


def _variance(units: np.ndarray) -> float:
    """Variance of a unit between repetitions, NaN where there is a single one."""
    if units.shape[1] < FEWEST_REPETITIONS:
        return math.nan
    return float(units.var(axis=1, ddof=1).mean())


def _foreseen(
    lane: _Lane, measure: MeasuredMetric, bounds: Range, asked: float, alpha: float
) -> Foreseen:
    """What one lane would find with a chance `alpha` of a false alarm."""
    room = room_below(measure, bounds, float(lane.units.mean()))
    demanded = demanded_drop(measure, asked)
    error = lane.noise * math.sqrt(2)
    spread = Spread(0.0, error, lane.degrees, lane.units.size, "cells")
    if math.isnan(error) and lane.degrees:
        drop = math.nan
    else:
        drop = 0.0 if error <= SETTLED else found_drop(spread, room, alpha=alpha)
    lacks = None
    if too_weak(drop, room, demanded, measure.margin):
        noise = error * math.sqrt(lane.units.size)
        lacks = missing(lane.design, noise, min(demanded, room), alpha=alpha)
    return Foreseen(lane.method, lane.metric, lane.style, lane.noise, drop, lacks)

"""What the quality of a run is judged in: lanes, each the paired cells of one method and metric.

One lane is over all styles, one more is on each style where there are several. This module lines
the numbers up and says how sure their mean changes are; `bench.gate.quality` judges them.

**Conventions**: changes are towards better, candidate - baseline of a metric to maximise; a unit is
what has its own chance: a fit where a method fits per style, else a cell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.gate.reach import BORROWED, Design, demanded_drop, room_below
from bench.gate.snapshot import ATOL_SAME, MeasuredCell, MeasuredMethod, MeasuredMetric
from bench.statistics.spread import UNBOUNDED, Range, Spread, difference_bounds
from bench.statistics.variances import Indices, Names, cell_variance, one_way_variance

Ended = tuple[MeasuredCell, MeasuredCell]  # candidate and baseline, both with audio


@dataclass(frozen=True, slots=True, eq=False)
class MetricCells:
    """The cells of one method that a metric is judged on."""

    method: str
    metric: str
    measure: MeasuredMetric
    facts: MeasuredMethod
    cells: Sequence[Ended]


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Both numbers of each cell that has both, and where it stands; all arrays are parallel."""

    new: np.ndarray
    old: np.ndarray
    frozen: np.ndarray  # bool: the audio is the same
    styles: Names
    contents: Names
    seeds: Indices

    def on(self, style: str) -> Paired:
        """Those of one style."""
        here = self.styles == style
        columns = (self.new, self.old, self.frozen, self.styles, self.contents, self.seeds)
        return Paired(*(column[here] for column in columns))

    @property
    def fits(self) -> Indices:
        """The fit that each cell came from, as an index from 0 without gaps."""
        _, style = np.unique(self.styles, return_inverse=True)
        place = style * (int(self.seeds.max(initial=0)) + 1) + self.seeds
        return np.asarray(np.unique(place, return_inverse=True)[1], dtype=np.intp)


def paired(part: MetricCells) -> Paired:
    """Line up the numbers of the cells that have one on both sides."""
    rows = [
        (new.values[part.metric], old.values[part.metric], new.audio_digest == old.audio_digest,
         old.style, old.content, old.repetition)
        for new, old in part.cells
        if new.values.get(part.metric) is not None and old.values.get(part.metric) is not None
    ]  # fmt: skip
    columns = zip(*rows, strict=True) if rows else [()] * 6
    kinds = (float, float, bool, np.str_, np.str_, np.intp)
    return Paired(
        *(np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True))
    )


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One lane.

    Args:
        method: Label of the method.
        metric: Name of the metric.
        measure: The facts about the metric.
        style: The style, empty in a lane over all.
        spread: Mean change with its error.
        still: Whether no score moved beyond the tolerance, so that chance is out.
        frozen: Whether all audio is the same.
        room: How far the baseline's mean lies from the worst that the metric can be.
        demanded: The drop that must be found; infinite where none is.
        design: What the lane consists of.
    """

    method: str
    metric: str
    measure: MeasuredMetric
    style: str
    spread: Spread
    still: bool
    frozen: bool
    room: float
    demanded: float
    design: Design


def tolerance(measure: MeasuredMetric, baseline: np.ndarray, *, same_platform: bool) -> np.ndarray:
    """How far the score of one audio may move: ``atol + rtol * |baseline|``.

    On the platform of the baseline itself only rounding is allowed, `ATOL_SAME`.
    """
    absolute = ATOL_SAME if same_platform else measure.atol
    relative = 0.0 if same_platform else measure.rtol
    return np.asarray(absolute + relative * np.abs(baseline))


def lanes_of(
    part: MetricCells, cells: Paired, bounds: Range, *, same_platform: bool, least_drop: float
) -> Iterator[Lane]:
    """The lane over all styles, then one per style where there are several.

    Args:
        part: The method and metric.
        cells: Its numbers, at least one.
        bounds: What the numbers of the metric can be.
        same_platform: Whether both runs are of one platform.
        least_drop: What a suite asks of a lane.
    """
    facts = part.facts
    change = (1.0 if part.measure.direction == "maximize" else -1.0) * (cells.new - cells.old)
    fits = cells.fits if facts.fits_per_style else None
    names = sorted(set(cells.styles.tolist()))
    spreads = {"": change_spread(change, fits, bounds)}
    if len(names) > 1:
        spreads |= style_spreads(change, fits, cells.styles, bounds)
    for style, spread in spreads.items():
        own = cells.on(style) if style else cells
        allowed = tolerance(part.measure, own.old, same_platform=same_platform)
        yield Lane(
            part.method,
            part.metric,
            part.measure,
            style,
            spread,
            bool((np.abs(own.new - own.old) <= allowed).all()),
            bool(own.frozen.all()),
            room_below(part.measure, bounds, float(own.old.mean())),
            demanded_drop(part.measure, least_drop),
            Design(
                facts.fits_per_style,
                1 if style else len(names),
                len(set(own.contents.tolist())),
                len(set(own.seeds.tolist())),
                BORROWED if style else 0,
            ),
        )


def change_spread(change: np.ndarray, fits: Indices | None, bounds: Range = UNBOUNDED) -> Spread:
    """Mean and standard error of per-cell changes.

    Args:
        change: Candidate - baseline per cell.
        fits: The fit of each cell, from 0 without gaps; None where every cell has its own chance.
        bounds: What the numbers can be; a change lies within its width.

    Returns:
        The spread, with (units - 1) degrees of freedom; 0 degrees where there is one unit.
    """
    size = len(change)
    units = size if fits is None else int(fits.max()) + 1
    within = difference_bounds(bounds)
    if units < 2:  # noqa: PLR2004 - a variance needs two
        return Spread(float(change.mean()), math.nan, 0, size, "cells", bounds=within)
    variance = cell_variance(change) if fits is None else one_way_variance(change, fits, units)
    error = math.sqrt(float(variance))
    return Spread(float(change.mean()), error, units - 1, size, "cells", bounds=within)


def style_spreads(
    change: np.ndarray, fits: Indices | None, styles: Names, bounds: Range = UNBOUNDED
) -> dict[str, Spread]:
    """Mean and standard error of the changes on each style, which borrows from the others.

    A style has few units, so few that its own variance tells little. With n units of variance v in
    a style, and V the mean of all v weighted by n - 1::

        error = sqrt(max(v, V) / n),   df = min(n - 1 + BORROWED, sum of all (n - 1))

    A noisy style keeps its own variance. That so few degrees are borrowed keeps it from being
    judged as if all the quiet ones had told of its noise; a style of one unit borrows nothing.

    Args:
        change: Candidate - baseline per cell.
        fits: The fit of each cell; None where every cell has its own chance.
        styles: The style of each cell.
        bounds: What the numbers can be.
    """
    own: dict[str, Spread] = {}
    for style in sorted(set(styles.tolist())):
        here = styles == style
        index = None if fits is None else np.unique(fits[here], return_inverse=True)[1]
        own[style] = change_spread(change[here], index, bounds)
    known = [spread for spread in own.values() if spread.degrees]
    free = sum(spread.degrees for spread in known)
    squares = sum(s.degrees * (s.degrees + 1) * s.standard_error**2 for s in known)
    return {
        style: _borrowing(spread, squares / free, free) if spread.degrees else spread
        for style, spread in own.items()
    }


def _borrowing(spread: Spread, pooled: float, free: float) -> Spread:
    error = math.sqrt(max(spread.standard_error**2, pooled / (spread.degrees + 1)))
    degrees = min(free, spread.degrees + BORROWED)
    return Spread(spread.mean, error, degrees, spread.n, "cells", bounds=spread.bounds)

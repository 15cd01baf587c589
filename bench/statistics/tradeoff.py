"""The trade-off between content and style: what a method gives at *equal* content preservation.

A method with a strength can buy style fit (SF) with content preservation (CP), so one setting of
each decides nothing. A sweep of settings traces a curve; curves are compared at the same CP, and by
the area that they dominate between the controls.

**Conventions**: CP and SF stand for any measure of content and of style fit, both higher-is-better;
the last axis of an array is the setting of one method, leading axes are bootstrap resamples;
nothing is extrapolated: beyond a curve is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.statistics.bootstrap import RESAMPLES, panel, panel_means
from bench.statistics.intervals import (
    Interval,
    Observations,
    degrees_of,
    kind_of,
    population_of,
)
from bench.statistics.spread import (
    LEVEL,
    UNBOUNDED,
    Population,
    Range,
    Spread,
    ends,
    skewness_of,
)
from bench.statistics.variances import Floats, crossing

INSIDE = 0.9  # share of resamples in which a curve must reach the matched CP to have an interval


def sf_at(cp: Floats, sf: Floats, matched: float) -> Floats:
    """SF of a curve where its CP equals `matched`.

    Linear interpolation between the neighbouring settings in order of CP; NaN where the curve does
    not reach.

    Args:
        cp: CP of each setting, shape (..., setting).
        sf: SF of each setting, the same shape.
        matched: The CP to read the curve at.

    Returns:
        SF, shape (...).

    Example:
        >>> float(sf_at(np.array([0.8, 0.4]), np.array([0.2, 0.4]), 0.6).round(6))
        0.3
    """
    order = np.argsort(cp, axis=-1)
    x, y = np.take_along_axis(cp, order, axis=-1), np.take_along_axis(sf, order, axis=-1)
    found = np.where(x[..., 0] == matched, y[..., 0], np.nan)
    for k in range(x.shape[-1] - 1):
        width = x[..., k + 1] - x[..., k]
        inside = (x[..., k] <= matched) & (matched <= x[..., k + 1]) & (width > 0)
        share = (matched - x[..., k]) / np.where(width > 0, width, 1)
        value = y[..., k] + share * (y[..., k + 1] - y[..., k])
        found = np.where(inside & np.isnan(found), value, found)
    return np.asarray(found)


def matched_cp(curves: Sequence[Floats]) -> float:
    """The middle of the CP range that all curves share; NaN where they share none."""
    if not curves or any(not len(curve) for curve in curves):
        return math.nan
    low = max(float(curve.min()) for curve in curves)
    high = min(float(curve.max()) for curve in curves)
    return (low + high) / 2 if low <= high else math.nan


def rescaled(value: Floats, low: Floats, high: Floats) -> Floats:
    """A score between two anchors: 0 at `low`, 1 at `high`; NaN where the anchors are not apart."""
    span = np.asarray(high - low, dtype=np.float64)
    return np.asarray((value - low) / np.where(span > 0, span, np.nan))


def hypervolume(cp: Floats, sf: Floats) -> Floats:
    """Area that some points dominate, of the unit square between the anchors.

    The share of (CP, SF) wishes in [0, 1]^2 that at least one setting fulfils in both; rescaled
    scores are cut to [0, 1].

    Args:
        cp: Rescaled CP of each setting, shape (..., setting).
        sf: Rescaled SF, the same shape.

    References:
        Zitzler, Thiele (1998), Multiobjective Optimization Using Evolutionary Algorithms: the size
        of the dominated space, with the anchors as reference point.

    Example:
        >>> float(hypervolume(np.array([0.5, 1.0]), np.array([1.0, 0.5])))
        0.75
    """
    order = np.argsort(-cp, axis=-1)
    x = np.clip(np.take_along_axis(cp, order, axis=-1), 0, 1)
    y = np.clip(np.take_along_axis(sf, order, axis=-1), 0, 1)
    below = np.concatenate([x[..., 1:], np.zeros_like(x[..., :1])], axis=-1)
    return np.asarray(np.sum((x - below) * np.maximum.accumulate(y, axis=-1), axis=-1))


def pareto(cp: Floats, sf: Floats) -> np.ndarray:
    """Which points no other point beats in one score without losing in the other, shape (point,).

    Equal points do not beat each other. NaN points are never on the front.
    """
    as_good = (cp[None, :] >= cp[:, None]) & (sf[None, :] >= sf[:, None])
    better = (cp[None, :] > cp[:, None]) | (sf[None, :] > sf[:, None])
    return np.asarray(~(as_good & better).any(axis=1) & np.isfinite(cp) & np.isfinite(sf))


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """CP and SF of one setting, or of one control, per cell."""

    cp: Observations
    sf: Observations


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """The controls between which scores are rescaled: CP from noise, SF to copy-style."""

    noise: Scored
    copy_content: Scored
    copy_style: Scored


@dataclass(frozen=True, slots=True, eq=False)
class Tradeoff:
    """What a method's curve says.

    Args:
        cp: Mean CP of each setting.
        sf: Mean SF of each setting.
        at_matched: SF where the curve has the matched CP, with its interval; NaN beyond the curve.
        volume: Area dominated between the controls, in [0, 1]; NaN without controls.
    """

    cp: Floats
    sf: Floats
    at_matched: Interval
    volume: Interval


@dataclass(frozen=True, slots=True)
class _Design:
    """What the cells allow to be said, see `bench.statistics.intervals.spread_of`."""

    population: Population
    degrees: float
    cells: int


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Means as they are (index 0) and per resample, shape (1 + resample, setting)."""

    cp: Floats
    sf: Floats
    design: _Design

    def part(self, start: int, stop: int) -> _Drawn:
        """Some of the settings."""
        return _Drawn(self.cp[:, start:stop], self.sf[:, start:stop], self.design)


def tradeoffs(
    methods: Mapping[str, Sequence[Scored]],
    anchors: Anchors | None = None,
    *,
    bounds: Range = UNBOUNDED,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, dict[str, Tradeoff]]:
    """The curves of several methods, read at the CP that they share.

    A method with a single setting has no curve and no part in the matched CP. All settings, methods
    and controls see the same two-way bootstrap draws, so that what cells share cancels; the matched
    CP itself is held fixed.

    Args:
        methods: The settings of each method.
        anchors: The controls, if the run has them.
        bounds: Smallest and largest value that SF can have.
        level: Confidence level of the intervals.
        resamples: Bootstrap resamples.
        seed: Decides the draws.

    Returns:
        The matched CP, NaN where the curves share no range, and the trade-off of each method.
    """
    extra = [] if anchors is None else [anchors.noise, anchors.copy_content, anchors.copy_style]
    flat = [setting for settings in methods.values() for setting in settings] + extra
    if not flat:
        return math.nan, {}
    drawn = _draw(flat, resamples, seed)
    parts, start = {}, 0
    for name, settings in methods.items():
        parts[name] = drawn.part(start, start + len(settings))
        start += len(settings)
    ends_drawn = None if anchors is None else drawn.part(start, len(flat))
    curves = [part.cp[0][np.isfinite(part.cp[0])] for part in parts.values()]
    matched = matched_cp([curve for curve in curves if len(curve) > 1])
    return matched, {
        name: Tradeoff(
            part.cp[0],
            part.sf[0],
            _summary(sf_at(part.cp, part.sf, matched), drawn.design, bounds, level),
            _summary(_volumes(part, ends_drawn), drawn.design, (0.0, 1.0), level),
        )
        for name, part in parts.items()
    }


def _draw(flat: Sequence[Scored], resamples: int, seed: int) -> _Drawn:
    lined = panel([scored.cp for scored in flat] + [scored.sf for scored in flat])
    whole, drawn = panel_means(lined, resamples=resamples, seed=seed)
    rows = np.concatenate([whole[None, :], drawn])
    cells = int(np.isfinite(lined.values[: len(flat)]).sum(axis=1).max())
    crossed = crossing(lined.styles, lined.contents, lined.categories)
    population = population_of(crossed.n_styles)
    design = _Design(population, degrees_of(crossed, population, cells), cells)
    return _Drawn(rows[:, : len(flat)], rows[:, len(flat) :], design)


def _volumes(part: _Drawn, anchors: _Drawn | None) -> Floats:
    if anchors is None:
        return np.full(len(part.cp), np.nan)
    noise, copy_content, copy_style = range(3)
    cp = rescaled(part.cp, anchors.cp[:, [noise]], anchors.cp[:, [copy_content]])
    sf = rescaled(part.sf, anchors.sf[:, [copy_content]], anchors.sf[:, [copy_style]])
    return hypervolume(cp, sf)


def _summary(values: Floats, design: _Design, bounds: Range, level: float) -> Interval:
    """The first value, with the error and skewness of the others if nearly all of these exist."""
    value, drawn = float(values[0]), values[1:][np.isfinite(values[1:])]
    reached = len(drawn) >= INSIDE * (len(values) - 1) and not math.isnan(value)
    if not design.degrees or not reached:
        return Interval(value, math.nan, math.nan, design.cells, "none")
    error = float(drawn.std())
    skewness = skewness_of(float(np.mean((drawn - drawn.mean()) ** 3)), error)
    spread = Spread(value, error, design.degrees, design.cells, design.population, skewness, bounds)
    low, high = ends(spread, level=level)
    return Interval(value, low, high, design.cells, kind_of(design.population))

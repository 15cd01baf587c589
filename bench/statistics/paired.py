"""Paired comparison of two methods, or of two runs of one method, and many such comparisons.

The datum is the difference candidate - baseline of one (style, content) cell, seeds averaged.
Pairing removes what the style and the content do to both.

**Conventions**: a difference is positive where the candidate's number is the larger one, whatever
the direction of the metric; p-values are two-sided unless said; `population` says what is
generalised to:

* ``both``: styles and contents in general (two-way cluster-robust, df = min(S, C) - 1),
* ``contents``: contents in general on these styles (df = contents - strata),
* ``styles``: styles in general on these contents (df = S - 1),
* ``cells``: nothing beyond these very cells (df = N - 1); what differs is chance, such as seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.statistics.intervals import (
    MIN_CLUSTERS,
    MIN_STYLES,
    Observations,
    average_seeds,
    crossing_of,
    paired_differences,
)
from bench.statistics.variances import (
    Crossing,
    Floats,
    Indices,
    cell_variance,
    cluster_sums,
    one_way_variance,
    these_styles_variance,
    two_way_variance,
)

Population = Literal["both", "contents", "styles", "cells"]

LEVEL = 0.95
POWER = 0.8  # of the smallest detectable effect, as usual in planning
MIN_FLIPPED = 6  # with fewer clusters the smallest p of a sign flip is above .03
FLIPS = 4096  # all sign patterns of 12 clusters; more clusters are sampled


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean with its standard error and degrees of freedom; NaN error where there is none."""

    mean: float
    standard_error: float
    degrees: int
    n: int
    population: Population


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a paired comparison says.

    Args:
        delta: Mean difference candidate - baseline.
        low: Lower end of its interval, NaN where the cells allow none.
        high: Upper end.
        p: Two-sided p-value of the paired test, NaN where there is none.
        detectable: Smallest difference that the test would find in 4 of 5 such experiments.
        check_p: Larger p of the sign flips over styles and over contents, NaN where too few.
        n: Cells that both have.
        n_styles: Styles among them.
        n_contents: Contents among them.
        won: Share of the cells in which the candidate's number is the larger one, ties half.
        population: What the interval and p generalise to.
    """

    delta: float
    low: float
    high: float
    p: float
    detectable: float
    check_p: float
    n: int
    n_styles: int
    n_contents: int
    won: float
    population: Population


def population_of(styles: int) -> Population:
    """What may be generalised to with so many styles, see `bench.statistics.intervals`."""
    return "both" if styles >= MIN_STYLES else "contents"


def compare(
    candidate: Observations,
    baseline: Observations,
    *,
    population: Population | None = None,
    level: float = LEVEL,
    seed: int = 0,
) -> Comparison:
    """Compare candidate and baseline on the cells that both have.

    Args:
        candidate: Scores of the one.
        baseline: Scores of the other.
        population: What to generalise to; by default what the number of styles allows.
        level: Confidence level of the interval, in (0, 1).
        seed: Decides the sampled sign patterns of the check.

    Returns:
        The comparison; without common cells its numbers are NaN and `n` is 0.
    """
    cells = paired_differences(candidate, baseline)
    crossed = crossing_of(cells)
    chosen = population or population_of(crossed.n_styles)
    spread = spread_of(cells, chosen)
    low, high = ends(spread, level=level)
    return Comparison(
        spread.mean,
        low,
        high,
        paired_p(spread),
        smallest_detectable(spread, level=level),
        sign_flip_p(cells, chosen, seed=seed),
        spread.n,
        crossed.n_styles,
        crossed.n_contents,
        _won(cells.values),
        chosen,
    )


def spread_of(observations: Observations, population: Population) -> Spread:
    """Mean, standard error and degrees of freedom for a population, seeds averaged first."""
    cells = average_seeds(observations)
    crossed = crossing_of(cells)
    mean = float(cells.values.mean()) if len(cells.values) else math.nan
    degrees = _degrees(crossed, population, len(cells.values))
    if degrees < 1:
        return Spread(mean, math.nan, 0, len(cells.values), population)
    error = math.sqrt(float(variance_of(cells.values, crossed, population)))
    return Spread(mean, error, degrees, len(cells.values), population)


def variance_of(values: Floats, crossed: Crossing, population: Population) -> Floats:
    """Variance of the mean along the last axis for a population.

    The formulas stand in `bench.statistics.variances`.
    """
    if population == "both":
        return two_way_variance(values, crossed)
    if population == "contents":
        return these_styles_variance(values, crossed)
    if population == "styles":
        return one_way_variance(values, crossed.styles, crossed.n_styles)
    return cell_variance(values)


def _degrees(crossed: Crossing, population: Population, cells: int) -> int:
    if population == "both":
        smaller = min(crossed.n_styles, crossed.n_contents)
        return smaller - 1 if smaller >= MIN_CLUSTERS else 0
    if population == "contents":
        return crossed.n_contents - crossed.n_strata
    return (crossed.n_styles if population == "styles" else cells) - 1


def ends(spread: Spread, *, level: float = LEVEL) -> tuple[float, float]:
    """The ends ``mean -+ t((1 + level)/2, df) * error`` of a t interval."""
    from scipy.special import stdtrit

    if spread.degrees < 1:
        return math.nan, math.nan
    margin = float(stdtrit(spread.degrees, (1 + level) / 2)) * spread.standard_error
    return spread.mean - margin, spread.mean + margin


def paired_p(spread: Spread) -> float:
    """Two-sided p-value of a mean difference of 0: ``2 * P(t(df) > |mean| / error)``.

    It is at most 1 - level exactly where the interval of that level leaves out 0. Differences that
    are 0 in every cell have p = 1, others that are all alike p = 0.

    References:
        Cameron, Gelbach, Miller (2011), section 2: the Wald test with t(min(S, C) - 1).
    """
    from scipy.special import stdtr

    if spread.degrees < 1:
        return math.nan
    if spread.standard_error == 0:
        return 1.0 if spread.mean == 0 else 0.0
    return float(2 * stdtr(spread.degrees, -abs(spread.mean) / spread.standard_error))


def smallest_detectable(spread: Spread, *, level: float = LEVEL, power: float = POWER) -> float:
    """Smallest true difference that a two-sided test finds with probability `power`.

    ``(t((1 + level)/2, df) + t(power, df)) * error``, in the units of the scores: what "not
    significant" leaves open.

    References:
        Bloom (1995), Minimum Detectable Effects, Evaluation Review 19(5).
    """
    from scipy.special import stdtrit

    if spread.degrees < 1:
        return math.nan
    found = float(stdtrit(spread.degrees, (1 + level) / 2))
    return (found + float(stdtrit(spread.degrees, power))) * spread.standard_error


def sign_flip_p(
    observations: Observations, population: Population = "both", *, seed: int = 0
) -> float:
    """Larger of the p-values of sign flips over styles and over contents, as a check.

    Under no difference the sign of a cluster's sum is a coin; p is the share of sign patterns whose
    absolute total reaches the one observed. Up to 12 clusters all patterns are counted, beyond that
    `FLIPS` sampled ones and the observed one. Only the clusters that `population` generalises to
    are flipped.

    Returns:
        A p-value in (0, 1], or NaN with fewer than `MIN_FLIPPED` clusters of a kind.

    References:
        Fisher (1935), The Design of Experiments, section 21; for sampled patterns Phipson, Smyth
        (2010), Permutation P-values should never be zero.
    """
    cells = average_seeds(observations)
    crossed = crossing_of(cells)
    flipped = {
        "both": [crossed.styles, crossed.contents],
        "contents": [crossed.contents],
        "styles": [crossed.styles],
        "cells": [np.arange(len(cells.values))],
    }[population]
    return max(_flip_p(cells.values, index, seed) for index in flipped)


def _flip_p(values: Floats, index: Indices, seed: int) -> float:
    sums = cluster_sums(values, index)
    if len(sums) < MIN_FLIPPED:
        return math.nan
    observed = abs(sums.sum()) * (1 - 1e-12)  # the pattern itself counts, whatever its rounding
    exact = 2 ** len(sums) <= FLIPS
    totals = np.abs((_patterns(len(sums)) if exact else _sampled(len(sums), seed)) @ sums)
    reached = int(np.count_nonzero(totals >= observed))
    return reached / len(totals) if exact else (reached + 1) / (len(totals) + 1)


def _patterns(size: int) -> Floats:
    flipped = np.arange(2**size)[:, None] >> np.arange(size) & 1
    return (1 - 2 * flipped).astype(np.float64)


def _sampled(size: int, seed: int) -> Floats:
    return np.random.default_rng(seed).choice([-1.0, 1.0], (FLIPS, size))


def _won(differences: Floats) -> float:
    if not len(differences):
        return math.nan
    return float(np.mean((np.sign(differences) + 1) / 2))


def holm(p_values: Mapping[str, float], *, size: int | None = None) -> dict[str, float]:
    """Holm's adjusted p-values of a family: all at most alpha keep the chance of any false one.

    Sorted ascending, ``p'_(i) = max over j <= i of min(1, (m - j + 1) * p_(j))``. A NaN (a
    comparison that could not be made) stays NaN and still counts in m, because it was declared.

    Args:
        p_values: One p-value per name.
        size: How many comparisons were declared, if more than these; m in the formula.

    References:
        Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal
        of Statistics 6(2).

    Example:
        >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
        {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    count = max(size or 0, len(p_values))
    known = sorted((p, name) for name, p in p_values.items() if not math.isnan(p))
    adjusted, highest = dict.fromkeys(p_values, math.nan), 0.0
    for position, (p, name) in enumerate(known):
        highest = max(highest, min(1.0, (count - position) * p))
        adjusted[name] = highest
    return adjusted


def indistinguishable(
    scores: Mapping[str, Observations], *, maximize: bool, level: float = LEVEL
) -> set[str]:
    """The best of several methods by its mean, and all that are not significantly worse.

    Each is compared with the best on the cells that both have; Holm over these comparisons. A
    method that cannot be compared (no interval, no common cell) cannot be told apart and stays in.

    Args:
        scores: Scores per method; methods without any number are left out.
        maximize: Whether a larger number is better.
        level: 1 - level is the chance of leaving out any that is as good as the best.
    """
    means = {name: spread_of(scores[name], "cells").mean for name in scores}
    known = {name: mean for name, mean in means.items() if not math.isnan(mean)}
    if not known:
        return set()
    best = max(known, key=lambda name: known[name] if maximize else -known[name])
    p_values = {
        name: compare(scores[name], scores[best], level=level).p for name in known if name != best
    }
    adjusted = holm(p_values)
    return {best} | {name for name, p in adjusted.items() if not p <= 1 - level}

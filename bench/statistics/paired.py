"""Paired comparison of two methods, or of two runs of one method, and many such comparisons.

The datum is the difference candidate - baseline of one (style, content) cell, seeds averaged.
Pairing removes what the style and the content do to both.

**Conventions**: a difference is positive where the candidate's number is the larger one, whatever
the direction of the metric; p-values are two-sided unless said; `population` says what is
generalised to:

* ``both``: styles and contents in general (two-way cluster-robust, df = min(S, C) - 1),
* ``contents``: contents in general on these styles (df: `Crossing.content_degrees`),
* ``styles``: styles in general on these contents (df = S - 1),
* ``cells``: nothing beyond these very cells (df = N - 1); what differs is chance, such as seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bench.statistics.intervals import (
    Observations,
    average_seeds,
    crossing_of,
    lined_up,
    paired_differences,
    spread_of,
    spreads_of,
)
from bench.statistics.spread import (
    LEVEL,
    UNBOUNDED,
    Population,
    Range,
    Spread,
    difference_bounds,
    ends,
    p_value,
    smallest_detectable,
)
from bench.statistics.variances import Floats, Indices, cluster_sums

MIN_FLIPPED = 6  # with fewer clusters the smallest p of a sign flip is above .03
FLIPS = 4096  # all sign patterns of 12 clusters; more clusters are sampled


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


def compare(
    candidate: Observations,
    baseline: Observations,
    *,
    bounds: Range = UNBOUNDED,
    population: Population | None = None,
    level: float = LEVEL,
    seed: int = 0,
) -> Comparison:
    """Compare candidate and baseline on the cells that both have.

    Args:
        candidate: Scores of the one.
        baseline: Scores of the other.
        bounds: Smallest and largest value that a score can have.
        population: What to generalise to; by default what the number of styles allows.
        level: Confidence level of the interval, in (0, 1).
        seed: Decides the sampled sign patterns of the check.

    Returns:
        The comparison; without common cells its numbers are NaN and `n` is 0.
    """
    cells = paired_differences(candidate, baseline)
    crossed = crossing_of(cells)
    spread = spread_of(cells, population, difference_bounds(bounds))
    low, high = ends(spread, level=level)
    return Comparison(
        spread.mean,
        low,
        high,
        p_value(spread),
        smallest_detectable(spread, level=level),
        sign_flip_p(cells, spread.population, seed=seed),
        spread.n,
        crossed.n_styles,
        crossed.n_contents,
        _won(cells.values),
        spread.population,
    )


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


@dataclass(frozen=True, slots=True)
class Standings:
    """Which of several methods are shown to be better than which others, by one metric.

    Args:
        p: Two-sided p of each pair after Holm over all pairs, NaN where it cannot be compared; a
            pair has its names in the order of the methods.
        ranks: Per method the first and the last rank that it can have, 1 being the best.
    """

    p: Mapping[tuple[str, str], float]
    ranks: Mapping[str, tuple[int, int]]

    @property
    def best(self) -> frozenset[str]:
        """The methods that no other is shown to be better than."""
        return frozenset(name for name, (first, _) in self.ranks.items() if first == 1)


def standings(
    scores: Mapping[str, Observations],
    *,
    maximize: bool,
    bounds: Range = UNBOUNDED,
    level: float = LEVEL,
) -> Standings:
    """Compare all pairs of methods, each pair on the cells that both have.

    Nobody gains by lacking a hard style. A method is beaten where a difference points to worse and
    its p, after Holm over all pairs, is at most ``1 - level``; its rank is at least 1 + how many
    beat it, and at most the number of methods less how many it beats. With all methods alike, any
    is beaten in at most ``1 - level`` of experiments, and all ranks hold at once with probability
    `level`. A pair that cannot be compared (no interval, no common cell) tells nothing.

    Args:
        scores: Scores per method; methods without any number are left out.
        maximize: Whether a larger number is better.
        bounds: Smallest and largest value that a score can have.
        level: 1 - level is the chance of any false statement.

    References:
        Mogstad, Romano, Shaikh, Wilhelm (2024), Inference for Ranks with Applications to Mobility
        across Neighbourhoods and Academic Achievement across Countries, Review of Economic Studies
        91(1): ranks from simultaneous tests of all pairs.
    """
    known = [name for name, score in scores.items() if np.isfinite(score.values).any()]
    pairs = {f"{first}\n{second}": (first, second) for first, second in combinations(known, 2)}
    found = _pair_spreads([scores[name] for name in known], difference_bounds(bounds))
    spreads = dict(zip(pairs, found, strict=True))
    adjusted = holm({key: p_value(spread) for key, spread in spreads.items()})
    beaten_by, beats = dict.fromkeys(known, 0), dict.fromkeys(known, 0)
    for key, p in adjusted.items():
        if p <= 1 - level:
            first_wins = (spreads[key].mean > 0) == maximize
            winner, loser = pairs[key] if first_wins else reversed(pairs[key])
            beats[winner] += 1
            beaten_by[loser] += 1
    return Standings(
        {pairs[key]: p for key, p in adjusted.items()},
        {name: (1 + beaten_by[name], len(known) - beats[name]) for name in known},
    )


def _pair_spreads(scores: Sequence[Observations], bounds: Range) -> Iterator[Spread]:
    """The spread of the differences of each pair, in the order of `combinations`."""
    values, places = lined_up(scores)
    for row, ours in enumerate(values):
        yield from spreads_of(ours - values[row + 1 :], places, bounds=bounds)

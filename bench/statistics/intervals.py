"""Honest intervals for scores that share styles and contents.

One style and one content occur in many cells of a run, so the rows are not independent and an
interval over rows is far too narrow. The seeds of a (style, content) cell are averaged first; what
remains is a crossed design.

* With `MIN_STYLES` styles or more: the two-way cluster-robust t interval over styles and contents.
* With fewer, nothing honest can be said about styles in general. The interval then holds "on these
  styles": contents are resampled within their category while the styles stay fixed.

**Conventions**: observations are parallel arrays, one entry per output; NaN means "no number" and
is left out; `n` counts (style, content) cells; an interval that the data cannot give has NaN ends
and the kind "none".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from bench.statistics.variances import Crossing, Floats, Names, crossing, strata, two_way_variance

Kind = Literal["two-way", "on these styles", "none"]

MIN_STYLES = 5  # with fewer, S - 1 degrees of freedom cover styles in general too seldom
MIN_CLUSTERS = 2  # a variance between clusters needs two
RESAMPLES = 4000  # the 2.5 % point then rests on 100 draws


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its confidence interval; `n` counts the (style, content) cells behind it."""

    mean: float
    low: float
    high: float
    n: int
    kind: Kind


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Scores with what they share.

    Args:
        values: One score per output; NaN where there is none.
        styles: The style of each output.
        contents: The content of each output.
        categories: The category of each content; it groups contents for resampling.
    """

    values: Floats
    styles: Names
    contents: Names
    categories: Names

    def __post_init__(self) -> None:
        """Check that the arrays are parallel."""
        lengths = {len(self.values), len(self.styles), len(self.contents), len(self.categories)}
        if len(lengths) != 1:
            raise ValueError(
                f"observations have lengths {sorted(lengths)}; one value, style, content and "
                "category belong to each output. Pass parallel arrays."
            )


def observe(
    values: Sequence[float] | Floats,
    styles: Sequence[str],
    contents: Sequence[str],
    categories: Sequence[str] | None = None,
) -> Observations:
    """Build observations from plain sequences; without categories all contents form one."""
    groups = ["all"] * len(contents) if categories is None else categories
    return Observations(
        np.asarray(values, dtype=np.float64),
        np.asarray(styles, dtype=np.str_),
        np.asarray(contents, dtype=np.str_),
        np.asarray(groups, dtype=np.str_),
    )


def average_seeds(observations: Observations) -> Observations:
    """Average the outputs of each (style, content) cell, sorted by style, then content; skip NaN.

    Repetitions of a cell differ only by the seed, so they are measurements of one datum and never
    add to `n`.
    """
    known = np.isfinite(observations.values)
    styles, style_index = np.unique(observations.styles[known], return_inverse=True)
    contents, content_index = np.unique(observations.contents[known], return_inverse=True)
    cells, first, inverse = np.unique(
        style_index * max(len(contents), 1) + content_index, return_index=True, return_inverse=True
    )
    counts = np.bincount(inverse, minlength=len(cells))
    sums = np.bincount(inverse, weights=observations.values[known], minlength=len(cells))
    return Observations(
        sums / np.maximum(counts, 1),
        styles[style_index[first]],
        contents[content_index[first]],
        observations.categories[known][first],
    )


def interval(observations: Observations, *, level: float = 0.95, seed: int = 0) -> Interval:
    """Choose the interval that the styles allow: two-way from `MIN_STYLES` on, else on these."""
    cells = average_seeds(observations)
    if len(np.unique(cells.styles)) >= MIN_STYLES:
        return two_way_interval(cells, level=level)
    return these_styles_interval(cells, level=level, seed=seed)


def two_way_interval(observations: Observations, *, level: float = 0.95) -> Interval:
    """Two-way cluster-robust t interval of a mean over styles x contents.

    ``mean -+ t(min(S, C) - 1) * sqrt(V)`` with V of `bench.statistics.variances.two_way_variance`.

    Returns:
        The interval over styles and contents in general; kind "none" with fewer than two of either.

    References:
        Cameron, Gelbach, Miller (2011), Robust Inference With Multiway Clustering, JBES 29(2),
        section 2.
    """
    from scipy.special import stdtrit

    cells = average_seeds(observations)
    size, mean = len(cells.values), _mean(cells.values)
    crossed = crossing_of(cells)
    clusters = min(crossed.n_styles, crossed.n_contents)
    if clusters < MIN_CLUSTERS:
        return Interval(mean, np.nan, np.nan, size, "none")
    spread = float(np.sqrt(two_way_variance(cells.values, crossed)))
    margin = float(stdtrit(clusters - 1, (1 + level) / 2)) * spread
    return Interval(mean, mean - margin, mean + margin, size, "two-way")


def crossing_of(cells: Observations) -> Crossing:
    """The styles, contents and strata of cells as indices."""
    return crossing(cells.styles, cells.contents, cells.categories)


def these_styles_interval(
    observations: Observations, *, level: float = 0.95, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Percentile bootstrap of a mean on the given styles: contents are redrawn by category.

    Categories of a single content are pooled, see `bench.statistics.variances.strata`. With very
    few contents a percentile interval is still somewhat narrow, as normal quantiles are beside
    those of t.

    Args:
        observations: Scores on the styles the statement is restricted to.
        level: Confidence level in (0, 1).
        seed: Decides the draws; the order of the observations does not.
        resamples: Bootstrap replicates.

    Returns:
        The interval on these styles; kind "none" with fewer than two contents.

    References:
        Efron, Tibshirani (1993), An Introduction to the Bootstrap, section 13.3 (percentiles).
    """
    cells = average_seeds(observations)
    mean = _mean(cells.values)
    names, first, index = np.unique(cells.contents, return_index=True, return_inverse=True)
    if len(names) < MIN_CLUSTERS:
        return Interval(mean, np.nan, np.nan, len(cells.values), "none")
    totals = np.bincount(index, weights=cells.values)
    counts = np.bincount(index).astype(np.float64)
    weights = content_weights(tuple(cells.categories[first].tolist()), resamples, seed)
    means = (weights @ totals) / (weights @ counts)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean, float(low), float(high), len(cells.values), "on these styles")


@lru_cache(maxsize=4)
def content_weights(categories: tuple[str, ...], resamples: int, seed: int) -> Floats:
    """How often each resample counts each content, shape (resample, content); each sums to C.

    From a stratum of n contents n - 1 are drawn and count n/(n - 1) each: with n draws a resampled
    mean would vary by (n - 1)/n too little, which shows with few contents per category. The result
    is kept, as all methods share the contents.

    References:
        McCarthy, Snowden (1985), The Bootstrap and Finite Population Sampling, Vital and Health
        Statistics 2(95); Rao, Wu (1988), Resampling Inference With Complex Survey Data, JASA
        83(401): n_h - 1 draws make the variance of a mean unbiased.
    """
    index = strata(np.asarray(categories, dtype=np.str_))
    generator = np.random.default_rng(seed)
    weights = np.zeros((resamples, len(categories)))
    for stratum in np.unique(index):
        members = np.flatnonzero(index == stratum)
        size = len(members)
        draws = max(1, size - 1)
        counts = generator.multinomial(draws, np.full(size, 1 / size), resamples)
        weights[:, members] = counts * (size / draws)
    return weights


def paired_differences(candidate: Observations, baseline: Observations) -> Observations:
    """Candidate minus baseline on the (style, content) cells that both have, seeds averaged."""
    ours, theirs = average_seeds(candidate), average_seeds(baseline)
    reference = dict(zip(_cell_keys(theirs), theirs.values.tolist(), strict=True))
    matched = np.array([reference.get(key, np.nan) for key in _cell_keys(ours)], dtype=np.float64)
    both = np.isfinite(matched)
    return Observations(
        ours.values[both] - matched[both],
        ours.styles[both],
        ours.contents[both],
        ours.categories[both],
    )


def paired_interval(
    candidate: Observations, baseline: Observations, *, level: float = 0.95, seed: int = 0
) -> Interval:
    """Interval of the paired difference candidate - baseline, of the kind `interval` chooses.

    Pairing removes what a cell's style and content do to both methods, which is most of the
    variance.
    """
    return interval(paired_differences(candidate, baseline), level=level, seed=seed)


def _cell_keys(cells: Observations) -> list[tuple[str, str]]:
    return list(zip(cells.styles.tolist(), cells.contents.tolist(), strict=True))


def _mean(values: Floats) -> float:
    return float(np.mean(values)) if len(values) else float("nan")

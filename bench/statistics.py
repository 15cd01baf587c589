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
from numpy.typing import NDArray

Kind = Literal["two-way", "on these styles", "none"]
Floats = NDArray[np.float64]
Names = NDArray[np.str_]

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

    With residuals e = y - mean over N cells, S styles and C contents::

        V_style   = S/(S-1) * sum_s (sum of e in style s)^2 / N^2
        V_content = C/(C-1) * sum_c (sum of e in content c)^2 / N^2
        V_cell    = N/(N-1) * sum e^2 / N^2
        V         = max(V_style + V_content - V_cell, V_style, V_content)
        interval  = mean -+ t(min(S, C) - 1) * sqrt(V)

    Returns:
        The interval over styles and contents in general; kind "none" with fewer than two of either.

    References:
        Cameron, Gelbach, Miller (2011), Robust Inference With Multiway Clustering, JBES 29(2),
        section 2: the estimator and its small-sample factors. Departure: the sum is floored
        at the larger one-way variance, because the estimate itself can be negative.
    """
    from scipy.stats import t

    cells = average_seeds(observations)
    size = len(cells.values)
    mean = _mean(cells.values)
    clusters = min(len(np.unique(cells.styles)), len(np.unique(cells.contents)))
    if clusters < MIN_CLUSTERS:
        return Interval(mean, np.nan, np.nan, size, "none")
    residuals = cells.values - mean
    by_style = _cluster_variance(residuals, cells.styles)
    by_content = _cluster_variance(residuals, cells.contents)
    by_cell = size / (size - 1) * float(np.sum(residuals**2)) / size**2
    variance = max(by_style + by_content - by_cell, by_style, by_content)
    margin = float(t.ppf((1 + level) / 2, clusters - 1)) * float(np.sqrt(variance))
    return Interval(mean, mean - margin, mean + margin, size, "two-way")


def _cluster_variance(residuals: Floats, clusters: Names) -> float:
    names, index = np.unique(clusters, return_inverse=True)
    sums = np.bincount(index, weights=residuals)
    factor = len(names) / (len(names) - 1)
    return float(factor * np.sum(sums**2) / len(residuals) ** 2)


def these_styles_interval(
    observations: Observations, *, level: float = 0.95, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Percentile bootstrap of a mean on the given styles: contents are redrawn by category.

    A category with a single content cannot vary, which would make the interval too narrow; such
    categories are pooled into one stratum (collapsed strata). With very few contents a percentile
    interval is still somewhat narrow.

    Args:
        observations: Scores on the styles the statement is restricted to.
        level: Confidence level in (0, 1).
        seed: Decides the draws; the order of the observations does not.
        resamples: Bootstrap replicates.

    Returns:
        The interval on these styles; kind "none" with fewer than two contents.

    References:
        Efron, Tibshirani (1993), An Introduction to the Bootstrap, section 13.3 (percentiles);
        Cochran (1977), Sampling Techniques, section 5A.12 (collapsed strata).
    """
    cells = average_seeds(observations)
    mean = _mean(cells.values)
    names, first, index = np.unique(cells.contents, return_index=True, return_inverse=True)
    if len(names) < MIN_CLUSTERS:
        return Interval(mean, np.nan, np.nan, len(cells.values), "none")
    totals = np.bincount(index, weights=cells.values)
    counts = np.bincount(index).astype(np.float64)
    weights = _weights(tuple(cells.categories[first].tolist()), resamples, seed)
    means = (weights @ totals) / (weights @ counts)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean, float(low), float(high), len(cells.values), "on these styles")


def _strata(categories: Names) -> list[NDArray[np.intp]]:
    """Content indices per category; lone contents are pooled, one alone joins the smallest."""
    groups = [np.flatnonzero(categories == name) for name in np.unique(categories)]
    strata = [group for group in groups if len(group) > 1]
    lone = [group for group in groups if len(group) == 1]
    if len(lone) == 1 and strata:
        smallest = min(range(len(strata)), key=lambda position: len(strata[position]))
        strata[smallest] = np.concatenate([strata[smallest], lone[0]])
    elif lone:
        strata.append(np.concatenate(lone))
    return strata


@lru_cache(maxsize=4)
def _weights(categories: tuple[str, ...], resamples: int, seed: int) -> Floats:
    """How often each resample draws each content; kept, as all methods share the contents."""
    draws = _draw(_strata(np.asarray(categories, dtype=np.str_)), resamples, seed)
    flat = draws + len(categories) * np.arange(resamples)[:, None]
    counts = np.bincount(flat.ravel(), minlength=resamples * len(categories))
    return counts.reshape(resamples, len(categories)).astype(np.float64)


def _draw(strata: list[NDArray[np.intp]], resamples: int, seed: int) -> NDArray[np.intp]:
    generator = np.random.default_rng(seed)
    columns = [part[generator.integers(0, len(part), (resamples, len(part)))] for part in strata]
    return np.concatenate(columns, axis=1)


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

"""Intervals of a mean whose observations share more than two things: raters, contents, styles.

**Conventions**: `clusterings` are parallel to the values, one array of cluster names (or of their
numbers) each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from bench.statistics.intervals import MIN_CLUSTERS, Interval
from bench.statistics.spread import LEVEL, UNBOUNDED, Range, Spread, ends, skewness_of
from bench.statistics.variances import Floats, Indices, cluster_third_moment, one_way_variance


def multiway_variance(values: Floats, clusterings: Sequence[Sequence[str] | Indices]) -> float:
    """Cluster-robust variance of a mean over any number of crossed clusterings.

    With residuals e and, for each non-empty subset A of the clusterings, the clusters g that agree
    in all of A::

        V_A = G_A/(G_A - 1) * sum_g (sum of e in g)^2 / N^2
        V   = sum over A of (-1)^(|A| + 1) V_A, at least the largest V of a single clustering

    With two clusterings whose pairs are single cells this is
    `bench.statistics.variances.two_way_variance`.

    References:
        Cameron, Gelbach, Miller (2011), Robust Inference With Multiway Clustering, JBES 29(2),
        section 2.3; floored as in the two-way case, because the sum itself can be negative.
    """
    indices = [np.unique(np.asarray(names), return_inverse=True)[1] for names in clusterings]
    total, single = 0.0, 0.0
    for size in range(1, len(indices) + 1):
        for chosen in combinations(indices, size):
            index = _joint(chosen)
            part = _variance(values, index)
            single = max(single, part) if size == 1 else single
            total += part if size % 2 else -part
    return max(total, single)


def multiway_interval(
    values: Floats,
    clusterings: Sequence[Sequence[str]],
    *,
    bounds: Range = UNBOUNDED,
    level: float = LEVEL,
) -> Interval:
    """Cluster-robust interval of a mean; its degrees of freedom are the fewest clusters - 1.

    Returns:
        The interval of `bench.statistics.spread.ends` with the number of values as `n`; kind "none"
        where a clustering has fewer than two clusters, else "two-way" as for tables.
    """
    mean = float(np.mean(values)) if len(values) else float("nan")
    fewest = min((len(set(names)) for names in clusterings), default=0)
    if fewest < MIN_CLUSTERS:
        return Interval(mean, np.nan, np.nan, len(values), "none")
    error = multiway_variance(values, clusterings) ** 0.5
    skewness = skewness_of(_third_moment(values, clusterings), error)
    spread = Spread(mean, error, fewest - 1, len(values), "both", skewness, bounds)
    low, high = ends(spread, level=level)
    return Interval(mean, low, high, len(values), "two-way")


def _third_moment(values: Floats, clusterings: Sequence[Sequence[str]]) -> float:
    """The third central moments of the single clusterings, added."""
    indices = [np.unique(np.asarray(names), return_inverse=True)[1] for names in clusterings]
    return sum(
        float(cluster_third_moment(values, index, int(index.max()) + 1)) for index in indices
    )


def _joint(indices: Sequence[Indices]) -> Indices:
    """The index of the combinations that occur."""
    rows = np.stack(indices, axis=1)
    return np.asarray(np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1), dtype=np.intp)


def _variance(values: Floats, index: Indices) -> float:
    clusters = int(index.max()) + 1
    if clusters < MIN_CLUSTERS:
        return 0.0
    return float(one_way_variance(values, index, clusters))

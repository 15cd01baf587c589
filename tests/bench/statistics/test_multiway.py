"""Multiway cluster-robust intervals against the two-way formula, statsmodels, and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from bench.statistics.multiway import multiway_interval, multiway_variance
from bench.statistics.variances import crossing, two_way_variance


def test_two_clusterings_are_the_two_way_formula() -> None:
    rng = np.random.default_rng(0)
    styles = np.repeat([f"s{n}" for n in range(6)], 7)
    contents = np.tile([f"c{n}" for n in range(7)], 6)
    values = rng.normal(size=42) + np.repeat(rng.normal(size=6), 7)
    crossed = crossing(styles, contents, contents)
    known = float(two_way_variance(values, crossed))
    assert multiway_variance(values, [styles.tolist(), contents.tolist()]) == pytest.approx(known)


def test_one_clustering_is_that_of_statsmodels() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(1)
    groups = rng.integers(0, 9, 80)
    values = rng.normal(size=80) + rng.normal(size=9)[groups]
    fitted = sm.OLS(values, np.ones(80)).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "df_correction": False}
    )
    factor = 80 / 79  # statsmodels adds (N - 1)/(N - k), which is 1 here, and G/(G - 1)
    ours = multiway_variance(values, [groups.astype(str).tolist()])
    assert ours == pytest.approx(float(fitted.bse[0] ** 2), rel=factor - 1 + 1e-9)


def test_three_clusterings_cover_the_mean() -> None:
    rng = np.random.default_rng(2)
    raters, contents, styles = (x.ravel() for x in np.indices((10, 12, 6)))
    names = [index.astype(str).tolist() for index in (raters, contents, styles)]
    hits = 0
    for _ in range(150):
        values = rng.normal(0, 0.3, raters.size)
        for index in (raters, contents, styles):
            values += rng.normal(0, 0.4, index.max() + 1)[index]
        result = multiway_interval(values, names)
        hits += result.low <= 0 <= result.high
    assert hits >= 0.9 * 150


def test_a_single_cluster_gives_no_interval() -> None:
    result = multiway_interval(np.array([1.0, 2.0]), [["a", "a"], ["c", "d"]])
    assert (result.mean, result.kind) == (1.5, "none")
    assert np.isnan(result.low)

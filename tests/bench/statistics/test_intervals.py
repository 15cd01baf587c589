"""The intervals against independent formulas, simulation, and the cases that have no interval."""

from __future__ import annotations

import itertools
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

sys.path.insert(0, str(Path(__file__).parent))

from crossed_design import crossed

from bench.statistics.intervals import (
    Observations,
    average_seeds,
    interval,
    lined_up,
    observe,
    on_common_cells,
    paired_differences,
    paired_interval,
    share_interval,
    spread_of,
    spreads_of,
)
from bench.statistics.spread import ends


def simulate(generator: np.random.Generator, styles: int, contents: int) -> np.ndarray:
    """Scores with mean 0 whose styles, contents and cells each have an effect of their own."""
    return (
        generator.normal(0, 0.05, (styles, 1))
        + generator.normal(0, 0.05, (1, contents))
        + generator.normal(0, 0.1, (styles, contents))
    )


def sandwich_by_pairs(y: np.ndarray) -> float:
    """The two-way variance as a double sum over pairs of cells that share a cluster."""
    styles, contents = y.shape
    e = y - y.mean()
    by_style = by_content = by_cell = 0.0
    cells = list(itertools.product(range(styles), range(contents)))
    for (s, c), (s2, c2) in itertools.product(cells, cells):
        product = e[s, c] * e[s2, c2]
        by_style += product * (s == s2)
        by_content += product * (c == c2)
        by_cell += product * (s == s2 and c == c2)
    by_style *= styles / (styles - 1) / y.size**2
    by_content *= contents / (contents - 1) / y.size**2
    by_cell *= y.size / (y.size - 1) / y.size**2
    return max(by_style + by_content - by_cell, by_style, by_content)


@pytest.mark.parametrize(("styles", "contents"), [(5, 9), (7, 4), (6, 6)])
def test_two_way_interval_equals_the_sum_over_pairs(styles: int, contents: int) -> None:
    y = simulate(np.random.default_rng(styles), styles, contents) + 0.4
    margin = stats.t.ppf(0.975, min(styles, contents) - 1) * math.sqrt(sandwich_by_pairs(y))
    spread = spread_of(crossed(y), "both")
    assert (spread.mean, spread.degrees) == (pytest.approx(y.mean()), min(styles, contents) - 1)
    assert spread.standard_error == pytest.approx(math.sqrt(sandwich_by_pairs(y)), rel=1e-9)
    assert ends(replace(spread, skewness=0.0)) == pytest.approx(
        (y.mean() - margin, y.mean() + margin), rel=1e-9
    )
    result = interval(crossed(y), population="both")
    assert (result.low, result.high) == ends(spread)
    assert (result.n, result.kind) == (y.size, "two-way")


def third_moment_by_triples(y: np.ndarray) -> float:
    """The third central moment of a mean over independent columns, as scipy's k-statistic."""
    columns = y.mean(axis=0)
    return float(stats.kstat(columns, 3)) / columns.size**2


@pytest.mark.parametrize("shape", [(3, 7), (3, 12)])
def test_the_skewness_on_fixed_styles_is_the_k_statistic_of_contents(
    shape: tuple[int, int],
) -> None:
    y = np.random.default_rng(1).exponential(size=shape)
    spread = spread_of(crossed(y), "contents")
    expected = third_moment_by_triples(y) / stats.sem(y.mean(axis=0)) ** 3
    assert spread.skewness == pytest.approx(expected, rel=1e-9)
    assert spread.standard_error == pytest.approx(stats.sem(y.mean(axis=0)), rel=1e-9)


def test_the_skewness_over_both_adds_styles_and_contents() -> None:
    y = np.random.default_rng(2).exponential(size=(6, 9))
    spread = spread_of(crossed(y), "both")
    third = third_moment_by_triples(y) + third_moment_by_triples(y.T)
    assert spread.skewness == pytest.approx(third / sandwich_by_pairs(y) ** 1.5, rel=1e-9)


@pytest.mark.parametrize(
    ("categories", "degrees"),
    [
        ("aaaa", 2.75),
        ("abcd", 2.75),
        ("aabbccdd", 3.0),
        ("aaabbb", 3.75),
        ("aab", 1.75),
        ("ab", 1.0),
    ],
)
def test_degrees_of_freedom_of_contents(categories: str, degrees: float) -> None:
    y = np.random.default_rng(3).normal(size=(2, len(categories)))
    assert spread_of(crossed(y, list(categories)), "contents").degrees == degrees


def test_pairs_of_contents_show_no_skewness() -> None:
    y = np.random.default_rng(4).exponential(size=(3, 8))
    assert spread_of(crossed(y, list("aabbccdd")), "contents").skewness == pytest.approx(0)


def test_these_styles_interval_has_the_stratified_standard_error() -> None:
    generator = np.random.default_rng(4)
    categories = ["a"] * 60 + ["b"] * 40
    y = generator.normal(0, 0.1, (3, 100)) + np.where(np.array(categories) == "a", 0.2, 0.8)
    per_content = y.mean(axis=0)
    variance = sum(
        (size / 100) ** 2 * per_content[part].var(ddof=1) / size
        for part, size in ((slice(0, 60), 60), (slice(60, 100), 40))
    )
    spread = spread_of(crossed(y, categories), "contents")
    assert spread.standard_error == pytest.approx(math.sqrt(variance), rel=1e-9)


def test_lone_categories_are_pooled_rather_than_frozen() -> None:
    y = np.array([[0.1, 0.5, 0.9, 0.3]])
    alone = interval(crossed(y, ["a", "b", "c", "d"]))
    assert alone == interval(crossed(y, ["a", "a", "a", "a"]))
    assert alone.low < 0.4 < alone.high


def test_the_order_of_rows_does_not_matter() -> None:
    y = simulate(np.random.default_rng(6), 3, 12)
    rows = crossed(y)
    order = np.random.default_rng(7).permutation(y.size)
    shuffled = Observations(rows.values[order], rows.places.where(order))
    assert interval(shuffled).low == pytest.approx(interval(rows).low, abs=1e-12)


def test_the_range_of_a_metric_bounds_means_and_differences() -> None:
    y = np.random.default_rng(8).beta(0.3, 0.05, (3, 4))
    wide, bounded = interval(crossed(y)), interval(crossed(y), bounds=(0.0, 1.0))
    assert bounded.low < bounded.mean < bounded.high <= 1 < wide.high
    loss = paired_interval(crossed(1 - y), crossed(y), bounds=(0.0, 1.0))
    assert -1 < loss.low < loss.mean < loss.high < 1
    assert loss == interval(crossed(1 - 2 * y), bounds=(-1.0, 1.0))


def test_seeds_are_averaged_within_their_cell() -> None:
    y = np.random.default_rng(8).normal(0.5, 0.1, (5, 6, 3))
    assert interval(crossed(y)).n == 30
    assert interval(crossed(y)).high == pytest.approx(interval(crossed(y.mean(axis=2))).high)


def test_a_cell_with_more_seeds_weighs_no_more() -> None:
    cells = average_seeds(observe([0.0, 0.0, 0.0, 1.0], ["s"] * 4, ["a", "a", "a", "b"]))
    assert cells.values.tolist() == [0.0, 1.0]


def test_missing_numbers_are_left_out() -> None:
    result = interval(observe([0.2, math.nan, 0.4], ["s"] * 3, ["a", "b", "c"]))
    assert (result.mean, result.n) == (pytest.approx(0.3), 2)


@pytest.mark.parametrize(("styles", "kind"), [(4, "on these styles"), (5, "two-way")])
def test_five_styles_are_needed_to_speak_of_styles(styles: int, kind: str) -> None:
    assert interval(crossed(simulate(np.random.default_rng(9), styles, 6))).kind == kind


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (3, 1)])
def test_one_content_gives_a_mean_without_an_interval(shape: tuple[int, int]) -> None:
    result = interval(crossed(np.full(shape, 0.25)))
    assert (result.mean, result.kind) == (0.25, "none")
    assert math.isnan(result.low)
    assert math.isnan(result.high)


def test_one_style_speaks_of_that_style_only() -> None:
    assert interval(crossed(np.array([[0.1, 0.3]])), population="both").kind == "none"
    assert interval(crossed(np.array([[0.1, 0.3]]))).kind == "on these styles"


@pytest.mark.parametrize("shape", [(6, 6), (2, 6)])
def test_constant_scores_have_no_width(shape: tuple[int, int]) -> None:
    result = interval(crossed(np.ones(shape)))
    assert (result.mean, result.low, result.high) == (1.0, 1.0, 1.0)


def test_nothing_gives_nothing() -> None:
    result = interval(observe([], [], []))
    assert math.isnan(result.mean)
    assert (result.n, result.kind) == (0, "none")


def test_paired_differences_use_the_cells_both_have() -> None:
    ours = observe([0.5, 0.7, 0.9], ["s"] * 3, ["a", "b", "c"])
    theirs = observe([0.4, 0.4, 0.2], ["s"] * 3, ["c", "a", "d"])
    pairs = paired_differences(ours, theirs)
    assert pairs.contents.tolist() == ["a", "c"]
    assert pairs.values.tolist() == pytest.approx([0.1, 0.5])


def test_pairing_removes_what_cells_share() -> None:
    generator = np.random.default_rng(10)
    y = simulate(generator, 6, 8)
    better = y + 0.02 + generator.normal(0, 0.001, y.shape)
    result = paired_interval(crossed(better), crossed(y))
    assert result.mean == pytest.approx(0.02, abs=1e-3)
    assert 0.015 < result.low < result.high < 0.025
    assert interval(crossed(y)).high - interval(crossed(y)).low > 0.05


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"observations have lengths \[1, 2\]"):
        observe([0.1, 0.2], ["s"], ["a", "b"])


def test_common_cells_are_those_that_all_have() -> None:
    first = observe([1.0, 2.0, 3.0, math.nan], ["s", "s", "t", "t"], ["a", "b", "a", "b"])
    second = observe([5.0, 6.0, 8.0], ["s", "t", "t"], ["b", "a", "b"])
    ours, theirs = on_common_cells([first, second])
    assert ours.values.tolist() == [2.0, 3.0]
    assert theirs.values.tolist() == [5.0, 6.0]
    assert on_common_cells([]) == []
    apart = observe([1.0], ["u"], ["a"])
    assert [len(cells.values) for cells in on_common_cells([first, apart])] == [0, 0]


def logit_interval(mean: float, error: float, degrees: float) -> tuple[float, float]:
    """The t interval on the logit scale, by numpy and scipy alone."""
    margin = stats.t.ppf(0.975, degrees) * error / (mean * (1 - mean))
    ends_there = np.log(mean / (1 - mean)) + np.array([-margin, margin])
    low, high = 1 / (1 + np.exp(-ends_there))
    return float(low), float(high)


@pytest.mark.parametrize("missing", [0, 7])
@pytest.mark.parametrize("shape", [(6, 9), (12, 5)])
def test_intervals_of_scores_are_those_of_statsmodels_on_the_logit_scale(
    shape: tuple[int, int], missing: int
) -> None:
    """From the scores to the ends: the two-way variance of statsmodels, and the t of scipy."""
    regression = pytest.importorskip("statsmodels.regression.linear_model")
    covariance = pytest.importorskip("statsmodels.stats.sandwich_covariance")
    generator = np.random.default_rng(shape[0] + missing)
    y = 0.7 + simulate(generator, *shape)
    y.ravel()[generator.permutation(y.size)[:missing]] = np.nan
    cells = crossed(y)
    known = np.isfinite(cells.values)
    values = cells.values[known]
    _, styles = np.unique(cells.styles[known], return_inverse=True)
    _, contents = np.unique(cells.contents[known], return_inverse=True)
    fitted = regression.OLS(values, np.ones((len(values), 1))).fit()
    _, by_style, by_content = covariance.cov_cluster_2groups(
        fitted, styles, contents, use_correction=False
    )
    by_cell = covariance.cov_white_simple(fitted, use_correction=False)
    s, c, n = *shape, len(values)
    parts = [
        size / (size - 1) * float(part[0, 0])
        for size, part in ((s, by_style), (c, by_content), (n, by_cell))
    ]
    error = math.sqrt(max(parts[0] + parts[1] - parts[2], *parts[:2]))
    expected = logit_interval(float(np.mean(values)), error, min(s, c) - 1)
    found = interval(cells, bounds=(0.0, 1.0))
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


def test_intervals_on_few_styles_are_those_of_the_means_of_contents_within_categories() -> None:
    """Three styles and two categories: the stratified mean of content means, by numpy alone."""
    y = 0.6 + simulate(np.random.default_rng(31), 3, 9)
    categories = ["a"] * 4 + ["b"] * 5
    means = y.mean(axis=0)
    parts = [means[:4], means[4:]]
    variance = sum((len(p) / 9) ** 2 * p.var(ddof=1) / len(p) for p in parts)
    expected = logit_interval(float(y.mean()), math.sqrt(variance), 9 - 2 - 0.25)
    found = interval(crossed(y, categories), bounds=(0.0, 1.0))
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


def test_a_share_without_variance_is_not_certain() -> None:
    """Wilson's interval at one cell per content, with the quantile of t."""
    cells = observe([1.0] * 8, ["s", "t"] * 4, [c for c in "abcd" for _ in range(2)])
    found = share_interval(cells)
    square = float(stats.t.ppf(0.975, spread_of(cells).degrees)) ** 2
    assert (found.mean, found.high, found.n) == (1.0, 1.0, 8)
    assert found.low == pytest.approx(4 / (4 + square))
    split = observe([1.0, 0.0] * 4, ["s", "t"] * 4, [c for c in "abcd" for _ in range(2)])
    same = share_interval(split)  # each content has one hit and one miss
    assert same.low == pytest.approx(0.5 - 0.5 * math.sqrt(square / (4 + square)))


def test_a_share_of_independent_cells_is_that_of_wilson() -> None:
    """One style, many contents: the clusters are the cells, up to the variance's n - 1."""
    draws = np.random.default_rng(0).random(400) < 0.3
    cells = observe(draws.astype(float), ["s"] * 400, [f"c{n}" for n in range(400)])
    found = share_interval(cells)
    low, high = proportion_confint(int(draws.sum()), 400, method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=2e-3)


def test_scores_lined_up_have_the_spreads_that_each_has_alone() -> None:
    rng = np.random.default_rng(12)
    whole = [crossed(simulate(rng, 6, 9)) for _ in range(3)]
    scores = [*whole, *(one.where(rng.random(54) < 0.8) for one in whole[:2])]
    values, places = lined_up(scores)
    assert spreads_of(values, places) == [spread_of(score) for score in scores]


def test_names_that_other_scores_do_not_have_change_no_pair() -> None:
    ours = observe([0.5, 0.7, 0.9], ["t", "s", "t"], ["a", "b", "d"], ["x", "y", "z"])
    theirs = observe([0.4, 0.1, 0.2], ["t", "r", "t"], ["d", "b", "a"], ["z", "y", "x"])
    pairs = paired_differences(ours, theirs)
    assert pairs.values.tolist() == pytest.approx([0.3, 0.5])
    assert pairs.styles.tolist() == ["t", "t"]
    assert pairs.contents.tolist() == ["a", "d"]
    assert pairs.categories.tolist() == ["x", "z"]

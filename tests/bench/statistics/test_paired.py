"""The paired test against statsmodels, enumeration and simple arithmetic."""

from __future__ import annotations

import itertools
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))

from crossed_design import crossed

from bench.statistics.intervals import interval, observe, spread_of
from bench.statistics.paired import compare, holm, sign_flip_p, standings
from bench.statistics.spread import UNBOUNDED, Population, ends, p_value
from bench.statistics.variances import crossing, strata, these_styles_variance, two_way_variance


def scattered(seed: int, styles: int = 7, contents: int = 9) -> np.ndarray:
    """Differences with effects of style, content and cell around .1."""
    generator = np.random.default_rng(seed)
    return np.asarray(
        0.1
        + generator.normal(0, 0.05, (styles, 1))
        + generator.normal(0, 0.05, (1, contents))
        + generator.normal(0, 0.05, (styles, contents))
    )


@pytest.mark.parametrize("missing", [0, 9])
def test_two_way_variance_agrees_with_statsmodels(missing: int) -> None:
    regression = pytest.importorskip("statsmodels.regression.linear_model")
    covariance = pytest.importorskip("statsmodels.stats.sandwich_covariance")
    y = scattered(1)
    y.ravel()[np.random.default_rng(2).permutation(y.size)[:missing]] = np.nan
    cells = crossed(y)
    known = np.isfinite(cells.values)
    values, styles, contents = cells.values[known], cells.styles[known], cells.contents[known]
    index = crossing(styles, contents, np.full(len(values), "all"))
    fitted = regression.OLS(values, np.ones((len(values), 1))).fit()
    both, by_style, by_content = covariance.cov_cluster_2groups(
        fitted, index.styles, index.contents, use_correction=False
    )
    cell = covariance.cov_white_simple(fitted, use_correction=False)
    size, s, c = len(values), index.n_styles, index.n_contents
    assert float(both[0, 0]) == pytest.approx(float((by_style + by_content - cell)[0, 0]))
    parts = [
        s / (s - 1) * float(by_style[0, 0]),
        c / (c - 1) * float(by_content[0, 0]),
        size / (size - 1) * float(cell[0, 0]),
    ]
    expected = max(parts[0] + parts[1] - parts[2], parts[0], parts[1])
    assert float(two_way_variance(values, index)) == pytest.approx(expected, rel=1e-10)


def test_variances_of_many_tables_are_those_of_each() -> None:
    tables = np.stack([scattered(seed).ravel() for seed in range(5)])
    cells = crossed(scattered(0), ["a", "a", "b", "b", "b", "c", "c", "c", "c"])
    index = crossing(cells.styles, cells.contents, cells.categories)
    for variance in (two_way_variance, these_styles_variance):
        each = [float(variance(table, index)) for table in tables]
        assert variance(tables, index).tolist() == pytest.approx(each)


def test_the_variance_on_fixed_styles_is_the_stratified_one_of_content_means() -> None:
    y = scattered(3, 3, 9)
    categories = ["a"] * 4 + ["b"] * 5
    cells = crossed(y, categories)
    index = crossing(cells.styles, cells.contents, cells.categories)
    means = y.mean(axis=0)
    expected = sum(
        (len(part) / 9) ** 2 * part.var(ddof=1) / len(part) for part in (means[:4], means[4:])
    )
    assert float(these_styles_variance(cells.values, index)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("categories", "sizes"),
    [
        (["a", "a", "b", "b"], [2, 2]),
        (["a", "b", "c", "d"], [4]),
        (["a", "a", "a", "b", "b", "c"], [3, 3]),
        (["a", "a", "b", "c"], [2, 2]),
        (["a"], [1]),
    ],
)
def test_lone_categories_are_pooled(categories: list[str], sizes: list[int]) -> None:
    assert np.bincount(strata(np.array(categories))).tolist() == sizes


def test_a_comparison_is_the_interval_of_the_paired_differences() -> None:
    d, base = scattered(4), scattered(5)
    result = compare(crossed(base + d), crossed(base))
    expected = interval(crossed(d))
    assert (result.delta, result.low, result.high) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    assert (result.n, result.n_styles, result.n_contents) == (63, 7, 9)
    assert result.population == "both"
    assert result.won == pytest.approx(np.mean(d > 0))


@pytest.mark.parametrize("population", ["both", "contents", "styles", "cells"])
def test_p_is_five_percent_where_an_end_of_the_interval_is_zero(population: Population) -> None:
    spread = spread_of(crossed(scattered(6)), population)
    low, _ = ends(spread)
    moved = replace(spread, mean=spread.mean - low, bounds=UNBOUNDED)
    assert p_value(moved) == pytest.approx(0.05, rel=1e-9)


def test_without_skewness_the_test_over_cells_is_the_t_test_of_one_sample() -> None:
    y = scattered(7)
    spread = replace(spread_of(crossed(y), "cells"), skewness=0.0)
    assert p_value(spread) == pytest.approx(float(stats.ttest_1samp(y.ravel(), 0).pvalue))


def test_without_skewness_the_test_over_styles_is_the_t_test_of_style_means() -> None:
    y = scattered(8) - 0.08
    spread = replace(spread_of(crossed(y), "styles"), skewness=0.0)
    assert p_value(spread) == pytest.approx(float(stats.ttest_1samp(y.mean(axis=1), 0).pvalue))


def test_few_styles_speak_of_contents_only() -> None:
    assert compare(crossed(scattered(9, 3, 8)), crossed(np.zeros((3, 8)))).population == "contents"


def test_equal_scores_have_p_one_and_constant_gains_p_zero() -> None:
    base = scattered(10)
    same = compare(crossed(base), crossed(base))
    assert (same.delta, same.p, same.low, same.high, same.won) == (0, 1, 0, 0, 0.5)
    assert compare(crossed(base + 0.1), crossed(base)).p == 0


def test_without_common_cells_there_are_no_numbers() -> None:
    result = compare(observe([1.0], ["s"], ["a"]), observe([1.0], ["s"], ["b"]))
    assert result.n == 0
    assert all(math.isnan(x) for x in (result.delta, result.low, result.p, result.detectable))


def test_one_content_has_a_difference_and_no_test() -> None:
    result = compare(observe([0.5], ["s"], ["a"]), observe([0.2], ["s"], ["a"]))
    assert result.delta == pytest.approx(0.3)
    assert math.isnan(result.p)


def test_sign_flips_equal_an_enumeration() -> None:
    y = scattered(12) - 0.07
    expected = []
    for sums in (y.sum(axis=1), y.sum(axis=0)):
        totals = [
            abs(np.dot(signs, sums)) for signs in itertools.product([-1, 1], repeat=len(sums))
        ]
        expected.append(np.mean([total >= abs(sums.sum()) - 1e-12 for total in totals]))
    assert sign_flip_p(crossed(y)) == pytest.approx(max(expected))


def test_sampled_sign_flips_come_near_the_t_test() -> None:
    y = np.random.default_rng(13).normal(0.03, 0.1, (30, 40))
    sampled = sign_flip_p(crossed(y), "contents")
    assert sampled == pytest.approx(stats.ttest_1samp(y.mean(axis=0), 0).pvalue, abs=0.02)


def test_five_clusters_are_too_few_to_flip() -> None:
    assert math.isnan(sign_flip_p(crossed(scattered(14, 5, 9))))
    assert not math.isnan(sign_flip_p(crossed(scattered(14, 5, 9)), "contents"))


def test_holm_agrees_with_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(15).uniform(0, 0.2, 9)
    expected = multitest.multipletests(p_values, method="holm")[1]
    ours = holm({str(i): float(p) for i, p in enumerate(p_values)})
    assert list(ours.values()) == pytest.approx(expected)


def test_holm_counts_declared_comparisons_that_could_not_be_made() -> None:
    assert holm({"a": 0.01, "b": math.nan})["a"] == pytest.approx(0.02)
    assert holm({"a": 0.01}, size=6)["a"] == pytest.approx(0.06)


def test_the_best_and_those_not_told_apart_from_it() -> None:
    base = scattered(16)
    noise = np.random.default_rng(17).normal(0, 0.05, (2, *base.shape))
    scores = {
        "best": crossed(base + 0.2 + noise[0]),
        "close": crossed(base + 0.195 + noise[1]),
        "worse": crossed(base),
        "absent": observe([], [], []),
    }
    assert standings(scores, maximize=True).best == {"best", "close"}
    assert standings(scores, maximize=False).best == {"worse"}
    assert standings({}, maximize=True).ranks == {}


def test_a_method_gains_nothing_by_lacking_the_hard_styles() -> None:
    """A lacks three hard styles, so its mean is higher; B is better wherever both are."""
    generator = np.random.default_rng(18)
    hard = np.array([0, 0, 0, 0.3, 0.3, 0.3])[:, None]
    a = 0.8 - hard + generator.normal(0, 0.02, (6, 20))
    b = a + 0.1 + generator.normal(0, 0.02, (6, 20))
    a[3:] = np.nan
    scores = {"A": crossed(a), "B": crossed(b)}
    assert np.nanmean(a) > b.mean()
    assert standings(scores, maximize=True).best == {"B"}
    assert standings(scores, maximize=False).best == {"A"}


def test_methods_without_common_cells_do_not_beat_each_other() -> None:
    y = scattered(19, 6, 8)
    first, second = y.copy(), y - 1
    first[3:], second[:3] = np.nan, np.nan
    assert standings({"a": crossed(first), "b": crossed(second)}, maximize=True).best == {"a", "b"}


def test_all_pairs_are_corrected_together() -> None:
    """Of 45 pairs of equal methods the smallest p is .014: no finding after the correction."""
    generator = np.random.default_rng(21)
    scores = {str(i): crossed(generator.normal(0, 1, (6, 12))) for i in range(10)}
    found = [compare(scores[a], scores[b]).p for a, b in itertools.combinations(scores, 2)]
    assert min(found) < 0.05 < 45 * min(found)
    assert standings(scores, maximize=True).best == set(scores)


def test_a_clear_order_has_single_ranks() -> None:
    base = scattered(22)
    noise = np.random.default_rng(23).normal(0, 0.01, (3, *base.shape))
    scores = {
        name: crossed(base + gain + one)
        for name, gain, one in zip("cab", (0.0, 0.2, 0.1), noise, strict=True)
    }
    assert standings(scores, maximize=True).ranks == {"c": (3, 3), "a": (1, 1), "b": (2, 2)}
    assert standings(scores, maximize=False).ranks == {"c": (1, 1), "a": (3, 3), "b": (2, 2)}


def test_methods_that_are_alike_share_their_ranks() -> None:
    y = scattered(24)
    same = {"a": crossed(y), "b": crossed(y), "far": crossed(y - 1)}
    found = standings(same, maximize=True)
    assert found.ranks == {"a": (1, 2), "b": (1, 2), "far": (3, 3)}
    assert found.p[("a", "b")] == 1.0


def test_one_content_leaves_every_rank_open() -> None:
    single = {"a": observe([1.0], ["s"], ["c"]), "b": observe([2.0], ["s"], ["c"])}
    assert standings(single, maximize=True).ranks == {"a": (1, 2), "b": (1, 2)}


def test_ranks_and_holm_come_from_the_tests_of_the_single_pairs() -> None:
    base = scattered(25)
    noise = np.random.default_rng(26).normal(0, 0.05, (3, *base.shape))
    scores = {
        name: crossed(base + gain + one)
        for name, gain, one in zip("abc", (0.0, 0.02, 0.06), noise, strict=True)
    }
    pairs = list(itertools.combinations("abc", 2))
    single = {f"{a}{b}": compare(scores[a], scores[b]).p for a, b in pairs}
    found = standings(scores, maximize=True)
    assert {f"{a}{b}": p for (a, b), p in found.p.items()} == holm(single)
    beaten = {pair for pair, p in holm(single).items() if p <= 0.05}
    assert 0 < len(beaten) < 3
    for name, (first, last) in found.ranks.items():
        better = sum(1 for pair in beaten if pair[0] == name)  # later letters have more
        worse = sum(1 for pair in beaten if pair[1] == name)
        assert (first, last) == (1 + better, 3 - worse)

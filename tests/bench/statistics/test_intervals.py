"""The intervals against independent formulas, simulation, and the cases that have no interval."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))

from crossed_design import crossed

from bench.statistics.intervals import (
    Observations,
    average_seeds,
    interval,
    observe,
    paired_differences,
    paired_interval,
    these_styles_interval,
    two_way_interval,
)


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
    result = two_way_interval(crossed(y))
    assert result.mean == pytest.approx(y.mean())
    assert (result.low, result.high) == pytest.approx((y.mean() - margin, y.mean() + margin))
    assert (result.n, result.kind) == (y.size, "two-way")


def test_two_way_interval_covers_the_truth_where_rows_do_not() -> None:
    generator = np.random.default_rng(3)
    two_way, rows = [], []
    for _ in range(400):
        y = simulate(generator, 8, 16)
        result = two_way_interval(crossed(y))
        two_way.append(result.low <= 0 <= result.high)
        rows.append(abs(y.mean()) <= 1.96 * y.std(ddof=1) / math.sqrt(y.size))
    assert 0.91 <= np.mean(two_way) <= 0.995
    assert np.mean(rows) < 0.75


def test_these_styles_interval_has_the_stratified_standard_error() -> None:
    generator = np.random.default_rng(4)
    categories = ["a"] * 60 + ["b"] * 40
    y = generator.normal(0, 0.1, (3, 100)) + np.where(np.array(categories) == "a", 0.2, 0.8)
    per_content = y.mean(axis=0)
    variance = sum(
        (size / 100) ** 2 * per_content[part].var() / size
        for part, size in ((slice(0, 60), 60), (slice(60, 100), 40))
    )
    result = these_styles_interval(crossed(y, categories))
    half = 1.96 * math.sqrt(variance)
    assert (result.low, result.high) == pytest.approx(
        (y.mean() - half, y.mean() + half), abs=0.1 * half
    )


def test_these_styles_interval_covers_the_truth_on_fixed_styles() -> None:
    generator = np.random.default_rng(5)
    hits = []
    for _ in range(200):
        y = generator.normal(0, 0.05, (1, 30)) + generator.normal(0, 0.1, (2, 30))
        result = these_styles_interval(crossed(y), resamples=600)
        hits.append(result.low <= 0 <= result.high)
    assert 0.89 <= np.mean(hits) <= 0.99


def test_lone_categories_are_pooled_rather_than_frozen() -> None:
    y = np.array([[0.1, 0.5, 0.9, 0.3]])
    alone = these_styles_interval(crossed(y, ["a", "b", "c", "d"]))
    pooled = these_styles_interval(crossed(y, ["a", "a", "a", "a"]))
    assert alone == pooled
    assert alone.low < 0.4 < alone.high


def test_a_single_lone_category_joins_the_smallest_stratum() -> None:
    y = np.array([[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]])
    result = these_styles_interval(crossed(y, ["a", "a", "a", "b", "b", "c"]))
    assert result.high == pytest.approx(0.5)  # the lone content can be drawn three times, no more


def test_draws_depend_on_the_seed_and_not_on_the_order_of_rows() -> None:
    y = simulate(np.random.default_rng(6), 3, 12)
    rows = crossed(y)
    order = np.random.default_rng(7).permutation(y.size)
    shuffled = Observations(
        rows.values[order], rows.styles[order], rows.contents[order], rows.categories[order]
    )
    first = these_styles_interval(rows)
    assert these_styles_interval(shuffled).low == pytest.approx(first.low, abs=1e-12)
    assert these_styles_interval(rows, seed=1).low != first.low


def test_seeds_are_averaged_within_their_cell() -> None:
    y = np.random.default_rng(8).normal(0.5, 0.1, (5, 6, 3))
    assert two_way_interval(crossed(y)).n == 30
    assert two_way_interval(crossed(y)).high == pytest.approx(
        two_way_interval(crossed(y.mean(axis=2))).high
    )


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
    assert two_way_interval(crossed(np.array([[0.1, 0.3]]))).kind == "none"
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

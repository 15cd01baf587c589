"""The two-way bootstrap against copied cells, closed forms and orders that are certain."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from crossed_design import crossed

from bench.statistics.bootstrap import (
    bootstrap,
    panel,
    panel_means,
    rank_intervals,
    weighted_mean,
    weighted_median,
    weighted_ratio,
    weights,
)
from bench.statistics.intervals import observe, two_way_interval


def scores(seed: int, styles: int = 10, contents: int = 20) -> np.ndarray:
    """Scores with effects of style, content and cell around .5."""
    generator = np.random.default_rng(seed)
    return np.asarray(
        0.5
        + generator.normal(0, 0.05, (styles, 1))
        + generator.normal(0, 0.05, (1, contents))
        + generator.normal(0, 0.05, (styles, contents))
    )


def test_a_resample_holds_a_cell_as_often_as_its_style_times_its_content() -> None:
    cells = crossed(scores(0, 6, 4))
    drawn = np.concatenate(list(weights(cells, resamples=50))).reshape(50, 6, 4)
    assert (drawn.sum(axis=(1, 2)) == 24).all()
    by_style, by_content = drawn.sum(axis=2) / 4, drawn.sum(axis=1) / 6
    assert np.allclose(drawn, by_style[:, :, None] * by_content[:, None, :])


def test_fewer_than_five_styles_stay_and_contents_keep_their_category() -> None:
    cells = crossed(scores(1, 3, 5), ["a", "a", "b", "b", "b"])
    drawn = np.concatenate(list(weights(cells, resamples=50))).reshape(50, 3, 5)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 0, :2].sum(axis=1) == 2).all()


def test_weighted_statistics_are_those_of_copied_cells() -> None:
    generator = np.random.default_rng(2)
    values, other = generator.normal(size=(2, 15))
    weight = generator.integers(0, 4, (6, 15)).astype(float)
    for row, w in enumerate(weight.astype(int)):
        copied, copied_other = np.repeat(values, w), np.repeat(other, w)
        assert weighted_mean(values, weight)[row] == pytest.approx(copied.mean())
        assert weighted_median(values, weight)[row] == pytest.approx(np.median(copied))
        ratio = weighted_ratio(values, other, weight)[row]
        assert ratio == pytest.approx(copied.sum() / copied_other.sum())


def test_the_bootstrap_of_a_mean_comes_near_its_formula() -> None:
    cells = crossed(scores(3))
    drawn, formula = bootstrap(cells, weighted_mean), two_way_interval(cells)
    assert drawn.mean == pytest.approx(formula.mean)
    assert drawn.high - drawn.low == pytest.approx(formula.high - formula.low, rel=0.3)
    assert drawn.kind == "two-way"


def test_the_median_of_cells_lies_in_its_interval() -> None:
    y = scores(4)
    result = bootstrap(crossed(y), weighted_median)
    assert result.mean == pytest.approx(np.median(y))
    assert result.low < np.median(y) < result.high


def test_a_set_statistic_needs_only_the_weights() -> None:
    y = scores(5, 3, 8)
    power = (y**2).ravel()

    def deviation(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
        mean = weighted_mean(values, weight)
        return np.asarray(np.sqrt(weighted_mean(power, weight) - mean**2))

    result = bootstrap(crossed(y), deviation)
    assert result.mean == pytest.approx(y.std())
    assert result.kind == "on these styles"


def test_one_content_gives_no_bootstrap() -> None:
    result = bootstrap(observe([0.5], ["s"], ["a"]), weighted_mean)
    assert (result.mean, result.kind) == (0.5, "none")
    assert math.isnan(result.low)


def test_large_panels_are_drawn_in_parts() -> None:
    cells = crossed(np.zeros((200, 300)))
    parts = [part.shape for part in weights(cells, resamples=100)]
    assert len(parts) > 1
    assert sum(rows for rows, _ in parts) == 100


def test_a_panel_lines_up_cells_and_marks_those_missing() -> None:
    lined = panel([observe([1.0, 2.0], ["s", "s"], ["a", "b"]), observe([3.0], ["s"], ["b"])])
    assert np.array_equal(lined.values, [[1.0, 2.0], [np.nan, 3.0]], equal_nan=True)
    whole, drawn = panel_means(lined, resamples=10)
    assert whole.tolist() == [1.5, 3.0]
    assert drawn.shape == (10, 2)


def test_a_clear_order_has_single_ranks() -> None:
    y = scores(6)
    methods = {name: crossed(y + gain) for name, gain in (("c", 0.0), ("a", 0.2), ("b", 0.1))}
    ranks = rank_intervals(methods, maximize=True)
    assert ranks == {"c": (3, 3), "a": (1, 1), "b": (2, 2)}
    assert rank_intervals(methods, maximize=False)["c"] == (1, 1)


def test_methods_that_are_alike_share_their_ranks() -> None:
    y = scores(7)
    same = {"a": crossed(y), "b": crossed(y), "far": crossed(y - 1)}
    assert rank_intervals(same, maximize=True) == {"a": (1, 2), "b": (1, 2), "far": (3, 3)}


def test_one_content_leaves_every_rank_open() -> None:
    single = {"a": observe([1.0], ["s"], ["c"]), "b": observe([2.0], ["s"], ["c"])}
    assert rank_intervals(single, maximize=True) == {"a": (1, 2), "b": (1, 2)}


def test_without_common_cells_there_are_no_ranks() -> None:
    apart = {"a": observe([1.0], ["s"], ["c"]), "b": observe([2.0], ["s"], ["d"])}
    assert rank_intervals(apart, maximize=True) == {}
    assert rank_intervals({}, maximize=True) == {}

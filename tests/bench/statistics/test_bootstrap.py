"""The two-way bootstrap against copied cells, closed forms and orders that are certain."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from crossed_design import crossed

from bench.statistics.bootstrap import panel, panel_means
from bench.statistics.intervals import Observations, observe, spread_of


def scores(seed: int, styles: int = 10, contents: int = 20) -> np.ndarray:
    """Scores with effects of style, content and cell around .5."""
    generator = np.random.default_rng(seed)
    return np.asarray(
        0.5
        + generator.normal(0, 0.05, (styles, 1))
        + generator.normal(0, 0.05, (1, contents))
        + generator.normal(0, 0.05, (styles, contents))
    )


def counts(cells: Observations, resamples: int, shape: tuple[int, int]) -> np.ndarray:
    """How often each resample holds each cell, from the means of scores that mark one cell each."""
    marks = [replace(cells, values=row) for row in np.eye(len(cells.values))]
    _, drawn = panel_means(panel(marks), resamples=resamples)
    return np.asarray((drawn * len(cells.values)).reshape(resamples, *shape))


def test_a_resample_holds_a_cell_as_often_as_its_style_times_its_content() -> None:
    drawn = counts(crossed(scores(0, 6, 4)), 50, (6, 4))
    by_style, by_content = drawn.sum(axis=2) / 4, drawn.sum(axis=1) / 6
    assert np.allclose(drawn, by_style[:, :, None] * by_content[:, None, :])
    for times, size in ((by_style, 6), (by_content, 4)):
        assert np.allclose(times, times.round(), atol=1e-9)
        assert np.allclose(times.sum(axis=1), size)
        assert (times.std(axis=0) > 0).all()


def test_fewer_than_five_styles_stay_and_contents_keep_their_category() -> None:
    drawn = counts(crossed(scores(1, 3, 5), ["a", "a", "b", "b", "b"]), 50, (3, 5))
    assert np.allclose(drawn[:, 0], drawn[:, 1])
    assert np.allclose(drawn[:, 0, :2].sum(axis=1), 2)
    assert (drawn[:, 0].std(axis=0) > 0).all()


def test_means_of_a_resample_are_those_of_copied_cells() -> None:
    y = scores(2, 6, 4)
    times = counts(crossed(y), 20, (6, 4)).round().astype(int)
    _, drawn = panel_means(panel([crossed(y)]), resamples=20)
    copied = [np.repeat(y.ravel(), row.ravel()).mean() for row in times]
    assert drawn[:, 0] == pytest.approx(copied)


def test_the_spread_of_means_comes_near_its_formula() -> None:
    cells = crossed(scores(3))
    whole, drawn = panel_means(panel([cells]))
    formula = spread_of(cells, "both")
    assert whole[0] == pytest.approx(formula.mean)
    assert drawn[:, 0].std() == pytest.approx(formula.standard_error, rel=0.3)


def test_a_panel_lines_up_cells_and_marks_those_missing() -> None:
    lined = panel([observe([1.0, 2.0], ["s", "s"], ["a", "b"]), observe([3.0], ["s"], ["b"])])
    assert np.array_equal(lined.values, [[1.0, 2.0], [np.nan, 3.0]], equal_nan=True)
    whole, drawn = panel_means(lined, resamples=10)
    assert whole.tolist() == [1.5, 3.0]
    assert drawn.shape == (10, 2)

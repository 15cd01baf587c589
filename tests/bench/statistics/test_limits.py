"""Rules of the statistics at their limits: designs small enough to count every case by hand."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))

from crossed_design import crossed

from bench.statistics.change_points import steps
from bench.statistics.intervals import interval, observe
from bench.statistics.multiway import multiway_interval, multiway_variance
from bench.statistics.paired import sign_flip_p, standings
from bench.statistics.tradeoff import Anchors, Scored, Tradeoff, tradeoffs
from bench.statistics.variances import crossing, two_way_variance


def test_effects_that_cancel_in_every_style_and_content_leave_no_variance() -> None:
    """Without the floor the variance of a checkerboard would be below 0."""
    cells = crossed(np.where(np.indices((6, 6)).sum(axis=0) % 2, 1.0, -1.0))
    index = crossing(cells.styles, cells.contents, cells.categories)
    assert float(two_way_variance(cells.values, index)) == pytest.approx(0, abs=1e-15)
    names = [cells.styles.tolist(), cells.contents.tolist()]
    assert multiway_variance(cells.values, names) == pytest.approx(0, abs=1e-15)


def test_an_interval_over_clusters_of_one_size_is_that_of_their_means() -> None:
    """Means that lie evenly have no skewness: it is the t interval of six numbers."""
    within = np.random.default_rng(1).normal(0.3, 1.0, (6, 5))
    y = within - within.mean(axis=1, keepdims=True) + np.arange(6)[:, None]
    found = multiway_interval(y.ravel(), [np.repeat(list("abcdef"), 5).tolist()], level=0.9)
    expected = stats.ttest_1samp(y.mean(axis=1), 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_twelve_clusters_are_counted_and_thirteen_sampled() -> None:
    """Only the pattern itself and its mirror image reach a total of equal parts."""
    assert sign_flip_p(crossed(np.full((1, 12), 0.1)), "contents") == 2 / 4096
    sampled = sign_flip_p(crossed(np.full((1, 40), 0.1)), "contents")
    assert sampled == 1 / 4097  # none of 4096 draws is as extreme, only the observed pattern


def test_a_method_that_cannot_be_compared_is_not_told_apart() -> None:
    y = np.random.default_rng(3).normal(0.5, 0.01, (6, 8))
    elsewhere = observe([0.1, 0.1], ["other"] * 2, ["x", "y"])
    found = standings({"best": crossed(y), "elsewhere": elsewhere}, maximize=True)
    assert found.best == {"best", "elsewhere"}


def level(cp: float | list[float], sf: float, shape: tuple[int, int] = (6, 8)) -> Scored:
    """Scores that are the same in every cell, or CP that depends on the content alone."""
    values = np.broadcast_to(np.asarray(cp, dtype=np.float64), shape)
    return Scored(crossed(values), crossed(np.full(shape, sf)))


def test_the_area_is_measured_between_the_controls_of_each_score() -> None:
    controls = Anchors(level(0.1, 0.05), level(0.9, 0.2), level(0.3, 0.8))
    _, found = tradeoffs({"m": [level(0.5, 0.5)]}, controls)
    assert found["m"].volume.mean == pytest.approx(0.5 * 0.5)


@pytest.mark.parametrize(
    ("last", "kind"),
    [(0.2, "on these styles"), (0.0, "none")],
    ids=["reached by 63 of 64", "reached by 54 of 64"],
)
def test_a_curve_must_reach_the_matched_cp_in_nine_of_ten_resamples(last: float, kind: str) -> None:
    """Three of four contents are drawn: the last one thrice in 1 of 64, at least twice in 10."""
    shape = (3, 4)
    curve = [level(0.2, 0.6, shape), level([0.8, 0.8, 0.8, last], 0.3, shape)]
    other = [level(0.2, 0.5, shape), level(0.5, 0.4, shape)]
    matched, found = tradeoffs({"curve": curve, "other": other})
    assert matched == pytest.approx(0.35)
    at: Tradeoff = found["curve"]
    assert at.at_matched.kind == kind
    assert math.isnan(at.at_matched.low) is (kind == "none")
    assert found["other"].at_matched.mean == pytest.approx(0.45)


def test_a_curve_of_one_sf_has_the_interval_of_its_mean() -> None:
    """Both settings have the same SF, so the curve is that SF; contents vary, styles do not.

    The bootstrap's error and skewness come near those of the formulas, n - 1 contents being drawn.
    """
    shape = (3, 40)
    sf = crossed(np.broadcast_to(np.random.default_rng(5).beta(2, 5, 40), shape))
    curve = [Scored(crossed(np.full(shape, cp)), sf) for cp in (0.2, 0.8)]
    _, found = tradeoffs({"curve": curve}, bounds=(0.0, 1.0), resamples=40_000)
    at, expected = found["curve"].at_matched, interval(sf, bounds=(0.0, 1.0))
    assert (at.mean, at.n, at.kind) == (pytest.approx(expected.mean), 120, "on these styles")
    width = expected.high - expected.low
    assert (at.low, at.high) == pytest.approx((expected.low, expected.high), abs=0.03 * width)
    _, narrow = tradeoffs({"curve": curve}, bounds=(0.0, 1.0), level=0.5)
    expected = interval(sf, bounds=(0.0, 1.0), level=0.5)
    assert narrow["curve"].at_matched.high == pytest.approx(expected.high, abs=0.03 * width)


@pytest.mark.parametrize("points", [20, 60])
def test_a_step_must_gain_more_than_its_penalty(points: int) -> None:
    """Without noise a step of height h in the middle gains h points / 2 in units of `finest`."""
    needed = (5.5 + math.log(points) / 2) / (points / 2)
    for factor, starts in ((0.98, (0,)), (1.02, (0, points // 2))):
        series = np.repeat([0.0, needed * factor], points // 2)
        assert steps(series.tolist(), finest=1.0) == starts


def test_two_points_are_no_level_and_three_are() -> None:
    assert steps([0.0] * 8 + [9.0] * 2 + [0.0] * 8, finest=1.0) == (0,)
    assert steps([0.0] * 8 + [9.0] * 3 + [0.0] * 8, finest=1.0) == (0, 8, 11)

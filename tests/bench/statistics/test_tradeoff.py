"""Curves read at one content preservation, areas and fronts against plain arithmetic."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from bench.statistics.intervals import Observations, observe
from bench.statistics.tradeoff import (
    Anchors,
    Scored,
    hypervolume,
    matched_cp,
    pareto,
    rescaled,
    sf_at,
    tradeoffs,
)


def test_a_curve_is_read_between_its_settings_in_any_order() -> None:
    cp, sf = np.array([0.2, 0.8, 0.5]), np.array([0.6, 0.1, 0.4])
    for matched in (0.2, 0.3, 0.5, 0.77, 0.8):
        expected = np.interp(matched, [0.2, 0.5, 0.8], [0.6, 0.4, 0.1])
        assert sf_at(cp, sf, matched) == pytest.approx(expected)


@pytest.mark.parametrize("matched", [0.1, 0.9])
def test_nothing_is_extrapolated(matched: float) -> None:
    assert math.isnan(float(sf_at(np.array([0.2, 0.8]), np.array([0.6, 0.1]), matched)))


def test_resamples_are_read_one_by_one() -> None:
    cp = np.array([[0.2, 0.8], [0.4, 0.6]])
    sf = np.array([[0.6, 0.0], [0.5, 0.3]])
    assert sf_at(cp, sf, 0.5).tolist() == pytest.approx([0.3, 0.4])


def test_the_matched_cp_is_the_middle_of_what_curves_share() -> None:
    assert matched_cp([np.array([0.1, 0.6]), np.array([0.4, 0.9])]) == pytest.approx(0.5)
    assert math.isnan(matched_cp([np.array([0.1, 0.3]), np.array([0.4, 0.9])]))
    assert math.isnan(matched_cp([]))


def test_scores_are_rescaled_between_anchors() -> None:
    assert rescaled(np.array([0.3]), np.array(0.2), np.array(0.4)).tolist() == pytest.approx([0.5])
    assert math.isnan(float(rescaled(np.array(0.3), np.array(0.2), np.array(0.2))))


def test_the_area_is_the_share_of_wishes_fulfilled() -> None:
    generator = np.random.default_rng(0)
    cp, sf = generator.uniform(-0.2, 1.2, (2, 5))
    wishes = generator.uniform(0, 1, (200_000, 2))
    fulfilled = ((wishes[:, :1] <= cp) & (wishes[:, 1:] <= sf)).any(axis=1).mean()
    assert float(hypervolume(cp, sf)) == pytest.approx(fulfilled, abs=0.005)


def test_a_perfect_setting_dominates_all_and_a_worthless_one_nothing() -> None:
    assert float(hypervolume(np.array([1.0, 0.5]), np.array([1.0, 0.2]))) == 1
    assert float(hypervolume(np.array([-0.1]), np.array([0.9]))) == 0


def test_the_front_holds_what_nothing_beats() -> None:
    cp = np.array([0.9, 0.5, 0.5, 0.1, 0.4, np.nan])
    sf = np.array([0.1, 0.5, 0.5, 0.9, 0.4, 0.9])
    assert pareto(cp, sf).tolist() == [True, True, True, True, False, False]


def cells(level: float, noise: float, seed: int, shape: tuple[int, int] = (6, 8)) -> Observations:
    """Scores around a level on styles x contents, with effects that all settings share."""
    shared = np.random.default_rng(1).normal(0, 0.05, shape)
    own = np.random.default_rng([seed, 2]).normal(0, noise, shape)
    places = list(itertools.product(range(shape[0]), range(shape[1])))
    return observe(
        (level + shared + own).ravel(), [f"s{s}" for s, _ in places], [f"c{c}" for _, c in places]
    )


def scored(cp: float, sf: float, seed: int = 0, noise: float = 0.01) -> Scored:
    return Scored(cells(cp, noise, seed), cells(sf, noise, seed + 100))


CONTROLS = Anchors(scored(0.0, 0.0, 20), scored(1.0, 0.2, 21), scored(0.1, 1.0, 22))


def test_a_better_curve_wins_at_equal_content_though_no_setting_does() -> None:
    better = [scored(0.8, 0.45, 1), scored(0.4, 0.75, 2)]
    worse = [scored(0.7, 0.35, 3), scored(0.3, 0.65, 4)]
    matched, found = tradeoffs({"better": better, "worse": worse}, CONTROLS)
    assert matched == pytest.approx(0.55, abs=0.03)
    high, low = found["better"].at_matched, found["worse"].at_matched
    assert low.low < low.mean < low.high < high.mean
    assert high.kind == "two-way"
    assert found["better"].volume.low > found["worse"].volume.mean


def test_a_single_setting_has_no_curve() -> None:
    swept = [scored(0.8, 0.4, 1), scored(0.4, 0.7, 2)]
    matched, found = tradeoffs({"swept": swept, "single": [scored(0.5, 0.5, 3)]})
    assert matched == pytest.approx(0.6, abs=0.05)
    assert math.isnan(found["single"].at_matched.mean)
    assert math.isnan(found["swept"].volume.mean)


def test_a_curve_that_barely_reaches_has_a_number_without_interval() -> None:
    steep = [scored(0.60, 0.4, 1, 0.2), scored(0.40, 0.6, 2, 0.2)]
    brief = [scored(0.401, 0.5, 1, 0.2), scored(0.403, 0.5, 5, 0.2)]
    _, found = tradeoffs({"steep": steep, "brief": brief})
    assert math.isnan(found["brief"].at_matched.low)


def test_no_method_has_no_curve() -> None:
    matched, found = tradeoffs({})
    assert math.isnan(matched)
    assert found == {}

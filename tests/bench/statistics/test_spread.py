"""The interval of a mean against scipy's t, closed forms on other scales, and root finding."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, special, stats

from bench.statistics.spread import (
    UNBOUNDED,
    Range,
    Spread,
    difference_bounds,
    ends,
    p_value,
    smallest_detectable,
)

PLAIN = Spread(0.4, 0.05, 7, 40, "both")
BOUNDS: list[Range] = [UNBOUNDED, (0.0, 1.0), (0.0, math.inf), (-math.inf, 1.0), (-1.0, 1.0)]


def by_hand(spread: Spread, value: float) -> float:
    """The p-value of a mean of `value`, written anew with numpy from Hall's formula."""
    m, (low, high) = spread.mean, spread.bounds

    def scale(x: float) -> float:
        if math.isfinite(low) and math.isfinite(high):
            return float(special.logit((x - low) / (high - low)))
        if math.isfinite(low):
            return math.log(x - low)
        return -math.log(high - x) if math.isfinite(high) else x

    slope = (scale(m + 1e-6) - scale(m - 1e-6)) / 2e-6
    t = (scale(m) - scale(value)) / slope / spread.standard_error
    unbounded = math.isinf(low) and math.isinf(high)
    gamma = min(max(spread.skewness, -3), 3) if unbounded else 0.0
    h = t + gamma / 3 * t**2 + gamma**2 / 27 * t**3 + gamma / 6
    return float(2 * stats.t.sf(abs(h), spread.degrees))


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_without_skewness_and_bounds_it_is_the_t_interval(level: float) -> None:
    expected = stats.t.interval(level, 7, 0.4, 0.05)
    assert ends(PLAIN, level=level) == pytest.approx(expected, rel=1e-9)
    assert p_value(PLAIN, 0.3) == pytest.approx(2 * stats.t.sf(2.0, 7), rel=1e-9)


def test_with_two_bounds_it_is_the_t_interval_of_the_logit() -> None:
    spread = replace(PLAIN, bounds=(0.0, 1.0))
    margin = stats.t.ppf(0.975, 7) * 0.05 / (0.4 * 0.6)
    expected = special.expit(special.logit(0.4) + np.array([-margin, margin]))
    assert ends(spread) == pytest.approx(tuple(expected), rel=1e-9)


def test_with_one_bound_it_is_the_t_interval_of_the_logarithm() -> None:
    margin = stats.t.ppf(0.975, 7) * 0.05 / 0.4
    low, high = ends(replace(PLAIN, bounds=(0.0, math.inf)))
    assert (low, high) == pytest.approx((0.4 * math.exp(-margin), 0.4 * math.exp(margin)))
    mirrored = ends(replace(PLAIN, mean=-0.4, bounds=(-math.inf, 0.0)))
    assert mirrored == pytest.approx((-high, -low))


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize("skewness", [-4.0, -0.8, 0.0, 0.3, 2.0])
def test_the_ends_are_where_p_is_five_percent(bounds: Range, skewness: float) -> None:
    spread = replace(PLAIN, skewness=skewness, bounds=bounds)
    low, high = ends(spread)
    inside = max(bounds[0], -50) + 1e-9, min(bounds[1], 50) - 1e-9
    for found, (a, b) in ((low, (inside[0], 0.4)), (high, (0.4, inside[1]))):
        root = optimize.brentq(lambda x: by_hand(spread, x) - 0.05, a, b, xtol=1e-13)
        assert found == pytest.approx(root, abs=1e-6)  # the slope by differences
        assert p_value(spread, found) == pytest.approx(0.05, rel=1e-9)


@pytest.mark.parametrize("bounds", BOUNDS[1:], ids=str)
@pytest.mark.parametrize(
    ("error", "skewness", "degrees"),
    list(itertools.product([0.01, 0.3, 5.0], [-9.0, 0.0, 9.0], [1, 9])),
)
def test_the_ends_never_leave_the_range(
    bounds: Range, error: float, skewness: float, degrees: int
) -> None:
    for mean in (0.001, 0.5, 0.999):
        spread = Spread(mean, error, degrees, 9, "both", skewness, bounds)
        low, high = ends(spread)
        assert bounds[0] <= low <= mean <= high <= bounds[1]


def test_a_mirrored_score_has_the_mirrored_interval() -> None:
    spread = replace(PLAIN, skewness=0.9, bounds=(0.0, 1.0))
    low, high = ends(spread)
    mirrored = ends(replace(spread, mean=0.6, skewness=-0.9))
    assert mirrored == pytest.approx((1 - high, 1 - low), rel=1e-9)


def test_another_unit_changes_the_unit_alone() -> None:
    spread = replace(PLAIN, skewness=0.9, bounds=(0.0, 1.0))
    percent = replace(spread, mean=40.0, standard_error=5.0, bounds=(0.0, 100.0))
    assert ends(percent) == pytest.approx(tuple(100 * x for x in ends(spread)), rel=1e-9)
    assert p_value(percent, 30.0) == pytest.approx(p_value(spread, 0.3), rel=1e-9)


def test_with_bounds_the_skewness_of_a_few_clusters_adds_nothing() -> None:
    for bounds in BOUNDS[1:]:
        even = replace(PLAIN, bounds=bounds)
        assert ends(replace(even, skewness=2.0)) == ends(even)


def test_a_mean_whose_large_values_are_rare_reaches_further_up() -> None:
    low, high = ends(replace(PLAIN, skewness=0.9))
    assert high - 0.4 > 1.2 * (0.4 - low)


def test_cells_that_are_all_alike_have_no_width() -> None:
    spread = Spread(1.0, 0.0, 3, 12, "contents", bounds=(0.0, 1.0))
    assert ends(spread) == (1.0, 1.0)
    assert (p_value(spread, 1.0), p_value(spread, 0.9)) == (1.0, 0.0)


def test_without_an_error_nothing_is_said() -> None:
    spread = Spread(0.5, math.nan, 0, 1, "contents")
    assert np.isnan([*ends(spread), p_value(spread), smallest_detectable(spread)]).all()


def test_the_smallest_detectable_difference_is_found_in_four_of_five_experiments() -> None:
    effect = smallest_detectable(PLAIN) / PLAIN.standard_error
    # Bloom's sum of quantiles stands for the noncentral t; at 7 degrees they differ by a point
    power = stats.nct.sf(stats.t.ppf(0.975, 7), 7, effect)
    assert power == pytest.approx(0.8, abs=0.03)


def test_no_difference_beyond_the_range_is_ever_said_to_be_findable() -> None:
    wild = Spread(0.1, 1.5, 3, 12, "contents", bounds=difference_bounds((0.0, 1.0)))
    calm = replace(wild, standard_error=1e-4)
    assert 0.9 < smallest_detectable(wild) < 1
    plain = replace(calm, bounds=UNBOUNDED)
    assert smallest_detectable(calm) == pytest.approx(smallest_detectable(plain), rel=1e-4)

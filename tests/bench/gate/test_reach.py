"""Which drop a lane finds and what it lacks, against the distribution of t itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.gate.reach import (
    NOTHING,
    Design,
    demanded_drop,
    detectable_drop,
    found_drop,
    missing,
    reached,
    room_below,
    too_weak,
)
from bench.gate.snapshot import MeasuredMetric
from bench.statistics.spread import Spread

SCORE = MeasuredMetric(fingerprint="f", direction="maximize", range=(0.0, 1.0))
DISTANCE = MeasuredMetric(fingerprint="f", direction="minimize", range=(0.0, 5.0))
OPEN = MeasuredMetric(fingerprint="f", direction="minimize", range=(0.0, math.inf))


def error_of(units: int, noise: float) -> float:
    return noise / math.sqrt(units)


@pytest.mark.parametrize("alpha", [0.01, 0.0001])
@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_so_many_seeds_are_missing_and_not_one_fewer(alpha: float, noise: float) -> None:
    """Three fits of one style, which borrows two degrees of freedom."""
    design = Design(fits=True, styles=1, contents=8, seeds=3, borrowed=2)
    lacks = missing(design, noise, 0.2, alpha=alpha)
    assert lacks.contents is None
    assert lacks.seeds is not None

    def finds(units: int) -> float:
        t = stats.t(units - 1 + 2)
        return float((t.ppf(1 - alpha) + t.ppf(0.8)) * error_of(units, noise))

    assert finds(3 + lacks.seeds) <= 0.2
    assert lacks.seeds == 1 or finds(3 + lacks.seeds - 1) > 0.2


def test_contents_are_missing_only_where_cells_have_chances_of_their_own() -> None:
    cells = Design(fits=False, styles=2, contents=2, seeds=1)
    lacks = missing(cells, 0.1, 0.2, alpha=0.001)
    needed = next(
        n for n in range(2, 99)
        if (stats.t.ppf(0.999, n - 1) + stats.t.ppf(0.8, n - 1)) * error_of(n, 0.1) <= 0.2
    )  # fmt: skip
    assert lacks.seeds == math.ceil(needed / 4) - 1
    assert lacks.contents == math.ceil(needed / 2) - 2
    assert str(lacks) == f"{lacks.seeds} more seeds or {lacks.contents} more contents"


def test_what_is_missing_is_said_in_words() -> None:
    fitted = Design(fits=True, styles=1, contents=8, seeds=1)
    assert str(missing(fitted, math.nan, 0.2, alpha=0.01)) == "at least 1 more seed"
    assert str(missing(fitted, 1e6, 0.2, alpha=0.01)) == "no number of seeds would do"


def test_a_drop_that_the_metric_has_no_room_for_is_not_found() -> None:
    spread = Spread(0.0, 0.1, 3, 4, "cells")
    drop = detectable_drop(spread, alpha=0.01)
    assert drop == pytest.approx(0.1 * (stats.t.ppf(0.99, 3) + stats.t.ppf(0.8, 3)))
    assert found_drop(spread, drop + 1e-9, alpha=0.01) == drop
    assert found_drop(spread, drop, alpha=0.01) == NOTHING
    assert found_drop(Spread(0.0, math.nan, 0, 1, "cells"), 1.0, alpha=0.01) == NOTHING


def test_room_ends_at_the_worst_end_or_at_the_worst_that_was_seen() -> None:
    assert room_below(SCORE, reached(SCORE, []), 0.3) == pytest.approx(0.3)
    assert room_below(SCORE, reached(SCORE, [-0.1, 0.9]), 0.3) == pytest.approx(0.4)
    assert room_below(DISTANCE, reached(DISTANCE, [1.0]), 0.5) == pytest.approx(4.5)
    assert room_below(OPEN, reached(OPEN, [1.0]), 0.5) == math.inf
    unknown = SCORE.model_copy(update={"range": None})
    assert room_below(unknown, reached(unknown, [0.5]), 0.5) == math.inf


def test_what_is_demanded_is_a_share_of_the_range() -> None:
    assert demanded_drop(SCORE, 0.2) == pytest.approx(0.2)
    assert demanded_drop(DISTANCE, 0.2) == pytest.approx(1.0)
    assert demanded_drop(OPEN, 0.2) == pytest.approx(0.2)
    assert demanded_drop(SCORE, 1.0) == math.inf


@pytest.mark.parametrize(
    ("found", "room", "demanded", "weak"),
    [
        (0.2, 0.5, 0.2, False),
        (0.21, 0.5, 0.2, True),
        (NOTHING, 0.1, 0.2, True),  # not even a fall to the worst end
        (NOTHING, 0.01, 0.2, False),  # nothing to lose beyond the margin
        (NOTHING, 0.5, math.inf, False),  # nothing is asked
        (math.nan, 0.5, 0.2, True),  # not known
    ],
)
def test_a_lane_is_too_weak_where_it_finds_less_than_is_asked(
    found: float, room: float, demanded: float, weak: bool
) -> None:
    assert too_weak(found, room, demanded, 0.01) is weak


def test_a_drop_is_found_as_often_as_is_said() -> None:
    """Ten fits a side, 4 of 5 cases: the formula is that of a shifted t, so nearly exact."""
    rng, alpha = np.random.default_rng(0), 0.001
    drop = detectable_drop(Spread(0.0, 0.1 / math.sqrt(10), 9, 10, "cells"), alpha=alpha)
    change = rng.normal(-drop, 0.1, (20_000, 10))
    t = change.mean(axis=1) / (change.std(axis=1, ddof=1) / math.sqrt(10))
    assert np.mean(t < stats.t.ppf(alpha, 9)) == pytest.approx(0.8, abs=0.05)

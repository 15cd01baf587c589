"""The time that is left: told from the work of this session alone."""

from __future__ import annotations

import pytest

from bench.cli.progress import Pace
from bench.run.stopwatch import Stopwatch


def left(*reports: tuple[float, float]) -> list[float | None]:
    pace = Pace()
    return [pace.left_s(fraction, worked_s) for fraction, worked_s in reports]


def test_an_even_pace_is_told_to_its_end() -> None:
    assert left((0.0, 7.0), (0.25, 17.0), (0.5, 27.0), (1.0, 47.0)) == [None, 30.0, 20.0, 0.0]


def test_what_came_before_the_first_report_counts_for_nothing() -> None:
    """Importing and loading took 80 s here, and the first step of 100 a fifth of a second."""
    assert left((0.01, 80.0), (0.02, 80.2), (0.03, 80.4))[-1] == pytest.approx(0.2 * 97)


def test_cells_of_an_earlier_session_took_no_time_of_this_one() -> None:
    assert left((0.9, 0.0), (0.95, 60.0))[-1] == pytest.approx(60.0)


def test_a_stage_that_begins_anew_is_told_from_its_own_beginning() -> None:
    told = left((0.0, 0.0), (1.0, 1000.0), (0.1, 1001.0), (0.2, 1002.0))
    assert told[2:] == [pytest.approx(9.0), pytest.approx(8.0)]


def test_nothing_is_told_from_too_little() -> None:
    assert left((0.0, 0.0), (0.001, 30.0), (0.009, 31.0)) == [None, None, None]


def test_the_stopwatch_tells_loading_from_work() -> None:
    watch = Stopwatch()
    for stage in ("load tve", "load metrics", "fit tve", "loading dock"):
        watch.stages[stage] = 2.0
    assert watch.loading_s == 4.0

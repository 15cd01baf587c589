"""What a forecast takes from measured rates, from the shipped table, and from nothing."""

from __future__ import annotations

import pytest

from bench.estimate.forecast import Expected, Machine, forecast
from bench.estimate.operations import ASSUMED_SHARE, Line, Row, row_of
from bench.estimate.words import forecast_lines
from bench.estimate.work import Subject, Work
from bench.records.rates import Rate

HERE, GFLOPS = "cpu: a processor, 1 threads", 50.0
OWN = Subject("./own.py:Own[a=1]", "./own.py:Own", "1", "mini")


def unused() -> float:
    raise AssertionError("the rate of matrix products is measured for nothing")


def machine(kind: str = "cpu", devices: int = 1, *, measured: bool = True) -> Machine:
    return Machine(HERE, kind, devices, (lambda: GFLOPS * 1e9) if measured else unused)


def rate(**facts: object) -> Rate:
    usual = {
        "stage": "fit", "name": OWN.name, "version": "1", "profile": "mini", "parameters": "p",
        "passes": 10.0, "machine": HERE, "units": 2, "seconds": 8.0,
        "measured_at": "2026-11-28T10:00:00+00:00",
    }  # fmt: skip
    return Rate.model_validate(usual | facts)


def only(work: Work, *rates: Rate, kind: str = "cpu") -> Expected:
    (found,) = forecast([work], rates, machine(kind)).stages
    return found


def test_a_rate_of_the_same_parameters_is_taken_as_it_is() -> None:
    found = only(Work(OWN, "fit", 3, "p", 10), rate(memory_bytes=7, disk_bytes=100))
    assert found.wall_s == pytest.approx(3 * 8 / 2)
    assert (found.memory_bytes, found.disk_bytes, found.gpu_s) == (7, 150, 0)
    assert found.basis == "measured here on 2026-11-28"


def test_the_latest_of_the_same_parameters_counts() -> None:
    rates = [rate(seconds=2), rate(seconds=4), rate(parameters="q", seconds=90)]
    assert only(Work(OWN, "fit", 1, "p", 10), *rates).wall_s == pytest.approx(2.0)


def test_other_settings_count_in_proportion_to_their_passes() -> None:
    found = only(Work(OWN, "fit", 1, "q", 30), rate())
    assert found.wall_s == pytest.approx(4.0 * 30 / 10)
    assert "other settings (10 passes, not 30)" in found.basis


def test_where_the_table_knows_what_does_not_grow_with_the_passes_that_stays() -> None:
    row = row_of("transfer", "null", "mini")
    assert row is not None
    line = row.as_long_as["cpu"]
    had = rate(stage="transfer", name="null", version="2", passes=10.0, units=1, seconds=6.0)
    found = only(Work(Subject("null", "null", "2", "mini"), "transfer", 1, "q", 40), had)
    assert found.wall_s == pytest.approx(6.0 * line.at(40) / line.at(10))
    assert found.wall_s < 6.0 * 4, "a part of it is not the network's"


@pytest.mark.parametrize(
    "other", [{"machine": "cuda: a GPU"}, {"version": "2"}, {"profile": "full"}, {"stage": "load"}]
)
def test_rates_of_another_machine_version_or_profile_say_nothing(other: dict[str, str]) -> None:
    found = only(Work(OWN, "fit", 1, "p", 10), rate(**other))
    assert found.wall_s is None
    assert "unknown" in found.basis


def test_without_rates_the_table_counts_at_the_rate_of_matrix_products() -> None:
    row = row_of("fit", "tve", "mini")
    assert row is not None
    assert row.counted is not None
    found = only(Work(Subject("tve", "tve", "2", "mini"), "fit", 2, "p", 100))
    assert found.wall_s == pytest.approx(2 * row.as_long_as["cpu"].at(100) / GFLOPS)
    assert "from operations" in found.basis
    assert "50 Gflop/s measured now" in found.basis


def test_what_was_counted_and_never_timed_on_such_a_device_is_a_guess_and_says_so() -> None:
    row = row_of("fit", "tve", "full")
    assert row is not None
    assert row.counted is not None
    found = only(Work(Subject("tve", "tve", "2", "full"), "fit", 1, "p", 3000), kind="mps")
    assert found.wall_s == pytest.approx(row.counted.at(3000) / ASSUMED_SHARE / GFLOPS)
    assert found.gpu_s == found.wall_s
    assert "a guess" in found.basis


def test_the_matrix_products_are_not_measured_where_rates_are_known() -> None:
    forecast([Work(OWN, "fit", 1, "p", 10)], [rate()], machine(measured=False))


def test_metrics_that_hear_an_output_together_pay_for_it_once() -> None:
    works = [
        Work(Subject(name, name, "1", "mini"), "score", 10) for name in ("cp", "sf.seen", "chroma")
    ]
    cp, seen, chroma = forecast(works, [], machine()).stages
    assert cp.wall_s
    assert seen.wall_s == 0
    assert chroma.wall_s


def test_the_sum_leaves_out_what_is_unknown_and_several_devices_share_fits() -> None:
    works = [
        Work(OWN, "load", 1),
        Work(OWN, "fit", 4, "p", 10),
        Work(OWN, "transfer", 60, "t", disk_bytes=5),
    ]
    rates = [rate(), rate(stage="load", parameters="", units=1, seconds=3.0)]
    found = forecast(works, rates, machine(devices=2))
    assert found.wall_s == pytest.approx(3.0 + 16.0 / 2)
    assert found.known == {f"load {OWN.label}": 3.0, f"fit {OWN.label}": 16.0}
    *_, total = forecast_lines(found)
    assert total.startswith("expected: 11 s on 2 devices")
    assert "without 1 of 3 stages" in total


def test_styles_with_unlike_settings_are_one_line() -> None:
    works = [Work(OWN, "fit", 1, "p", 10), Work(OWN, "fit", 1, "q", 30)]
    (found,) = forecast(works, [rate()], machine()).stages
    assert found.units == 2
    assert found.wall_s == pytest.approx(4.0 + 12.0)


def test_nothing_to_do_is_said() -> None:
    assert "nothing is left" in forecast_lines(forecast([], [], machine()))[0]


def test_a_row_is_a_line_in_the_passes() -> None:
    row = Row(
        stage="fit", name="x", profile="mini", counted=Line(fixed=1, per_pass=2), source="here"
    )
    line = row.equivalent("cuda")
    assert line is not None
    assert line.at(10) == pytest.approx(21 / ASSUMED_SHARE)

"""The shipped table: whether it knows what the suites of this project run."""

from __future__ import annotations

import pytest

from bench.estimate.operations import row_of, shipped
from bench.plan.plan import method_info
from bench.plan.suite import load_suite, suites


@pytest.mark.parametrize("name", sorted(suites()))
def test_every_suite_is_known_on_the_processor(name: str) -> None:
    suite = load_suite(name)
    missing = []
    for choice in suite.choices:
        stages = ("fit", "transfer") if method_info(choice.name).fits_per_style else ("transfer",)
        for stage in stages:
            row = row_of(stage, choice.name, suite.profile)  # type: ignore[arg-type]  # of the tuple above
            if row is None or row.equivalent("cpu") is None:
                missing.append((stage, choice.name))
    missing += [("score", m) for m in suite.metrics if row_of("score", m, suite.profile) is None]
    assert missing == []


def test_no_cost_is_negative_and_some_cost_is_there() -> None:
    for row in shipped():
        lines = [*row.as_long_as.values(), *([row.counted] if row.counted else [])]
        assert lines, row
        for line in lines:
            assert min(line.fixed, line.per_pass) >= 0, row
            assert line.at(1) > 0, row


def test_a_row_stands_once() -> None:
    places = [(row.stage, row.name, row.profile) for row in shipped()]
    assert len(set(places)) == len(places)


def test_the_full_networks_are_those_of_the_report() -> None:
    """Tflop for a row of the U-Net, forward and back, as stated in tests/benchmarks/gpu_account."""
    fit, transfer = row_of("fit", "tve", "full"), row_of("transfer", "tve", "full")
    assert fit is not None
    assert transfer is not None
    assert fit.counted is not None
    assert transfer.counted is not None
    assert fit.counted.per_pass == pytest.approx(1669, rel=1e-2)
    assert transfer.counted.per_pass * 5 == pytest.approx(803, rel=1e-2)

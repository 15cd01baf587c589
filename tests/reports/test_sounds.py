"""Whose sounds a report may carry."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import header, method, run_of

from bench.records.store import Run
from reports.sounds import notice, with_inputs, withheld_methods

METHODS = [method("tve"), method("copy-content", control=True), method("noise", control=True)]


def run_on(*, redistributable: bool | None) -> Run:
    dataset = {"name": "clips", "licence": "some licence"}
    said = {} if redistributable is None else {"redistributable": redistributable}
    return run_of(header(METHODS, dataset=dataset | said), {})


def test_free_inputs_may_go_with_a_report_unless_asked_otherwise() -> None:
    run = run_on(redistributable=True)
    assert with_inputs(run)
    assert withheld_methods(run) == frozenset()
    assert "may be part of this report (some licence)" in notice(run)
    assert not with_inputs(run, asked_without=True)
    assert withheld_methods(run, asked_without=True) == {"copy-content"}
    assert "without content and style audio (as asked)" in notice(run, asked_without=True)


@pytest.mark.parametrize("said", [False, None])
def test_inputs_that_may_not_travel_never_do(said: bool | None) -> None:
    run = run_on(redistributable=said)
    assert not with_inputs(run)
    assert withheld_methods(run) == {"copy-content"}
    assert "(dataset clips: some licence)" in notice(run)
    assert "copy-content" in notice(run)

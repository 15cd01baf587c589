"""The gate on the committed baseline: false alarms, power, and that the files belong together."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from power import BASELINE, DROP, PRIMARY, drawn, models, share, simulate

from bench.gate.judge import judge
from bench.gate.power import foresee
from bench.gate.snapshot import DIGEST, Snapshot, read_snapshot
from bench.gate.verdict import exit_code
from bench.plan.suite import load_suite

FITTED = ("tve", "rti")
COMPETITORS = (*FITTED, "musicgen")


@pytest.fixture(scope="module")
def baseline() -> Snapshot:
    return read_snapshot(BASELINE)


def test_the_baseline_is_of_the_suite_as_it_stands(baseline: Snapshot) -> None:
    assert baseline.suite_digest == load_suite("regression").digest
    assert f"digest {baseline.suite_digest[:12]}" in BASELINE.with_name("power.txt").read_text()
    assert {cell.status for cell in baseline.cells} == {"ok"}
    assert {len(cell.audio_digest or "") for cell in baseline.cells} == {DIGEST}
    assert baseline.violations == ()
    assert exit_code(judge(baseline, baseline)) == 0


def test_noise_of_a_simulation_is_that_of_the_baseline(baseline: Snapshot) -> None:
    found = models(baseline)
    generator = np.random.default_rng(0)
    again = [models(drawn(baseline, found, generator, {})) for _ in range(20)]
    for place in ((method, metric) for method in COMPETITORS for metric in PRIMARY):
        for old, *new in zip(found[place], *(one[place] for one in again), strict=True):
            assert np.mean([one.own for one in new]) == pytest.approx(old.own, rel=0.15)
            assert np.mean([one.means for one in new], axis=0) == pytest.approx(old.means, abs=0.1)


def test_a_gate_whose_noise_is_all_new_is_seldom_red(baseline: Snapshot) -> None:
    assert share(simulate(baseline, 40, {})) <= 0.1


def test_a_drop_is_found(baseline: Snapshot) -> None:
    for method in COMPETITORS:
        gates = simulate(baseline, 25, {(method, "cp"): DROP})
        assert share(gates, (method, "cp")) >= 0.6


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_whole_simulation_keeps_what_the_gate_promises(baseline: Snapshot) -> None:
    assert share(simulate(baseline, 1000, {}, seed=1)) <= 0.02
    for place in ((method, metric) for method in COMPETITORS for metric in PRIMARY):
        assert share(simulate(baseline, 300, {place: DROP}, seed=2), place) >= 0.8


def test_what_would_be_found_is_below_the_drop(baseline: Snapshot) -> None:
    found = {(one.method, one.metric): one.drop for one in foresee(baseline)}
    assert all(0 < found[method, "cp"] <= DROP * 1.1 for method in COMPETITORS)

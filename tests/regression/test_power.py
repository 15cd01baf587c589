"""The gate on the committed baseline: false alarms, power, and that the files belong together."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from power import BASELINE, DROP, PRIMARY, STYLE_DROP, drawn, models, share, simulate

from bench.gate.judge import judge
from bench.gate.power import foresee
from bench.gate.snapshot import DIGEST, Snapshot, read_snapshot
from bench.gate.verdict import exit_code
from bench.plan.suite import load_suite

FITTED = ("tve", "rti")
COMPETITORS = (*FITTED, "musicgen")
ON_STYLES = (" on accordion", " on music_box")


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


@pytest.mark.slow
def test_a_gate_whose_noise_is_all_new_is_seldom_red(baseline: Snapshot) -> None:
    assert share(simulate(baseline, 40, {})) <= 0.1


@pytest.mark.slow
def test_a_drop_is_found(baseline: Snapshot) -> None:
    for method in COMPETITORS:
        place = (method, "cp", "")
        assert share(simulate(baseline, 25, {place: DROP}), place) >= 0.6


@pytest.mark.slow
@pytest.mark.parametrize("style", ["accordion", "music_box"])
def test_a_style_that_falls_alone_is_found(baseline: Snapshot, style: str) -> None:
    for method in COMPETITORS:
        place = (method, "cp", style)
        assert share(simulate(baseline, 10, {place: STYLE_DROP}), place) == 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_whole_simulation_keeps_what_the_gate_promises(baseline: Snapshot) -> None:
    assert share(simulate(baseline, 1000, {}, seed=1)) <= 0.02
    for method, metric in ((m, metric) for m in COMPETITORS for metric in PRIMARY):
        for style, drop in (("", DROP), ("accordion", STYLE_DROP), ("music_box", STYLE_DROP)):
            place = (method, metric, style)
            assert share(simulate(baseline, 300, {place: drop}, seed=2), place) >= 0.8


def test_the_committed_figures_keep_what_the_gate_promises() -> None:
    text = BASELINE.with_name("power.txt").read_text()
    [alarms] = re.findall(r"False alarms of the whole gate, .*: (\d\.\d+) of (\d+)", text)
    assert float(alarms[0]) <= 0.02
    assert int(alarms[1]) >= 1000
    found = dict(re.findall(r"^(.+): (\d\.\d+) of \d+, would find", text, re.MULTILINE))
    lanes = {
        f"{method} {metric}{on}"
        for method in COMPETITORS for metric in PRIMARY for on in ("", *ON_STYLES)
    }  # fmt: skip
    assert lanes <= found.keys()
    assert min(float(share) for share in found.values()) >= 0.8


def test_what_would_be_found_is_below_the_drop(baseline: Snapshot) -> None:
    found = {(one.method, one.metric, one.style): one.drop for one in foresee(baseline)}
    assert all(0 < found[method, "cp", ""] <= DROP * 1.1 for method in COMPETITORS)
    assert max(drop for (_, _, style), drop in found.items() if style) <= STYLE_DROP / 2
    assert all(one.lacks is None for one in foresee(baseline))

"""The rehearsal of Table II: its lines in exact numbers, its suite, and the whole of it reduced."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.checkout import CHECKOUT, SUITES
from bench.plan.suite import load_suite
from tests.benchmarks.rehearsal_account import Rehearsal, disk, extrapolate, report
from tests.benchmarks.table2_rehearsal import Scale, derived_suite, sampled


def rehearsal(steps: int, contents: int) -> Rehearsal:
    """A run of known lines: 3 + .1 steps, 2 + .5 contents, 10 to load, 4 to start."""
    stages = {"load tve": 10.0, "fit tve": 3 + 0.1 * steps, "transfer tve": 2 + 0.5 * contents}
    wall_s = 4.0 + sum(stages.values())
    return Rehearsal(steps, contents, wall_s, stages, 0, 0, 100 + 10 * contents)


def test_a_line_is_carried_on_to_the_scale_of_table2() -> None:
    found = extrapolate(rehearsal(20, 4), rehearsal(100, 16))
    assert found == pytest.approx(
        {"load tve": 10.0, "fit tve": 303.0, "transfer tve": 91.5, "start-up": 4.0}
    )
    assert disk(rehearsal(20, 4), rehearsal(100, 16)) == pytest.approx(100 + 1790)


def test_two_scales_must_differ_in_both() -> None:
    with pytest.raises(ValueError, match="20 and 20 steps, 4 and 16 contents give no line"):
        extrapolate(rehearsal(20, 4), rehearsal(20, 16))


def test_what_no_method_or_metric_did_is_the_harness_share() -> None:
    assert rehearsal(0, 0).harness_share == pytest.approx(4 / 19)
    assert rehearsal(0, 0).device_share == pytest.approx(5 / 19)


def test_a_report_says_what_is_extrapolated_and_what_was_not_reached() -> None:
    few, many = rehearsal(20, 4), rehearsal(100, 16)
    whole = report({"device_name": "it", "date": "today"}, {"few": few, "many": many}, 2**30)
    assert "| **total** | **408.5** (6.8 min) | |" in whole
    assert "Checkpoints on disk: 1.00 GiB" in whole
    assert "EXTRAPOLATED" not in report({"reduced": True}, {"few": few}, 0)


def test_the_rehearsed_suite_is_table2_but_for_the_steps(tmp_path: Path) -> None:
    text = (SUITES / "table2.toml").read_text(encoding="utf-8")
    path = tmp_path / "suite.toml"
    path.write_text(derived_suite(text, Scale(70, 1), reduced=False), encoding="utf-8")
    rehearsed, real = load_suite(str(path)).model_dump(), load_suite("table2").model_dump()
    for method in ("tve", "rti"):
        assert rehearsed["parameters"][method].pop("steps") == 70
    assert rehearsed == real


def test_another_suite_is_not_taken_for_it() -> None:
    with pytest.raises(ValueError, match="stands 0 times in the suite"):
        derived_suite("preset = 'mine'", Scale(70, 1), reduced=False)


def test_without_a_gpu_its_work_is_not_known() -> None:
    with sampled("cpu") as samples:
        pass
    assert samples == []


@pytest.mark.slow
def test_the_whole_runs_reduced(tmp_path: Path) -> None:
    """Stand-ins, the command at two scales, the report; no file outside its folders."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.benchmarks.table2_rehearsal", "--device", "cpu"),
            *("--reduced", "--limit-s", "3600", "--scratch", str(tmp_path), "--out", str(tmp_path)),
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written, page = tmp_path.glob("*.json"), tmp_path.glob("*.md")
    found = json.loads(next(written).read_text())
    assert [run["contents"] for run in found["runs"].values()] == [1, 2]
    for run in found["runs"].values():
        assert sum(run["parts"].values()) == pytest.approx(run["wall_s"])
        assert run["parts"]["start-up"] > 0
        assert {"fit tve", "transfer rti", "transfer musicgen", "score"} <= run["parts"].keys()
        assert run["peak_host_bytes"] > 0
        assert run["disk_bytes"] > 0
    assert "REDUCED" in next(page).read_text()

"""Faults planted into a copy of the checkout, run and judged as `make regression` does.

Each copy renders the methods of the suite `regression` on fewer contents and seeds, with the same
commands; slow because everything is really computed. What a whole suite adds is power
(`power.txt`), which these faults do not need: other audio from the same seeds is enough.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOMS = ("bench", "methods", "metrics", "reports", "datasets")
SMALL = ("--methods", "tve", "--contents", "2", "--seeds", "2")
LEARNING = "methods/riffusion/fitting/learning.py"
TRANSFERRING = "methods/riffusion/transferring.py"
SWAPPED = ("for fit, request, start in zip(fits, ", "for fit, request, start in zip(fits[::-1], ")
DROPOUT = ("if request.parameters.tve_infer_dropout:", "if True:")
HOP = (
    "return Geometry(sample_rate, n_fft, win_length, hop_length)",
    "return Geometry(sample_rate, n_fft, win_length, hop_length + 1)",
)
FAULTS = {
    "wrong hop length": ("methods/riffusion/spectrogram.py", *HOP, {"tve", "vocoder"}),
    "dropout left on": ("methods/riffusion/tve.py", *DROPOUT, {"tve"}),
    "swapped style prototypes": (LEARNING, *SWAPPED, {"tve"}),
}
REFACTORED = (
    "ways = {id(request.state): split_state(request.state) for request in requests}",
    "ways = dict((id(one.state), split_state(one.state)) for one in requests)",
)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A copy of the rooms, with what it has run."""

    root: Path

    def bench(self, *arguments: object, expected: int = 0) -> str:
        """Run the command line of this copy."""
        command = [sys.executable, "-m", "bench", *(str(part) for part in arguments)]
        private = {"BENCH_CACHE": str(self.root / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command,
            cwd=self.root,
            env=os.environ | private,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expected, done.stderr[-2000:] + done.stdout[-2000:]
        return done.stdout

    def run(self) -> Path:
        """Run the suite from scratch."""
        folder = self.root / "run"
        self.bench("run", "--suite", "regression", "--device", "cpu", "--out", folder, *SMALL)
        return folder

    def gate(self, baseline: Path, *, expected: int) -> dict[str, set[str]]:
        """Judge the run; the methods of the red verdicts, by lane."""
        report = self.root / "gate"
        self.bench("gate", self.root / "run", "--baseline", baseline, "--report", report,
                   "--advisory", "time", expected=expected)  # fmt: skip
        red: dict[str, set[str]] = {}
        for verdict in json.loads((report / "verdicts.json").read_text())["verdicts"]:
            if verdict["red"]:
                red.setdefault(verdict["lane"], set()).add(verdict["method"])
        return red


def copied(checkout: Path, folder: Path, change: tuple[str, str, str] | None = None) -> Checkout:
    """A copy of the rooms, with one text replaced where it stands exactly once."""
    for room in ROOMS:
        shutil.copytree(
            checkout / room, folder / room, ignore=shutil.ignore_patterns("__pycache__")
        )
    if change is not None:
        path, old, new = change
        text = (folder / path).read_text()
        assert text.count(old) == 1, f"{path} has changed; plant the fault anew"
        (folder / path).write_text(text.replace(old, new))
    return Checkout(folder)


@pytest.fixture(scope="module")
def good(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The checkout as it is, run."""
    made = copied(checkout, tmp_path_factory.mktemp("good") / "checkout")
    made.run()
    return made


@pytest.fixture(scope="module")
def baseline(good: Checkout) -> Path:
    """Its numbers, accepted."""
    path = good.root / "baseline.json"
    good.bench("baseline", good.root / "run", "--reason", "planted faults", "-o", path)
    return path


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_turns_the_lane_red(
    checkout: Path, baseline: Path, tmp_path: Path, fault: str
) -> None:
    path, old, new, hit = FAULTS[fault]
    broken = copied(checkout, tmp_path / "checkout", (path, old, new))
    broken.run()
    red = broken.gate(baseline, expected=3)
    assert red["audio"] == hit


def test_a_refactoring_stays_green(checkout: Path, baseline: Path, tmp_path: Path) -> None:
    moved = copied(checkout, tmp_path / "checkout", (TRANSFERRING, *REFACTORED))
    moved.run()
    assert moved.gate(baseline, expected=0) == {}


def test_thirty_percent_more_time_in_the_records_is_red(
    good: Checkout, baseline: Path, tmp_path: Path
) -> None:
    """Times are those of the baseline's own run, so that the machine's pace plays no part."""
    slower = tmp_path / "run"
    shutil.copytree(good.root / "run", slower)
    records = [json.loads(line) for line in (slower / "cells.jsonl").read_text().splitlines()]
    for record in records:
        if record.get("fit_s") and record.get("transfer_s"):
            record["transfer_s"] *= 1.3
            record["fit_s"] *= 1.3
    text = "".join(json.dumps(record) + "\n" for record in records)
    (slower / "cells.jsonl").write_text(text)
    said = good.bench("gate", slower, "--baseline", baseline, expected=3)
    assert "1.30 times as long" in said
    said = good.bench("gate", slower, "--baseline", baseline, "--advisory", "time")
    assert "regressed (advisory)" in said


def test_another_suite_is_not_comparable(good: Checkout, baseline: Path) -> None:
    other = good.root / "other"
    good.bench("run", "--suite", "regression", "--device", "cpu", "--out", other,
               "--methods", "tve", "--contents", "1", "--seeds", "2")  # fmt: skip
    said = good.bench("gate", other, "--baseline", baseline, expected=4)
    assert "suite digest" in said


def test_another_measure_is_not_comparable(good: Checkout, baseline: Path, tmp_path: Path) -> None:
    other = tmp_path / "run"
    shutil.copytree(good.root / "run", other)
    scores = other / "scores.jsonl"
    records = [json.loads(line) for line in scores.read_text().splitlines()]
    for record in records:
        if record["metric"] == "cp":
            record["fingerprint"] = "another measure"
    scores.write_text("".join(json.dumps(record) + "\n" for record in records))
    said = good.bench("gate", other, "--baseline", baseline, expected=4)
    assert "fingerprint another measure is not" in " ".join(said.split())

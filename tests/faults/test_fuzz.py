"""Damaged cards, suites, ratings, audio and answers end with our own errors and within 2 GiB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KINDS = ("cards", "suites", "ratings", "audio", "link")
SHORT_S = 0.4
LONG_S = float(os.environ.get("BENCH_FUZZ_S", "30"))  # of each kind; the nightly job takes 600
MOST_MIB = 2048


def fuzz(kind: str, seconds: float, seed: str, checkout: Path, folder: Path) -> tuple[int, int]:
    """How many damaged files were read and how many refused."""
    folder.mkdir()
    done = subprocess.run(
        [
            sys.executable,
            "-B",
            checkout / "tests/faults/fuzzing.py",
            kind,
            str(seconds),
            seed,
            folder,
        ],
        env={**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-4000:]}"
    read, refused, peak_mib = map(int, done.stdout.split())
    assert peak_mib < MOST_MIB
    return read, refused


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused(kind: str, checkout: Path, tmp_path: Path) -> None:
    read, refused = fuzz(kind, SHORT_S, "0", checkout, tmp_path / "inside")
    assert read + refused > 10
    assert refused > 0


@pytest.mark.slow
@pytest.mark.timeout(int(LONG_S) + 120)
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused_for_long(
    kind: str, checkout: Path, tmp_path: Path
) -> None:
    seed = os.environ.get("BENCH_FUZZ_SEED", "1")
    read, refused = fuzz(kind, LONG_S, seed, checkout, tmp_path / "inside")
    assert read > 0
    assert refused > 0


def test_the_fuzzer_notices_a_traceback(checkout: Path, tmp_path: Path) -> None:
    """The lock on the lock: a reader that lets an error through ends it with 1."""
    script = (
        "import runpy, sys; import bench.declarations as d; import tomllib\n"
        "d.parse_toml = tomllib.loads\n"
        "runpy.run_path(sys.argv.pop(1), run_name='__main__')\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-B",
            "-c",
            script,
            checkout / "tests/faults/fuzzing.py",
            "suites",
            "20",
            "0",
            tmp_path,
        ],
        env={**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr

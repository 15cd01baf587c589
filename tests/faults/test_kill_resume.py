"""KILL, TERM or INT at random moments, then the same command: tables as if nothing had been.

Slow (ten runs of one style x two contents and their resumption), so it is not part of `make test`;
run it with `pytest -m slow tests/faults/test_kill_resume.py`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [
    *(sys.executable, "-m", "bench", "run", "--suite", "mini", "--methods", "tve,musicgen"),
    *("--styles", "accordion", "--contents", "2", "--device", "cpu"),
]
TABLES = ("table2.csv", "table1.csv")
KILLS = 10
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "BENCH_CACHE": str(cache), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def run_whole(out: Path, cache: Path) -> dict[str, bytes]:
    subprocess.run(
        [*COMMAND, "--out", str(out)], env=environment(cache), check=True, capture_output=True
    )
    return {name: (out / "report" / name).read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], float]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    begun = time.monotonic()
    tables = run_whole(folder / "run", folder / "cache")
    return tables, time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_run_resumes_to_the_same_tables(
    tmp_path: Path, uninterrupted: tuple[dict[str, bytes], float], kill: int
) -> None:
    expected, duration_s = uninterrupted
    moment_s = random.Random(kill).uniform(0.05, 1.0) * duration_s  # noqa: S311 - no secret
    process = subprocess.Popen(
        [*COMMAND, "--out", str(tmp_path / "run")],
        env=environment(tmp_path / "cache"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(moment_s)
    process.send_signal(SIGNALS[kill % len(SIGNALS)])
    process.wait()
    assert run_whole(tmp_path / "run", tmp_path / "cache") == expected

"""One run of `mini-full` that all evidence is read from; it is kept and resumed where asked.

`BENCH_EVIDENCE=FOLDER python -m pytest -m slow tests/evidence -s` keeps run, cache and figures in
FOLDER; without the variable everything is made anew in a temporary folder. About half an hour on
two cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mini_full import METHODS, Evidence, Say

from bench.records.store import load_run


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Both methods at three strengths with all controls, 3 seeds, on the whole mini dataset."""
    kept = os.environ.get("BENCH_EVIDENCE")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("evidence")
    command = [sys.executable, "-m", "bench", "run", "--suite", "mini-full", "--methods", METHODS]
    subprocess.run(
        [*command, "--device", "cpu", "--out", str(folder / "run")],
        env={**os.environ, "BENCH_CACHE": str(folder / "cache")},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return Evidence(load_run(folder / "run"), folder / "cache")


@pytest.fixture(scope="session")
def say(evidence: Evidence) -> Say:
    """Print a figure and keep it beside the run."""
    path = evidence.run.folder / "evidence.txt"
    path.write_text("", encoding="utf-8")

    def write(line: str) -> None:
        print(line)  # noqa: T201 - figures are what these tests are run for
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    return write

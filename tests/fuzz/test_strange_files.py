"""Ten minutes, nightly, of run folders and archives that chance has spoilt.

Whatever a record file or a zip archive holds: an error of ours or a result, never a traceback, no
file outside of the folder, and less than 2 GiB of memory. Each part runs in a process of its own
with that limit. `BENCH_FUZZ_S` is the time of each part, `BENCH_FUZZ_SEED` repeats a failure; a
part says the seed of the example at which it stopped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS, SEED = os.environ.get("BENCH_FUZZ_S", "30"), os.environ.get("BENCH_FUZZ_SEED", "1")
PARTS = ("records", "archives", "checkpoints")
SPOILING = Path(__file__).with_name("spoiling.py")


def examples(part: str, seconds: str, folder: Path) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, str(SPOILING), part, seconds, SEED, str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "BENCH_LOG": "ERROR"}
    return subprocess.run(given, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("part", PARTS)
def test_a_few_strange_files(part: str, tmp_path: Path) -> None:
    """The same for two seconds, so that the long one is known to run."""
    done = examples(part, "2", tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.timeout(2 * int(SECONDS) + 300)
@pytest.mark.parametrize("part", PARTS)
def test_ten_minutes_of_strange_files(part: str, tmp_path: Path) -> None:
    done = examples(part, SECONDS, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

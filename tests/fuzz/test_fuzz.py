"""Damaged files of every kind end with the tree's own errors, in the folder and within 2 GiB.

`make fuzz` takes ten minutes for each kind, as the nightly job does: `BENCH_FUZZ_S` is the time of
each, `BENCH_FUZZ_SEED` repeats a failure, which says the seed of its example.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KINDS = (
    "cards",
    "tables",
    "suites",
    "ratings",
    "publications",
    "deliveries",
    "records",
    "embeddings",
    "archives",
    "checkpoints",
    "audio",
    "answers",
    "fits",
)
SHORT_S = 0.1
LONG_S = float(os.environ.get("BENCH_FUZZ_S", "30"))  # of each kind
SEED = os.environ.get("BENCH_FUZZ_SEED", "1")
MOST_MIB = 2048
FUZZING = Path(__file__).with_name("fuzzing.py")


def fuzzed(kinds: str, seconds: float, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer in an empty folder."""
    return ended([str(FUZZING), kinds, str(seconds), SEED, str(folder)], folder)


def ended(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    settings = {"OMP_NUM_THREADS": "1", "BENCH_LOG": "ERROR"}
    return subprocess.run(
        [sys.executable, "-B", *words],
        env={**os.environ, **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def counted(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[int, int]]:
    """How many files of each kind were read and refused, of a run that found nothing."""
    assert done.returncode == 0, done.stderr[-4000:]
    counts = {}
    for line in done.stdout.splitlines():
        kind, read, refused, peak_mib = line.split()
        assert int(peak_mib) < MOST_MIB
        counts[kind] = (int(read), int(refused))
    return counts


@pytest.mark.slow
def test_damaged_files_of_every_kind_are_read_or_refused(tmp_path: Path) -> None:
    counts = counted(fuzzed(",".join(KINDS), SHORT_S, tmp_path))
    assert tuple(counts) == KINDS
    assert min(read + refused for read, refused in counts.values()) >= 12
    assert min(refused for _, refused in counts.values()) > 0


@pytest.mark.slow
@pytest.mark.timeout(int(LONG_S) + 300)
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused_for_long(kind: str, tmp_path: Path) -> None:
    read, refused = counted(fuzzed(kind, LONG_S, tmp_path))[kind]
    # Of the others a part is read whole; these are refused, the first after unpickling.
    assert read > 0 or kind in {"checkpoints", "fits"}
    assert refused > 0


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        ("tomllib.loads", "Traceback"),
        ("lambda text: [0] * (1 << 29)", "MemoryError"),
        ("lambda text: pathlib.Path('../beside').touch()", "changed outside the folder"),
        ("lambda text: os.unlink('../given')", "changed outside the folder"),
    ],
    ids=["traceback", "memory", "writing", "removing"],
)
def test_the_fuzzer_notices(tmp_path: Path, reader: str, said: str) -> None:
    """A reader of suites that lets an error through, is greedy or works outside ends it with 1."""
    (tmp_path / "given").touch()
    (tmp_path / "elsewhere").mkdir()
    script = (
        "import os, pathlib, runpy, sys, tomllib; sys.path.insert(0, sys.argv[1])\n"
        f"import bench.outside.declarations as d; os.chdir('elsewhere'); d.parse_toml = {reader}\n"
        "sys.argv[:2] = []; runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    words = [str(FUZZING.parents[2]), str(FUZZING), "suites", "9", "0", str(tmp_path)]
    done = ended(["-c", script, *words], tmp_path)
    assert done.returncode == 1
    assert said in done.stderr

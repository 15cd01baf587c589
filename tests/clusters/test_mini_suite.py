"""The whole mini suite through Slurm and through Ray gives what one process gives.

Each run has a cache of its own, so that nothing is taken from another. Together they take some
minutes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cluster_run import SHARDS, Cluster, tables, variables
from local_ray import VARIABLES, ray_cluster, tell
from local_slurm import NODES, LocalSlurm, until

from bench.records import store
from bench.records.parts import SHARDS as PARTS
from bench.records.store import load_run

pytestmark = [pytest.mark.slow, pytest.mark.weights, pytest.mark.timeout(7200)]
CELLS, SOUNDS = 120, 116  # 3 methods and 7 controls, 3 styles, 4 contents
MINUTES = "60"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The suite, run in one process."""
    home = tmp_path_factory.mktemp("mini")
    made = Cluster(home, variables(home), "mini", CELLS)
    made.run_alone()
    return made


def asked(executor: str) -> list[str]:
    """The options of `submit`."""
    return ["--executor", executor, "-n", str(SHARDS)]


def equalities(runs: Cluster, out: str) -> str:
    """How much of a run is what one process made; never all of nothing."""
    one, other = load_run(runs.home / "one"), load_run(runs.home / out)
    sounds = sum(c.audio_digest == one.cells[n].audio_digest for n, c in other.cells.items())
    scores = sum(repr(s.value) == repr(one.scores[k].value) for k, s in other.scores.items())
    mine, theirs = tables(one.folder), tables(other.folder)
    same = sum(theirs.get(name) == text for name, text in mine.items())
    methods = len({cell.method for cell in one.plan})
    # MusicGen's mini model knows no kalimba, and says so of these four cells.
    assert (len(one.cells), methods, len(one.scores)) == (CELLS, 10, 5 * SOUNDS)
    return (
        f"{out}: {methods} methods; digests of audio equal {sounds}/{len(one.cells)}, "
        f"scores {scores}/{len(one.scores)}, tables {same}/{len(mine)}"
    )


def begun_in(folder: Path) -> int:
    """How many shards have begun to render."""
    return len(list((folder / PARTS).glob("*/cells.jsonl")))


def ended_in(folder: Path) -> int:
    """How many cells have an outcome."""
    return len({r.cell_id for r in store.read_cells(folder) if r.status != "started"})


def wait(process: subprocess.Popen[str], holds: Callable[[], bool], seconds: float = 600.0) -> None:
    """Wait until something holds while a process lives."""
    last = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < last, "waited in vain"
        time.sleep(0.2)


@pytest.mark.slurm
def test_an_array_of_four_on_two_nodes(runs: Cluster, slurm: LocalSlurm) -> None:
    mine = runs.changed(BENCH_CACHE=str(runs.home / "cache-of-slurm"), **slurm.variables)
    mine.say(mine.words("submit", "slurm", *asked("slurm"), "--time", MINUTES))
    seen: set[str] = set()
    until(lambda: not seen.update(slurm.queue("%N")) and not slurm.queue(), 3600)
    assert set(NODES) <= seen
    sys.stdout.write(f"{equalities(runs, 'slurm')}\n")
    runs.require_whole("slurm")


@pytest.mark.ray
def test_two_nodes_of_which_one_is_killed_in_the_middle(runs: Cluster) -> None:
    mine = runs.changed(BENCH_CACHE=str(runs.home / "cache-of-ray"), **VARIABLES)
    folder = runs.home / "ray"
    with ray_cluster(mine.environment) as (address, nodes):
        words = mine.words("submit", "ray", *asked("ray"), "--address", address)
        process = subprocess.Popen(
            words,
            env=mine.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait(process, lambda: begun_in(folder) > 1 and ended_in(folder) > CELLS // SHARDS)
        before = ended_in(folder)
        tell(nodes, "remove")
        shown, _ = process.communicate(timeout=3600)
    assert process.returncode == 0, shown
    sys.stdout.write(f"a node was killed when {before} of {CELLS} cells had ended\n")
    sys.stdout.write(f"{equalities(runs, 'ray')}\n")
    assert before < CELLS
    runs.require_whole("ray")

"""`submit --executor slurm` on a real Slurm of two nodes: arrays, ends, requeues, lost nodes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cluster_run import CELLS, SHARDS, Cluster, cluster
from local_slurm import NODES, LocalSlurm, until

from bench.records.parts import SHARDS as PARTS

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
MOMENTS = int(os.environ.get("SLURM_MOMENTS", "6"))
ASKED = ("--executor", "slurm", "-n", str(SHARDS), "--time", "30")


@pytest.fixture(scope="module")
def runs(slurm: LocalSlurm, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The run, whose commands know this Slurm."""
    return cluster(tmp_path_factory.mktemp("runs")).changed(**slurm.variables)


def log_of(folder: Path, name: str) -> str:
    """A log of a submission."""
    return (folder / PARTS / "jobs" / name).read_text(encoding="utf-8")


def test_an_array_of_four_on_two_nodes_makes_what_one_process_makes(
    runs: Cluster, slurm: LocalSlurm
) -> None:
    shown = runs.say(runs.words("submit", "array", *ASKED, "--dry-run"))
    assert not (runs.home / "array").exists()
    said = runs.say(runs.words("submit", "array", *ASKED))
    assert f"{CELLS} missing" in said
    assert "is in the queue already" in runs_error(runs, "array")
    seen: set[str] = set()
    until(lambda: not seen.update(slurm.queue("%N")) and not slurm.queue(), 300)
    assert set(NODES) <= seen
    runs.require_whole("array")
    folder = runs.home / "array"
    assert f"1 folder: {CELLS} of {CELLS} cells, 0 failed" in log_of(folder, "merge.log")
    (script,) = [
        path.read_text(encoding="utf-8")
        for path in (folder / PARTS / "jobs").glob("*_submission.sh")
        if "--array" in path.read_text(encoding="utf-8")
    ]
    assert script in shown
    assert "0 of 4 shards lack something" in runs.say(runs.words("submit", "array", *ASKED))
    assert slurm.queue() == []


def runs_error(runs: Cluster, out: str) -> str:
    """What submitting once more is answered."""
    words = runs.words("submit", out, *ASKED)
    done = subprocess.run(
        words, capture_output=True, text=True, env=runs.environment, check=False, timeout=600
    )
    assert done.returncode == 2
    return done.stderr


def disturb(slurm: LocalSlurm, chance: random.Random) -> list[str]:
    """End a task or a node at random; what was done, nothing where nothing ran."""
    running = [line.split() for line in slurm.queue() if " RUNNING " in line]
    if not running:
        return []
    task, _, node = chance.choice(running)
    deed = chance.choice(("term", "requeue", "kill"))
    if deed == "term":
        slurm.say("scancel", "--signal=TERM", task, check=False)
    elif deed == "requeue":
        slurm.say("scontrol", "requeue", task, check=False)
    else:
        slurm.kill_node(node)
        time.sleep(1)
        slurm.start_node(node)
    return [f"{deed} {task} on {node}"]


def test_whatever_ends_tasks_no_cell_is_lost_doubled_or_called_crash(
    runs: Cluster, slurm: LocalSlurm
) -> None:
    chance = random.Random(MOMENTS)  # noqa: S311 - moments are no secret
    deeds, turn = list[str](), 0
    while len(deeds) < MOMENTS:
        turn += 1
        runs.say(runs.words("submit", f"disturbed{turn}", *ASKED))
        while slurm.queue() and len(deeds) < MOMENTS:
            time.sleep(chance.uniform(0.5, 7))
            deeds += disturb(slurm, chance)
        until(lambda: not slurm.queue(), 600)
        sys.stdout.write(f"{turn}: {deeds}\n")
        sys.stdout.flush()
        runs.require_whole(f"disturbed{turn}")


def test_a_cancelled_run_stays_cancelled_and_the_same_command_goes_on(
    runs: Cluster, slurm: LocalSlurm
) -> None:
    folder = runs.home / "cancelled"
    runs.say(runs.words("submit", "cancelled", *ASKED))
    until(lambda: any((folder / PARTS).glob("*/cells.jsonl")))
    slurm.say("scancel", "--user=root")
    until(lambda: not slurm.queue())
    time.sleep(5)
    assert slurm.queue() == []
    runs.say(runs.words("submit", "cancelled", *ASKED))
    until(lambda: not slurm.queue(), 600)
    runs.require_whole("cancelled")

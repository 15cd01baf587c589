"""`submit --executor ray` on a real Ray cluster of two nodes, of which one dies in mid-run."""

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
from local_ray import VARIABLES, ray_cluster, tell

from bench.records.parts import SHARDS as PARTS

pytestmark = [pytest.mark.ray, pytest.mark.slow]
DEATHS = int(os.environ.get("RAY_DEATHS", "3"))
ASKED = ("--executor", "ray", "-n", str(SHARDS))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The run."""
    return cluster(tmp_path_factory.mktemp("runs")).changed(**VARIABLES)


def begun(runs: Cluster, out: str, address: str) -> subprocess.Popen[str]:
    """Submit, and wait until cells are rendered."""
    process = subprocess.Popen(
        runs.words("submit", out, *ASKED, "--address", address),
        env=runs.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    last = time.monotonic() + 120
    while process.poll() is None and not any((runs.home / out / PARTS).glob("*/cells.jsonl")):
        assert time.monotonic() < last
        time.sleep(0.1)
    return process


def test_a_node_that_dies_for_good_leaves_its_tasks_to_the_other(runs: Cluster) -> None:
    with ray_cluster(runs.environment) as (address, nodes):
        process = begun(runs, "lost", address)
        time.sleep(1)
        tell(nodes, "remove")
        shown, _ = process.communicate(timeout=600)
    assert process.returncode == 0, shown
    assert f"of {CELLS} cells, 0 of {SHARDS} tasks ended" in shown
    runs.require_whole("lost")


def test_whenever_nodes_die_no_cell_is_lost_doubled_or_called_crash(runs: Cluster) -> None:
    chance = random.Random(DEATHS)  # noqa: S311 - moments are no secret
    deaths, turn = 0, 0
    with ray_cluster(runs.environment) as (address, nodes):
        while deaths < DEATHS:
            turn += 1
            process = begun(runs, f"disturbed{turn}", address)
            while process.poll() is None:
                time.sleep(chance.uniform(0.5, 8))
                if deaths < DEATHS and process.poll() is None:
                    tell(nodes, "replace")
                    deaths += 1
            shown, _ = process.communicate(timeout=600)
            sys.stdout.write(f"{turn}: {deaths} deaths\n")
            assert process.returncode == 0, shown
            runs.require_whole(f"disturbed{turn}")


def test_an_end_of_the_submission_ends_the_tasks_and_the_same_command_goes_on(
    runs: Cluster,
) -> None:
    with ray_cluster(runs.environment) as (address, _nodes):
        process = begun(runs, "ended", address)
        process.terminate()
        shown, _ = process.communicate(timeout=120)
        assert process.returncode == 143, shown
        runs.say(runs.words("submit", "ended", *ASKED, "--address", address))
    runs.require_whole("ended")


def test_a_cluster_that_is_not_there_is_said(runs: Cluster) -> None:
    done = subprocess.run(
        runs.words("submit", "nowhere", *ASKED, "--address", "127.0.0.1:1"),
        env=runs.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 2
    assert "the Ray cluster at 127.0.0.1:1 cannot be used" in done.stderr

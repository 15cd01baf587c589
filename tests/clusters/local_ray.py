"""A Ray cluster of two nodes on this machine, of which the second can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

VARIABLES = {"RAY_USAGE_STATS_ENABLED": "0"}
# The cluster has a process of its own: it kills and starts its second node when it is told to.
NODES = """
import json, sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
second = cluster.add_node(num_cpus=1)
print(json.dumps(cluster.address), flush=True)
for line in sys.stdin:
    if line == "end\\n":
        break
    cluster.remove_node(second, allow_graceful=False)
    if line == "replace\\n":
        second = cluster.add_node(num_cpus=1)
    print(json.dumps(line), flush=True)
cluster.shutdown()
"""


@contextmanager
def ray_cluster(environment: Mapping[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A cluster of two nodes with one core each: its address, and the process that obeys."""
    nodes = subprocess.Popen(
        [sys.executable, "-c", NODES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        yield answer(nodes), nodes
    finally:
        nodes.communicate("end\n", timeout=120)


def answer(nodes: subprocess.Popen[str]) -> str:
    """The next line of the cluster that is its own."""
    assert nodes.stdout is not None
    for line in nodes.stdout:
        if line.startswith('"'):
            return str(json.loads(line))
    raise AssertionError("the cluster has ended")


def tell(nodes: subprocess.Popen[str], word: str) -> None:
    """Give the cluster an order and wait until it is done."""
    assert nodes.stdin is not None
    nodes.stdin.write(f"{word}\n")
    nodes.stdin.flush()
    answer(nodes)

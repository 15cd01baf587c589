"""Which hub checkpoints a suite needs, and whether they are here."""

from __future__ import annotations

import shlex

from bench.api import CheckpointError, HubCheckpoint
from bench.plan.plan import entry_of
from bench.plan.suite import Suite, suites
from bench.plugins.catalog import find_metric
from bench.plugins.checkpoints import checkpoint_table, checkpoints_of
from bench.weights import fetch_line, is_here


def checkpoints_of_suite(suite: Suite) -> tuple[HubCheckpoint, ...]:
    """The hub checkpoints of all methods, controls and metrics of a suite, each once."""
    entries = [entry_of(choice, suite) for choice in suite.choices]
    entries += [find_metric(name) for name in suite.metrics]
    found = [held for entry in entries for held in checkpoints_of(entry, suite.profile)]
    return tuple(dict.fromkeys(found))


def fetch_target(suite: Suite, checkpoint: HubCheckpoint) -> str:
    """The word by which `fetch` gets a checkpoint of a suite, as a shell takes it.

    It is its title or, where the settings of a metric name it, that metric.
    """
    if checkpoint.title in checkpoint_table():
        return checkpoint.title
    naming = [
        name
        for name in suite.metrics
        if checkpoint in checkpoints_of(find_metric(name), suite.profile)
    ]
    return shlex.quote(naming[0]) if naming else checkpoint.title


def require_checkpoints(suite: Suite) -> None:
    """Stop before any work where a run would lack a checkpoint.

    Raises:
        CheckpointError: Some are missing; the message gives their sizes and the command.
    """
    absent = [needed for needed in checkpoints_of_suite(suite) if not is_here(needed)]
    if not absent:
        return
    listed = ", ".join(f"{c.title} ({c.bytes / 1e9:.1f} GB)" for c in absent)
    known = suite.name in suites()
    targets = [suite.name] if known else [fetch_target(suite, c) for c in absent]
    raise CheckpointError(
        f"suite {suite.name}: {listed} not in the local cache; profile {suite.profile} needs "
        f"{'it' if len(absent) == 1 else 'them'}. Fetch once: `{fetch_line(*targets)}`; without "
        "--accept-licences that shows sizes, licences and the hub client's own commands."
    )

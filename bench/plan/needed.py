"""Which hub checkpoints a suite needs, and whether they are here."""

from __future__ import annotations

from bench.api import CheckpointError, HubCheckpoint
from bench.plan.suite import Suite, suites
from bench.plugins.catalog import find_method, find_metric
from bench.plugins.checkpoints import checkpoints_of
from bench.weights import fetch_line, is_here


def checkpoints_of_suite(suite: Suite) -> tuple[HubCheckpoint, ...]:
    """The hub checkpoints of all methods, controls and metrics of a suite, each once."""
    entries = [find_method(choice.name) for choice in suite.choices]
    entries += [find_metric(name) for name in suite.metrics]
    found = [held for entry in entries for held in checkpoints_of(entry, suite.profile)]
    return tuple(dict.fromkeys(found))


def require_checkpoints(suite: Suite) -> None:
    """Stop before any work where a run would lack a checkpoint.

    Raises:
        CheckpointError: Some are missing; the message gives their sizes and the command.
    """
    absent = [needed for needed in checkpoints_of_suite(suite) if not is_here(needed)]
    if not absent:
        return
    listed = ", ".join(f"{c.title} ({c.bytes / 1e9:.1f} GB)" for c in absent)
    targets = [suite.name] if suite.name in suites() else [c.title for c in absent]
    raise CheckpointError(
        f"suite {suite.name}: {listed} not in the local cache; profile {suite.profile} needs "
        f"{'it' if len(absent) == 1 else 'them'}. Fetch once: `{fetch_line(*targets)}`; without "
        "--accept-licences that shows sizes, licences and the hub client's own commands."
    )

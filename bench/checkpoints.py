"""Which hub checkpoints a method, metric or suite needs, and whether they are here.

A family keeps its checkpoints as data in the module of its `describe` function, under
`HUB_CHECKPOINTS`; `ProfileInfo.weights` names those that a profile loads.
"""

from __future__ import annotations

import importlib

from bench.api import CheckpointError, Entry, Profile
from bench.catalog import describe, find_method, find_metric, methods, metrics
from bench.download import is_here
from bench.suite import Suite, suites
from bench.weights import HubCheckpoint, fetch_line

__all__ = [
    "checkpoint_table",
    "checkpoints_of",
    "checkpoints_of_suite",
    "is_here",
    "require_checkpoints",
]


def checkpoint_table() -> dict[str, HubCheckpoint]:
    """Every hub checkpoint of the catalogs, by its title."""
    entries = [*methods().values(), *metrics().values()]
    return {found.title: found for entry in entries for found in _declared(entry)}


def checkpoints_of(entry: Entry, profile: Profile = "full") -> tuple[HubCheckpoint, ...]:
    """The hub checkpoints that a method or metric loads in a profile."""
    if entry.describe is None:
        return ()
    used = describe(entry, profile).weights
    return tuple(found for found in _declared(entry) if found.name in used)


def checkpoints_of_suite(suite: Suite) -> tuple[HubCheckpoint, ...]:
    """The hub checkpoints of all methods, controls and metrics of a suite, each once."""
    entries = [find_method(choice.name) for choice in suite.choices]
    entries += [find_metric(name) for name in suite.metrics]
    found = [held for entry in entries for held in checkpoints_of(entry, suite.profile)]
    return tuple(dict.fromkeys(found))


def _declared(entry: Entry) -> tuple[HubCheckpoint, ...]:
    place = (entry.describe or "").rpartition(":")[0]
    if not place or place.endswith(".py"):
        return ()
    return tuple(getattr(importlib.import_module(place), "HUB_CHECKPOINTS", ()))


def require_checkpoints(suite: Suite) -> None:
    """Stop before any work where a run would lack a checkpoint.

    Raises:
        CheckpointError: Some are not here; the message has their sizes and the command.
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

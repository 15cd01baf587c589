"""Which hub checkpoints a method, metric or suite needs, and whether they are here.

A family keeps its checkpoints as data in the module of its `describe` function, under
`HUB_CHECKPOINTS`; `ProfileInfo.weights` names those that a profile loads.
"""

from __future__ import annotations

import importlib

from bench.api import Entry, Profile
from bench.plugins.catalog import describe, methods, metrics
from bench.weights import HubCheckpoint


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


def _declared(entry: Entry) -> tuple[HubCheckpoint, ...]:
    place = (entry.describe or "").rpartition(":")[0]
    if not place or place.endswith(".py"):
        return ()
    return tuple(getattr(importlib.import_module(place), "HUB_CHECKPOINTS", ()))

"""Which published checkpoints a method or metric needs.

`ProfileInfo.checkpoints` holds those that it can be told to load, `ProfileInfo.weights` names those
that it does load.
"""

from __future__ import annotations

from typing import get_args

from bench.api import Entry, HubCheckpoint, Profile
from bench.plugins.catalog import describe, methods, metrics


def checkpoint_table() -> dict[str, HubCheckpoint]:
    """Every published checkpoint of the catalogs, by its title."""
    infos = [
        describe(entry, profile)
        for entry in (*methods().values(), *metrics().values())
        for profile in get_args(Profile)
    ]
    return {found.title: found for info in infos for found in info.checkpoints}


def checkpoints_of(entry: Entry, profile: Profile = "full") -> tuple[HubCheckpoint, ...]:
    """The published checkpoints that a method or metric loads in a profile."""
    info = describe(entry, profile)
    return tuple(found for found in info.checkpoints if found.name in info.weights)

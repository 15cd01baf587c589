"""Noting what a call changes although it should not, and what it reads without saying so."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.api import Audio, Entry, Profile
from bench.checkout import CHECKOUT
from bench.plugins.catalog import describe
from bench.plugins.environments import FILES, project_of
from bench.plugins.own_files import own_data, own_files, watching_files


@dataclass(slots=True)
class SideEffects:
    """Changes that calls have made, in words, in the order in which they were seen.

    Attributes:
        surroundings: Changes of the working directory and of global random generators.
        inputs: Inputs that were written to.
    """

    surroundings: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)

    @contextmanager
    def watch(self, call: str, inputs: Mapping[str, object]) -> Iterator[None]:
        """Note the changes of one call; a working directory that was left is entered again.

        Args:
            call: The name of the call.
            inputs: What the call is given, by the name that it has in words.
        """
        folder, before, given = Path.cwd(), _surroundings(), _digests(inputs)
        try:
            yield
        finally:
            self.surroundings += [f"{call} changed {what}" for what in _unlike(before)]
            self.inputs += [
                f"{call} wrote to {name}"
                for name, digest in _digests(inputs).items()
                if digest != given[name]
            ]
            os.chdir(folder)


class Reading:
    """Files of a plug-in's own that it opens while it works, although it declares them nowhere.

    Args:
        entry: The plug-in; it is imported here.
        profile: Which weights it loads.
    """

    def __init__(self, entry: Entry, profile: Profile) -> None:
        self._place = entry.target.rpartition(":")[0]
        project = project_of(entry)  # its lock is part of the identity
        described = set() if project is None else {project / name for name in FILES}
        self._known = described | {Path(path) for path, *_ in own_files(self._place)}
        self._weights = [
            (CHECKOUT / name).resolve()
            for name in describe(entry, profile).weights
            if not name.startswith("hub:")
        ]
        self._opened: set[Path] = set()

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note what a block opens."""
        with watching_files() as opened:
            yield
        self._opened |= opened

    @property
    def undeclared(self) -> list[Path]:
        """The files that were opened and are neither among those of its code nor weights."""
        return [
            path
            for path in sorted(own_data(self._opened, self._place) - self._known)
            if not any(path.is_relative_to(weights) for weights in self._weights)
        ]

    def fault(self) -> str | None:
        """What is undeclared, in words."""
        found = [path.name for path in self.undeclared]
        return f"it reads {', '.join(found)}, which is not among its weights" if found else None


def _surroundings() -> dict[str, str]:
    """Digests of what belongs to the whole process; of torch's generator where torch is loaded."""
    facts: dict[str, object] = {
        "the working directory": str(Path.cwd()),
        "the global generator of `random`": random.getstate(),
        "the global generator of numpy": np.random.get_state(),  # noqa: NPY002 - only its state is read
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["the global generator of torch"] = torch.get_rng_state().numpy().tobytes()
    return {name: _digest(fact) for name, fact in facts.items()}


def _unlike(before: Mapping[str, str]) -> list[str]:
    after = _surroundings()
    return [name for name, digest in before.items() if after.get(name) != digest]


def _digests(values: Mapping[str, object]) -> dict[str, str]:
    return {name: _digest(value) for name, value in values.items()}


def _digest(value: object) -> str:
    if isinstance(value, Audio):
        return value.digest
    return hashlib.sha256(pickle.dumps(value)).hexdigest()

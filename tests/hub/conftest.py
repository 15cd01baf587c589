"""A hub with tiny checkpoints, and machines that fetch from it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tiny
from machines import CLAP, CLAP_COMMIT, MUSICGEN, RIFFUSION, Machine
from server import Hub, Repository, serving


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Repository]:
    """The three repositories of suite table2, tiny."""
    scratch = tmp_path_factory.mktemp("tiny")
    return {
        RIFFUSION: Repository(tiny.riffusion()),
        MUSICGEN: Repository(tiny.musicgen(scratch / "musicgen")),
        CLAP: Repository(tiny.clap(scratch / "clap"), commit=CLAP_COMMIT),
    }


@pytest.fixture
def hub(repositories: dict[str, Repository]) -> Iterator[Hub]:
    """A hub of one's own, to be broken at will."""
    with serving(deepcopy(repositories)) as running:
        yield running


@pytest.fixture
def machine(hub: Hub, tmp_path: Path) -> Machine:
    """A machine with empty caches."""
    return Machine(tmp_path, hub.url)


@pytest.fixture(scope="session")
def equipped(
    repositories: dict[str, Repository], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], tuple[Machine, Hub, subprocess.CompletedProcess[str]]]:
    """A machine on which everything was fetched once, with the hub's memory of it."""
    home = tmp_path_factory.mktemp("equipped")
    with serving(deepcopy(repositories)) as running:
        machine = Machine(home, running.url)
        done = machine.fetch(RIFFUSION, MUSICGEN, CLAP)
    return lambda: (machine, running, done)

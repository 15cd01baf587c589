"""A hub with tiny checkpoints, and machines that fetch from it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import forked
import tiny
from forked import Forker
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


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    """Begins processes for less than a start of Python costs."""
    with forked.at_work() as working:
        yield working


@pytest.fixture
def machine(hub: Hub, tmp_path: Path, forker: Forker) -> Machine:
    """A machine with empty caches."""
    return Machine(tmp_path, hub.url, forker)


@pytest.fixture(scope="session")
def equipped(
    repositories: dict[str, Repository],
    tmp_path_factory: pytest.TempPathFactory,
    forker: Forker,
) -> Callable[[], tuple[Machine, Hub, subprocess.CompletedProcess[str]]]:
    """A machine on which everything was fetched once, with the hub's memory of it.

    That one fetch is a process of its own from the start, as a user's is.
    """
    home = tmp_path_factory.mktemp("equipped")
    with serving(deepcopy(repositories)) as running:
        done = Machine(home, running.url).fetch(RIFFUSION, MUSICGEN, CLAP)
        machine = Machine(home, running.url, forker)
    return lambda: (machine, running, done)

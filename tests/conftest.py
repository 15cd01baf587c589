"""What every test shares: an offline, private surrounding and the bundled clips."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from bench import errors
from bench.api import Audio, Clip
from bench.audio import read_audio

# This file has no examples, and importing it takes a second: it prepares a server for forks.
collect_ignore = ["faults/warmed.py"]
CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))  # for `from tests import rounding`, however pytest is started
FORKING = "tests/faults/"
MINI = CHECKOUT / "datasets" / "mini"

ClipReader = Callable[[str, float], Clip]


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests wait for processes, disks and limits now and then.

    Two more took a seventh longer on two cores, one after the other in turns.
    """
    return 1 + (os.cpu_count() or 1)


class ByServer(LoadFileScheduling):
    """Each file goes to one process, and all of `tests/faults` to the same.

    They fork whole runs from a server that has imported every library, which takes as long as ten
    of those runs: one server is enough.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return FORKING if file.startswith(FORKING) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServer | None:  # noqa: ANN401 - xdist's own
    """Where files go together at all."""
    return ByServer(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path,
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Files of tests have no examples; looking for them took a fifth of the collection."""
    found = yield
    return [
        one for one in found if type(one) is pytest.Module or not file_path.name.startswith("test_")
    ]


def pytest_collection() -> None:
    """Nearly nothing that is imported and collected is garbage: none is looked for meanwhile."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What has been imported stays until the end: no garbage is to be looked for in it.

    Nor often in what the tests import: each search walks through all of it, and searches took a
    sixth of the time of some tests, on a machine where memory is slow.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    gc.enable()


@pytest.fixture
def obeying(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process ends by signals as a command does, and forgets afterwards what it was asked."""
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(errors, "_came", [])
    # A shell that starts the tests in its background lets them ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    errors.end_when_asked()
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def surrounding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No network and no cache of the user's: a test sees only the checkout."""
    private = {
        "HF_HUB_OFFLINE": "1",
        "BENCH_CACHE": str(tmp_path_factory.mktemp("bench-cache")),
    }
    former = {name: os.environ.get(name) for name in private}
    os.environ.update(private)
    yield
    for name, value in former.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the repository."""
    return CHECKOUT


@pytest.fixture(scope="session")
def bundled() -> ClipReader:
    """Reads a clip of the mini dataset by its path without suffix, cut to some seconds."""

    def read(name: str, seconds: float) -> Clip:
        path = MINI / f"{name}.flac"
        audio: Audio = read_audio(path, duration_s=seconds)
        return Clip(path.stem, path.parent.name, audio)

    return read

"""What a plug-in does to its link, its keeper or its children costs the call, and all of it ends.

Each attack is made in a worker of its own, by `linking.py`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from driving import alive, wait_until

from bench.api import FitRequest, NoParameters, Style
from bench.failure import WorkerLostError
from bench.plugins.catalog import find_method
from bench.plugins.isolated import Isolated
from bench.plugins.process import KILLING_S, SHUTDOWN_S

LINKING = Path(__file__).with_name("linking.py")
LIMIT_S = 2.0


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where process numbers are noted."""
    monkeypatch.setenv("TOY_NOTES", str(tmp_path / "notes"))
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


def opened(notes: Path) -> Isolated:
    """The method in a worker of its own."""
    entry = find_method(f"{LINKING}:Linking")
    method = Isolated(entry, notes.parent / "log", LIMIT_S)
    method.load("mini", "cpu")
    return method


def numbers(notes: Path) -> list[int]:
    return [int(mark.name.removeprefix("pid-")) for mark in notes.glob("pid-*")]


def require_nobody_left(notes: Path) -> None:
    for number in numbers(notes):
        wait_until(lambda number=number: not alive(number), f"the end of process {number}")


def attack(notes: Path, how: str) -> WorkerLostError:
    """What a fit ends with that attacks."""
    method = opened(notes)
    request = FitRequest(Style(how, ()), NoParameters(), 1)
    with pytest.raises(WorkerLostError, match=r"the worker|took longer") as lost:
        method.fit([request], lambda *_: None)
    return lost.value


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("half", "timeout", "took longer than 2 s; no output"),
        pytest.param("flood", "timeout", "took longer than 2 s; no output", marks=pytest.mark.slow),
        ("endless", "crash", "the worker's link carried what is no answer (a message of more than"),
        ("garbage", "crash", "the worker's link carried what is no answer (no message: "),
        ("forged", "crash", "is no answer (an answer of the kind 'failed' is not known so"),
        ("shut", "crash", "the worker closed its link"),
        ("group", "crash", "the worker was ended by SIGKILL"),
        ("keeper", "crash", "the worker was ended by SIGKILL"),
        ("heir", "crash", "the worker ended with exit code 0; no output"),
        ("orphan", "crash", "the worker ended with exit code 0; no output"),
        pytest.param("children", "timeout", "took longer than 2 s", marks=pytest.mark.slow),
        ("bomb", "timeout", "took longer than 2 s"),
    ],
)
def test_an_attack_costs_the_call_and_nobody_stays(
    notes: Path, how: str, status: str, words: str
) -> None:
    begun = time.monotonic()
    failure = attack(notes, how).failure
    assert failure.status == status
    assert words in failure.reason
    assert time.monotonic() - begun < 60, "on any machine, and far below the 600 s of the attack"
    require_nobody_left(notes)
    assert len(numbers(notes)) >= {"children": 7, "orphan": 3, "heir": 3, "bomb": 4}.get(how, 2)


@pytest.mark.slow
def test_a_keeper_that_was_stopped_is_not_waited_for(notes: Path) -> None:
    begun = time.monotonic()
    assert attack(notes, "stopped").failure.status == "timeout"
    assert time.monotonic() - begun < 10 * KILLING_S
    require_nobody_left(notes)


def test_the_files_of_a_link_are_gone_after_it(
    notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(notes.parent))
    attack(notes, "garbage")
    assert not list(notes.parent.glob("bench-worker-*"))


def test_closing_ends_what_still_runs_and_may_be_done_twice(notes: Path) -> None:
    """The worker ends by itself at once; its children would sleep for ten minutes."""
    method = opened(notes)
    begun = time.monotonic()
    method.close()
    method.close()
    assert time.monotonic() - begun < 10 * (SHUTDOWN_S + KILLING_S)
    require_nobody_left(notes)


RUN = """
import sys
sys.path[:0] = [sys.argv[1]]
from pathlib import Path
from test_links import opened, FitRequest, NoParameters, Style
opened(Path(sys.argv[2])).fit([FitRequest(Style("children", ()), NoParameters(), 1)], print)
"""


def test_a_run_that_is_killed_takes_everything_along(notes: Path, checkout: Path) -> None:
    words = [sys.executable, "-c", RUN, str(LINKING.parent), str(notes)]
    process = subprocess.Popen(words, cwd=checkout)
    wait_until(lambda: len(numbers(notes)) >= 7, "the children")
    process.kill()
    process.wait()
    require_nobody_left(notes)

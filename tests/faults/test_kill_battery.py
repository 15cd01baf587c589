"""A few moments of each command of the kill battery; `make kills` has many."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from driving import Stage
from kill_battery import ENDS, Battery, Command, battery, differences, left_over, spread


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Battery]:
    """All commands; no built-in method of `run` learns, which takes seconds."""
    with battery(tmp_path_factory.mktemp("kills"), ("eq-match", "copy-style")) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "number", "shares"),
    [
        pytest.param("run", signal.SIGKILL, (0.6,), marks=pytest.mark.slow),
        pytest.param("run", signal.SIGTERM, (0.4,), marks=pytest.mark.slow),
        pytest.param("run beside the device", signal.SIGTERM, (0.7,), marks=pytest.mark.slow),
        pytest.param("run in one chunk", signal.SIGKILL, (0, 0, 0), marks=pytest.mark.slow),
        pytest.param("run of a shard", signal.SIGTERM, (0.5,), marks=pytest.mark.slow),
        ("merge", signal.SIGKILL, (0.6,)),
        ("outputs template", signal.SIGTERM, (0.5,)),
        pytest.param("judge", signal.SIGKILL, (0.6,), marks=pytest.mark.slow),
        ("report", signal.SIGKILL, (0.6,)),
        ("baseline", signal.SIGTERM, (0.5,)),
        ("fit export", signal.SIGKILL, (0.8,)),
        ("init ci", signal.SIGKILL, (0.9,)),
        pytest.param("fetch", signal.SIGKILL, (0.7,), marks=pytest.mark.slow),
        ("board", signal.SIGKILL, (0.9,)),
        ("listen import", signal.SIGINT, (0.6,)),
    ],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else None,
)
def test_a_command_finishes_what_a_signal_has_ended(
    trial: Battery, name: str, number: signal.Signals, shares: tuple[float, ...]
) -> None:
    outcome = trial.interrupt(name, number, shares)
    assert outcome.wrong == ()
    assert outcome.moments == len(shares)


def test_every_command_is_asked_here(trial: Battery) -> None:
    (mark,) = (
        mark
        for mark in test_a_command_finishes_what_a_signal_has_ended.pytestmark  # type: ignore[attr-defined] # pytest's
    )
    cases = [getattr(case, "values", case) for case in mark.args[1]]
    assert {case[0] for case in cases} == set(trial.commands)
    assert {case[1] for case in cases} == set(ENDS)


def test_moments_are_spread_over_the_whole_duration() -> None:
    shares = spread(random.Random(0), 4, 3)  # noqa: S311 - no secret
    assert [len(row) for row in shares] == [3] * 4
    assert sorted(int(share * 12) for row in shares for share in row) == list(range(12))


def test_what_is_missing_too_much_or_unequal_is_named() -> None:
    found = differences({"a": 1, "b": 2, "c": b"x"}, {"b": 2, "c": b"y", "d.part": "a file"})
    assert found == ["a is missing", "c differs", "d.part was left"]


def test_what_is_made_otherwise_after_a_signal_is_told(tmp_path: Path) -> None:
    number = count()
    words = Command(lambda _: ["--version"], lambda _: None, lambda _: {"n": next(number)})
    outcome = Battery(Stage(tmp_path), {"version": words}).interrupt(
        "version", signal.SIGKILL, (0.5,)
    )
    assert outcome.wrong == ("n differs",)


def test_a_process_that_outlives_the_command_is_found(tmp_path: Path) -> None:
    asleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(asleep, env=os.environ | {"TMPDIR": str(tmp_path / "tmp")}) as process:
        (found,) = left_over(tmp_path, patience_s=0.1)
        process.kill()
    assert "time.sleep(60)" in found
    assert left_over(tmp_path) == []

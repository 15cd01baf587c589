"""Ctrl-C and SIGTERM in every stage, kill -9 at random moments: nothing lost, nothing doubled.

After any of them the same command, without `--retry`, finishes the run, and its tables are those of
an uninterrupted one.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from driving import RUDE, Stage, alive, ended, methods, wait_until

from bench.batching import OVERLAP_VARIABLE
from bench.files import turn
from bench.records.schema import CellRecord, ScoreRecord
from bench.records.store import read

THREE = methods("Steady", "Softer", "Louder")
KILLS, KILLS_BY_DEFAULT = 50, 1
PACE_S = 0.05
TERM = signal.SIGTERM


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A stage with one uninterrupted run of three methods, `run`."""
    stage = Stage(tmp_path_factory.mktemp("interrupts"))
    assert stage.run(*THREE, "--no-isolate") == 0
    return stage


def interrupted(process: ForkServerProcess, *numbers: signal.Signals) -> int:
    """The exit code after some signals, by default a Ctrl-C."""
    for number in numbers or (signal.SIGINT,):
        os.kill(int(process.pid or 0), number)
    return ended(process)


def require_resumed(stage: Stage, out: str, *options: str) -> None:
    """The same command finishes, and the tables are those of the uninterrupted run."""
    assert stage.run(*THREE, *options, out=out) == 0
    stage.require_whole(out)
    assert stage.tables(out) == stage.tables()


def paused(stage: Stage, moment: str, option: str, out: str) -> ForkServerProcess:
    """A run that waits at a moment."""
    mark = stage.notes / f"paused-{moment}"
    mark.unlink(missing_ok=True)
    process = stage.start(*THREE, option, out=out, TOY_PAUSE=moment)
    wait_until(mark.exists, f"the run to reach {moment}")
    return process


@pytest.mark.parametrize(
    ("moment", "option"),
    [
        pytest.param("prepare", "--no-isolate", marks=pytest.mark.slow),
        ("fit", "--isolate"),
        pytest.param("fit", "--no-isolate", marks=pytest.mark.slow),
        pytest.param("transfer", "--isolate", marks=pytest.mark.slow),
        pytest.param("transfer", "--no-isolate", marks=pytest.mark.slow),
        pytest.param("score", "--no-isolate", marks=pytest.mark.slow),
    ],
)
def test_an_interrupt_ends_with_130_and_the_run_goes_on(
    stage: Stage, moment: str, option: str
) -> None:
    out = f"{moment}{option}"
    assert interrupted(paused(stage, moment, option, out)) == 130
    assert "run the same command again to go on" in stage.said(out)
    assert "Traceback" not in stage.said(out)
    stage.require_nobody_left()
    require_resumed(stage, out, option)


def test_an_interrupt_while_the_report_is_written(stage: Stage) -> None:
    with held_before_report(stage, "halted") as process:
        assert interrupted(process) == 130
    assert not (stage.home / "halted" / "report").exists()
    require_resumed(stage, "halted", "--no-isolate")


@contextmanager
def held_before_report(stage: Stage, out: str) -> Iterator[ForkServerProcess]:
    """A run that has every score and waits for its turn to write the report, which is ours."""
    folder = stage.home / out
    folder.mkdir()
    with turn(folder) as alone:
        assert alone
        process = stage.start(*THREE, "--no-isolate", out=out)
        wait_until(lambda: len(read(folder / "scores.jsonl", ScoreRecord)) == 18, "all scores")
        time.sleep(0.5)
        assert process.is_alive()
        yield process


@pytest.mark.parametrize(
    ("moment", "option"),
    [
        pytest.param("prepare", "--no-isolate", marks=pytest.mark.slow),
        pytest.param("fit", "--no-isolate", marks=pytest.mark.slow),
        pytest.param("fit", "--isolate", marks=pytest.mark.slow),
        ("transfer", "--isolate"),
        pytest.param("transfer", "--no-isolate", marks=pytest.mark.slow),
        pytest.param("score", "--no-isolate", marks=pytest.mark.slow),
    ],
)
def test_a_sigterm_ends_with_143_and_the_run_goes_on(
    stage: Stage, moment: str, option: str
) -> None:
    """A cluster sends it to every process of the job, and more than once."""
    out = f"term-{moment}{option}"
    process = paused(stage, moment, option, out)
    for worker in children(int(process.pid or 0)):
        os.kill(worker, TERM)
    assert interrupted(process, TERM, TERM) == 143
    assert stage.said(out).rstrip().endswith("terminated; run the same command again to go on")
    assert "Traceback" not in stage.said(out)
    stage.require_nobody_left()
    lines = read(stage.home / out / "cells.jsonl", CellRecord)
    latest = {line.cell_id: line for line in lines}
    if moment == "transfer":
        assert [line.reason for line in latest.values()] == ["ended by SIGTERM"] * 2
    assert {line.status for line in lines} <= {"started", "cancelled", "ok"}
    require_resumed(stage, out, option)


@pytest.mark.parametrize(
    "what", ["transfer", *(pytest.param(one, marks=pytest.mark.slow) for one in ("check", "time"))]
)
def test_a_sigterm_ends_every_command_that_computes(stage: Stage, what: str) -> None:
    method, data, mark = f"{RUDE}:Steady", stage.home / "data", stage.notes / "paused-transfer"
    words = {
        "transfer": ["--method", method, "--style", str(data / "style" / "hard"), "--content",
                     str(data / "content" / "a" / "a1.wav"), "-o", str(stage.home / "o.wav")],
        "check": [method],
        "time": ["--suite", str(stage.home / "toy.toml"), "--out", str(stage.home / "t.json")],
    }[what]  # fmt: skip
    mark.unlink(missing_ok=True)
    process = stage.command(what, *words, "--device", "cpu", out=what, TOY_PAUSE="transfer")
    wait_until(mark.exists, "the transfer")
    assert interrupted(process, TERM, TERM) == 143
    assert stage.said(what).endswith("terminated; run the same command again to go on\n")
    assert "Traceback" not in stage.said(what)
    stage.require_nobody_left()


def children(number: int) -> list[int]:
    """The processes that a process has started and not waited for."""
    return [child.pid for child in psutil.Process(number).children()]


IMPORTING = {
    "long": "time.sleep(600)",
    "lost": "with contextlib.suppress(BaseException): time.sleep(600)\nraise ImportError('no io')",
}


@pytest.mark.parametrize("way", IMPORTING)
def test_a_sigterm_during_imports_says_how_to_go_on(stage: Stage, checkout: Path, way: str) -> None:
    """Before the command line is there, and in a process that has imported nothing."""
    entered = "import contextlib, sys, time; sys.stderr.write('in\\n'); sys.stderr.flush()"
    slow = stage.home / way / "click.py"
    slow.parent.mkdir()
    slow.write_text(f"{entered}\n{IMPORTING[way]}", encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "bench", "list", "methods"],
        env=os.environ | {"PYTHONPATH": str(slow.parent)},
        cwd=checkout, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert process.stderr.readline() == "in\n"
        process.terminate()
        said = process.stderr.read()
    assert process.returncode == 143
    assert said == "terminated; run the same command again to go on\n"


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), TERM])
def test_an_end_that_a_method_turns_into_an_error_is_no_fault_of_it(
    stage: Stage, number: signal.Signals
) -> None:
    """As a compiled library does that is interrupted while it is imported."""
    mark, out = stage.notes / "paused-transfer", f"lost-{number.name}"
    mark.unlink(missing_ok=True)
    process = stage.start(*THREE, "--no-isolate", out=out, TOY_PAUSE="transfer", TOY_LOSES="yes")
    wait_until(mark.exists, "the run to transfer")
    assert interrupted(process, number) == (143 if number is TERM else 130)
    lines = read(stage.home / out / "cells.jsonl", CellRecord)
    assert {line.status for line in lines} == {"started", "cancelled"}
    assert "Traceback" not in stage.said(out)
    require_resumed(stage, out, "--no-isolate")


@pytest.mark.slow
def test_a_sigterm_while_the_report_is_written(stage: Stage) -> None:
    with held_before_report(stage, "stopped") as process:
        assert interrupted(process, TERM, TERM) == 143
    assert not (stage.home / "stopped" / "report").exists()
    require_resumed(stage, "stopped", "--no-isolate")


@pytest.mark.slow
def test_several_devices_end_on_a_sigterm_to_the_parent(stage: Stage) -> None:
    """What their processes leave open they write down, and nobody is left."""
    mark = stage.notes / "paused-transfer"
    mark.unlink(missing_ok=True)
    several = ("--no-isolate", "--device", "cpu,cpu")
    process = stage.start(*THREE, *several, out="several", TOY_PAUSE="transfer")
    wait_until(mark.exists, "a share to transfer")
    workers = children(int(process.pid or 0))
    assert interrupted(process, TERM) == 143
    assert "Traceback" not in stage.said("several")
    wait_until(lambda: not any(map(alive, workers)), "the end of the shares")
    lines = read(stage.home / "several" / "cells.jsonl", CellRecord)
    latest = {line.cell_id: line.status for line in lines}
    assert set(latest.values()) == {"cancelled"}
    require_resumed(stage, "several", "--no-isolate")


@pytest.mark.slow
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), TERM])
def test_three_ends_in_one_chunk_that_were_asked_for_are_no_crash(
    stage: Stage, number: signal.Signals
) -> None:
    mark, out = stage.notes / "paused-transfer", f"thrice-{number.name}"
    for _ in range(3):
        mark.unlink(missing_ok=True)
        process = stage.start(*THREE, "--no-isolate", out=out, TOY_PAUSE="transfer")
        wait_until(mark.exists, "the run to transfer")
        assert interrupted(process, number) == (143 if number is TERM else 130)
    lines = read(stage.home / out / "cells.jsonl", CellRecord)
    assert {line.status for line in lines} == {"started", "cancelled"}
    require_resumed(stage, out, "--no-isolate")


@pytest.mark.slow
def test_two_deaths_in_one_chunk_let_a_worker_try_and_are_no_crash(stage: Stage) -> None:
    mark = stage.notes / "paused-transfer"
    for _ in range(3):  # the third is in a worker, whose parent is killed
        mark.unlink(missing_ok=True)
        process = stage.start(*THREE, "--no-isolate", out="deadly", TOY_PAUSE="transfer")
        wait_until(mark.exists, "the run to transfer")
        process.kill()
        assert ended(process) == -signal.SIGKILL
    assert "they are rendered in a worker" in stage.said("deadly")
    stage.require_nobody_left()
    require_resumed(stage, "deadly", "--no-isolate")
    lines = read(stage.home / "deadly" / "cells.jsonl", CellRecord)
    assert {line.status for line in lines} == {"started", "ok"}
    assert max(line.attempt for line in lines) == 4


def test_a_method_that_ends_this_process_twice_is_a_crash_the_third_time(stage: Stage) -> None:
    """In a worker it costs its chunk, the others are rendered here as before."""
    rude = methods("Rude[how=exit]", "Steady")
    for _ in range(2):
        assert stage.run(*rude, "--no-isolate", out="fatal") == 3  # what it exits with
    assert stage.run(*rude, "--no-isolate", out="fatal") == 5
    stage.require_whole("fatal")
    found = stage.status("fatal")
    crashed = {place for place, cell in found.items() if cell.status == "crash"}
    assert {(style, content) for _, style, content in crashed} == {("hard", "a1"), ("hard", "a2")}
    assert all("exit code 3" in str(found[place].reason) for place in crashed)
    assert {cell.status for place, cell in found.items() if place not in crashed} == {"ok"}
    assert stage.run(*rude, "--no-isolate", out="fatal") == 5  # and it is settled
    stage.require_whole("fatal")


@pytest.fixture(scope="module")
def duration_s(stage: Stage) -> float:
    """Seconds that an uninterrupted run of the kill test takes."""
    begun = time.monotonic()
    assert stage.run(*THREE, "--no-isolate", out="timed", TOY_PACE=str(PACE_S)) == 0
    return time.monotonic() - begun


@pytest.mark.parametrize(
    "kill",
    [
        *range(KILLS_BY_DEFAULT),
        *(pytest.param(n, marks=pytest.mark.slow) for n in range(KILLS_BY_DEFAULT, KILLS)),
    ],
)
def test_a_killed_run_resumes_to_the_same_tables(
    stage: Stage, duration_s: float, kill: int, request: pytest.FixtureRequest
) -> None:
    """Every second run has its methods in workers; those die with it, whatever they are doing.

    In every other pair of runs the host works beside the device, as on an accelerator.
    """
    out, option = f"killed{kill}", ("--no-isolate", "--isolate")[kill % 2]
    overlap = {OVERLAP_VARIABLE: ("on", "off")[kill // 2 % 2]}
    share = (kill + random.Random(kill).random()) / KILLS  # noqa: S311 - no secret
    if kill < KILLS_BY_DEFAULT:  # the few cover the whole run too
        share = (kill + 0.5) / KILLS_BY_DEFAULT
    process = stage.start(*THREE, option, out=out, TOY_PACE=str(PACE_S), **overlap)
    process.join(share * duration_s * (2.0 if option == "--isolate" else 1.0))
    process.kill()
    assert ended(process) in {-signal.SIGKILL, 0}
    request.node.user_properties.append(("landed", landed(stage.home / out)))
    stage.require_nobody_left()
    require_resumed(stage, out, option)


def landed(folder: Path) -> str:
    """Where in a run a kill has hit it."""
    ends = [r for r in read(folder / "cells.jsonl", CellRecord) if r.status != "started"]
    scores = read(folder / "scores.jsonl", ScoreRecord)
    if (folder / "report").exists():
        return "report"
    if not (folder / "plan.jsonl").exists():
        return "before the plan"
    return f"{len(ends)} cells, {len(scores)} scores"

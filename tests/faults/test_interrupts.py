"""Ctrl-C in every stage, and kill -9 at random moments: nothing lost, nothing doubled.

After either, the same command finishes the run, and its tables are those of an uninterrupted one.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from driving import Stage, ended, methods, wait_until

from bench.records.schema import CellRecord, ScoreRecord
from bench.records.store import read

THREE = methods("Steady", "Softer", "Louder")
KILLS, KILLS_BY_DEFAULT = 50, 3
PACE_S = 0.05


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A stage with one uninterrupted run of three methods, `run`."""
    stage = Stage(tmp_path_factory.mktemp("interrupts"))
    assert stage.run(*THREE, "--no-isolate") == 0
    return stage


def interrupted(process: ForkServerProcess) -> int:
    """The exit code after a Ctrl-C."""
    os.kill(int(process.pid or 0), signal.SIGINT)
    return ended(process)


def require_resumed(stage: Stage, out: str, *options: str) -> None:
    """The same command finishes, and the tables are those of the uninterrupted run."""
    assert stage.run(*THREE, *options, out=out) == 0
    stage.require_whole(out)
    assert stage.tables(out) == stage.tables()


@pytest.mark.parametrize(
    ("moment", "option"),
    [
        ("prepare", "--no-isolate"),
        ("fit", "--isolate"),
        pytest.param("fit", "--no-isolate", marks=pytest.mark.slow),
        ("transfer", "--isolate"),
        pytest.param("transfer", "--no-isolate", marks=pytest.mark.slow),
        ("score", "--no-isolate"),
    ],
)
def test_an_interrupt_ends_with_130_and_the_run_goes_on(
    stage: Stage, moment: str, option: str
) -> None:
    out = f"{moment}{option}"
    mark = stage.notes / f"paused-{moment}"
    mark.unlink(missing_ok=True)
    process = stage.start(*THREE, option, out=out, TOY_PAUSE=moment)
    wait_until(mark.exists, f"the run to reach {moment}")
    assert interrupted(process) == 130
    assert "run the same command again to go on" in stage.said(out)
    assert "Traceback" not in stage.said(out)
    stage.require_nobody_left()
    require_resumed(stage, out, option)


def test_an_interrupt_while_the_report_is_written(stage: Stage) -> None:
    """A pipe that nobody reads stands where the first table is written, and holds the run there."""
    report = stage.home / "halted" / "report"
    report.mkdir(parents=True)
    os.mkfifo(report / "table2.md")
    process = stage.start(*THREE, "--no-isolate", out="halted")
    scores = stage.home / "halted" / "scores.jsonl"
    wait_until(lambda: len(read(scores, ScoreRecord)) == 18, "all scores")
    time.sleep(0.5)
    assert interrupted(process) == 130
    (report / "table2.md").unlink()
    require_resumed(stage, "halted", "--no-isolate")


def test_two_interrupts_in_one_chunk_are_no_crash(stage: Stage) -> None:
    mark = stage.notes / "paused-transfer"
    for _ in range(3):
        mark.unlink(missing_ok=True)
        process = stage.start(*THREE, "--no-isolate", out="twice", TOY_PAUSE="transfer")
        wait_until(mark.exists, "the run to transfer")
        assert interrupted(process) == 130
    lines = read(stage.home / "twice" / "cells.jsonl", CellRecord)
    assert {line.status for line in lines} == {"started", "cancelled"}
    require_resumed(stage, "twice", "--no-isolate")


def test_two_deaths_in_one_chunk_are_a_crash_until_retry(stage: Stage) -> None:
    mark = stage.notes / "paused-transfer"
    for _ in range(2):
        mark.unlink(missing_ok=True)
        process = stage.start(*THREE, "--no-isolate", out="deadly", TOY_PAUSE="transfer")
        wait_until(mark.exists, "the run to transfer")
        process.kill()
        assert ended(process) == -signal.SIGKILL
    assert stage.run(*THREE, "--no-isolate", out="deadly") == 5
    crashed = [cell for cell in stage.status("deadly").values() if cell.status == "crash"]
    assert len(crashed) == 2
    assert "the process ended 2 times in this cell" in str(crashed[0].reason)
    assert stage.run(*THREE, "--no-isolate", "--retry", out="deadly") == 0
    assert stage.tables("deadly") == stage.tables()


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
    """Every second run has its methods in workers; those die with it, whatever they are doing."""
    out, option = f"killed{kill}", ("--no-isolate", "--isolate")[kill % 2]
    share = (kill + random.Random(kill).random()) / KILLS  # noqa: S311 - no secret
    if kill < KILLS_BY_DEFAULT:  # the few cover the whole run too
        share = (kill + 0.5) / KILLS_BY_DEFAULT
    process = stage.start(*THREE, option, out=out, TOY_PACE=str(PACE_S))
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

"""Methods that break their promises: each costs one cell or one chunk, and nobody else's results.

One run holds a steady method, a control and every kind of misbehaviour; another, with a time
limit, the kinds that hang.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from driving import RUDE, Stage, methods

from bench.outside.wording import LONGEST
from bench.plugins.log import LOG_LIMIT_BYTES

CELL = ("hard", "a1")
CHUNK = {CELL, ("hard", "a2")}
LONE_FAULTS = ("raise", "mute", "leave", "length", "rate", "infinite", "stereo", "memory")
DEATHS = ("segfault", "exit", "kill")
HARMLESS = ("flood", "fork", "stroll")
FITS = ("raise", "exit")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("misbehaviour"))


@pytest.fixture(scope="module")
def steady(stage: Stage) -> Stage:
    """A run without misbehaviour, in one process."""
    both = f"{RUDE}:Steady,mix"
    assert stage.run("--methods", both, "--no-isolate", out="steady") == 0
    return stage


@pytest.fixture(scope="module")
def battery(steady: Stage) -> Stage:
    """All kinds of misbehaviour in one run, before and after them the steady ones."""
    kinds = "|".join((*LONE_FAULTS, *DEATHS, *HARMLESS, "fewer"))
    rude = f"{RUDE}:Rude[how={kinds}],{RUDE}:Rude[fit={'|'.join(FITS)}]"
    assert steady.run("--methods", f"mix,{rude},{RUDE}:Steady", out="battery") == 5
    return steady


def failures(stage: Stage, label: str, out: str = "battery") -> dict[tuple[str, str], str]:
    """Status by (style, content) of the cells of one method that are not ok."""
    cells = stage.status(out)
    return {key[1:]: c.status for key, c in cells.items() if key[0] == label and c.status != "ok"}


@pytest.mark.parametrize("how", LONE_FAULTS)
def test_a_fault_costs_one_cell(battery: Stage, how: str) -> None:
    named = dict.fromkeys(("raise", "mute", "leave"), "error") | {"memory": "oom"}
    expected = named.get(how, "invalid_output")
    assert failures(battery, f"Rude[how={how}]") == {CELL: expected}


@pytest.mark.parametrize("how", DEATHS)
def test_a_death_costs_one_chunk_and_is_named(battery: Stage, how: str) -> None:
    assert failures(battery, f"Rude[how={how}]") == dict.fromkeys(CHUNK, "crash")
    reason = str(battery.status("battery")[f"Rude[how={how}]", *CELL].reason)
    cause = {"segfault": "SIGSEGV", "exit": "exit code 3", "kill": "SIGKILL"}[how]
    assert cause in reason
    assert reason.endswith(f"its last output: about to {how}")


@pytest.mark.parametrize("how", HARMLESS)
def test_bad_manners_harm_nothing(battery: Stage, how: str) -> None:
    assert failures(battery, f"Rude[how={how}]") == {}


def test_too_few_outputs_are_asked_for_again_singly(battery: Stage) -> None:
    assert failures(battery, "Rude[how=fewer]") == {}


def test_a_fit_that_fails_costs_its_style(battery: Stage) -> None:
    cells = {("hard", name) for name in ("a1", "a2", "b1")}
    assert failures(battery, "Rude[fit=raise]") == dict.fromkeys(cells, "error")
    assert failures(battery, "Rude[fit=exit]") == dict.fromkeys(cells, "crash")


def test_the_others_get_the_results_that_they_get_alone(battery: Stage) -> None:
    alone, among = battery.status("steady"), battery.status("battery")
    assert len(alone) == 12
    assert {key: among[key].audio_digest for key in alone} == {
        key: cell.audio_digest for key, cell in alone.items()
    }


def test_every_cell_has_one_ending_and_a_second_call_adds_none(battery: Stage) -> None:
    battery.require_whole("battery")
    before = battery.tables("battery")
    log = battery.home / "battery" / "cells.jsonl"
    size = log.stat().st_size
    header = battery.load("battery").header
    labels = ",".join(method.label for method in header.methods)
    assert battery.run("--methods", labels, out="battery") == 5
    assert log.stat().st_size == size
    assert battery.tables("battery") == before


def test_megabytes_of_output_leave_a_short_log(battery: Stage) -> None:
    logs = list((battery.home / "battery" / "logs").glob("*Rude*.log"))
    assert logs
    assert all(log.stat().st_size < 1.1 * LOG_LIMIT_BYTES for log in logs)


def test_the_log_shows_where_a_worker_died(battery: Stage) -> None:
    (log,) = (battery.home / "battery" / "logs").glob("*Rude*.log")
    text = log.read_text(encoding="utf-8", errors="replace")
    assert "Segmentation fault" in text
    assert "invalid literal for int()" in text


def test_no_process_stays_behind(battery: Stage) -> None:
    battery.require_nobody_left()


def test_bad_manners_in_the_run_s_own_process_do_not_reach_the_others(steady: Stage) -> None:
    both = ("--methods", f"{RUDE}:Rude[how=stroll],{RUDE}:Steady,mix", "--no-isolate")
    assert steady.run(*both, out="together") == 0
    alone, among = steady.status("steady"), steady.status("together")
    assert {key: among[key].audio_digest for key in alone} == {
        key: cell.audio_digest for key, cell in alone.items()
    }


def test_a_worker_gives_the_same_bytes_as_the_run_s_own_process(steady: Stage) -> None:
    both = f"{RUDE}:Steady,mix"
    assert steady.run("--methods", both, "--isolate", out="apart") == 0
    assert steady.tables("apart") == steady.tables("steady")
    assert [cell.audio_digest for cell in steady.status("apart").values()] == [
        cell.audio_digest for cell in steady.status("steady").values()
    ]


def test_what_takes_too_long_is_stopped(stage: Stage) -> None:
    # Steady needs milliseconds; what starts and loads a worker has a limit of its own.
    options = (*methods("Rude[how=hang]", "Rude[fit=hang]", "Steady"), "--timeout", "2")
    assert stage.run(*options, out="slow") == 5
    assert failures(stage, "Rude[how=hang]", "slow") == dict.fromkeys(CHUNK, "timeout")
    assert set(failures(stage, "Rude[fit=hang]", "slow").values()) == {"timeout"}
    assert {key[0] for key in failures(stage, "Rude[fit=hang]", "slow")} == {"hard"}
    assert failures(stage, "Steady", "slow") == {}
    reason = stage.status("slow")["Rude[how=hang]", *CELL].reason
    assert reason == "took longer than 2 s; its last output: about to hang"
    stage.require_whole("slow")
    stage.require_nobody_left()


def test_a_time_limit_needs_workers(stage: Stage) -> None:
    assert stage.run("--timeout", "2", "--no-isolate", out="neither") == 2
    assert "Leave one of them out" in stage.said("neither")


@pytest.mark.parametrize("isolation", ["--isolate", "--no-isolate"])
def test_shouted_words_are_one_line_and_the_rest_is_in_the_log(
    steady: Stage, isolation: str
) -> None:
    out = f"shouted{isolation}"
    kinds = f"{RUDE}:Rude[how=shout|mute]"
    assert steady.run("--methods", kinds, isolation, out=out) == 5
    reason = str(steady.status(out)["Rude[how=shout]", *CELL].reason)
    assert reason.startswith(r"ValueError: \x1b[31mred\x1b[2J\x00 half \udc80 \u202eback loud loud")
    assert len(reason) == LONGEST
    mute = str(steady.status(out)["Rude[how=mute]", *CELL].reason)
    assert mute == "MuteError: no words: they cannot be read"
    said = steady.said(out)
    assert "loud " * 80 not in said
    assert said.replace("\n", "").isprintable()
    (log,) = (steady.home / out / "logs").glob("*Rude.log")
    kept = log.read_bytes()
    assert kept.count(b"loud\n") >= 120_000
    assert b"\x1b[31mred" in kept
    assert rb"\udc80" in kept

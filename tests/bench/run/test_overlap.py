"""A run whose host works beside the device: the same results, in the same order, nothing lost.

`BENCH_OVERLAP=on` makes a run on the CPU do what it does beside an accelerator.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from noises import write_noises
from patient import AT_WORK
from small_run import RATE, Small

from bench.batching import OVERLAP_VARIABLE
from bench.cache import Cache
from bench.data.material import Material
from bench.errors import TerminatedError
from bench.records import store
from bench.records.accounts import FILE, at_work_s, device_share, read_accounts
from bench.records.schema import CellRecord
from bench.run.chunks import Writing
from bench.run.context import RunContext
from bench.run.outbox import Outbox
from bench.run.request import RunRequest, prepare
from bench.run.runner import note_session, render
from bench.run.studio import open_studio

PATIENCE_S = 60.0
PATIENT = Path(__file__).with_name("patient.py")
CHUNKS, SIZE = 4, 2


def ends(small: Small) -> list[tuple[str, str, str | None]]:
    """Cell, status and audio of every ending, as they stand in the file."""
    lines = [line for line in small.lines("cells.jsonl") if line["status"] != "started"]
    return [(line["cell_id"], line["status"], line["audio_digest"]) for line in lines]


def test_what_overlaps_makes_the_same_records_in_the_same_order(
    finished: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OVERLAP_VARIABLE, "on")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    beside = Small(tmp_path)
    (tmp_path / "small.toml").write_bytes((finished.home / "small.toml").read_bytes())
    assert beside.run() == 0
    assert beside.sounds() == finished.sounds()
    assert ends(beside) == ends(finished)
    assert [cell for cell, _, _ in ends(beside)] == [cell.cell_id for cell in beside.load().plan]
    unlike = ("score_s", "schema_version")
    scores = [
        [{k: v for k, v in line.items() if k not in unlike} for line in each.lines("scores.jsonl")]
        for each in (beside, finished)
    ]
    assert scores[0] == scores[1]
    assert beside.run() == 0  # nothing is left to do
    assert ends(beside) == ends(finished)


@pytest.mark.parametrize(("asked", "ahead"), [("on", CHUNKS - 1), ("off", 0)])
def test_all_chunks_but_the_first_are_read_and_all_but_the_last_written_beside_the_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, ahead: int
) -> None:
    """Counted, not timed: where work overlaps, each call of the method waits for what is beside."""
    monkeypatch.setenv(OVERLAP_VARIABLE, asked)
    context, work = prepared(tmp_path)
    log, seen = context.folder / "cells.jsonl", []

    def look() -> None:
        call = len(seen)

        def next_one_is_read() -> bool:
            known = context.material.content.cache_info().currsize
            return call + 1 < CHUNKS and known >= SIZE * (call + 2)

        def former_is_written() -> bool:
            ended = [one for one in store.read(log, CellRecord) if one.status == "ok"]
            return call > 0 and len(ended) == SIZE * call

        if asked == "on":
            wait_until(lambda: call + 1 == CHUNKS or next_one_is_read())
            wait_until(lambda: call == 0 or former_is_written())
        seen.append((next_one_is_read(), former_is_written()))

    AT_WORK.append(look)
    try:
        settled = render(context, *work)
    finally:
        AT_WORK.remove(look)
    assert {record.status for record in settled.values()} == {"ok"}
    read, written = zip(*seen, strict=True)
    assert (len(seen), sum(read), sum(written)) == (CHUNKS, ahead, CHUNKS - 1)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_the_account_of_a_run_adds_up_and_says_what_the_device_did(tmp_path: Path) -> None:
    context, work = prepared(tmp_path)
    render(context, *work)
    note_session(context)
    (account,) = read_accounts(context.folder)
    parts = [seconds for stage, seconds in account.items() if stage != "total"]
    assert sum(parts) == pytest.approx(account["total"], abs=1e-3 * len(account))
    assert min(parts) >= 0
    label = f"{PATIENT}:Patient"
    verbs = ("load", "fit", "transfer")
    assert set(account) == {*(f"{verb} {label}" for verb in verbs), "prepare", "other", "total"}
    worked = account[f"fit {label}"] + account[f"transfer {label}"]
    assert at_work_s(account) == pytest.approx(worked)
    share = device_share([account])
    assert share is not None
    assert 0 <= share <= 1
    assert f'"device_share": {round(share, 3)}' in (context.folder / FILE).read_text()


def prepared(home: Path) -> tuple[RunContext, tuple[Any, ...]]:
    """A run of the patient method in four chunks, ready to be rendered."""
    contents = tuple(f"content/low/l{number}" for number in range(CHUNKS * SIZE))
    write_noises(home / "data", (*contents, "style/hiss/0"), RATE)
    (home / "suite.toml").write_text(
        f'schema_version = 1\nname = "small"\ndataset = "{home / "data"}"\nprofile = "mini"\n'
        f'methods = ["{PATIENT}:Patient"]\ncontrols = []\nmetrics = []\nstyle_clips = "all"\n'
        f"chunk_size = {SIZE}\n",
        encoding="utf-8",
    )
    asked = RunRequest(argv=(), suite=str(home / "suite.toml"), device="cpu", out=home / "run")
    found = prepare(replace(asked, isolate=False))
    plan, folder = found.plan, home / "run"
    for name in ("audio", "logs"):
        (folder / name).mkdir(parents=True)
    context = RunContext(
        folder=folder,
        cache=Cache(home / "cache"),
        material=Material(plan.dataset, plan.splits, None),
        profile="mini",
        device="cpu",
        watch=found.watch,
        progress=lambda _fraction, _words: None,
    )
    (method,) = plan.methods
    label = method.choice.label
    studios = {label: open_studio(context, method, found.identities[label], found.isolation)}
    return context, (found.cells, studios)


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    """An outbox beside an accelerator."""
    return Outbox(tmp_path / "cells.jsonl", {}, "cuda")


def hand_over(box: Outbox, *writings: Writing) -> None:
    with box:
        for writing in writings:
            box.take(writing)


def written(box: Outbox) -> list[str]:
    return [one.cell_id for one in store.read(box.log, CellRecord)]


def outcome(cell: str) -> list[CellRecord]:
    return [CellRecord(cell_id=cell * 16, status="ok")]


def test_an_interrupt_waits_for_the_chunk_that_is_being_written(box: Outbox) -> None:
    gate = Event()

    def slowly() -> list[CellRecord]:
        assert gate.wait(PATIENCE_S)
        return outcome("a")

    def interrupted() -> None:
        with box:
            box.take(slowly)
            Timer(0.05, gate.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(box.settled) == ["a" * 16]
    assert written(box) == ["a" * 16]


@pytest.mark.usefixtures("obeying")
def test_a_sigterm_at_the_handing_over_comes_when_the_former_chunk_is_written(box: Outbox) -> None:
    gate = Event()

    def slowly() -> list[CellRecord]:
        assert gate.wait(PATIENCE_S)
        return outcome("a")

    def ended() -> None:
        signal.raise_signal(signal.SIGTERM)  # while this thread has the word
        gate.set()

    class Later(Outbox):
        """Gets the signal in the midst of `take`."""

        def _wait(self) -> None:
            if self._ending is not None and not gate.is_set():
                ended()
            super()._wait()

    later = Later(box.log, {}, "cuda")
    with pytest.raises(TerminatedError):
        hand_over(later, slowly, lambda: outcome("b"))
    assert list(later.settled) == ["a" * 16, "b" * 16]
    assert written(box) == ["a" * 16, "b" * 16]


def test_what_cannot_be_written_is_raised_at_the_next_handing_over(box: Outbox) -> None:
    def broken() -> list[CellRecord]:
        raise OSError(28, "No space left on device")

    begun: list[str] = []

    def never() -> list[CellRecord]:
        begun.append("c")
        return outcome("c")

    with pytest.raises(OSError, match="No space left"):
        hand_over(box, lambda: outcome("a"), broken, never)
    assert begun == []
    assert written(box) == ["a" * 16]


def test_what_cannot_be_written_at_last_is_raised_at_the_end(box: Outbox) -> None:
    def broken() -> list[CellRecord]:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        hand_over(box, broken)
    assert box.settled == {}

"""`status`: how far the shards of a run are, from what they wrote and their signs of life."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from bench.records import store
from bench.records.claims import holder
from bench.records.parts import CLAIM, shard_folders, shard_name, shard_of
from bench.records.schema import FAILED, CellRecord, PlannedCell
from bench.records.store import Run, without_garbage_collection
from bench.run.sharding import last_change

LATEST = 100  # outcomes from which the present pace is told
State = Literal["done", "working", "stopped", "not here"]


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far one process of a run is.

    Args:
        name: The shard, such as `2/8`; `whole` for a run without shards.
        state: Whether it is at work. A shard that lacks cells and shows no life has stopped.
        planned: How many cells are its own.
        done: How many have an outcome that is no failure.
        failed: How many failed.
        scored: How many of the sounds have every score that the run makes.
        per_hour: Cells in an hour at the present pace; None where that cannot be told.
        left_s: Seconds that the rest takes at this pace.
        seen_s: When it last wrote or showed life, seconds since 1970.
    """

    name: str
    state: State
    planned: int
    done: int = 0
    failed: int = 0
    scored: int = 0
    per_hour: float | None = None
    left_s: float | None = None
    seen_s: float | None = None

    @property
    def missing(self) -> int:
        """How many cells have no outcome."""
        return self.planned - self.done - self.failed


def status_of(folder: Path) -> list[Progressed]:
    """How far each shard of a run folder is; a run without shards is one row.

    Cells that no shard has begun, of which the header knows, stand in a row of their own for each
    such shard, as far as their number follows from the others.

    Raises:
        RecordError: The folder holds no run.
    """
    with without_garbage_collection():
        run = store.read_run(folder)
        parts = shard_folders(folder)
        if not parts:
            return [_progressed(run, folder, run.plan)]
        shares = {part: store.read(part / "plan.jsonl", PlannedCell, []) for part in parts}
        rows = [_progressed(run, part, share) for part, share in shares.items()]
    return [*rows, *_not_begun(run, parts)]


def _not_begun(run: Run, parts: Sequence[Path]) -> list[Progressed]:
    """A row for each shard that wrote nothing, in order; their cells are dealt out evenly."""
    rest = sum(facts.cells for facts in run.header.plan.values()) - len(run.plan)
    known = [shard for part in parts if (shard := shard_of(part)) is not None]
    count = max(number for _, number in known)
    absent = [index for index in range(1, count + 1) if (index, count) not in known]
    if rest <= 0 or not absent:
        return []
    share, more = divmod(rest, len(absent))
    return [
        Progressed(f"{index}/{count}", "not here", share + (place < more))
        for place, index in enumerate(absent)
    ]


def _progressed(run: Run, part: Path, share: Sequence[PlannedCell]) -> Progressed:
    found = [run.cells[cell.cell_id] for cell in share if cell.cell_id in run.cells]
    ended = [record for record in found if record.status != "cancelled"]
    failed = sum(record.status in FAILED for record in ended)
    sounds = [record.cell_id for record in ended if record.status == "ok"]
    metrics = [metric.name for metric in run.header.metrics]
    scored = sum(all((name, metric) in run.scores for metric in metrics) for name in sounds)
    missing, per_hour = len(share) - len(ended), pace(ended)
    whole = missing == 0 and scored == len(sounds)
    return Progressed(
        name=shard_name(part) or "whole",
        state=_state(part, whole=whole),
        planned=len(share),
        done=len(ended) - failed,
        failed=failed,
        scored=scored,
        per_hour=per_hour,
        left_s=missing / per_hour * 3600 if per_hour and missing else None,
        seen_s=_last_sign(part),
    )


def _state(part: Path, *, whole: bool) -> State:
    if shard_of(part) is not None and holder(part / CLAIM) is not None:
        return "working"
    return "done" if whole else "stopped"


def _last_sign(part: Path) -> float | None:
    times = [
        last_change(part / name) for name in (CLAIM, "plan.jsonl", "cells.jsonl", "scores.jsonl")
    ]
    return max((time for time in times if time is not None), default=None)


def pace(records: Collection[CellRecord]) -> float | None:
    """Cells in an hour, from the times of the latest; None where they tell none.

    Example:
        >>> times = ["2026-01-01T10:00:00+00:00", "2026-01-01T10:01:00+00:00"]
        >>> pace([CellRecord(cell_id="a", status="ok", finished_at=time) for time in times])
        60.0
    """
    times = sorted(record.finished_at for record in records if record.finished_at)[-LATEST:]
    if not times:
        return None
    spent = datetime.fromisoformat(times[-1]) - datetime.fromisoformat(times[0])
    after_first = sum(time > times[0] for time in times)
    return after_first / spent.total_seconds() * 3600 if spent.total_seconds() > 0 else None

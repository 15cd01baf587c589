"""Running a plan: methods one after another, then the metrics.

Every outcome is written down as soon as it is known, so `execute` may be called again on the same
folder at any time: cells with an outcome are not repeated, chunks that were interrupted are
rendered again whole, and a chunk that began twice and never ended is recorded as `crash` and
skipped.
"""

from __future__ import annotations

import fcntl
import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from bench.api import BenchError, Progress, RecordError
from bench.files import inside, naming, no_space
from bench.plan.plan import CELLS_PER_FIT
from bench.records import store
from bench.records.schema import FAILED, CellRecord, PlannedCell
from bench.run.chunks import render_chunk
from bench.run.context import RunContext
from bench.run.scoring import LoadedMetric, missing, score
from bench.run.studio import Studio, fit_jointly

CRASHES_TOLERATED = 2
logger = logging.getLogger(__name__)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run folder's lock; the kernel frees it however the process ends.

    Raises:
        RecordError: Another process is working in this folder.
    """
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RecordError(
                f"{folder} is in use by another run; one run folder takes one process. Wait, or "
                "choose another --out."
            ) from error
        yield


@contextmanager
def disk_full_is_bad_input() -> Iterator[None]:
    """Turn a full disk into a message; everything that was written before stays."""
    try:
        yield
    except OSError as error:
        full = no_space(error)
        if full is None:
            raise
        raise BenchError(
            f"{full}; finished cells are safe. Free some space and run the same command again to "
            "go on where it stopped."
        ) from error


def execute(
    context: RunContext,
    plan: Sequence[PlannedCell],
    studios: Mapping[str, Studio],
    metrics: Sequence[LoadedMetric],
    *,
    retry: bool = False,
    rescore: bool = False,
) -> dict[str, CellRecord]:
    """Render what is missing, then score it; returns the latest record of every cell.

    Failed cells are rendered again with `retry` only, and invalid scores made again with `rescore`.
    """
    settled = render(context, plan, studios, retry=retry)
    _score_all(context, plan, metrics, settled, retry=rescore)
    note_session(context)
    return settled


def render(
    context: RunContext,
    plan: Sequence[PlannedCell],
    studios: Mapping[str, Studio],
    *,
    retry: bool = False,
) -> dict[str, CellRecord]:
    """Render what is missing of a plan, or of a share of it; returns the latest records."""
    log, mine = context.folder / "cells.jsonl", {cell.cell_id for cell in plan}
    history = [record for record in store.read(log, CellRecord) if record.cell_id in mine]
    settled = settle(history, retry=retry)
    crashed = crashes(history, settled, retry=retry)
    if crashed:
        store.append(log, crashed)
        settled |= {record.cell_id: record for record in crashed}
    todo = [cell for cell in plan if not _usable(context.folder, settled.get(cell.cell_id))]
    check_space(context.folder, len(todo))
    try:
        if context.fit_together:
            fit_jointly(todo, studios, context.progress)
        _render_all(context, plan, studios, settled, attempts(history))
    finally:
        _close(studios.values())
    return settled


def check_space(folder: Path, cells: int, bytes_per_cell: int = 600_000) -> None:
    """Stop before any work when the disk cannot hold the planned audio.

    Raises:
        BenchError: Less space is free than the planned audio needs.
    """
    free, needed = shutil.disk_usage(folder).free, cells * bytes_per_cell
    if free < needed:
        raise BenchError(
            f"{folder} has {free / 1e6:.0f} MB free; {cells} cells of audio need about "
            f"{needed / 1e6:.0f} MB. Free some space or choose another folder with --out; nothing "
            "was computed or lost."
        )


def settle(history: Sequence[CellRecord], *, retry: bool) -> dict[str, CellRecord]:
    """The latest outcome of each cell; with `retry`, failed cells are open again."""
    latest = {record.cell_id: record for record in history if record.status != "started"}
    keep = {cell: record for cell, record in latest.items() if record.status != "cancelled"}
    return {
        cell: record for cell, record in keep.items() if not (retry and record.status in FAILED)
    }


def attempts(history: Sequence[CellRecord]) -> Counter[str]:
    """How often each cell was begun."""
    return Counter(record.cell_id for record in history if record.status == "started")


def crashes(
    history: Sequence[CellRecord], settled: Mapping[str, CellRecord], *, retry: bool
) -> list[CellRecord]:
    """A crash record for each cell that has begun twice since its last outcome and never ended.

    Such a cell ends the whole process, so it is not tried again unless `retry` says so.
    """
    if retry:
        return []
    open_starts: Counter[str] = Counter()
    for record in history:
        open_starts[record.cell_id] = (
            open_starts[record.cell_id] + 1 if record.status == "started" else 0
        )
    return [
        CellRecord(
            cell_id=cell,
            status="crash",
            reason=f"the process ended {count} times in this cell; --retry tries again",
            attempt=count,
        )
        for cell, count in open_starts.items()
        if count >= CRASHES_TOLERATED and cell not in settled
    ]


def _usable(folder: Path, record: CellRecord | None) -> bool:
    """Whether a cell is settled and its audio, if it has any, is still there.

    Raises:
        LinkError: Its audio is a link that leads out of the folder.
    """
    return record is not None and (record.audio is None or inside(folder, record.audio).exists())


@dataclass(slots=True)
class ProgressMeter:
    """How far a run is: a cell counts 1, a fit that learns counts `CELLS_PER_FIT`.

    Args:
        progress: Is told the share that is done.
        total: All of the work, in cells.
        done: What is done, in cells.
    """

    progress: Progress
    total: float
    done: float = 0.0

    def say(self, text: str) -> None:
        """Show `text` at the present position."""
        self.progress(self.done / self.total, text)

    def within(self, share: float, label: str) -> Progress:
        """A progress callback for a part of the run that is worth `share` cells."""
        return lambda fraction, text: self.progress(
            (self.done + fraction * share) / self.total, f"{label}: {text}"
        )


def _render_all(
    context: RunContext,
    plan: Sequence[PlannedCell],
    studios: Mapping[str, Studio],
    settled: dict[str, CellRecord],
    begun: Counter[str],
) -> None:
    """Fit and render, one method and repetition after another; adds the outcomes to `settled`."""
    order = {label: place for place, label in enumerate(studios)}
    ordered = sorted(plan, key=lambda cell: (order[cell.method], cell.repetition))
    groups = [
        list(group) for _, group in groupby(ordered, lambda cell: (cell.method, cell.repetition))
    ]
    meter = ProgressMeter(
        context.progress, sum(_worth(studios[group[0].method], group) for group in groups)
    )
    for group in groups:
        studio = studios[group[0].method]
        _close(other for other in studios.values() if other is not studio)
        pending = _pending(context.folder, group, settled)
        fit_share = _worth(studio, group) - len(group)
        fitted = studio.fit(group, meter.within(fit_share, studio.label)) if pending else {}
        meter.done += fit_share + len(group) - sum(map(len, pending))
        for chunk in pending:
            meter.say(f"{studio.label}: {chunk[0].style} x {len(chunk)} contents")
            with _announced(context.folder / "cells.jsonl", chunk, settled):
                style, attempt = chunk[0].style, begun[chunk[0].cell_id] + 1
                records = render_chunk(studio, chunk, fitted[style], attempt)
            store.append(context.folder / "cells.jsonl", records)
            settled.update({record.cell_id: record for record in records})
            meter.done += len(chunk)


@contextmanager
def _announced(
    log: Path, chunk: Sequence[PlannedCell], settled: Mapping[str, CellRecord]
) -> Iterator[None]:
    """Write that a chunk has begun, so that a crash in it is seen on resume.

    An interrupt by the user is not a crash, and is written down as `cancelled`.
    """
    store.append(log, [CellRecord(cell_id=cell.cell_id, status="started") for cell in chunk])
    try:
        yield
    except KeyboardInterrupt:
        ended = [cell.cell_id for cell in chunk if cell.cell_id not in settled]
        store.append(
            log,
            [
                CellRecord(cell_id=cell, status="cancelled", reason="interrupted by the user")
                for cell in ended
            ],
        )
        raise


def _close(studios: Iterable[Studio]) -> None:
    """End worker processes that are not needed now."""
    for studio in studios:
        studio.close()


def _worth(studio: Studio, group: Sequence[PlannedCell]) -> float:
    """A group's share of the work, in cells."""
    fits = len({cell.style for cell in group}) if studio.learns else 0
    return len(group) + fits * CELLS_PER_FIT


def _pending(
    folder: Path, group: Sequence[PlannedCell], settled: Mapping[str, CellRecord]
) -> list[list[PlannedCell]]:
    """The chunks of a group in which a cell is still to be rendered; they are rendered whole."""
    chunks = [list(chunk) for _, chunk in groupby(group, key=lambda cell: cell.chunk)]
    return [
        chunk
        for chunk in chunks
        if not all(_usable(folder, settled.get(cell.cell_id)) for cell in chunk)
    ]


def _score_all(
    context: RunContext,
    plan: Sequence[PlannedCell],
    metrics: Sequence[LoadedMetric],
    settled: Mapping[str, CellRecord],
    *,
    retry: bool,
) -> None:
    known = store.read_scores(context.folder, {m.name: m.info.range for m in metrics})
    for metric in metrics:
        todo = missing(metric, plan, settled, known, retry=retry)
        for done in score(context, metric, todo, settled):
            context.progress(done / len(todo), f"scoring {metric.name}: {done}/{len(todo)}")


def note_session(context: RunContext) -> None:
    """Append where the time of this session went, for people to read.

    Tables take costs from the records of cells instead.
    """
    line = json.dumps(
        {stage: round(seconds, 3) for stage, seconds in context.watch.account().items()}
    )
    path = context.folder / "logs" / "sessions.jsonl"
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")

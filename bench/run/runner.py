"""Running a plan: methods one after another, then the metrics.

Every outcome is written down as soon as it is known, so a run may begin again on the same folder at
any time: cells with an outcome are not repeated, unless their method has changed or their
audio is not what was recorded; chunks that were interrupted are rendered again whole. A chunk that
began twice and never ended is rendered in a worker process, whatever ended this one: only a worker
that dies is a `crash`.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from bench.api import BenchError, Progress
from bench.batching import Aside, one_ahead
from bench.errors import reason_of, unbroken, was_asked
from bench.failure import CellStatus
from bench.files import no_space
from bench.outside.wording import some
from bench.plan.plan import CELLS_PER_FIT, fit_groups
from bench.records import store
from bench.records.accounts import append_account
from bench.records.integrity import altered_audio
from bench.records.schema import FAILED, CellRecord, PlannedCell, ScoreRecord
from bench.run.chunks import Reading, read_chunk, render_chunk
from bench.run.context import RunContext
from bench.run.outbox import Outbox
from bench.run.scoring import LoadedMetric, missing, score, vector_log
from bench.run.studio import Fitted, Studio, fit_jointly

OPEN_STARTS = 2  # after so many that nobody ended, the next try is in a worker
logger = logging.getLogger(__name__)


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


def render(
    context: RunContext,
    plan: Sequence[PlannedCell],
    studios: Mapping[str, Studio],
    *,
    retry: bool = False,
    known: Iterable[CellRecord] | None = None,
) -> dict[str, CellRecord]:
    """Render what is missing of a plan, or of a share of it; returns the latest records.

    Failed cells are rendered again with `retry` only. `known` are the records so far, oldest first;
    they are read where the caller has not done it.
    """
    marks = {cell.cell_id: studios[cell.method].identity.mark for cell in plan}
    read = store.read_cells(context.folder, of=marks) if known is None else known
    history = [record for record in read if record.cell_id in marks]
    settled = settle(history, retry=retry, marks=marks)
    _open_altered(context.folder, settled)
    todo = [cell for cell in plan if cell.cell_id not in settled]
    check_space(context.folder, len(todo))
    begun = Begun(attempts(history), suspects(history, marks))
    try:
        if context.fit_together:
            fit_jointly(todo, studios, context.progress)
        _render_all(context, plan, studios, settled, begun)
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


def settle(
    history: Sequence[CellRecord], *, retry: bool, marks: Mapping[str, str]
) -> dict[str, CellRecord]:
    """The latest outcome of each cell that need not be rendered again.

    Args:
        history: Records, oldest first.
        retry: Failed cells are open again.
        marks: The present identity of the method of each cell, by its id; a cell that another one
            rendered is open again.
    """
    latest = {record.cell_id: record for record in history if record.status != "started"}
    return {
        cell: record
        for cell, record in latest.items()
        if record.status != "cancelled"
        and record.identity == marks[cell]
        and not (retry and record.status in FAILED)
    }


def _open_altered(folder: Path, settled: dict[str, CellRecord]) -> None:
    """Let go of cells whose audio is not what was recorded, and say so; they are rendered again.

    Raises:
        LinkError: Audio is a link that leads out of the folder.
    """
    faults = altered_audio(folder, settled.values())
    for cell in faults:
        del settled[cell]
    if faults:
        logger.warning("%s: %s; rendered again", folder, some(faults.values()))


def attempts(history: Sequence[CellRecord]) -> Counter[str]:
    """How often each cell was begun."""
    return Counter(record.cell_id for record in history if record.status == "started")


def suspects(history: Sequence[CellRecord], marks: Mapping[str, str]) -> set[str]:
    """Cells that began `OPEN_STARTS` times since their last outcome and never ended.

    Whether the method ended the process, or somebody else did, nobody knows. Starts of another
    identity do not count.
    """
    starts: Counter[str] = Counter()
    for record in history:
        cell = record.cell_id
        if record.status != "started":
            starts[cell] = 0
        elif record.identity in {None, marks[cell]}:
            starts[cell] += 1
    return {cell for cell, count in starts.items() if count >= OPEN_STARTS}


@dataclass(frozen=True, slots=True)
class Begun:
    """What former sessions began.

    Args:
        attempts: How often each cell was begun.
        suspects: Cells that are rendered in a worker, see `suspects`.
    """

    attempts: Counter[str]
    suspects: set[str]


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
    begun: Begun,
) -> None:
    """Fit and render, one method and repetition after another; adds the outcomes to `settled`."""
    groups = fit_groups(plan, studios)
    work = [(studios[group[0].method], group, _pending(group, settled)) for group in groups]
    meter = ProgressMeter(context.progress, sum(_worth(studio, group) for studio, group, _ in work))
    log = context.own_folder / "cells.jsonl"
    with Aside(context.device) as aside, Outbox(log, settled, context.device) as outbox:
        readings = one_ahead(
            read_chunk(studio, chunk, aside) for studio, _, pending in work for chunk in pending
        )
        for studio, group, pending in work:
            _close(other for other in studios.values() if other is not studio)
            fit_share = _worth(studio, group) - len(group)
            fitted = studio.fit(group, meter.within(fit_share, studio.label)) if pending else {}
            meter.done += fit_share + len(group) - sum(map(len, pending))
            for chunk in pending:
                meter.say(f"{studio.label}: {chunk[0].style} x {len(chunk)} contents")
                known = fitted[chunk[0].style]
                _render_one(studio, chunk, known, (next(readings), outbox), begun)
                meter.done += len(chunk)


def _render_one(
    studio: Studio,
    chunk: Sequence[PlannedCell],
    fitted: Fitted,
    around: tuple[Reading, Outbox],
    begun: Begun,
) -> None:
    """Render a chunk, in a worker where it is suspect, and hand over what came of it."""
    reading, outbox = around
    suspect = any(cell.cell_id in begun.suspects for cell in chunk)
    at_work = studio.in_a_worker() if suspect else studio
    if at_work is not studio:
        logger.warning(
            "%s: a process ended twice in %s x %d contents; they are rendered in a worker",
            studio.label, chunk[0].style, len(chunk),
        )  # fmt: skip
    try:
        open_cells = {cell.cell_id for cell in chunk} - outbox.settled.keys()
        with _announced(outbox.log, chunk, open_cells, studio.identity.mark):
            attempt = begun.attempts[chunk[0].cell_id] + 1
            writing = render_chunk(at_work, chunk, fitted, attempt, reading)
            with unbroken():  # it is open until it is handed over, and never both
                outbox.take(writing)
                open_cells.clear()
    finally:
        if at_work is not studio:
            at_work.close()


@contextmanager
def _announced(
    log: Path, chunk: Sequence[PlannedCell], open_cells: set[str], mark: str
) -> Iterator[None]:
    """Write that a chunk has begun, so that a process that dies in it is seen on resume.

    An end that was asked for (Ctrl-C, SIGTERM) is no death: what is open is then `cancelled`.
    """

    def note(status: CellStatus, reason: str | None = None) -> None:
        ids = [c.cell_id for c in chunk if status == "started" or c.cell_id in open_cells]
        facts = {"status": status, "identity": mark, "reason": reason}
        store.append(log, [CellRecord.model_validate({"cell_id": one} | facts) for one in ids])

    try:
        note("started")
        yield
    except (Exception, KeyboardInterrupt) as error:
        if was_asked(error):
            note("cancelled", reason_of(error))
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
    group: Sequence[PlannedCell], settled: Mapping[str, CellRecord]
) -> list[list[PlannedCell]]:
    """The chunks of a group in which a cell is still to be rendered; they are rendered whole."""
    chunks = [list(chunk) for _, chunk in groupby(group, key=lambda cell: cell.chunk)]
    return [chunk for chunk in chunks if not all(cell.cell_id in settled for cell in chunk)]


def score_all(
    context: RunContext,
    plan: Sequence[PlannedCell],
    metrics: Sequence[LoadedMetric],
    settled: dict[str, CellRecord],
    known: Mapping[tuple[str, str], ScoreRecord],
    *,
    retry: bool,
) -> None:
    """Score what a metric has not scored yet of the finished cells of a plan.

    A cell whose audio is altered before it is scored is `cancelled`: open for the next session.
    `known` are the scores so far; invalid ones are made again with `retry` only. A metric that
    embeds sounds leaves the vectors that are missing, of whichever session.
    """
    for metric in metrics:
        todo = missing(metric, plan, settled, known, retry=retry)
        vectors = vector_log(context, metric)
        for done in score(context, metric, todo, settled, vectors):
            context.progress(done / len(todo), f"scoring {metric.name}: {done}/{len(todo)}")
        if vectors is not None:
            heard = {cell.cell_id for cell in todo}
            others = [cell for cell in plan if cell.cell_id not in heard]
            left = vectors.missing(others, settled, known)
            for done in vectors.add(left, settled):
                words = f"embedding by {metric.name}: {done}/{len(left)}"
                context.progress(done / len(left), words)
            vectors.keep_clips(dict.fromkeys(cell.style for cell in plan))


def note_session(context: RunContext) -> None:
    """Append where the time of this session went, for people to read.

    Tables take costs from the records of cells instead.
    """
    append_account(context.own_folder, context.watch.account(), context.watch.beside())

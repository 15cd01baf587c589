"""Records of a run: what was planned, what happened to each cell, and what was scored.

A run folder holds `run.json` (resolved suite, provenance), `plan.jsonl` (every intended cell,
written first), `cells.jsonl` and `scores.jsonl` (append-only, one JSON line each), `audio/`,
`logs/` and a lock. Everything else is derived from these files and can be rebuilt without torch.

**Conventions**: the latest record of a cell wins; a torn last line (a process killed while writing)
is ignored; times in seconds, memory in bytes, rates in Hz.
"""

from __future__ import annotations

import fcntl
import gc
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.api import RecordError, ScoreStatus

if TYPE_CHECKING:
    import pandas as pd

CellStatus = Literal[
    "started",
    "ok",
    "unsupported",
    "invalid_output",
    "error",
    "oom",
    "timeout",
    "crash",
    "cancelled",
]
RUN_COLUMNS = ("run_id", "suite", "profile", "device")
FAILED: frozenset[str] = frozenset({"invalid_output", "error", "oom", "timeout", "crash"})


class Record(BaseModel):
    """Base of everything that crosses the disk: frozen, no unknown keys, versioned."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_version: Literal[1] = 1


class PlannedCell(Record):
    """One intended cell: method x style x content x repetition.

    `chunk` groups cells that run as one batch.
    """

    cell_id: str
    chunk: str
    method: str  # label printed in tables: "tve" or "tve[strength=0.5]"
    method_name: str  # catalog name or path of a method from outside
    parameters: dict[str, Any]
    style: str
    content: str
    category: str
    repetition: int
    seed: int
    fit_seed: int


class CellRecord(Record):
    """What happened to a cell.

    `started` lines are written before a chunk begins: two of them without an ending mean `crash`.
    `fit_s` is the whole cost of the fit this cell used (the same number for every cell of that
    fit), `transfer_s` this cell's share of its chunk; a cached stage keeps the cost that it had
    when it was computed.
    """

    cell_id: str
    status: CellStatus
    reason: str | None = None
    exception: str | None = None
    attempt: int = 1
    audio: str | None = None  # path within the run folder
    audio_digest: str | None = None
    sample_rate: int | None = None
    duration_s: float | None = None
    peak: float | None = None
    fit_key: str | None = None
    load_s: float | None = None
    fit_s: float | None = None
    fit_cached: bool = False
    transfer_s: float | None = None
    transfer_cached: bool = False
    calibration_s: float | None = None  # of the kernel timed beside this chunk
    operations: dict[str, int] | None = None  # calls counted in this chunk, by name
    peak_memory_bytes: int | None = None
    finished_at: str | None = None


NOT_RUN = CellRecord(cell_id="", status="cancelled", reason="not run")


class ScoreRecord(Record):
    """One score of one cell. `fingerprint` names the metric's model, preprocessing and versions."""

    cell_id: str
    metric: str
    value: float | None
    raw: float | None
    status: ScoreStatus
    reason: str | None = None
    fingerprint: str
    score_s: float | None = None


class MethodEntry(Record):
    """The static words about a method that tables print."""

    label: str
    name: str
    title: str
    conditioned_on: list[str]
    fits_per_style: bool
    source: str
    departures: list[str]
    control: bool
    version: str
    sample_rate: int | None
    longest_s: float | None
    weights: list[str]
    licence: str
    bandwidth_hz: float | None = None


class MetricEntry(Record):
    """The static words about a metric that tables print.

    `fingerprint` maps its short hash to what it stands for.
    """

    name: str
    title: str
    direction: Literal["maximize", "minimize"]
    range: tuple[float, float]
    source: str
    version: str
    fingerprint: str = ""
    fingerprint_detail: dict[str, Any] = {}


class RunHeader(Record):
    """`run.json`: what was asked for and where it ran. Rewritten only when a run is extended."""

    run_id: str
    created_at: str
    argv: list[str]
    suite: dict[str, Any]  # the resolved suite
    suite_name: str
    suite_digest: str
    profile: Literal["mini", "full"]
    device: str
    duration_s: float | None
    styles: dict[
        str, dict[str, Any]
    ]  # id -> {"text", "clips": [ids], "heldout_clips": [ids], "kind"}
    contents: dict[str, dict[str, Any]]  # id -> {"category", "duration_s", "channels", "digest"}
    methods: list[MethodEntry]
    metrics: list[MetricEntry]
    provenance: dict[str, Any]
    dataset: dict[str, Any]  # name, licence, redistributable, digest


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run folder read whole; a value of its own, not compared by content.

    The plan and, for each planned cell, its latest record and scores.
    """

    folder: Path
    header: RunHeader
    plan: tuple[PlannedCell, ...]
    cells: dict[str, CellRecord]
    scores: dict[tuple[str, str], ScoreRecord]  # (cell_id, metric)


RecordT = TypeVar("RecordT", bound=Record)


def append(path: Path, records: Iterable[Record]) -> None:
    """Append records as JSON lines with one write and one fsync, mending a torn last line first.

    Processes that share a run take turns.
    """
    text = "".join(record.model_dump_json() + "\n" for record in records)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the kernel frees it however the process ends
        mend(path)
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def mend(path: Path) -> None:
    """Cut a torn last line.

    Bytes after the last newline were never confirmed, so nothing is lost.
    """
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def read(path: Path, kind: type[RecordT]) -> list[RecordT]:
    """Read JSON lines of one kind; a missing file is an empty list, a torn last line is ignored.

    Raises:
        RecordError: A complete line is not a valid record; the message names file and line.
    """
    if not path.exists():
        return []
    *lines, torn = path.read_bytes().split(b"\n")
    del torn  # empty after a confirmed line, else never confirmed
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(kind.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            raise RecordError(
                f"{path}:{number} is not a {kind.__name__} ({first['msg']} at "
                f"{list(first['loc'])}); this version reads "
                "schema 1. Use the version that wrote it, or start a new run folder with --out."
            ) from error
    return records


def read_header(folder: Path) -> RunHeader:
    """Read `run.json`.

    Raises:
        RecordError: No run there, or one that this version cannot read.
    """
    path = folder / "run.json"
    if not path.exists():
        raise RecordError(
            f"{folder} holds no run.json; a run folder is what `python -m bench run --out` "
            f"writes. Name such a folder."
        )
    try:
        return RunHeader.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RecordError(
            f"{path} does not follow schema 1 ({error.errors()[0]['msg']}). Use the version that "
            f"wrote it, or --out."
        ) from error


def write_header(folder: Path, header: RunHeader) -> None:
    """Replace `run.json` atomically: a kill leaves the former or the new one, never half of it."""
    scratch = folder / "run.json.part"
    scratch.write_text(
        json.dumps(header.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8"
    )
    with scratch.open("rb") as file:
        os.fsync(file.fileno())
    scratch.replace(folder / "run.json")


@contextmanager
def uncollected() -> Iterator[None]:
    """Without searching for garbage in circles, of which records have none.

    The search walks through every object again and again; it takes a third of the time of reading
    100,000 records.
    """
    searched = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searched:
            gc.enable()


def load_run(folder: str | Path) -> Run:
    """Read a run folder; the latest record of each cell and of each (cell, metric) wins."""
    where = Path(folder)
    header = read_header(where)
    with uncollected():
        plan = {cell.cell_id: cell for cell in read(where / "plan.jsonl", PlannedCell)}
        cells = {
            record.cell_id: record
            for record in read(where / "cells.jsonl", CellRecord)
            if record.status != "started"
        }
        scores = {(s.cell_id, s.metric): s for s in read(where / "scores.jsonl", ScoreRecord)}
    return Run(where, header, tuple(plan.values()), cells, scores)


def frame(run: Run) -> pd.DataFrame:
    """One row per planned cell.

    Identity, outcome, cost, and per metric `<metric>`, `<metric>.raw`, `<metric>.status`.
    """
    import pandas as pd

    if not run.plan:
        return pd.DataFrame()
    ids = [cell.cell_id for cell in run.plan]
    cells = run.cells
    columns = _facts(run.plan)
    columns |= _parameters([cell.parameters for cell in run.plan])
    columns |= _facts([cells.get(cell_id, NOT_RUN) for cell_id in ids]) | {"cell_id": ids}
    for metric in run.header.metrics:
        columns |= _score_columns(run, ids, metric.name)
    return pd.DataFrame(columns)


def _facts(records: Sequence[Record]) -> dict[str, list[Any]]:
    """The fields of like records as columns; not `model_dump`, which is slow and copies."""
    fields = [f for f in type(records[0]).model_fields if f not in {"schema_version", "parameters"}]
    return {field: [getattr(record, field) for record in records] for field in fields}


def _parameters(given: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """A column per parameter that any cell has; NaN where a cell's method has no such parameter."""
    names = dict.fromkeys(name for parameters in given for name in parameters)
    return {f"parameter.{name}": [one.get(name, math.nan) for one in given] for name in names}


def _score_columns(run: Run, ids: Sequence[str], metric: str) -> dict[str, list[Any]]:
    found = [run.scores.get((cell_id, metric)) for cell_id in ids]
    return {
        metric: [None if score is None else score.value for score in found],
        f"{metric}.raw": [None if score is None else score.raw for score in found],
        f"{metric}.status": [None if score is None else score.status for score in found],
    }


def load_frame(folder: str | Path) -> pd.DataFrame:
    """The table of `frame` with the run's own columns in front; its `attrs` say what each means.

    Raises:
        RecordError: The folder is no run, or one that this version cannot read.
    """
    from bench.columns import explain

    run = load_run(folder)
    table, header = frame(run), run.header
    own = (header.run_id, header.suite_name, header.profile, header.device)
    for place, (name, value) in enumerate(zip(RUN_COLUMNS, own, strict=True)):
        table.insert(place, name, value)
    metrics = [metric.name for metric in header.metrics]
    table.attrs["columns"] = {str(name): explain(str(name), metrics) for name in table.columns}
    return table


def failed(cells: Sequence[CellRecord]) -> list[CellRecord]:
    """The records whose cell failed (declined cells, `unsupported`, are no failures)."""
    return [cell for cell in cells if cell.status in FAILED]

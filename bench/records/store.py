"""Reading and writing the files of a run folder.

A run folder holds `run.json` (resolved suite, provenance), `plan.jsonl` (every intended cell,
written first), `cells.jsonl` and `scores.jsonl` (append-only, one JSON line each), `audio/`,
`logs/` and a lock; `embeddings.jsonl` where a metric embeds sounds (see
`bench.records.embeddings`). Shards write their plan, cells and scores into parts of it (see
`bench.records.parts`). Everything else is derived from these files and can be rebuilt without
torch.

**Conventions**: the latest record of a cell wins; a torn last line (a process killed while writing)
is ignored. A line that breaks a rule (see `bench.records.validity`) costs that line alone, and is
named.
"""

from __future__ import annotations

import fcntl
import gc
import json
import logging
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from bench.api import RecordError
from bench.checkout import COMMAND
from bench.files import naming, replace_file, require_plain, sync_folder
from bench.records.identity import mixed_methods
from bench.records.lock import suppress_unless_held
from bench.records.parts import SHARDS, in_time, parts_of, shard_folders
from bench.records.planned import Line, find_plan_faults, in_force, ordered
from bench.records.schema import CellRecord, PlannedCell, Record, RunHeader, ScoreRecord
from bench.records.validity import find_fault
from bench.scores import (
    INVALID,
    UNBOUNDED,
    Declared,
    Range,
    bounded,
    find_number_fault,
    is_plain,
    raw_range,
)

# The files that every report reads, the one that a table may read and that not every run has, and
# all files and folders that a run writes into, by their names.
RECORDS = ("run.json", "plan.jsonl", "cells.jsonl", "scores.jsonl")
EMBEDDINGS = "embeddings.jsonl"
WRITTEN = (*RECORDS, EMBEDDINGS, "audio", "logs", "lock", SHARDS)
_CELL_ID = re.compile(rb'"cell_id":"([^"\\]*)"')
NAMED = 5  # lines that are left out, before the others are only counted
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What a run folder holds: the plan and, for each planned cell, its latest record and scores.

    Two runs are never equal, whatever they hold. What is not as it was written is told in
    sentences, which stand in the tables too.

    Attributes:
        faults: The lines of its files that broke a rule and were left out.
        plan_faults: What is wrong with its plan: such a run is not judged.
        remarks: What counts nowhere, such as scores of audio that was rendered anew, and methods of
            which some cells were rendered by other code.
        shown_as: Names of methods in this run by their labels in the records, where these differ.
    """

    folder: Path
    header: RunHeader
    plan: tuple[PlannedCell, ...]
    cells: dict[str, CellRecord]
    scores: dict[tuple[str, str], ScoreRecord]  # (cell_id, metric)
    faults: tuple[str, ...] = ()
    plan_faults: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    shown_as: Mapping[str, str] = field(default_factory=dict)

    def fingerprints(self) -> dict[str, set[str]]:
        """The fingerprints of each metric's scores; a metric that gave none has none."""
        found: dict[str, set[str]] = defaultdict(set)
        for (_, metric), score in self.scores.items():
            if score.fingerprint:
                found[metric].add(score.fingerprint)
        return dict(found)


RecordT = TypeVar("RecordT", bound=Record)


def append(path: Path, records: Iterable[Record]) -> None:
    """Append records as JSON lines with one write and one fsync.

    A torn last line is cut first. Processes that share a run take turns. When this returns, the
    disk has the records, and the name of a file that is new.

    Raises:
        LinkError: The file is a symbolic link.
    """
    require_plain(path)
    new = not path.exists()
    text = "".join(record.model_dump_json() + "\n" for record in records)
    with naming(path), path.open("ab") as file:
        with suppress_unless_held():  # file systems of some networks lock nothing
            fcntl.flock(file, fcntl.LOCK_EX)  # the kernel frees it however the process ends
        _cut_torn_line(path)
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
        if new:
            sync_folder(path.parent)


def _cut_torn_line(path: Path) -> None:
    """Cut what follows the last newline: it was never confirmed, so nothing is lost."""
    if path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def read(path: Path, kind: type[RecordT], faults: list[str] | None = None) -> list[RecordT]:
    """Read JSON lines of one kind; a missing file is an empty list, a torn last line is ignored.

    Args:
        path: The file.
        kind: What each line is.
        faults: Gets a sentence for each line that breaks a rule and is left out; without it they
            are logged.

    Raises:
        RecordError: It is not a file, or a line is of another schema.
    """
    return [record for record, _ in each_line(path, kind, faults)]


def read_lines(
    path: Path,
    kind: type[RecordT],
    faults: list[str] | None = None,
    of: Collection[str] | None = None,
) -> list[tuple[RecordT, bytes]]:
    """Read JSON lines as `read` does, each record with the line itself.

    Args:
        path: The file.
        kind: What each line is.
        faults: As in `read`.
        of: Only lines about cells of these ids are read, which saves most of the time.
    """
    return list(each_line(path, kind, faults, of))


def each_line(
    path: Path,
    kind: type[RecordT],
    faults: list[str] | None = None,
    of: Collection[str] | None = None,
) -> Iterator[tuple[RecordT, bytes]]:
    """The same one after the other, of which no more than one is held in memory."""
    if not path.exists():
        return
    if not path.is_file():
        raise RecordError(f"{path} is not a file; records are lines of one. Remove or rename it.")
    with path.open("rb") as file:
        for number, line in enumerate(map(_confirmed, file), start=1):
            if line is None or (of is not None and _is_of_another(line, of)):
                continue
            try:
                record, fault = _read_line(line, kind)
            except RecordError as error:
                raise RecordError(f"{path}:{number} {error}") from error
            if record is not None:
                yield record, line
                continue
            words = f"{path}:{number} is left out, since it is not a {kind.__name__} ({fault})"
            _log(words) if faults is None else faults.append(words)


def _confirmed(line: bytes) -> bytes | None:
    """A line without its end; None for one that has none, which was never confirmed."""
    return line[:-1] if line.endswith(b"\n") else None


def _is_of_another(line: bytes, ids: Collection[str]) -> bool:
    found = _CELL_ID.search(line)
    return found is not None and found[1].decode(errors="replace") not in ids


def _read_line(line: bytes, kind: type[RecordT]) -> tuple[RecordT | None, str | None]:
    """The record of a line, or what is wrong with it. Every rule about one line is asked here.

    Raises:
        RecordError: It is of another schema, and so is the whole file: that is no damage.
    """
    try:
        record = kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["loc"] == ("schema_version",) and isinstance(first.get("input"), int):
            raise RecordError(
                f"is not a {kind.__name__} of schema 1 but of {str(first['input'])[:20]}; this "
                "version reads no other. Use the version that wrote it, or start a new run folder "
                "with --out."
            ) from error
        return None, f"{first['msg']} at {list(first['loc'])!r:.80}"
    fault = find_fault(record)
    return (record, None) if fault is None else (None, fault)


@cache
def _log(words: str) -> None:
    """Say it once in a process, however often the file is read."""
    logger.warning(words)


def read_strictly(path: Path, kind: type[RecordT]) -> list[RecordT]:
    """Read JSON lines of one kind, as `read` does, or nothing where a line is none of them.

    Raises:
        RecordError: A complete line is not a valid record; the message names file and line.
    """
    faults: list[str] = []
    records = read(path, kind, faults)
    if faults:
        raise RecordError(
            f"{faults[0].replace(' is left out, since it is not', ' is not')}; this version reads "
            "schema 1. Use the version that wrote it, or name another file."
        )
    return records


def require_plain_run(folder: Path) -> None:
    """Refuse a run folder in which a link stands where a run writes, or no file where audio does.

    Raises:
        LinkError: A link stands there.
        RecordError: A folder or a pipe stands among its audio: it could not be replaced.
    """
    for name in WRITTEN:
        require_plain(folder / name)
    for part in shard_folders(folder):
        for place in (part, *(part / name for name in (*RECORDS, EMBEDDINGS, "logs"))):
            require_plain(place)
    audio = folder / "audio"
    for path in audio.iterdir() if audio.is_dir() else ():
        if not path.is_symlink() and not path.is_file():
            raise RecordError(f"{path} is not a file; a run writes its sounds there. Remove it.")
    logs = folder / "logs"
    for path in logs.iterdir() if logs.is_dir() else ():
        require_plain(path)


def read_cells(
    folder: Path, faults: list[str] | None = None, of: Collection[str] | None = None
) -> list[CellRecord]:
    """All records of the cells of a run folder, by whichever process: the latest of a cell last.

    Args:
        folder: The run folder.
        faults: As in `read`.
        of: Only records of these cells.
    """
    return in_time(
        [record for record, _ in each_line(part / "cells.jsonl", CellRecord, faults, of)]
        for part in parts_of(folder)
    )


def read_scores(
    folder: Path,
    ranges: Mapping[str, Range],
    faults: list[str] | None = None,
    *,
    cells: Mapping[str, CellRecord] | None = None,
    of: Collection[str] | None = None,
) -> dict[tuple[str, str], ScoreRecord]:
    """The latest score of each (cell, metric) of a run folder.

    They pass the same gate as the answers of a metric (`bench.scores`): a stored NaN or 57 in a
    range of 0 to 1 is an `invalid_score` and counts nowhere.

    Args:
        folder: The run folder.
        ranges: The declared range of each metric; one that is not named has none.
        faults: As in `read`.
        cells: The latest records. Where several processes scored a cell, a score of the audio that
            it has counts before one of other audio.
        of: Only scores of these cells.
    """
    found: dict[tuple[str, str], ScoreRecord] = {}
    for part in parts_of(folder):
        lines = each_line(part / "scores.jsonl", ScoreRecord, faults, of)
        own = {(score.cell_id, score.metric): score for score, _ in lines}
        if found and cells is not None:
            own = {k: s for k, s in own.items() if not _is_worse(s, found.get(k), cells.get(k[0]))}
        found |= own
    terms = {name: Declared(name, reported) for name, reported in ranges.items()}
    return {
        key: _checked(score, terms.get(score.metric) or Declared(score.metric, UNBOUNDED))
        for key, score in found.items()
    }


def _is_worse(score: ScoreRecord, known: ScoreRecord | None, cell: CellRecord | None) -> bool:
    return known is not None and belongs(known, cell) and not belongs(score, cell)


def _checked(score: ScoreRecord, declared: Declared) -> ScoreRecord:
    """The score itself where it is sound, else the one that stands for it."""
    if is_plain(score.value, score.raw, score.status, declared):
        return score
    fault = find_number_fault(score.value, score.raw, score.status, declared)
    if fault is not None:
        gone = {"value": None, "raw": None, "status": INVALID, "reason": fault.words}
        return score.model_copy(update=gone)
    value, raw = bounded(score.value, declared.range), bounded(score.raw, raw_range(declared.range))
    if (value, raw) == (score.value, score.raw):
        return score
    return score.model_copy(update={"value": value, "raw": raw})


def read_header(folder: Path) -> RunHeader:
    """Read `run.json`.

    Raises:
        RecordError: The folder holds no run, or one that this version cannot read.
    """
    path = folder / "run.json"
    if not path.exists():
        raise RecordError(
            f"{folder} holds no run.json; a run folder is what `{COMMAND} run --out` "
            "writes. Name such a folder."
        )
    try:
        return RunHeader.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RecordError(
            f"{path} does not follow schema 1 ({error.errors()[0]['msg']}); this version reads no "
            "other. Use the version that wrote it, or start a new run folder with --out."
        ) from error


def write_header(folder: Path, header: RunHeader) -> None:
    """Replace `run.json` atomically: a kill leaves the former or the new one, never half of it."""
    text = json.dumps(header.model_dump(mode="json"), indent=1)
    replace_file(folder / "run.json", text + "\n", root=folder)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Switch Python's cyclic garbage collection off for a while: records hold no reference cycles.

    The collector walks through every object again and again, which takes a third of the time of
    reading 100,000 records.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def load_run(folder: str | Path) -> Run:
    """Read a run folder as `read_run` does, and log what is not as it was written.

    Raises:
        RecordError: As `read_run`.
    """
    run = read_run(folder)
    where = f"{run.folder}: "
    others = [f"{where}{words}" for words in (*run.plan_faults, *run.remarks)]
    for words in (*first_faults(run.faults, where), *others):
        _log(words)
    return run


def first_faults(faults: Sequence[str], where: str = "") -> list[str]:
    """The first of many sentences about lines that are left out, and how many more there are.

    Args:
        faults: The sentences.
        where: What stands before the last one, which names no file.

    Example:
        >>> first_faults(["a:1", "a:2", "a:3", "a:4", "a:5", "a:6", "a:7"], "a: ")[4:]
        ['a:5', 'a: 2 more lines are left out']
    """
    more = len(faults) - NAMED
    return [*faults[:NAMED], *([f"{where}{more} more lines are left out"] if more > 0 else [])]


def read_run(folder: str | Path) -> Run:
    """Read a run folder; the latest record of each cell and of each (cell, metric) wins.

    Lines that break a rule are left out and stand in `Run.faults`. So are scores of audio that a
    cell does not have any more.

    Raises:
        RecordError: The folder holds no run, or one that this version cannot read; its plan is
            missing.
    """
    where = Path(folder)
    header = read_header(where)
    faults: list[str] = []
    with without_garbage_collection():
        planned = read_plan(where, faults)
        cells = {
            record.cell_id: record
            for record in read_cells(where, faults)
            if record.status != "started"
        }
        ranges = {metric.name: metric.range for metric in header.metrics}
        found = read_scores(where, ranges, faults, cells=cells)
    shards = shard_folders(where)
    plan = ordered(header, in_force(planned)) if shards else in_force(planned)
    plan_faults = find_plan_faults(header.plan, planned, cells, [path.name for path in shards])
    scores = {key: score for key, score in found.items() if belongs(score, cells.get(key[0]))}
    remarks = [*_stale(found, scores, cells), *mixed_methods(header, plan, cells)]
    return Run(
        where, header, plan, cells, scores, tuple(faults), tuple(plan_faults), tuple(remarks)
    )


def read_plan(folder: Path, faults: list[str] | None = None) -> list[Line]:
    """The lines of a plan: those of the folder, then those of its shards.

    Raises:
        RecordError: There is none.
    """
    paths = [part / "plan.jsonl" for part in parts_of(folder)]
    if not any(path.exists() for path in paths):
        raise RecordError(
            f"{paths[0]} is missing; without it nobody knows which cells a run lacks. Run the same "
            "`run` command again to restore it."
        )
    return [line for path in paths for line in read_lines(path, PlannedCell, faults)]


def belongs(score: ScoreRecord, cell: CellRecord | None) -> bool:
    """Whether a score is of the audio that its cell has; one of an older run is taken to be."""
    if cell is None or cell.status != "ok":
        return False
    return None in {score.audio_digest, cell.audio_digest} or (
        score.audio_digest == cell.audio_digest
    )


def _stale(
    found: Mapping[tuple[str, str], ScoreRecord],
    scores: Mapping[tuple[str, str], ScoreRecord],
    cells: Mapping[str, CellRecord],
) -> list[str]:
    """A sentence on scores whose cell ended well with other audio; a failed one has said enough."""
    stale = [cell for cell, _ in found.keys() - scores.keys() if cell in cells]
    count = sum(cells[cell].status == "ok" for cell in stale)
    words = "scores of other audio than their cells have, which count nowhere"
    return [f"{words}: {count}; the same `run` command scores it anew"] if count else []

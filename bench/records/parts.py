"""A run folder that several processes write: each has a part of its own, and reading joins them.

A shard of a run writes its share of the plan, its records, its scores and its logs into
`shards/2-of-8/` of the run folder, and nobody else writes there. So shards need no lock between
them, on whatever file system the folder lies, and a process that dies spoils no line of another.
What a run without shards writes stands in the folder itself; it is a part like the others.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.records.schema import CellRecord

SHARDS = "shards"
LONGEST_LOG = 100  # characters of a log's name: a plug-in from outside is named by its path
CLAIM = "claim"  # of the process that works on a shard; its time is the last sign of life
_NAME = re.compile(r"([1-9]\d{0,5})-of-([1-9]\d{0,5})", re.ASCII)


def part_folder(folder: Path, index: int, count: int) -> Path:
    """Where the shard `index` of `count` (from 1) keeps what it writes.

    Example:
        >>> part_folder(Path("run"), 2, 8).as_posix()
        'run/shards/2-of-8'
    """
    return folder / SHARDS / f"{index}-of-{count}"


def shard_of(part: Path) -> tuple[int, int] | None:
    """The number of a shard and how many there are, by its folder; None for another folder.

    Example:
        >>> shard_of(Path("run/shards/2-of-8")), shard_of(Path("run"))
        ((2, 8), None)
    """
    found = _NAME.fullmatch(part.name)
    if found is None or part.parent.name != SHARDS:
        return None
    return int(found[1]), int(found[2])


def shard_name(part: Path) -> str:
    """A shard as it is asked for, by its folder; empty for another folder.

    Example:
        >>> shard_name(Path("run/shards/2-of-8"))
        '2/8'
    """
    shard = shard_of(part)
    return "" if shard is None else f"{shard[0]}/{shard[1]}"


def shard_folders(folder: Path) -> list[Path]:
    """The parts of the shards in a run folder, by count and number."""
    place = folder / SHARDS
    found = [
        (shard[1], shard[0], path)
        for path in (place.iterdir() if place.is_dir() else ())
        if (shard := shard_of(path)) is not None and path.is_dir()
    ]
    return [path for _, _, path in sorted(found)]


def parts_of(folder: Path) -> list[Path]:
    """All folders with records of a run: its own, then those of its shards."""
    return [folder, *shard_folders(folder)]


def log_file(part: Path, name: str) -> Path:
    """The log of a method or metric in a part of a run, with its tracebacks.

    Args:
        part: A folder with records.
        name: Its name in the catalog, or `file.py:Class`. Variants of one method share a log.

    Example:
        >>> log_file(Path("run"), "level.py:Level").as_posix()
        'run/logs/level.py:Level.log'
    """
    return part / "logs" / f"{name.replace('/', '_')[-LONGEST_LOG:]}.log"


def in_time(files: Iterable[Sequence[CellRecord]]) -> list[CellRecord]:
    """Join the records of several files into one list, in which the latest of a cell stands last.

    Within a file the order stays. A record without a time, such as that of a beginning, has the
    time of the last one before it.

    Example:
        >>> first = [CellRecord(cell_id="a", status="ok", finished_at="2026-01-01T10:00:00")]
        >>> other = [CellRecord(cell_id="a", status="error", finished_at="2026-01-01T09:00:00")]
        >>> [record.status for record in in_time([first, other])]
        ['error', 'ok']
    """
    filled = [records for records in files if records]
    if len(filled) == 1:
        return list(filled[0])
    timed = heapq.merge(*map(_timed, filled), key=lambda one: one[0])
    return [record for _, record in timed]


def _timed(records: Sequence[CellRecord]) -> Iterator[tuple[str, CellRecord]]:
    now = next((record.finished_at for record in records if record.finished_at), "")
    for record in records:
        now = max(now, record.finished_at or "")
        yield now, record

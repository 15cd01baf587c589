"""`merge`: writing several runs of parts of one plan as one run folder.

Sounds are held against their records first; a sound that is not what was recorded is none, and its
cell counts as missing. They are linked where the file system can do that, else copied. What stands
in the new folder already counts as one of the runs, so nothing of it is lost, and merging again
changes nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from bench.batching import in_threads
from bench.files import inside, make_folder, replace_file, require_plain, sync_folder
from bench.records import store
from bench.records.embeddings import write_joined
from bench.records.integrity import altered_audio, recorded_audio
from bench.records.joining import Joined, join, texts
from bench.records.lock import locked
from bench.records.parts import shard_folders, shard_name
from bench.records.planned import written
from bench.records.sameness import package_lists
from bench.records.schema import FAILED, CellRecord, Record
from bench.records.store import Run, without_garbage_collection

# What file systems answer that cannot link two names, or not these two.
_CANNOT_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EACCES})
KeyT = TypeVar("KeyT")


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """What came of a merge.

    Args:
        runs: The runs that were read.
        joined: All of them as one.
        altered: What is wrong with sounds that were left out, in words.
    """

    runs: tuple[Run, ...]
    joined: Joined
    altered: tuple[str, ...]

    @property
    def faults(self) -> list[str]:
        """Sentences about lines of the runs that broke a rule and were left out."""
        return store.first_faults([words for run in self.runs for words in run.faults])

    @property
    def failed(self) -> int:
        """How many cells failed."""
        return sum(record.status in FAILED for record in self.joined.cells.values())


def merge(folders: Sequence[Path], out: Path | None, *, records_only: bool = False) -> Merged:
    """Join run folders, and write the result where a new folder is named.

    Args:
        folders: Run folders of parts of one plan.
        out: The new folder; None only checks. One that holds a run of the plan is extended.
        records_only: Leave the sounds where they are, unread.

    Raises:
        RecordError: A folder holds no run, the runs do not belong together, or somebody works in
            the new folder.
        LinkError: A link stands where a file of a run should be.
    """
    if out is None:
        return _joined(folders, records_only=records_only)
    make_folder(out)
    store.require_plain_run(out)
    with locked(out), without_garbage_collection():
        known = [out] if (out / "run.json").exists() else []
        merged = _joined([*known, *folders], records_only=records_only)
        _write(merged, out, records_only=records_only)
    return merged


def _joined(folders: Sequence[Path], *, records_only: bool) -> Merged:
    """Read and join; a sound that is altered in one folder is taken from another that has it."""
    each_once = list({folder.resolve(): folder for folder in folders}.values())
    altered: list[str] = []
    sound: set[tuple[str, Path]] = set()
    with without_garbage_collection():
        read = tuple(store.read_run(folder) for folder in each_once)
        runs = tuple(map(_with_its_shards, read))
        joined = join(runs)
        while not records_only and (faults := _altered(joined, sound)):
            altered += [words for by_cell in faults.values() for words in by_cell.values()]
            runs = tuple(_without(run, faults.get(run.folder, {})) for run in runs)
            joined = join(runs)
    return Merged(read, joined, tuple(altered))


def _altered(joined: Joined, sound: set[tuple[str, Path]]) -> dict[Path, dict[str, str]]:
    """What is wrong with sounds, in words by folder and cell; what was looked at is in `sound`."""
    by_home: dict[Path, list[CellRecord]] = {}
    for name, record in joined.cells.items():
        if (name, joined.homes[name]) not in sound:
            by_home.setdefault(joined.homes[name], []).append(record)
            sound.add((name, joined.homes[name]))
    found = {folder: altered_audio(folder, records) for folder, records in by_home.items()}
    return {
        folder: {name: f"{folder}: {words}" for name, words in faults.items()}
        for folder, faults in found.items()
        if faults
    }


def _with_its_shards(run: Run) -> Run:
    """The run with the names of the shards in its folder, which the header of the whole keeps."""
    shards = {name for part in shard_folders(run.folder) if (name := shard_name(part))}
    said = run.header.provenance
    known = sorted(shards.union(texts(said.get("shards"))))
    if not known:
        return run
    named = {"provenance": said | {"shards": known}}
    return replace(run, header=run.header.model_copy(update=named))


def _without(run: Run, gone: Mapping[str, str]) -> Run:
    cells = {name: record for name, record in run.cells.items() if name not in gone}
    return replace(run, cells=cells) if gone else run


def _write(merged: Merged, out: Path, *, records_only: bool) -> None:
    joined = merged.joined
    if not records_only:
        _place_sounds(joined, out)
    _place_package_lists(merged, out)
    folders = [run.folder for run in merged.runs]
    write_joined(folders, joined.header, joined.cells.values(), out)
    former = {run.folder: run for run in merged.runs}.get(out)
    if former is not None and _same(former, joined):
        return
    order = [metric.name for metric in joined.header.metrics]
    ids = [cell.cell_id for cell in joined.plan]
    keys = [(name, metric) for name in ids for metric in order]
    _replace(out / "plan.jsonl", [line for _, line in written(joined.plan)], out)
    _replace(out / "cells.jsonl", _lines(joined.cells, ids), out)
    _replace(out / "scores.jsonl", _lines(joined.scores, keys), out)
    store.write_header(out, joined.header)


def _same(former: Run, joined: Joined) -> bool:
    """Whether a folder holds the joined run already."""
    return (
        former.header == joined.header
        and former.plan == joined.plan
        and former.cells == joined.cells
        and former.scores == joined.scores
    )


def _lines(records: Mapping[KeyT, Record], keys: Sequence[KeyT]) -> list[bytes]:
    return [records[key].model_dump_json().encode() for key in keys if key in records]


def _replace(path: Path, lines: Sequence[bytes], root: Path) -> None:
    replace_file(path, b"".join(line + b"\n" for line in lines), root=root)


def _place_sounds(joined: Joined, out: Path) -> None:
    """Bring the sound of every cell into the new folder, unless it is there."""
    finished = [record for record in joined.cells.values() if record.status == "ok"]
    make_folder(out / "audio")
    in_threads(lambda record: _place_sound(joined.homes[record.cell_id], record, out), finished)
    sync_folder(out / "audio")


def _place_sound(home: Path, record: CellRecord, out: Path) -> None:
    name = str(record.audio)  # audio/<name>, as every record that was read
    source, target = inside(home, name).resolve(), out / name
    require_plain(target, out)
    if target.exists():
        if target.samefile(source) or not isinstance(recorded_audio(out, record), str):
            return
        target.unlink()
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        replace_file(target, source.read_bytes(), root=out)


def _place_package_lists(merged: Merged, out: Path) -> None:
    """Bring the lists of installed packages that the header names, where the runs have them."""
    for one in package_lists(merged.joined.header.provenance):
        name = PurePosixPath(str(one["file"])).name
        if not name or (out / name).exists():
            continue
        for run in merged.runs:
            source = inside(run.folder, name)
            if source.is_file():
                replace_file(out / name, source.read_bytes(), root=out)
                break

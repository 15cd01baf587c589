"""Join several runs of one setting, which may hold different methods, metrics or cells."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TypeVar

from bench.api import RecordError
from bench.records.identity import other_methods
from bench.records.planned import Place, place_of
from bench.records.sameness import differences, joined, suite_digest
from bench.records.schema import (
    CellRecord,
    MethodEntry,
    MetricEntry,
    PlannedCell,
    RunHeader,
    ScoreRecord,
)
from bench.records.store import Run
from reports.tables.reading import check_fingerprints

CODE = frozenset({"identity", "repository"})  # by which code, which the tables tell in words
EntryT = TypeVar("EntryT", MethodEntry, MetricEntry)


def merge(runs: Sequence[Run]) -> Run:
    """Join runs of one setting; where a cell occurs in several, the run named first counts.

    A setting is a suite without its methods, controls, metrics and name (see
    `bench.records.sameness`). The joined run has the digest that one run of all these methods and
    metrics would have. The first cell counts even if it failed and a later one ended well, so that
    repeating a failed cell does not hide the failure.

    Raises:
        RecordError: There is no run, the settings differ, a method differs between runs in more
            than its code and weights, or the scores of one metric carry different fingerprints.
    """
    if not runs:
        raise RecordError("no run was named; a report needs one. Name a folder with a run.json.")
    for run in runs[1:]:
        _check_setting(runs[0], run)
    merged = runs[0] if len(runs) == 1 else _joined(runs)
    check_fingerprints(merged)
    return merged


def _joined(runs: Sequence[Run]) -> Run:
    header = _header(runs)
    order = {method.label: position for position, method in enumerate(header.methods)}
    plan: dict[Place, PlannedCell] = {}
    cells: dict[str, CellRecord] = {}
    scores: dict[tuple[str, str], ScoreRecord] = {}
    for run in reversed(runs):
        changed = {i for i, cell in run.cells.items() if _other_audio(cells.get(i), cell)}
        scores = {key: score for key, score in scores.items() if key[0] not in changed}
        plan |= {place_of(cell): cell for cell in run.plan}
        cells |= run.cells
        scores |= run.scores
    planned = sorted(plan.values(), key=lambda cell: order.get(cell.method, len(order)))
    return Run(
        runs[0].folder,
        header,
        tuple(planned),
        cells,
        scores,
        tuple(words for run in runs for words in run.faults),
        tuple(f"{run.folder}: {words}" for run in runs for words in run.plan_faults),
        _remarks(runs),
    )


def _remarks(runs: Sequence[Run]) -> tuple[str, ...]:
    """What the runs remark, and the methods that are not the same in all of them."""
    own = [f"{run.folder}: {words}" for run in runs for words in run.remarks]
    unlike = [
        f"{label}: {words} in {other.folder} than in {runs[0].folder}"
        for other in runs[1:]
        for label, words in other_methods(runs[0].header, other.header).items()
    ]
    return (*own, *unlike)


def _other_audio(known: CellRecord | None, cell: CellRecord) -> bool:
    """Whether a cell's audio is not the one known so far, whose scores then do not count."""
    return known is not None and known.audio_digest != cell.audio_digest


def _header(runs: Sequence[Run]) -> RunHeader:
    first = runs[0].header
    suite = reduce(joined, (run.header.suite for run in runs))
    devices = {m.label: run.header.device for run in reversed(runs) for m in run.header.methods}
    return first.model_copy(
        update={
            "run_id": " + ".join(run.header.run_id for run in runs),
            "suite": suite,
            "suite_digest": suite_digest(suite),
            "methods": _entries([(run, m, m.label) for run in runs for m in run.header.methods]),
            "metrics": _entries([(run, m, m.name) for run in runs for m in run.header.metrics]),
            "provenance": first.provenance | {"device_by_method": devices},
        }
    )


def _check_setting(first: Run, other: Run) -> None:
    unlike = differences(first.header, other.header)
    if unlike:
        raise RecordError(
            f"{other.folder} (suite {other.header.suite_name}) and {first.folder} (suite "
            f"{first.header.suite_name}) differ in {', '.join(unlike)}; one table holds one "
            "setting, with any methods and metrics. Report them one by one."
        )


def _entries(found: Sequence[tuple[Run, EntryT, str]]) -> list[EntryT]:
    """One entry per name in order of first appearance; entries with the same name must agree."""
    kept: dict[str, tuple[Run, EntryT]] = {}
    for run, entry, name in found:
        holder, known = kept.setdefault(name, (run, entry))
        if known != entry:
            unlike = [f for f, value in entry if value != getattr(known, f)]
            fields = [f for f in unlike if f not in CODE]
            if not fields:  # told in the remarks: the cells of the run named first count
                continue
            raise RecordError(
                f"{name!r} differs between {holder.folder} and {run.folder} in "
                f"{', '.join(fields)}; one row or column holds one thing. Report them one by one."
            )
    return [entry for _, entry in kept.values()]

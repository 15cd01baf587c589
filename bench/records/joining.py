"""One run out of several that did parts of one plan: pure functions of their records.

The runs must agree in everything that decides a result: setting, precision, plan, code and weights
of the methods, fingerprints of the metrics. Where two have rendered a cell, the sounds must be the
same. The joined run is then what one run of the whole plan would be, whoever did which cell, and in
whatever order the runs are named.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, TypeVar

from bench.api import RecordError
from bench.outside.wording import one_line, some
from bench.records.identity import other_methods
from bench.records.planned import Place, in_force, ordered, place_of, plan_facts, written
from bench.records.sameness import differences, joined, package_lists, suite_digest
from bench.records.schema import (
    OPEN,
    CellRecord,
    MethodEntry,
    MetricEntry,
    PlanFacts,
    PlannedCell,
    RunHeader,
    ScoreRecord,
)
from bench.records.store import Run, belongs

# What the provenance says about a machine; joined runs may be of several.
MACHINE = ("device", "gpu", "cpu_model", "cpu_features", "machine", "platform", "threads")
APART = frozenset({"identity", "repository"})  # compared by the code and weights behind them
EntryT = TypeVar("EntryT", MethodEntry, MetricEntry)


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Several runs as one.

    Args:
        header: As that of one run of the whole plan.
        plan: The planned cells that are known, in the order of one run.
        cells: The outcome of each that has one.
        scores: Their scores, by cell and metric.
        homes: The run folder that each outcome comes from.
    """

    header: RunHeader
    plan: tuple[PlannedCell, ...]
    cells: dict[str, CellRecord]
    scores: dict[tuple[str, str], ScoreRecord]
    homes: dict[str, Path]

    @property
    def planned(self) -> int:
        """How many cells the whole plan has."""
        return sum(facts.cells for facts in self.header.plan.values())

    @property
    def missing(self) -> dict[str, int]:
        """How many cells of each method have no outcome; methods that lack none are left out."""
        found = Counter(cell.method for cell in self.plan if cell.cell_id in self.cells)
        lacks = {label: facts.cells - found[label] for label, facts in self.header.plan.items()}
        return {label: count for label, count in lacks.items() if count}


def join(runs: Sequence[Run]) -> Joined:
    """Join runs of parts of one plan.

    Raises:
        RecordError: The runs differ in what decides a result, plan other cells, or hold other
            audio of one cell.
    """
    if not runs:
        raise RecordError("no run was named; there is nothing to merge. Name run folders.")
    ranked = sorted(runs, key=lambda run: (run.header.created_at, run.header.run_id))
    for run in ranked[1:]:
        _require_one_setting(ranked[0], run)
    facts = _whole_plan(ranked)
    header = _header(ranked, facts)
    plan = ordered(header, _planned(ranked, facts))
    cells, homes = _outcomes(ranked, plan, header)
    return Joined(header, plan, cells, _scores(ranked, cells, homes), homes)


def _require_one_setting(first: Run, other: Run) -> None:
    unlike = differences(first.header, other.header)
    precisions = [run.header.provenance.get("precision", "float32") for run in (first, other)]
    if precisions[0] != precisions[1]:
        unlike = [*unlike, "the precision of frozen networks"]
    if unlike:
        raise RecordError(
            f"{other.folder} and {first.folder} differ in {some(unlike, ', ')}; only runs of one "
            "setting are merged. Leave one of them out."
        )


def _whole_plan(runs: Sequence[Run]) -> dict[str, PlanFacts]:
    """What the whole plan is, by label of the method; all runs state the same."""
    facts: dict[str, PlanFacts] = {}
    named: dict[str, Path] = {}
    for run in runs:
        for label, own in _stated(run).items():
            if facts.setdefault(label, own) != own:
                raise RecordError(
                    f"{run.folder} and {named[label]} plan other cells for {one_line(label)}; only "
                    "shards of one plan are merged. Leave one of them out."
                )
            named.setdefault(label, run.folder)
    return facts


def _stated(run: Run) -> dict[str, PlanFacts]:
    """The plan that a run is a part of: of a whole one that it holds itself, the lines in force."""
    own = plan_facts(written(run.plan))
    return own | run.header.plan if run.plan_faults else own


def _planned(runs: Sequence[Run], facts: Mapping[str, PlanFacts]) -> tuple[PlannedCell, ...]:
    places: dict[Place, tuple[PlannedCell, Run]] = {}
    for run in runs:
        for cell in run.plan:
            known, holder = places.setdefault(place_of(cell), (cell, run))
            if known != cell:
                raise RecordError(
                    f"{_named(cell)} is planned otherwise in {run.folder} than in {holder.folder}; "
                    "only shards of one plan are merged. Leave one of them out."
                )
    cells = tuple(cell for cell, _ in places.values())
    for label, found in plan_facts(written(cells)).items():
        if found.cells >= facts[label].cells and found != facts[label]:
            raise RecordError(
                f"the planned cells of {one_line(label)} in {_folders(runs)} are not those that "
                "their headers state; a plan was altered. The same `run` commands restore it."
            )
    return in_force((cell, b"") for cell in cells)


def _folders(runs: Sequence[Run]) -> str:
    return some((str(run.folder) for run in runs), ", ")


def _named(cell: PlannedCell) -> str:
    where = f"{one_line(cell.method)}, {one_line(cell.style)}, {one_line(cell.content)}"
    return f"cell {cell.cell_id} ({where}, repetition {cell.repetition})"


def _outcomes(
    runs: Sequence[Run], plan: Iterable[PlannedCell], header: RunHeader
) -> tuple[dict[str, CellRecord], dict[str, Path]]:
    """The outcome of each cell and where it lies; one by other code than the header's is none."""
    present = {method.label: method.identity for method in header.methods}
    planned = {cell.cell_id: cell for cell in plan}
    cells: dict[str, CellRecord] = {}
    homes: dict[str, Path] = {}
    conflicts = []
    for run in runs:
        for name, record in run.cells.items():
            cell, known = planned.get(name), cells.get(name)
            if cell is None or not _is_outcome(record, present.get(cell.method)):
                continue
            if known is not None and _other_audio(known, record):
                conflicts.append(
                    f"{_named(cell)} is other audio in {run.folder} than in {homes[name]}"
                )
            if known is None or _counts_before(record, known):
                cells[name], homes[name] = record, run.folder
    if conflicts:
        raise RecordError(
            f"{some(conflicts)}; one cell has one sound. Leave one of the folders out, or render "
            "these cells anew on one kind of machine."
        )
    return cells, homes


def _is_outcome(record: CellRecord, identity: str | None) -> bool:
    return record.status not in OPEN and record.identity == identity


def _other_audio(first: CellRecord, second: CellRecord) -> bool:
    both = first.status == second.status == "ok"
    return both and first.audio_digest != second.audio_digest


def _counts_before(record: CellRecord, known: CellRecord) -> bool:
    """Whether an outcome takes the place of another: of two sounds the first, else the latest."""
    new, old = _age(record), _age(known)
    return new < old if record.status == known.status == "ok" else new > old


def _age(record: CellRecord) -> tuple[str, str]:
    return record.finished_at or "", record.model_dump_json()


def _scores(
    runs: Sequence[Run], cells: Mapping[str, CellRecord], homes: Mapping[str, Path]
) -> dict[tuple[str, str], ScoreRecord]:
    """The scores of the joined cells: those made where the cell was rendered, then any other."""
    found: dict[tuple[str, str], ScoreRecord] = {}
    for run in runs:
        for key, score in run.scores.items():
            own = homes.get(key[0]) == run.folder
            if (own or key not in found) and belongs(score, cells.get(key[0])):
                found[key] = score
    return found


def _header(runs: Sequence[Run], facts: Mapping[str, PlanFacts]) -> RunHeader:
    """The header of the run that began first, with what the others add to it."""
    first = runs[0].header
    for run in runs[1:]:
        words = other_methods(first, run.header)
        if words:
            unlike = some((f"{one_line(label)}: {what}" for label, what in words.items()), ", ")
            raise RecordError(
                f"{run.folder} and {runs[0].folder} are not of one code ({unlike}); a method has "
                "one code in a run. Render the cells of one of them anew."
            )
    suite = reduce(joined, (run.header.suite for run in runs)) | {
        "dataset": first.suite.get("dataset")
    }
    methods = [(run, method, method.label) for run in runs for method in run.header.methods]
    metrics = [(run, metric, metric.name) for run in runs for metric in run.header.metrics]
    return first.model_copy(
        update={
            "argv": without_shard(first.argv),
            "suite": suite,
            "suite_digest": suite_digest(suite),
            "methods": _entries(methods),
            "metrics": _entries(metrics),
            "provenance": _provenance([run.header.provenance for run in runs]),
            "identities": reduce(or_, (run.header.identities for run in reversed(runs))),
            "plan": dict(facts),
        }
    )


def without_shard(argv: Sequence[str]) -> list[str]:
    """A command line without its `--shard`.

    Example:
        >>> without_shard(["run", "--shard", "1/3", "--out", "a"]), without_shard(["--shard=1/3"])
        (['run', '--out', 'a'], [])
    """
    kept = [word for word in argv if not word.startswith("--shard=")]
    if "--shard" not in kept:
        return kept
    place = kept.index("--shard")
    return [*kept[:place], *kept[place + 2 :]]


def _provenance(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """That of the first run, with the packages, devices and machines of all."""
    lists = package_lists(*found)
    shards = sorted({name for said in found for name in texts(said.get("shards"))})
    devices = list(dict.fromkeys(name for said in found for name in texts(said.get("devices"))))
    machines = {
        json.dumps(one, sort_keys=True): one
        for said in found
        for one in said.get("machines") or [{key: said[key] for key in MACHINE if key in said}]
    }
    several = {"machines": [machines[key] for key in sorted(machines)]} if len(machines) > 1 else {}
    return {
        **found[0],
        "package_lists": sorted(lists, key=lambda one: str(one["file"])),
        "devices": devices,
        **({"shards": shards} if shards else {}),
        **several,
    }


def texts(value: object) -> list[str]:
    """The texts of a list in a header, which may hold anything.

    Example:
        >>> texts(["1/2", 3]), texts(None)
        (['1/2'], [])
    """
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _entries(found: Sequence[tuple[Run, EntryT, str]]) -> list[EntryT]:
    """One entry per name, in order of first appearance; entries of one name must agree."""
    kept: dict[str, tuple[Run, EntryT]] = {}
    for run, entry, name in found:
        holder, known = kept.setdefault(name, (run, entry))
        unlike = [field for field, value in entry if value != getattr(known, field)]
        unlike = [field for field in unlike if field not in APART]
        if unlike:
            raise RecordError(
                f"{one_line(name)!r} differs between {holder.folder} and {run.folder} in "
                f"{', '.join(unlike)}; a run holds one thing of a name. Leave one of them out."
            )
    return [entry for _, entry in kept.values()]

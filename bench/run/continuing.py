"""What a session finds in an existing run folder: whose plan it extends, and what is out of date.

A session's cells keep the chunks that they have in the folder, because batched arithmetic depends
in the last digits on what is computed together. What cannot be kept is said before any work: lines
of the plan that are lost are written again, and cells that other code or weights rendered are
rendered anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.api import RecordError
from bench.plan.plan import Plan, missing_cells
from bench.records import store
from bench.records.identity import UNKNOWN, differing
from bench.records.parts import parts_of
from bench.records.planned import (
    Line,
    broken_plans,
    in_force,
    place_of,
    plan_facts,
    written,
)
from bench.records.sameness import setting
from bench.records.schema import (
    OPEN,
    CellRecord,
    PlanFacts,
    PlannedCell,
    RunHeader,
    ScoreRecord,
)
from bench.run.keys import Identity, facts_of
from bench.scores import Range


@dataclass(frozen=True, slots=True)
class Layout:
    """The plan of a folder together with that of a session.

    Args:
        cells: The session's cells, in order: those of the folder with their chunks, then new ones.
        kept: The lines of the folder that stay.
        added: Cells that the folder's plan lacks.
        rewritten: Whether lines of the folder are lost or go, so that its plan is written anew.
        facts: What the header is to state about the plan.
        restored: Methods of the session whose lines were not whole.
    """

    cells: tuple[PlannedCell, ...]
    kept: tuple[Line, ...]
    added: tuple[PlannedCell, ...]
    rewritten: bool
    facts: dict[str, PlanFacts]
    restored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """Cells of a method that were not rendered by what the method is now.

    Args:
        label: The method.
        cells: How many of its cells have such an outcome.
        words: What differs, such as "code".
    """

    label: str
    cells: int
    words: str

    @property
    def fact(self) -> str:
        """The change as the first part of a sentence."""
        return f"{self.label} has changed ({self.words}) since {self.cells} of its cells"


@dataclass(frozen=True, slots=True)
class Former:
    """The records of former sessions about the cells of this one.

    Args:
        cells: All of them, the latest of a cell last.
        scores: The latest of each cell and metric.
    """

    cells: Sequence[CellRecord] = ()
    scores: Mapping[tuple[str, str], ScoreRecord] = field(default_factory=dict)


def read_records(folder: Path, of: Collection[str], ranges: Mapping[str, Range]) -> Former:
    """Read the records of a folder once for a session, which alone adds any to its own cells.

    Args:
        folder: The run folder.
        of: The ids of the session's cells.
        ranges: The declared range of each metric.
    """
    with store.without_garbage_collection():
        cells = store.read_cells(folder, of=of)
        latest = {record.cell_id: record for record in cells if record.status not in OPEN}
        return Former(cells, store.read_scores(folder, ranges, cells=latest, of=of))


def read_former(folder: Path) -> RunHeader | None:
    """The header of the run that a folder holds; None where it holds none."""
    return store.read_header(folder) if (folder / "run.json").exists() else None


def unwritten(plan: Plan) -> Layout:
    """The plan of a session alone, whatever its folder holds."""
    facts = plan_facts(written(plan.cells))
    return Layout(plan.cells, (), plan.cells, rewritten=False, facts=facts)


def lay_out(folder: Path, header: RunHeader | None, plan: Plan) -> Layout:
    """Join the plan of a session with that of its folder, which may be empty; writes nothing.

    Args:
        folder: The run folder.
        header: What `read_former` gives for it.
        plan: The plan of the session.
    """
    stated = {} if header is None else header.plan
    faults: list[str] = []
    lines = [
        line
        for part in parts_of(folder)
        for line in store.read_lines(part / "plan.jsonl", PlannedCell, faults)
    ]
    ours = {method.choice.label for method in plan.methods}
    broken = broken_plans(stated, lines) & ours
    unknown = broken_plans(stated, lines) - ours - stated.keys()
    kept = [one for one in _kept(lines, plan, broken) if one[0].method not in unknown]
    by_place = {place_of(cell): cell for cell in in_force(kept)}
    wanted = {cell.cell_id: cell.content_seed for cell in plan.cells}
    known = [  # an older plan does not say what a content's own draws come from
        cell.model_copy(update={"content_seed": wanted[cell.cell_id]})
        for cell in by_place.values()
        if cell.cell_id in wanted
    ]
    added = missing_cells(plan, known)
    facts = plan_facts([*kept, *written(added)])
    if stated:  # what other methods lack, their own command restores
        facts = dict(stated) | {label: fact for label, fact in facts.items() if label in ours}
    return Layout(
        cells=(*known, *added),
        kept=tuple(kept),
        added=added,
        rewritten=bool(faults) or len(kept) < len(lines),
        facts=facts,
        restored=tuple(sorted(broken & {cell.method for cell, _ in lines})),
    )


def _kept(lines: Sequence[Line], plan: Plan, broken: set[str]) -> list[Line]:
    """The lines that stay: of a method whose lines are not whole, only those that were replaced."""
    wanted = {cell.cell_id for cell in plan.cells}
    places = {place_of(cell) for cell in plan.cells}
    return [
        (cell, line)
        for cell, line in lines
        if cell.method not in broken or (cell.cell_id not in wanted and place_of(cell) in places)
    ]


def require_same_setting(folder: Path, header: RunHeader, plan: Plan, precision: str) -> None:
    """Refuse to go on in the folder of another comparison.

    Raises:
        RecordError: The folder holds a run of another suite, dataset, profile or other parameters.
    """
    theirs, ours = setting(header.suite), setting(plan.suite.recorded)
    unlike = sorted(key for key in ours if theirs.get(key) != ours[key])
    if header.provenance.get("precision", precision) != precision:
        unlike.append("the precision of frozen networks")
    if unlike or header.dataset["digest"] != plan.dataset.digest:
        what = ", ".join(unlike) or "the clips of the dataset"
        raise RecordError(
            f"{folder} holds a run of suite {header.suite_name} that differs in {what}; one run "
            "folder holds one comparison. Choose another folder with --out."
        )


def find_changes(
    folder: Path,
    header: RunHeader,
    layout: Layout,
    plan: Plan,
    identities: Mapping[str, Identity],
) -> list[Change]:
    """The methods of a session of which the folder has cells by other code, weights or version.

    Args:
        folder: The run folder.
        header: Its header.
        layout: Its plan with that of the session.
        plan: The plan of the session.
        identities: The present code and weights of its methods, by label.
    """
    outcomes = {
        record.cell_id: record for record in store.read_cells(folder) if record.status not in OPEN
    }
    count: dict[str, int] = defaultdict(int)
    words: dict[str, dict[str, None]] = defaultdict(dict)
    facts = {
        method.choice.label: facts_of(identities[method.choice.label], method)
        for method in plan.methods
    }
    ours, replaced = _former(layout)
    for cell_id, label in (ours | replaced).items():
        record = outcomes.get(cell_id)
        if record is None or (cell_id in ours and record.identity == identities[label].mark):
            continue
        before = header.identities.get(str(record.identity))
        unlike = [f"from {UNKNOWN}"] if before is None else differing(before, facts[label])
        count[label] += 1
        otherwise = "default parameters" if cell_id in replaced else "code"
        words[label] |= dict.fromkeys(unlike or [otherwise])
    return [Change(label, count[label], ", ".join(words[label])) for label in count]


def require_unchanged(folder: Path, changes: Sequence[Change]) -> None:
    """Refuse to go on where a method has changed.

    Raises:
        RecordError: One has.
    """
    if changes:
        raise RecordError(
            f"{'; '.join(one.fact for one in changes)} in {folder} were rendered; --keep-old "
            "renders nothing anew. Put back what was changed, leave --keep-old out, or choose "
            "another folder with --out."
        )


def _former(layout: Layout) -> tuple[dict[str, str], dict[str, str]]:
    """The labels of a session's cells by their ids, and those of cells whose place they take."""
    ours = {cell.cell_id: cell.method for cell in layout.cells}
    places = {place_of(cell) for cell in layout.cells}
    replaced = {
        cell.cell_id: cell.method
        for cell in in_force(layout.kept)
        if place_of(cell) in places and cell.cell_id not in ours
    }
    return ours, replaced

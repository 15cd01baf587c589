"""The plan of a run as it stands in `plan.jsonl`: which lines hold, and whether all are there.

Lines are only ever added. Where a method was changed, its cells get new ids, and the new line for a
place (method, style, content, repetition) takes the place of the old one. How many lines there are
for each method, and a digest of them, stand in the header of the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from bench.outside.wording import one_line, some
from bench.records.schema import PlanFacts, PlannedCell, RunHeader

Line = tuple[PlannedCell, bytes]  # a planned cell, and the line that it was read from
Place = tuple[str, str, str, int]


def place_of(cell: PlannedCell) -> Place:
    """Method, style, content and repetition: what a cell is, whatever its method's version."""
    return cell.method, cell.style, cell.content, cell.repetition


def in_force(lines: Iterable[Line]) -> tuple[PlannedCell, ...]:
    """The planned cells; of several lines for one place the last counts."""
    return tuple({place_of(cell): cell for cell, _ in lines}.values())


def ordered(header: RunHeader, cells: Iterable[PlannedCell]) -> tuple[PlannedCell, ...]:
    """Planned cells in the order of one run of them all, whoever planned which.

    That is by method, style, repetition and content, each as the header lists them.
    """
    labels = [method.label for method in header.methods]
    methods, styles, contents = (
        {name: place for place, name in enumerate(names)}
        for names in (labels, header.styles, header.contents)
    )

    def place(cell: PlannedCell) -> tuple[int, int, int, int]:
        method = methods.get(cell.method, len(methods))
        style = styles.get(cell.style, len(styles))
        return method, style, cell.repetition, contents.get(cell.content, len(contents))

    return tuple(sorted(cells, key=place))


def written(cells: Iterable[PlannedCell]) -> list[Line]:
    """Planned cells as the lines that will be written."""
    return [(cell, cell.model_dump_json().encode()) for cell in cells]


def plan_facts(lines: Iterable[Line]) -> dict[str, PlanFacts]:
    """What a header states about these lines, by the label of the method."""
    found: dict[str, set[bytes]] = {}
    for cell, line in lines:
        found.setdefault(cell.method, set()).add(line)
    return {
        label: PlanFacts(cells=len(own), digest=hashlib.sha256(b"\n".join(sorted(own))).hexdigest())
        for label, own in found.items()
    }


def broken_plans(stated: Mapping[str, PlanFacts], lines: Iterable[Line]) -> set[str]:
    """Labels whose lines are not what the header states; none where it states nothing."""
    found = plan_facts(lines)
    labels = stated.keys() | found.keys() if stated else set()
    return {label for label in labels if stated.get(label) != found.get(label)}


def find_plan_faults(
    stated: Mapping[str, PlanFacts],
    lines: Collection[Line],
    recorded: Iterable[str],
    shards: Sequence[str] = (),
) -> list[str]:
    """What is wrong with a plan, in sentences; none where nothing is.

    Args:
        stated: What the header says; nothing in older runs.
        lines: The lines that were read.
        recorded: Ids of cells that have an outcome.
        shards: The names of those shards of the run that have lines in its folder.
    """
    faults = []
    broken = broken_plans(stated, lines)
    if broken:
        found = plan_facts(lines)
        there = sum(found[label].cells for label in broken if label in found)
        planned = sum(stated[label].cells for label in broken if label in stated)
        fact = f"holds {there} of {planned} planned cells" if there < planned else "was altered"
        labels = some(map(one_line, sorted(broken)), ", ")
        way_out = "the same `run` command restores it"
        if shards and there < planned:
            parts = some(shards, ", ")
            way_out = f"here are shards {parts}; run the others, or `merge` their folders with it"
        faults.append(f"plan.jsonl {fact} ({labels}); {way_out}")
    orphans = len(set(recorded) - {cell.cell_id for cell, _ in lines})
    if orphans:
        faults.append(
            f"cells of cells.jsonl in no line of plan.jsonl, which count nowhere: {orphans}"
        )
    return faults

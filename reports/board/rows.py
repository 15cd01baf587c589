"""The rows of a leaderboard: the methods of several runs of one setting, reruns apart.

Runs of one setting join into one (`reports.merging`), which refuses unlike settings and measures.
Before that each method of each run becomes a method of its own, so that two runs of one method are
two rows and no run hides cells of another. The numbers are those of Table II of the joined run
(`reports.tables.placing`); nothing is computed here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.api import RecordError
from bench.outside.wording import one_line
from bench.records.schema import MethodEntry
from bench.records.store import Run
from reports.merging import merge
from reports.tables.placing import Placed, placed
from reports.tables.table2 import table2
from reports.text.result_table import ResultTable
from reports.titles import shown_labels, titled

_DAY = len("2026-01-31")


@dataclass(frozen=True, slots=True)
class Entrant:
    """A run that stands on the board.

    Args:
        run: What its folder holds.
        by: Who published it; "local" for a run that was not.
        source: Where it was read: a folder, or the name of a repository.
    """

    run: Run
    by: str
    source: str


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One method of one run.

    Args:
        placed: Its numbers; its label there may say the run too.
        name: What it is called.
        entrant: The run.
        code: Head of the identity of its code and weights, or what is known instead.
        rerun: Whether another run on the board has a method of this label too.
    """

    placed: Placed
    name: str
    entrant: Entrant
    code: str
    rerun: bool


@dataclass(frozen=True, slots=True)
class Board:
    """The joined run with its Table II, and its rows: competitors first, then controls."""

    run: Run
    table: ResultTable
    rows: tuple[BoardRow, ...]
    entrants: tuple[Entrant, ...]


def build_board(entrants: Sequence[Entrant]) -> Board:
    """Join runs of one setting, with each method of each run apart.

    Raises:
        RecordError: No run is given or one twice, the settings differ, or a metric is not the same
            measure in all.
    """
    _require_distinct(entrants)
    names = shown_labels(entry for one in entrants for entry in one.run.header.methods)
    often = Counter(entry.label for one in entrants for entry in one.run.header.methods)
    known: dict[str, tuple[Entrant, MethodEntry]] = {}
    runs = []
    for place, one in enumerate(entrants):
        labels = dict(_apart(one.run, names, often))
        known |= {labels[entry.label]: (one, entry) for entry in one.run.header.methods}
        runs.append(titled(_with_own_cells(one.run, place), labels))
    joined = merge(runs)
    table = table2(joined)
    rows = []
    for found in placed(joined, table):
        entrant, entry = known[found.label]
        name, rerun = one_line(names[entry.label]), often[entry.label] > 1
        rows.append(BoardRow(found, name, entrant, code_words(entry), rerun))
    return Board(joined, table, tuple(rows), tuple(entrants))


def _apart(
    run: Run, names: Mapping[str, str], often: Mapping[str, int]
) -> Iterator[tuple[str, str]]:
    """Each label of a run with one that no other run has."""
    for entry in run.header.methods:
        name = names[entry.label]
        again = often[entry.label] > 1
        yield entry.label, f"{name} ({one_line(run.header.run_id)})" if again else name


def _with_own_cells(run: Run, place: int) -> Run:
    """The run with ids of cells that no other has: the same cell has one id in every run."""
    plan = tuple(
        cell.model_copy(update={"cell_id": f"{place}:{cell.cell_id}"}) for cell in run.plan
    )
    cells = {
        f"{place}:{name}": cell.model_copy(update={"cell_id": f"{place}:{name}"})
        for name, cell in run.cells.items()
    }
    scores = {
        (f"{place}:{name}", metric): score.model_copy(update={"cell_id": f"{place}:{name}"})
        for (name, metric), score in run.scores.items()
    }
    return replace(run, plan=plan, cells=cells, scores=scores)


def _require_distinct(entrants: Sequence[Entrant]) -> None:
    seen: dict[str, Entrant] = {}
    for one in entrants:
        other = seen.setdefault(one.run.header.run_id, one)
        if other is not one:
            raise RecordError(
                f"{other.source} and {one.source} are one run, {one.run.header.run_id}; it would "
                "stand there twice. Name each run once."
            )


def code_words(entry: MethodEntry) -> str:
    """By which code a method rendered, in a few letters."""
    if entry.identity:
        return entry.identity[:12]
    return entry.repository.words if entry.repository else f"version {entry.version}"


def day(moment: str) -> str:
    """The day of a moment as records write it.

    Example:
        >>> day("2026-01-02T03:04:05Z")
        '2026-01-02'
    """
    return one_line(moment)[:_DAY]

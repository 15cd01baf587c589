"""What of a table a paper prints: its caption, four notes, and table II in forms of two widths.

A paper says once, in an appendix, where its numbers come from. So beneath a table there is only
what it cannot be read without: what bold and intervals mean, which cells a row rests on, and
whether a control is out of order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.api import UnknownNameError
from bench.errors import nearest
from bench.records.schema import MetricEntry
from bench.records.store import Run
from reports.tables import notes, reading
from reports.tables.capabilities import capability_notes
from reports.tables.table2 import OUT_OF_ORDER
from reports.text.latex import MOST_NOTES
from reports.text.result_table import ResultTable, Row

OWN_CELLS = frozenset({"measured", "imputed"})  # rows that rest on the cells of their method alone
LONGEST = 300  # characters of a note that stands beneath a table
_FIRST = (notes.BEST, *notes.KINDS.values(), notes.COMMON)  # in this order beneath a table
LATER = len(_FIRST)


def caption(run: Run, table: ResultTable, more: str = "") -> str:
    """The caption of a table as sentences: its title, what `more` there is to say, and its data."""
    header = run.header
    size = f"{notes.counted(len(header.styles), 'style')}, "
    size += notes.counted(len(header.contents), "content")
    mini = "; mini models" if header.profile == "mini" else ""
    name = header.dataset.get("name", "unnamed")
    return " ".join(filter(None, [f"{table.title}.", more, f"Dataset {name}: {size}{mini}."]))


def once(run: Run) -> tuple[str, ...]:
    """The notes that are about the run or its measures, whatever table they stand under."""
    return (
        *notes.identity_notes(run), *methods_notes(run), *notes.fingerprint_notes(run),
        notes.provenance_note(run),
    )  # fmt: skip


def methods_notes(run: Run) -> tuple[str, ...]:
    """What the methods are given, and what limits them."""
    return (*notes.sees_notes(run), *capability_notes(run))


def beneath(run: Run, table: ResultTable) -> tuple[str, ...]:
    """The notes that stand beneath a printed table, at most `MOST_NOTES`.

    None is longer than `LONGEST`. A control out of order is told of in any case; of several, the
    first.
    """
    apart = frozenset(once(run))
    said = [note for note in table.notes if note not in apart and len(note) <= LONGEST]
    alarms = [note for note in said if note.startswith(OUT_OF_ORDER)]
    rest = sorted((note for note in said if note not in alarms), key=_rank)
    shown = [note.replace(notes.NO_BOLD, "") for note in rest[: MOST_NOTES - bool(alarms)]]
    if alarms:
        more = f"; {len(alarms) - 1} more in the appendix" if len(alarms) > 1 else ""
        shown.append(alarms[0] + more)
    return tuple(shown)


def _rank(note: str) -> int:
    return _FIRST.index(note) if note in _FIRST else LATER - note.startswith("failed at ")


def elsewhere(run: Run, table: ResultTable, shown: Sequence[str]) -> tuple[str, ...]:
    """The notes of a table that stand neither beneath it nor among those said once."""
    known = {*once(run), *shown}
    return tuple(
        note
        for note in table.notes
        if note not in known and note.replace(notes.NO_BOLD, "") not in known
    )


def comparable(table: ResultTable) -> tuple[ResultTable, ResultTable | None]:
    """Table II with the rows that may be compared, and apart those that may not, if there are any.

    Where methods have scores of different cells, these are the rows over the common cells; the
    others become a table of their own.
    """
    if not any(row.kind == "common" for row in table.rows):
        return table, None
    apart = tuple(row for row in table.rows if row.kind in OWN_CELLS)
    rows = tuple(_named(row) for row in table.rows if row.kind not in OWN_CELLS)
    title = f"{table.title}, each on all of its own cells"
    own = replace(table, rows=apart, label=f"{table.label}-own", title=title)
    return _filled(replace(table, rows=rows)), own


def _filled(table: ResultTable) -> ResultTable:
    """A table without the columns in which no row has anything."""
    places = range(len(table.columns))
    kept = [p for p in places if any(row.cells[p] not in {None, ""} for row in table.rows)]
    return _with_columns(table, kept)


def _with_columns(table: ResultTable, places: Sequence[int]) -> ResultTable:
    columns = tuple(table.columns[place] for place in places)
    rows = (replace(row, cells=tuple(row.cells[p] for p in places)) for row in table.rows)
    return replace(table, columns=columns, rows=tuple(rows))


def _named(row: Row) -> Row:
    """A row under its method's name, where all rows are over the common cells."""
    return replace(row, cells=(row.method, *row.cells[1:])) if row.kind == "common" else row


def in_one_column(run: Run, table: ResultTable, column: str | None = None) -> ResultTable:
    """Table II in one column: the methods by CP, by SF and by one more measure.

    Args:
        run: The run.
        table: Its table II.
        column: The name of that measure; by default the first that hears notes and has numbers,
            or else the next in the order of the columns.

    Raises:
        UnknownNameError: The run has no such metric.
    """
    chosen = [metric.name for metric in _three(run, column)]
    whole = comparable(table)[0]
    keys = [one.key for one in whole.columns]
    rows = tuple(row for row in whole.rows if row.kind != "card")
    kept = [0, *(keys.index(name) for name in chosen if name in keys)]
    named = replace(whole, label=f"{table.label}-column", rows=rows)
    return _with_columns(named, kept)


def _three(run: Run, column: str | None) -> list[MetricEntry]:
    metrics = {metric.name: metric for metric in reading.ordered_metrics(run)}
    if column is not None and column not in metrics:
        raise UnknownNameError(
            f"metric {column!r} is not in this run; it has {', '.join(metrics) or 'none'}."
            f"{nearest(column, list(metrics))}"
        )
    counts = reading.number_counts(run)
    kept = [name for name in reading.NOTES_KEPT if counts.get(name)]
    fits = [name for name in reading.STYLE_FITS if name in metrics]
    first = [name for name in ("cp", *fits[:1]) if name in metrics and name != column]
    order = dict.fromkeys([*first, *([column] if column else []), *kept, *metrics])
    return [metrics[name] for name in order][:3]

"""The marks of listeners beside the scores: means per method, and rank correlations.

The functions are pure functions of a run and its ratings. Marks are 1 to 5, higher is better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.records.store import Run
from bench.statistics.intervals import MIN_STYLES
from bench.statistics.multiway import multiway_interval
from reports.listening.agreement import FEWEST_RANKED, Agreement, agreement
from reports.listening.design import QUESTIONS
from reports.listening.raters import kept
from reports.listening.ratings import Heard, Rating
from reports.tables import reading
from reports.tables.notes import counted
from reports.text.result_table import Column, Estimate, Missing, ResultTable, Row, Value, estimate

SCALE = (1.0, 5.0)


def listening(run: Run, heard: Heard) -> ResultTable:
    """Show the mean marks of each method beside its CP and SF on the cells that were rated.

    The interval of a mean mark is cluster-robust over raters, contents and, if there are enough,
    styles: one listener, piece or style counts once, however many ratings belong to it.
    """
    by_method = _by_method(heard.ratings)
    entries = [m for m in reading.ordered_methods(run) if m.label in by_method]
    metrics = [m for m in reading.ordered_metrics(run) if m.name in {"cp", *reading.STYLE_FITS}]
    rows = []
    for entry in entries:
        ratings = by_method[entry.label]
        marks = [_mark(ratings, question) for question in QUESTIONS]
        scores = [_score(run, ratings, metric.name) for metric in metrics]
        cells = (entry.label, *marks, *scores, len(ratings))
        rows.append(Row(cells, reading.group_of(entry)))
    columns = (
        Column("method", "Method", text=True),
        *_mark_columns(),
        *(Column(metric.name, metric.title) for metric in metrics),
        Column("n", "Ratings", decimals=0),
    )
    title = "Marks of listeners (1 to 5) beside the measures on the same cells"
    identity = reading.identity(run)
    return ResultTable(title, "listening", identity, columns, tuple(rows), _notes(run, heard))


def with_marks(table: ResultTable, heard: Heard) -> ResultTable:
    """Add the mean marks of listeners to Table II, after the scores."""
    by_method = _by_method(heard.ratings)
    place = [column.key for column in table.columns].index("n")

    def marks(row: Row) -> list[Value]:
        ratings = by_method.get(str(row.cells[0]), [])
        if row.kind != "measured" or not ratings:
            return [None] * len(QUESTIONS)
        return [_mark(ratings, question) for question in QUESTIONS]

    rows = [
        replace(row, cells=(*row.cells[:place], *marks(row), *row.cells[place:]))
        for row in table.rows
    ]
    columns = (*table.columns[:place], *_mark_columns(), *table.columns[place:])
    note = (
        f"human: mean mark of {counted(len(heard.raters), 'listener')} ({kept(heard)}), 1 to 5, on "
        "the cells they rated; its interval counts listeners as clusters too; n and coverage "
        "belong to the scores"
    )
    return replace(table, columns=columns, rows=tuple(rows), notes=(*table.notes, note))


def _mark_columns() -> tuple[Column, ...]:
    return tuple(Column(f"human.{q}", f"human.{q} ↑", decimals=2) for q in QUESTIONS)


def _by_method(ratings: Sequence[Rating]) -> dict[str, list[Rating]]:
    found: dict[str, list[Rating]] = defaultdict(list)
    for rating in ratings:
        found[rating.method].append(rating)
    return found


def _mark(ratings: Sequence[Rating], question: str) -> Estimate:
    """The mean mark with its interval, which lies inside the scale.

    Styles count as clusters where there are at least `MIN_STYLES`.
    """
    clusterings = [[r.rater for r in ratings], [r.content for r in ratings]]
    styles = [r.style for r in ratings]
    if len(set(styles)) >= MIN_STYLES:
        clusterings.append(styles)
    values = np.array([getattr(r, question) for r in ratings], dtype=np.float64)
    return estimate(multiway_interval(values, clusterings, bounds=SCALE))


def _score(run: Run, ratings: Sequence[Rating], metric: str) -> Value:
    """The mean score over the cells that were rated."""
    values = [_value(run, cell, metric) for cell in {r.cell_id for r in ratings}]
    known = sorted(value for value in values if value is not None)
    return float(np.mean(known)) if known else Missing("n/a", "no rated cell has this score")


def _value(run: Run, cell_id: str, metric: str) -> float | None:
    score = run.scores.get((cell_id, metric))
    return None if score is None else score.value


def _notes(run: Run, heard: Heard) -> tuple[str, ...]:
    styles = len({rating.style for rating in heard.ratings})
    over = "raters, contents and styles" if styles >= MIN_STYLES else (
        "raters and contents, on these styles only"
    )  # fmt: skip
    people, clips = (
        counted(len(heard.raters), "listener"), counted(len(heard.ratings), "clip")
    )  # fmt: skip
    notes = [
        f"run {run.header.run_id}: {people}, {clips} rated; {kept(heard)}",
        f"mean [95 % interval], cluster-robust over {over}; no interval where there is only one",
    ]
    return tuple(notes)


def ears(run: Run, heard: Heard) -> ResultTable:
    """Show how far each metric ranks the rated clips as listeners do, question by question.

    The numbers are those of `reports.listening.agreement`, where what they are is said.
    """
    found = {(one.metric, one.question): one for one in agreement(run, heard.ratings)}
    rows = [
        Row(
            (metric.title, f"human.{question}", *_cells(found.get((metric.name, question)))),
            metric.name,
        )
        for metric in reading.ordered_metrics(run)
        for question in QUESTIONS
    ]
    columns = (
        Column("measure", "Measure", text=True),
        Column("ears", "Marks", text=True),
        Column("clips", "Rank correlation over clips", decimals=2),
        Column("kendall", "Kendall's tau-b", decimals=2),
        Column("n", "Clips", decimals=0),
        Column("methods", "Over methods", decimals=2),
        Column("m", "Methods", decimals=0),
    )
    meaning = (
        "1: the measure ranks clips as listeners do (Spearman's correlation; measures of which "
        "less is better are turned round); [95 % interval] from redrawing listeners and contents, "
        f"and styles where there are {MIN_STYLES} or more"
    )
    notes = (_notes(run, heard)[0], meaning)
    title = "Do the measures hear what people hear?"
    return ResultTable(title, "ears", reading.identity(run), columns, tuple(rows), notes)


def _cells(found: Agreement | None) -> tuple[Value, ...]:
    if found is None:
        return (Missing("n/a", "fewer than three clips have both"), None, None, None, None)
    few = found.methods < FEWEST_RANKED
    over = Missing("n/a", "fewer than three methods") if few else found.over_methods
    return (found.spearman, found.kendall, found.cells, over, found.methods)

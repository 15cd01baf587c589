"""Which style an output is nearest to: the margin of its own, and what it is taken for.

A cosine with a style says little alone, because each model has a floor of its own: two sounds
without anything in common score .02 by CLAP and .5 by MusicNN. The margin, own style minus the
nearest other, has none, and is above 0 where the own style is the nearest of all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.records.schema import MetricEntry, PlannedCell
from bench.records.store import Run
from bench.statistics.intervals import Observations, interval, share_interval
from reports.tables import notes, reading, standing
from reports.text.result_table import Column, Missing, ResultTable, Row, Value, estimate

MOST_STYLES = 20  # with more, a matrix fits on no page
ALL = "all"
MARGIN = "margin: cosine with the own style minus that with the nearest other, failed cells as -2"
OWN = (
    "nearest: share of cells whose nearest style is their own; by chance it would be {chance:.2f} "
    "(1 of {styles} styles); failed cells count as wrong"
)
NO_MARGIN = "It needs a margin by CLAP or MusicNN; no output of this run has one."
MANY_STYLES = f"A matrix of more than {MOST_STYLES} styles fits on no page; this run has {{count}}."
MATRIX = (
    "each row: of the outputs in this style, the share that is nearest to the style of the column"
)


def retrieval(run: Run) -> ResultTable:
    """Show the margin and the share of outputs that are nearest to their own style.

    Each method has a row over all styles and one per style. Every model that measured a margin has
    two columns, `<metric>` and `<metric>.nearest`.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    judges = _judges(run)
    known = reading.by_method(run)
    labels = [m.label for m in reading.ordered_methods(run) if m.label in known] if judges else []
    rows = [row for label in labels for row in _rows(run, label, list(judges.values()))]
    columns = [Column("method", "Method", text=True), Column("style", "Style", text=True)]
    for judge, metric in judges.items():
        columns.append(Column(metric.name, f"{judge} margin ↑"))
        columns.append(Column(f"{metric.name}.nearest", f"{judge} nearest ↑"))
    styles = len(run.header.styles)
    said = (MARGIN, OWN.format(chance=1 / styles, styles=styles)) if judges else ()
    return ResultTable(
        "Which style the outputs are nearest to",
        "retrieval",
        reading.identity(run),
        (*columns, Column("n", "n", decimals=0)),
        tuple(rows),
        (*notes.identity_notes(run), *said, notes.provenance_note(run)),
        empty=NO_MARGIN,
    )


def _judges(run: Run) -> dict[str, MetricEntry]:
    """The margin of each model that has one with numbers, by the name of the model."""
    counts = reading.number_counts(run)
    return {
        judge: reading.metric_of(run, name)
        for judge, name in reading.MARGIN_JUDGES.items()
        if counts.get(name)
    }


def _rows(run: Run, label: str, metrics: Sequence[MetricEntry]) -> list[Row]:
    """The row of a method over all styles, and one for each style that it was asked for."""
    scores = [standing.judged(run, label, metric) for metric in metrics]
    control = next(m.control for m in run.header.methods if m.label == label)
    group = reading.CONTROLS if control else label
    asked = dict.fromkeys(reading.by_method(run)[label]["style"].tolist())
    rows = []
    for style in (ALL, *asked):
        chosen = [s if style == ALL else s.where(s.places.in_styles([style])) for s in scores]
        values: list[Value] = []
        for score, metric in zip(chosen, metrics, strict=True):
            values += [_shown(score, metric.range), _shown(_is_own(score))]
        most = max((int(np.isfinite(score.values).sum()) for score in chosen), default=0)
        cells = (label, style, *values, most)
        rows.append(Row(cells, group, "mean" if style == ALL else "measured", label))
    return rows


def _is_own(margins: Observations) -> Observations:
    """1 where no other style is nearer than the own one, else 0."""
    known = np.isfinite(margins.values)
    return replace(margins, values=np.where(known, margins.values >= 0, math.nan))


def _shown(scores: Observations, bounds: tuple[float, float] | None = None) -> Value:
    """The mean of scores between bounds, or a share where there are none."""
    if not np.isfinite(scores.values).any():
        return Missing("n/a", "no score")
    found = share_interval(scores) if bounds is None else interval(scores, bounds=bounds)
    return estimate(found)


def confusion(run: Run) -> ResultTable:
    """Show what the outputs of each competitor are taken for: a matrix per model and method.

    With more than `MOST_STYLES` styles the table has no rows.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    reading.check_fingerprints(run)
    judges, styles = _judges(run), list(run.header.styles)
    fits = len(styles) <= MOST_STYLES
    cells: dict[str, list[PlannedCell]] = {}
    for cell in run.plan:
        cells.setdefault(cell.method, []).append(cell)
    rows = [
        row
        for judge, metric in (judges.items() if fits else ())
        for label in standing.competitors(run)
        for row in _matrix(run, (judge, label), cells[label], metric)
    ]
    columns = (
        Column("judge", "Judge", text=True),
        Column("method", "Method", text=True),
        Column("style", "Style", text=True),
        *(Column(f"as {style}", f"as {style}", decimals=2) for style in styles[:MOST_STYLES]),
        Column("n", "n", decimals=0),
    )
    return ResultTable(
        "What the outputs are taken for",
        "confusion",
        reading.identity(run),
        columns,
        tuple(rows),
        (*notes.identity_notes(run), MATRIX, notes.provenance_note(run)),
        empty=NO_MARGIN if fits else MANY_STYLES.format(count=len(styles)),
    )


def _matrix(
    run: Run, named: tuple[str, str], cells: Sequence[PlannedCell], metric: MetricEntry
) -> list[Row]:
    """The rows of one judge and one method, which has these cells."""
    (judge, label), styles = named, list(run.header.styles)
    taken = _taken_for(run, metric.name, cells)
    rows = []
    for style in styles:
        found = taken.get(style, Counter())
        total = found.total()
        if total:
            shares = [found[other] / total for other in styles]
            values: tuple[Value, ...] = (judge, label, style, *shares, total)
            rows.append(Row(values, f"{label} by {judge}", method=label))
    return rows


def _taken_for(run: Run, metric: str, cells: Sequence[PlannedCell]) -> dict[str, Counter[str]]:
    """How many outputs in each style are nearest to which style."""
    found: dict[str, Counter[str]] = {}
    for cell in cells:
        score = run.scores.get((cell.cell_id, metric))
        facts: Mapping[str, object] = (score.detail if score else None) or {}
        if isinstance(nearest := facts.get("nearest"), str):
            found.setdefault(cell.style, Counter())[nearest] += 1
    return found

"""Table II: the scores of each method, as means with intervals.

The table is a pure function of a `Run`. Means are over (style, content) cells after averaging
seeds, with the intervals of `bench.statistics.intervals`. A method with failed cells gets a second
line in which these count as the worst score, so that failing cannot raise a mean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bench.records.schema import MethodEntry, MetricEntry
from bench.records.store import Run
from bench.statistics.intervals import Interval, interval
from reports.tables import comparisons, controls, notes, published, reading
from reports.tables.capabilities import capability_notes
from reports.text.result_table import Column, Estimate, Missing, ResultTable, Row, Value, estimate

if TYPE_CHECKING:
    import pandas as pd

ARROWS = {"maximize": "↑", "minimize": "↓"}


def table2(run: Run) -> ResultTable:
    """Show the scores of the methods of a run, first the competitors and then the controls.

    Columns: method, what it sees, the mean of each metric with its interval, n (cells behind the
    first metric that has a number) and coverage (ended well with valid scores / planned). Published
    reference rows stand only in tables of the full profile.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    frames = reading.by_method(run)
    metrics = reading.ordered_metrics(run)
    kinds: set[str] = set()
    rows = _with_best(run, [
        row for entry in reading.ordered_methods(run) for row in _rows(run, entry, frames, kinds)
    ])  # fmt: skip
    columns = (
        Column("method", "Method", text=True),
        Column("sees", "Sees", text=True, wide=True),
        *(metric_column(metric) for metric in metrics),
        Column("n", "n", decimals=0),
        Column("coverage", "Coverage", text=True),
    )
    return ResultTable(
        "Content preservation and style fit of the methods",
        "table2",
        reading.identity(run),
        columns,
        (*rows, *_published_rows(run, metrics)),
        (*_best_note(rows), *_table2_notes(run, frames, kinds)),
    )


def _with_best(run: Run, rows: list[Row]) -> list[Row]:
    """The rows with the best competitors of each metric marked."""
    found = comparisons.best_competitors(run)
    best = [found[metric.name] for metric in reading.ordered_metrics(run)]
    return [_marked(row, best) if row.kind == "measured" else row for row in rows]


def _marked(row: Row, best: list[frozenset[str]]) -> Row:
    """The row with the estimates marked for which its method is among the best."""
    first = len(row.cells) - len(best) - 2  # name and conditioning before, n and coverage after
    cells = list(row.cells)
    for position, labels in enumerate(best, start=first):
        value = cells[position]
        if isinstance(value, Estimate) and row.cells[0] in labels:
            cells[position] = replace(value, best=True)
    return replace(row, cells=tuple(cells))


def metric_column(metric: MetricEntry, title: str | None = None) -> Column:
    """The column of a metric, with an arrow in its title that points towards better."""
    return Column(metric.name, f"{title or metric.title} {ARROWS[metric.direction]}")


def _rows(
    run: Run, entry: MethodEntry, frames: dict[str, pd.DataFrame], kinds: set[str]
) -> list[Row]:
    """The line of one method and, if any of its cells failed, the line with these imputed."""
    rows = frames.get(entry.label)
    if rows is None:
        return []
    group = reading.group_of(entry)
    metrics = reading.ordered_metrics(run)
    measured = [score_value(rows, metric, kinds) for metric in metrics]
    done = int(((rows["status"] == "ok") & ~reading.invalid(rows, metrics)).sum())
    sees = " + ".join(entry.conditioned_on)
    first = (entry.label, sees, *measured, cells_behind(measured), f"{done}/{len(rows)}")
    lines = [Row(first, group)]
    lost = _lost(rows, metrics)
    if lost:
        imputed = [_imputed(metric, rows, frames, kinds) for metric in metrics]
        label = f"{entry.label}, failed at 0"
        lines.append(
            Row((label, sees, *imputed, cells_behind(imputed), f"{lost} failed"), group, "imputed")
        )
    return lines


def cells_behind(values: list[Value]) -> int | None:
    """How many cells the first mean rests on; None where there is no mean."""
    return next((value.n for value in values if isinstance(value, Estimate)), None)


def _lost(rows: pd.DataFrame, metrics: list[MetricEntry]) -> int:
    """How many cells failed, themselves or in any of their scores."""
    failed = reading.failures(rows)
    for metric in metrics:
        failed = failed | reading.failures(rows, metric.name)
    return int(failed.sum())


def score_value(rows: pd.DataFrame, metric: MetricEntry, kinds: set[str]) -> Value:
    """The mean of a metric over some rows, or why there is none.

    The kind of its interval is added to `kinds`.
    """
    values = reading.numbers(rows, metric.name)
    if np.isfinite(values).any():
        return _estimate(_interval(rows, values, metric), kinds)
    return _why_missing(rows, metric)


def _interval(rows: pd.DataFrame, values: np.ndarray, metric: MetricEntry) -> Interval:
    return interval(reading.observed(rows, values), bounds=metric.range)


def _estimate(result: Interval, kinds: set[str]) -> Estimate:
    kinds.add(result.kind)
    return estimate(result)


def _why_missing(rows: pd.DataFrame, metric: MetricEntry) -> Missing:
    status = rows["status"].tolist()
    if reading.failures(rows, metric.name).any():
        return Missing("failed", "every cell that ran failed")
    if reading.invalid(rows, [metric]).any():
        return Missing("invalid", "every score broke a rule; the reason is in the notes")
    if "unsupported" in status or (rows[f"{metric.name}.status"] == "unsupported").any():
        return Missing("n/a", "declined; the reason is in the notes")
    return Missing("—", "not scored" if "ok" in status else "not run")


def _imputed(
    metric: MetricEntry, rows: pd.DataFrame, frames: dict[str, pd.DataFrame], kinds: set[str]
) -> Value:
    """The mean in which each failure counts as the worst score.

    That is 0, or the upper end of the range of a metric to minimise. A style for which every
    method's score is n/a (such as one without held-out clips) is not imputed.
    """
    worst = 0.0 if metric.direction == "maximize" else metric.range[1]
    applicable = ~rows["style"].isin(_declined_styles(metric, frames)).to_numpy()
    lost = reading.failures(rows, metric.name) & applicable
    values = np.where(lost, worst, reading.numbers(rows, metric.name))
    if not np.isfinite(values).any():
        return _why_missing(rows, metric) if applicable.any() else Missing("n/a", "no style has it")
    return _estimate(_interval(rows, values, metric), kinds)


def _declined_styles(metric: MetricEntry, frames: dict[str, pd.DataFrame]) -> list[str]:
    declined: set[str] = set()
    scored: set[str] = set()
    for rows in frames.values():
        declined |= set(rows.loc[rows[f"{metric.name}.status"] == "unsupported", "style"])
        scored |= set(rows.loc[np.isfinite(reading.numbers(rows, metric.name)), "style"])
    return sorted(declined - scored)


def _published_rows(run: Run, metrics: list[MetricEntry]) -> list[Row]:
    if run.header.profile != "full":
        return []
    return [
        Row(
            (
                f"{reference.title} ({reference.source})",
                reference.sees,
                *(reference.values.get(metric.name) for metric in metrics),
                None,
                published.MARK,
            ),
            published.MARK,
            "published",
        )
        for reference in published.TABLE2
    ]


def _best_note(rows: list[Row]) -> tuple[str, ...]:
    marked = any(isinstance(cell, Estimate) and cell.best for row in rows for cell in row.cells)
    return (notes.BEST,) if marked else ()


def _table2_notes(run: Run, frames: dict[str, pd.DataFrame], kinds: set[str]) -> list[str]:
    lines = notes.identity_notes(run) + notes.interval_notes(kinds)
    lines += [*notes.sees_notes(run), *capability_notes(run)]
    lines += notes.missing_notes(run, frames)
    if any(_lost(rows, reading.ordered_metrics(run)) for rows in frames.values()):
        lines.append("failed at 0: the same mean with every failed cell counted as the worst score")
    violations = controls.order_violations(run, frames)
    lines += [f"control out of order: {violation}" for violation in violations]
    if run.header.profile == "full":
        lines.append(
            "published rows fill only what their source measured, with other clips and other audio "
            "preparation; they were not run again"
        )
    return [*lines, *notes.fingerprint_notes(run), notes.provenance_note(run)]

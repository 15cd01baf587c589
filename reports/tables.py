"""The two tables of scores: Table II compares methods, Table I the settings of each style.

Both are pure functions of a `Run`. Means are over (style, content) cells after averaging seeds,
with the intervals of `bench.statistics.intervals`. A method with failed cells gets a second line in
which these count as the worst score, so that failing cannot raise a mean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bench.records.schema import MethodEntry, MetricEntry
from bench.records.store import Run
from bench.statistics.intervals import Interval, interval
from reports import comparisons, evidence, notes, published, reading
from reports.capabilities import capability_notes
from reports.result_table import Column, Estimate, Missing, ResultTable, Row, Value, estimate

if TYPE_CHECKING:
    import pandas as pd

CONTROLS = "controls"
ARROWS = {"maximize": "↑", "minimize": "↓"}


def table2(run: Run) -> ResultTable:
    """Compare the methods of a run: competitors, then controls, each metric as mean with interval.

    Columns: method, what it sees, one per metric, n (cells behind the first metric that has a
    number) and coverage (ended well / planned). Published reference rows stand only in tables of
    the full profile.

    Raises:
        RecordError: Scores of one metric carry unlike fingerprints.
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
    """The row with its estimates marked where the method named first stands in the set."""
    first = len(row.cells) - len(best) - 2  # name and conditioning before, n and coverage after
    cells = list(row.cells)
    for position, labels in enumerate(best, start=first):
        value = cells[position]
        if isinstance(value, Estimate) and row.cells[0] in labels:
            cells[position] = replace(value, best=True)
    return replace(row, cells=tuple(cells))


def metric_column(metric: MetricEntry, title: str | None = None) -> Column:
    """The column of a metric, its title with an arrow towards better."""
    return Column(metric.name, f"{title or metric.title} {ARROWS[metric.direction]}")


def _rows(
    run: Run, entry: MethodEntry, frames: dict[str, pd.DataFrame], kinds: set[str]
) -> list[Row]:
    """The line of one method and, if any of its cells failed, the line with these imputed."""
    rows = frames.get(entry.label)
    if rows is None:
        return []
    group = CONTROLS if entry.control else ""
    metrics = reading.ordered_metrics(run)
    measured = [score_value(rows, metric, kinds) for metric in metrics]
    done = int((rows["status"] == "ok").sum())
    sees = " + ".join(entry.conditioned_on)
    first = (entry.label, sees, *measured, _n(measured), f"{done}/{len(rows)}")
    lines = [Row(first, group)]
    lost = _lost(rows, metrics)
    if lost:
        imputed = [_imputed(metric, rows, frames, kinds) for metric in metrics]
        label = f"{entry.label}, failed at 0"
        lines.append(Row((label, sees, *imputed, _n(imputed), f"{lost} failed"), group, "imputed"))
    return lines


def _n(values: list[Value]) -> int | None:
    return next((value.n for value in values if isinstance(value, Estimate)), None)


def _lost(rows: pd.DataFrame, metrics: list[MetricEntry]) -> int:
    """How many cells failed themselves or in any of their scores."""
    failed = reading.failures(rows)
    for metric in metrics:
        failed = failed | reading.failures(rows, metric.name)
    return int(failed.sum())


def score_value(rows: pd.DataFrame, metric: MetricEntry, kinds: set[str]) -> Value:
    """The mean of a metric over some rows, or why there is none; notes its kind in `kinds`."""
    values = reading.numbers(rows, metric.name)
    if np.isfinite(values).any():
        return _estimate(interval(reading.observed(rows, values)), kinds)
    return _why_missing(rows, metric)


def _estimate(result: Interval, kinds: set[str]) -> Estimate:
    kinds.add(result.kind)
    return estimate(result)


def _why_missing(rows: pd.DataFrame, metric: MetricEntry) -> Missing:
    status = rows["status"].tolist()
    if reading.failures(rows, metric.name).any():
        return Missing("failed", "every cell that ran failed")
    if "unsupported" in status or (rows[f"{metric.name}.status"] == "unsupported").any():
        return Missing("n/a", "declined; the reason is in the notes")
    return Missing("—", "not scored" if "ok" in status else "not run")


def _imputed(
    metric: MetricEntry, rows: pd.DataFrame, frames: dict[str, pd.DataFrame], kinds: set[str]
) -> Value:
    """The mean with each failure at the worst score: 0, or the upper end of a metric to minimise.

    A style for which every method's score is n/a (such as one without held-out clips) is not
    imputed.
    """
    worst = 0.0 if metric.direction == "maximize" else metric.range[1]
    applicable = ~rows["style"].isin(_declined_styles(metric, frames)).to_numpy()
    lost = reading.failures(rows, metric.name) & applicable
    values = np.where(lost, worst, reading.numbers(rows, metric.name))
    if not np.isfinite(values).any():
        return _why_missing(rows, metric) if applicable.any() else Missing("n/a", "no style has it")
    return _estimate(interval(reading.observed(rows, values)), kinds)


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
    violations = evidence.order_violations(run, frames)
    lines += [f"control out of order: {violation}" for violation in violations]
    if run.header.profile == "full":
        lines.append(
            "published rows fill only what their source measured, with other clips and other audio "
            "preparation; they were not re-run"
        )
    return [*lines, *notes.fingerprint_notes(run), notes.provenance_note(run)]


SETTINGS = ("parameter.guidance_scale", "parameter.strength")


def table1(run: Run) -> ResultTable:
    """Show content preservation against style fit per style, guidance_scale and strength.

    One row per method, style and setting (mean over contents and seeds) and a row of means per
    method. Only methods that have both parameters appear; metrics are CP and those of style fit.

    Raises:
        RecordError: Scores of one metric carry unlike fingerprints.
    """
    frames = reading.by_method(run)
    metrics = [
        m for m in reading.ordered_metrics(run) if m.name == "cp" or m.name.startswith("sf.")
    ]
    kinds: set[str] = set()
    rows = [
        row
        for entry in reading.ordered_methods(run)
        if entry.label in frames and _has_settings(frames[entry.label])
        for row in _setting_rows(entry, frames[entry.label], metrics, kinds)
    ]
    columns = (
        Column("method", "Method", text=True),
        Column("style", "Style", text=True),
        Column("guidance_scale", "guidance_scale", decimals=2),
        Column("strength", "strength", decimals=2),
        *(metric_column(metric) for metric in metrics),
        Column("n", "n", decimals=0),
    )
    return ResultTable(
        "Content preservation and style fit by style and setting",
        "table1",
        reading.identity(run),
        columns,
        (*rows, *_published_settings(run, metrics)),
        (*notes.identity_notes(run), *notes.interval_notes(kinds), notes.provenance_note(run)),
    )


def _has_settings(rows: pd.DataFrame) -> bool:
    return all(key in rows and bool(rows[key].notna().any()) for key in SETTINGS)


def _setting_rows(
    entry: MethodEntry, rows: pd.DataFrame, metrics: list[MetricEntry], kinds: set[str]
) -> list[Row]:
    group = f"{CONTROLS}: {entry.label}" if entry.control else entry.label
    lines = []
    for (style, scale, strength), part in rows.groupby(["style", *SETTINGS], sort=True):
        values = [score_value(part, metric, kinds) for metric in metrics]
        setting = (float(str(scale)), float(str(strength)))
        cells = (entry.label, str(style), *setting, *values, _n(values))
        lines.append(Row(cells, group))
    means = [score_value(rows, metric, kinds) for metric in metrics]
    return [*lines, Row((entry.label, "mean", None, None, *means, _n(means)), group, "mean")]


def _published_settings(run: Run, metrics: list[MetricEntry]) -> list[Row]:
    if run.header.profile != "full":
        return []
    return [
        Row(
            (
                f"MusicTI as reproduced ({published.REPORT}, table I)",
                reference.style,
                reference.guidance_scale,
                reference.strength,
                *(reference.values.get(metric.name) for metric in metrics),
                None,
            ),
            published.MARK,
            "published",
        )
        for reference in published.TABLE1
    ]

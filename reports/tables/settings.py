"""Table I: content preservation against style fit by style, guidance_scale and strength."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.records.schema import MethodEntry, MetricEntry
from bench.records.store import Run
from reports.tables import notes, published, reading
from reports.tables.table2 import metric_column, score_value, with_cells
from reports.text.result_table import Column, ResultTable, Row, Value

if TYPE_CHECKING:
    import pandas as pd

SETTINGS = ("parameter.guidance_scale", "parameter.strength")
NO_SETTINGS = "Its rows are of methods with a guidance_scale and a strength; this run has none."


def table1(run: Run) -> ResultTable:
    """Show content preservation against style fit per style, guidance_scale and strength.

    There is one row per method, style and setting (the mean over contents and seeds) and a row of
    means per method. Only methods that have both parameters appear; the metrics are CP and those of
    style fit.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
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
        empty=NO_SETTINGS,
    )


def _has_settings(rows: pd.DataFrame) -> bool:
    return all(key in rows and bool(rows[key].notna().any()) for key in SETTINGS)


def _setting_rows(
    entry: MethodEntry, rows: pd.DataFrame, metrics: list[MetricEntry], kinds: set[str]
) -> list[Row]:
    group = f"{reading.CONTROLS}: {entry.label}" if entry.control else entry.label
    lines = []
    for (style, scale, strength), part in rows.groupby(["style", *SETTINGS], sort=True):
        values = _means(part, metrics, kinds)
        setting = (float(str(scale)), float(str(strength)))
        cells = (entry.label, str(style), *setting, *values)
        lines.append(Row(cells, group))
    means = _means(rows, metrics, kinds)
    return [*lines, Row((entry.label, "mean", None, None, *means), group, "mean")]


def _means(rows: pd.DataFrame, metrics: list[MetricEntry], kinds: set[str]) -> list[Value]:
    scores = [reading.observed(rows, reading.numbers(rows, metric.name)) for metric in metrics]
    return with_cells([
        score_value(rows, own, metric, kinds) for own, metric in zip(scores, metrics, strict=True)
    ])  # fmt: skip


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

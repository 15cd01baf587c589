"""What each method gains over doing nothing: paired differences to the controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.records.schema import MethodEntry
from bench.records.store import Run
from bench.statistics.intervals import paired_interval
from reports.tables import notes, reading
from reports.text.result_table import Column, Estimate, Missing, ResultTable, Row, Value, estimate

if TYPE_CHECKING:
    import pandas as pd

BASELINES = ("copy-content", "null")


def gains(run: Run) -> ResultTable:
    """Show the paired gain of each method over copy-content and over the null prompt.

    A gain is the raw score of a method minus that of the control on the cells that both have, per
    kind of style. Against copy-content, a gain in style fit is what the transfer adds to the music
    as it was; against the null prompt, it is what knowing the style adds.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    frames = reading.by_method(run)
    methods = [m for m in reading.ordered_methods(run) if m.label in frames]
    baselines = [entry for name in BASELINES if (entry := reading.named(methods, name)) is not None]
    metrics = reading.ordered_metrics(run)
    kinds: set[str] = set()
    rows = [
        _gain_row(
            run, (frames[method.label], frames[baseline.label]), (method, baseline), group, kinds
        )
        for method in methods
        if not method.control
        for baseline in baselines
        for group in _style_groups(run)
    ]
    columns = (
        Column("method", "Method", text=True),
        Column("over", "Over", text=True),
        Column("styles", "Styles", text=True),
        *(Column(metric.name, metric.title) for metric in metrics),
    )
    return ResultTable(
        "Paired gain over the controls (raw scores)",
        "gains",
        reading.identity(run),
        columns,
        tuple(rows),
        (
            *notes.identity_notes(run),
            *notes.interval_notes(kinds),
            *_no_gain_notes(run, rows),
            notes.provenance_note(run),
        ),
    )


def _no_gain_notes(run: Run, rows: list[Row]) -> list[str]:
    """Name the methods that have not been shown to bring any of the style into the music.

    Their gain in style fit over copy-content has an interval that reaches 0 or lies below it.
    """
    names = [metric.name for metric in reading.ordered_metrics(run)]
    fit = reading.style_fit(run)
    if fit not in names:
        return []
    title = next(metric.title for metric in run.header.metrics if metric.name == fit)
    found: dict[str, list[str]] = {}
    for row in rows:
        method, over, group = row.cells[:3]
        gain = row.cells[3 + names.index(fit)]
        if over == BASELINES[0] and isinstance(gain, Estimate) and gain.low <= 0:
            found.setdefault(str(method), []).append(str(group))
    without = [f"{method} ({', '.join(groups)})" for method, groups in found.items()]
    return [f"no gain in {title} shown over copy-content: {'; '.join(without)}"] if without else []


def _style_groups(run: Run) -> list[str]:
    kinds = sorted({reading.style_kind(run, style) for style in run.header.styles})
    return ["all", *kinds] if len(kinds) > 1 else ["all"]


def _gain_row(
    run: Run,
    frames: tuple[pd.DataFrame, pd.DataFrame],
    entries: tuple[MethodEntry, MethodEntry],
    group: str,
    kinds: set[str],
) -> Row:
    cells: list[Value] = [entries[0].label, entries[1].label, group]
    for metric in reading.ordered_metrics(run):
        ours, theirs = (reading.raw_scores(run, rows, metric.name, group) for rows in frames)
        result = paired_interval(ours, theirs, bounds=reading.raw_range(metric))
        if result.n == 0:
            cells.append(Missing("n/a", "no cell has both numbers"))
            continue
        kinds.add(result.kind)
        cells.append(estimate(result))
    return Row(tuple(cells), entries[0].label)

"""Style fit at equal content preservation, read from each method's curve over its settings."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bench.records.schema import MetricEntry
from bench.records.store import Run
from bench.statistics.intervals import Interval
from bench.statistics.tradeoff import Anchors, Scored, Tradeoff, pareto, tradeoffs
from reports.tables import notes, reading, standing
from reports.text.result_table import Column, Missing, ResultTable, Row, Value, estimate

CONTROLS = ("noise", "copy-content", "copy-style")
AREA = (
    "area dominated: share of (CP, SF) targets that some setting reaches, with CP rescaled from "
    "noise to copy-content and SF from copy-content to copy-style; Pareto: no other setting is "
    "better in one and as good in the other"
)
INTERVALS = (
    "intervals: 95 %, made as those of a mean, with the error and skewness of a bootstrap over "
    "styles and contents (contents by category with fewer than 5 styles)"
)


def tradeoff(run: Run) -> ResultTable:
    """Show SF at matched CP, and the area that each method dominates between the controls.

    The settings of a method are its labels with one catalog name, such as a sweep of strengths. SF
    is measured against held-out clips where there are any. Without a method that has two settings
    there is nothing to interpolate, and the table has no rows.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    reading.check_fingerprints(run)
    style_fit = reading.style_fit(run)
    if not {"cp", style_fit} <= {metric.name for metric in run.header.metrics}:
        return _table(run, style_fit, [], [])
    cp, fit = (_metric(run, name) for name in ("cp", style_fit))
    settings = _settings(run, (cp, fit))
    if not any(len(labels) > 1 for labels in settings.values()):
        return _table(run, style_fit, [], [])
    common = standing.common_cells(run, (cp, fit))
    scored = {
        name: [_scored(run, label, (cp, fit), common) for label in labels]
        for name, labels in settings.items()
    }
    anchors = _anchors(run, (cp, fit), common)
    matched, found = tradeoffs(scored, anchors, bounds=fit.range)
    lines = [_matched_note(matched), *([notes.COMMON] if common else [])]
    return _table(run, style_fit, _rows(settings, found), lines)


def _metric(run: Run, name: str) -> MetricEntry:
    return next(metric for metric in run.header.metrics if metric.name == name)


def _settings(run: Run, axes: tuple[MetricEntry, MetricEntry]) -> dict[str, list[str]]:
    """The labels of each judged competitor that has numbers, by its catalog name."""
    names = {entry.label: entry.name for entry in run.header.methods}
    found: dict[str, list[str]] = {}
    for label in standing.standing(run, axes[0]).ranks:
        if label not in standing.unjudged(run, axes[1]):
            found.setdefault(names[label], []).append(label)
    return found


def _scored(
    run: Run,
    label: str,
    axes: tuple[MetricEntry, MetricEntry],
    common: Mapping[str, standing.Cells],
) -> Scored:
    """CP and style fit of a method, on the common cells where the methods have unlike ones."""
    scores = [(metric, standing.judged(run, label, metric)) for metric in axes]
    return Scored(*(
        standing.restricted(score, common[metric.name]) if common else score
        for metric, score in scores
    ))  # fmt: skip


def _anchors(
    run: Run, axes: tuple[MetricEntry, MetricEntry], common: Mapping[str, standing.Cells]
) -> Anchors | None:
    known = reading.by_method(run)
    entries = [reading.named(run.header.methods, name) for name in CONTROLS]
    labels = [entry.label for entry in entries if entry is not None and entry.label in known]
    if len(labels) < len(CONTROLS):
        return None
    return Anchors(*(_scored(run, label, axes, common) for label in labels))


def _rows(settings: Mapping[str, list[str]], found: Mapping[str, Tradeoff]) -> list[Row]:
    cp = np.concatenate([found[name].cp for name in settings])
    sf = np.concatenate([found[name].sf for name in settings])
    on_front = iter(pareto(cp, sf).tolist())
    rows = []
    for name, labels in settings.items():
        curve = found[name]
        for label, x, y in zip(labels, curve.cp.tolist(), curve.sf.tolist(), strict=True):
            rows.append(Row((label, x, y, "yes" if next(on_front) else "no", None, None), name))
        ends = (_value(curve.at_matched, "beyond this curve"), _value(curve.volume, "no controls"))
        rows.append(Row((f"{name}, curve", None, None, "", *ends), name, "mean"))
    return rows


def _value(found: Interval, missing: str) -> Value:
    return Missing("n/a", missing) if math.isnan(found.mean) else estimate(found)


def _matched_note(matched: float) -> str:
    if math.isnan(matched):
        return "the curves share no range of CP, so there is no common CP to read them at"
    return (
        f"SF at matched CP: read at CP = {matched:.3f}, the middle of the range that all curves "
        "share; curves are linear between neighbouring settings and never go beyond them"
    )


def _table(run: Run, style_fit: str, rows: list[Row], lines: list[str]) -> ResultTable:
    title = next((m.title for m in run.header.metrics if m.name == style_fit), "SF")
    columns = (
        Column("method", "Method", text=True),
        Column("cp", "CP ↑"),
        Column("sf", f"{title} ↑"),
        Column("front", "Pareto", text=True),
        Column("sf_at_cp", "SF at matched CP ↑"),
        Column("volume", "Area dominated ↑"),
    )
    return ResultTable(
        "Style fit at equal content preservation",
        "tradeoff",
        reading.identity(run),
        columns,
        tuple(rows),
        (*notes.identity_notes(run), *lines, AREA, INTERVALS, notes.provenance_note(run)),
    )

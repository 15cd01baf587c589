"""Style fit at equal content preservation, read from each method's curve over its settings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.records.schema import MetricEntry
from bench.records.store import Run
from bench.statistics.intervals import Interval
from bench.statistics.tradeoff import Anchors, Scored, Tradeoff, pareto, tradeoffs
from reports.tables import notes, reading, standing
from reports.text.result_table import Column, Missing, ResultTable, Row, Value, estimate

CONTROLS = ("noise", "copy-content", "copy-style")
_NUMBER = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?")
AREA = (
    "area dominated: share of the targets (content kept, style fit) that some setting reaches, "
    "with the first rescaled from noise to copy-content and the second from copy-content to "
    "copy-style; Pareto: no other setting is better in one and as good in the other"
)
DASHES = "-: a setting is one point of its method's curve, and the curve has no point of its own"
NO_PLANE = "Nothing to compare: no measure of content and of style has numbers in this run."
NO_SWEEP = (
    "A curve needs a method with two settings that differ in numbers, such as two strengths; no "
    "judged competitor of this run has them."
)
INTERVALS = (
    "intervals: 95 %, made as those of a mean, with the error and skewness of a bootstrap over "
    "styles and contents (contents by category with fewer than 5 styles)"
)


def tradeoff(run: Run) -> ResultTable:
    """Show style fit at equal content preservation, and what each method dominates.

    The settings of a method are its labels that differ in numbers alone, such as a sweep of
    strengths: what is chosen in words, such as a sampler, is another method here. Curves are read
    in each of `reading.planes`, and the settings that stand on the Pareto line in all of them are
    named. Without a method that has two settings there is nothing to interpolate, and the table has
    no rows.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    reading.check_fingerprints(run)
    found = [read for plane in reading.planes(run) if (read := _read(run, plane)) is not None]
    front = [read.front for read in found]
    shared = [label for label in front[0] if all(label in one for one in front)] if front else []
    joint = [f"Pareto in each: {', '.join(shared) or 'none'}"] if len(front) > 1 else []
    return ResultTable(
        "Style fit at equal content preservation",
        "tradeoff",
        reading.identity(run),
        COLUMNS,
        tuple(row for read in found for row in read.rows),
        (
            *notes.identity_notes(run),
            *dict.fromkeys(line for read in found for line in read.lines),
            *joint,
            *([DASHES] if found else []),
            AREA,
            INTERVALS,
            notes.provenance_note(run),
        ),
        empty=NO_SWEEP if reading.planes(run) else NO_PLANE,
    )


COLUMNS = (
    Column("plane", "Content, style", text=True),
    Column("method", "Method", text=True),
    Column("content", "Content ↑"),
    Column("fit", "Style ↑"),
    Column("front", "Pareto", text=True),
    Column("fit_at_content", "Style at matched content ↑"),
    Column("volume", "Area dominated ↑"),
)


@dataclass(frozen=True, slots=True)
class _Read:
    """What one plane shows: rows, notes, and the settings on the Pareto line."""

    rows: tuple[Row, ...]
    lines: tuple[str, ...]
    front: tuple[str, ...]


def _read(run: Run, plane: reading.Plane) -> _Read | None:
    axes = (plane.content, plane.fit)
    settings = _settings(run, axes)
    if not any(len(labels) > 1 for labels in settings.values()):
        return None
    common = standing.common_cells(run, axes)
    scored = {
        name: [_scored(run, label, axes, common) for label in labels]
        for name, labels in settings.items()
    }
    anchors = _anchors(run, axes, common)
    matched, found = tradeoffs(scored, anchors, bounds=plane.fit.range)
    lines = (_matched_note(plane, matched), *([notes.COMMON] if common else []))
    rows = _rows(plane, settings, found)
    front = tuple(row.method for row in rows if row.cells[4] == "yes")
    return _Read(rows, lines, front)


def _settings(run: Run, axes: tuple[MetricEntry, MetricEntry]) -> dict[str, list[str]]:
    """The labels of each judged competitor that has numbers, by the method that they are of."""
    names = {entry.label: entry.name for entry in run.header.methods}
    found: dict[str, list[str]] = {}
    for label in standing.standing(run, axes[0]).ranks:
        if label not in standing.unjudged(run, axes[1]):
            found.setdefault(_without_numbers(label, names[label]), []).append(label)
    return found


def _without_numbers(label: str, name: str) -> str:
    """The label of a method without the parameters that are numbers.

    Example:
        >>> _without_numbers("tve[sampler=zeta,strength=0.5]", "tve")
        'tve[sampler=zeta]'
    """
    chosen = label.removeprefix(name).removeprefix("[").removesuffix("]").split(",")
    words = [one for one in chosen if one and not _NUMBER.fullmatch(one.partition("=")[2])]
    return f"{name}[{','.join(words)}]" if words else name


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


def _rows(
    plane: reading.Plane, settings: Mapping[str, list[str]], found: Mapping[str, Tradeoff]
) -> tuple[Row, ...]:
    content = np.concatenate([found[name].cp for name in settings])
    fit = np.concatenate([found[name].sf for name in settings])
    on_front = iter(pareto(content, fit).tolist())
    rows = []
    for name, labels in settings.items():
        curve, group = found[name], f"{plane.title}: {name}"
        for label, x, y in zip(labels, curve.cp.tolist(), curve.sf.tolist(), strict=True):
            front = "yes" if next(on_front) else "no"
            cells = (plane.title, label, x, y, front, None, None)
            rows.append(Row(cells, group, method=label))
        ends = (_value(curve.at_matched, "beyond this curve"), _value(curve.volume, "no controls"))
        rows.append(Row((plane.title, f"{name}, curve", None, None, "", *ends), group, "mean"))
    return tuple(rows)


def _value(found: Interval, missing: str) -> Value:
    return Missing("n/a", missing) if math.isnan(found.mean) else estimate(found)


def _matched_note(plane: reading.Plane, matched: float) -> str:
    content, fit = plane.content.title, plane.fit.title
    if math.isnan(matched):
        return f"the curves share no range of {content}, so there is none to read {fit} at"
    return (
        f"{fit} is read at {content} = {matched:.3f}, the middle of the range that all curves "
        "share; curves are linear between neighbouring settings and never go beyond them"
    )

"""Which style an output is nearest to, what it is taken for, and whether any style would do.

A cosine with a style says little alone, because each model has a floor of its own: two sounds
without anything in common score .02 by CLAP and .5 by MusicNN. The margin, own style minus the
nearest other, has none, and is above 0 where the own style is the nearest of all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from bench.records.embeddings import Embedded
from bench.records.schema import MetricEntry, PlannedCell
from bench.records.store import Run
from bench.statistics.intervals import Observations, interval, share_interval
from bench.statistics.variances import Floats
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
FAILED = -2.0  # the least that a difference of cosines can be
SWAPPED = (
    "own less swapped: cosine of the output with the held-out clips of its style, less the mean of "
    "those of what the same method made of the same content in other styles; failed cells as -2"
)
FIRST = (
    "own first: share of cells whose output is nearer to those clips than all of these are; by "
    "chance it would be 1 of the styles that a method has, {chance:.2f} with all {styles}; failed "
    "cells count as wrong"
)
ONE_STYLE = "It needs a style with held-out clips, and outputs of a method in it and in another."
# Differences of cosines, whether each is won, and the bounds of a difference.
_Judged = tuple[Observations, Observations, tuple[float, float]]
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
    rows = [
        row
        for label in labels
        for row in _rows(
            run,
            label,
            _judged(run, label, list(judges.values())),
            dict.fromkeys(reading.by_method(run)[label]["style"].tolist()),
        )
    ]
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


def _judged(run: Run, label: str, metrics: Sequence[MetricEntry]) -> list[_Judged]:
    """The margins of a method by each judge, and whether the own style is the nearest."""
    scores = [(standing.judged(run, label, metric), metric.range) for metric in metrics]
    return [(score, _is_own(score), bounds) for score, bounds in scores]


def _rows(run: Run, label: str, judged: Sequence[_Judged], styles: Iterable[str]) -> list[Row]:
    """The row of a method over all styles, and one for each of some styles."""
    entry = next(m for m in run.header.methods if m.label == label)
    rows = []
    for style in (ALL, *styles):
        values: list[Value] = []
        most = 0
        for differences, own, bounds in judged:
            kept = differences.places.in_styles([style]) | (style == ALL)
            values += [_shown(differences.where(kept), bounds), _shown(own.where(kept))]
            most = max(most, int(np.isfinite(differences.values[kept]).sum()))
        cells = (label, style, *values, most)
        kind: Literal["mean", "measured"] = "mean" if style == ALL else "measured"
        rows.append(Row(cells, reading.group_of(entry) or label, kind, label))
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


def swapped(run: Run, folders: Sequence[Path]) -> ResultTable | None:
    """Show whether an output fits its style better than what the content became in other styles.

    Content and style are the same on both sides, so neither a style that is near to everything nor
    a content that sounds like it counts: what is left is the style that the method was given. One
    that hears no style has 0. Per embedding there are two columns, `<metric>.own` and
    `<metric>.first`.

    Args:
        run: The run, or several merged.
        folders: Its run folders.

    Returns:
        The table; None where the run has no vectors.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    heard, _ = reading.embedded(run, tuple(folders))
    if not heard:
        return None
    sheets = reading.sheets(run)
    labels = [m.label for m in reading.ordered_methods(run) if m.label in sheets]
    found = {label: [_contest(sheets[label], one) for one in heard] for label in labels}
    contested = any(_contested(judged) for judged in found.values())
    columns = [Column("method", "Method", text=True), Column("style", "Style", text=True)]
    for one in heard:
        columns.append(Column(f"{one.metric}.own", f"{one.embedding} own less swapped ↑"))
        columns.append(Column(f"{one.metric}.first", f"{one.embedding} own first ↑"))
    styles = len(run.header.styles)
    said = (SWAPPED, FIRST.format(chance=1 / styles, styles=styles)) if contested else ()
    rows = [
        row for label in labels for row in _rows(run, label, found[label], _contested(found[label]))
    ]
    return ResultTable(
        "Own style against swapped styles",
        "swapped",
        reading.identity(run),
        (*columns, Column("n", "n", decimals=0)),
        tuple(rows if contested else ()),
        (*notes.identity_notes(run), *said, notes.provenance_note(run)),
        empty="" if contested else ONE_STYLE,
    )


def _contest(sheet: reading.Sheet, heard: Embedded) -> _Judged:
    """Per cell: how much the own output fits better than the mean swapped one, and whether it wins.

    NaN where a cell has nothing to be held against, or was declined or not run.
    """
    styles = [*heard.clips]
    judged = [style for style in styles if heard.clips[style]]  # the others are rivals all the same
    values = np.full((2, len(sheet.rows)), math.nan)
    if judged:
        made_in = _positions(sheet, styles).astype(np.intp)
        held_against = _positions(sheet, judged)
        fits = _fits(sheet, heard, judged)
        sources = sheet.rows.groupby(["content", "repetition"], sort=False).ngroup().to_numpy()
        known = np.isfinite(fits[:, 0])
        # How near what a source became in one style is to another (source, made in, style).
        became = np.full((sources.max() + 1, len(styles), len(judged)), math.nan)
        became[sources[known], made_in[known]] = fits[known]
        asked = np.flatnonzero(known & np.isfinite(held_against))
        source, own_style = sources[asked], made_in[asked]
        column = held_against[asked].astype(np.intp)
        fit, rivals = became[source, own_style, column], became[source, :, column]
        rivals[range(len(asked)), own_style] = math.nan
        met = np.isfinite(rivals).any(axis=1)
        values[:, asked[met]] = (
            fit[met] - np.nanmean(rivals[met], axis=1),
            fit[met] > np.nanmax(rivals[met], axis=1),
        )
        values[:, sheet.failed[heard.metric] & np.isfinite(held_against)] = [[FAILED], [0.0]]
    own, first = (Observations(one, sheet.places) for one in values)
    return own, first, (FAILED, -FAILED)


def _positions(sheet: reading.Sheet, styles: Sequence[str]) -> Floats:
    """Where the style of each cell stands among some, NaN where it does not."""
    place = {style: at for at, style in enumerate(styles)}
    return np.asarray(sheet.rows["style"].map(place), dtype=np.float64)


def _fits(sheet: reading.Sheet, heard: Embedded, styles: Sequence[str]) -> Floats:
    """The cosine of each cell's output with each style (cell, style); 0 of silence, else NaN."""
    prototypes = np.stack([heard.of(heard.clips[style]).mean(axis=0) for style in styles])
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    fits = np.full((len(sheet.rows), len(styles)), math.nan)
    done = reading.said(sheet.rows, "status", "ok")
    fits[done & reading.said(sheet.rows, f"{heard.metric}.status", "silent")] = 0.0
    digests = sheet.rows["audio_digest"]
    sounding = done & digests.isin(list(heard.rows)).to_numpy()
    fits[sounding] = heard.of(digests[sounding]) @ prototypes.T
    return fits


def _contested(judged: Sequence[_Judged]) -> list[str]:
    """The styles in which a method has a number by any judge."""
    known = (d.places.grid.styles[d.places.styles[np.isfinite(d.values)]] for d, _, _ in judged)
    return [*dict.fromkeys(style for styles in known for style in styles.tolist())]


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

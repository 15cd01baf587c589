"""Table II: the scores of each method, as means with intervals.

The table is a pure function of a `Run`. Means are over (style, content) cells after averaging
seeds, with the intervals of `bench.statistics.intervals`. A method with failed cells gets a second
line in which these count as the worst score, so that failing cannot raise a mean. Where methods
have scores of different cells, all of them stand once more with their means over the common cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bench.records.judge_cards import JudgeCard, card_of
from bench.records.schema import MethodEntry, MetricEntry
from bench.records.store import Run
from bench.statistics.intervals import Interval, Observations, interval
from reports.tables import controls, notes, published, reading, standing
from reports.tables.capabilities import capability_notes
from reports.text.result_table import Column, Estimate, Missing, ResultTable, Row, Value, estimate

if TYPE_CHECKING:
    import pandas as pd

ARROWS = {"maximize": "↑", "minimize": "↓"}
CARD = "judge card"
OUT_OF_ORDER = "control out of order: "  # begins a note
HEARS = (
    "judge card: how surely a column tells right notes, or right timbre, from wrong ones on "
    "rendered clips whose truth is known (1 always, 0.5 never), and what it gives there to a true "
    "transfer"
)


def table2(run: Run) -> ResultTable:
    """Show the scores of the methods of a run, first the competitors and then the controls.

    Columns: method, what it sees, the mean of each metric with its interval, n (the most cells
    that a number of the row rests on) and coverage (ended well with valid scores / planned).
    Published reference rows stand only in tables of the full profile.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    frames = reading.by_method(run)
    metrics = reading.ordered_metrics(run)
    kinds: set[str] = set()
    rows = [row for entry in reading.ordered_methods(run) for row in _rows(run, entry, kinds)]
    rows = _with_best(run, rows + _common_rows(run, kinds))
    cards = {metric.name: card_of(metric) for metric in metrics}
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
        (*rows, *_published_rows(run, metrics), *_card_rows(list(cards.values()))),
        (*_reading_notes(rows), *_card_notes(cards), *_table2_notes(run, frames, kinds)),
    )


def _with_best(run: Run, rows: list[Row]) -> list[Row]:
    """The rows with the best competitors of each metric marked."""
    best = [standing.best(run, metric) for metric in reading.ordered_metrics(run)]
    return [row if row.kind == "imputed" else _marked(row, best) for row in rows]


def _marked(row: Row, best: list[frozenset[str]]) -> Row:
    """The row with the estimates marked for which its method is among the best."""
    first = len(row.cells) - len(best) - 2  # name and conditioning before, n and coverage after
    cells = list(row.cells)
    for position, labels in enumerate(best, start=first):
        value = cells[position]
        if isinstance(value, Estimate) and row.method in labels:
            cells[position] = replace(value, best=True)
    return replace(row, cells=tuple(cells))


def metric_column(metric: MetricEntry, title: str | None = None) -> Column:
    """The column of a metric, with an arrow in its title that points towards better."""
    return Column(metric.name, f"{title or metric.title} {ARROWS[metric.direction]}")


def _rows(run: Run, entry: MethodEntry, kinds: set[str]) -> list[Row]:
    """The line of one method and, if any of its cells failed, the line with these imputed."""
    sheet = reading.sheets(run).get(entry.label)
    if sheet is None:
        return []
    rows = sheet.rows
    group = reading.group_of(entry)
    metrics = reading.ordered_metrics(run)
    sees = " + ".join(entry.conditioned_on)
    sound = ~np.any(list(sheet.invalid.values()), axis=0)
    done = int((reading.said(rows, "status", "ok") & sound).sum())
    measured = with_cells([
        score_value(rows, sheet.scores(metric.name), metric, kinds) for metric in metrics
    ])  # fmt: skip
    cells = (entry.label, sees, *measured, f"{done}/{len(rows)}")
    lines = [Row(cells, group, "measured", entry.label)]
    lost = _lost(sheet)
    if lost:
        imputed = with_cells([_imputed(run, entry.label, metric, kinds) for metric in metrics])
        label = f"{entry.label}, failed at {_worst(run)}"
        cells = (label, sees, *imputed, f"{lost} failed")
        lines.append(Row(cells, group, "imputed", entry.label))
    return lines


def with_cells(values: list[Value]) -> list[Value]:
    """The values and n, the most cells behind any; those that rest on fewer say so themselves."""
    most = max((value.n for value in values if isinstance(value, Estimate)), default=None)
    said = [
        replace(value, says_n=value.n != most) if isinstance(value, Estimate) else value
        for value in values
    ]
    return [*said, most]


def _worst(run: Run) -> str:
    """What a failed cell counts as, in a word."""
    ends = {standing.worst(run, metric) for metric in run.header.metrics}
    return "0" if ends == {0.0} else "worst"


def _lost(sheet: reading.Sheet) -> int:
    """How many cells failed, themselves or in any of their scores."""
    failed = reading.failures(sheet.rows)
    for of_metric in sheet.failed.values():
        failed = failed | of_metric
    return int(failed.sum())


def _common_rows(run: Run, kinds: set[str]) -> list[Row]:
    """Every method on the cells that all judged competitors have, if these differ."""
    metrics = reading.ordered_metrics(run)
    cells = standing.common_cells(run, metrics)
    rows = []
    for entry in reading.ordered_methods(run) if cells else ():
        if entry.label not in reading.by_method(run):
            continue
        values = with_cells([
            _on_cells(run, entry.label, metric, cells[metric.name], kinds) for metric in metrics
        ])  # fmt: skip
        sees = " + ".join(entry.conditioned_on)
        cells_of_row = (f"{entry.label}, common cells", sees, *values, "")
        group = f"common cells {reading.group_of(entry)}".strip()
        rows.append(Row(cells_of_row, group, "common", entry.label))
    return rows


def _on_cells(
    run: Run, label: str, metric: MetricEntry, cells: standing.Cells, kinds: set[str]
) -> Value:
    scores = standing.restricted(standing.judged(run, label, metric), cells)
    if not len(scores.values):
        return Missing("n/a", "none of the common cells")
    return _estimate(interval(scores, bounds=metric.range), kinds)


def score_value(
    rows: pd.DataFrame, scores: Observations, metric: MetricEntry, kinds: set[str]
) -> Value:
    """The mean of the scores of some rows by a metric, or why there is none.

    The kind of its interval is added to `kinds`.
    """
    if np.isfinite(scores.values).any():
        return _estimate(interval(scores, bounds=metric.range), kinds)
    return _why_missing(rows, metric)


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


def _imputed(run: Run, label: str, metric: MetricEntry, kinds: set[str]) -> Value:
    """The mean in which each failure counts as the worst score."""
    scores = standing.judged(run, label, metric)
    if not np.isfinite(scores.values).any():
        return _why_missing(reading.by_method(run)[label], metric)
    return _estimate(interval(scores, bounds=metric.range), kinds)


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


def _card_rows(cards: Sequence[JudgeCard | None]) -> list[Row]:
    """What each column hears, and what it gives to a transfer that is right."""
    if not any(cards):
        return []
    heard = [card.hearings[0] if card and card.hearings else None for card in cards]
    lines = {
        "hears notes": [None if one is None else one.notes.value for one in heard],
        "hears timbre": [None if one is None else one.timbre.value for one in heard],
        "a true transfer": [None if one is None else one.of_a_true_transfer for one in heard],
    }
    return [
        Row((label, CARD, *(_or_unknown(value) for value in values), None, ""), CARD, "card")
        for label, values in lines.items()
    ]


def _or_unknown(value: float | None) -> Value:
    return Missing("—", "no judge card of this measure") if value is None else value


def _card_notes(cards: Mapping[str, JudgeCard | None]) -> list[str]:
    """How to read the rows of the judge cards, and which columns are not what they are called."""
    if not any(cards.values()):
        return []
    unlike = [
        f"{card.title} {card.phrase}, so it falls where a transfer succeeds"
        for card in cards.values()
        if card is not None and card.hears_content and card.verdict == "style"
    ]
    return [HEARS, *unlike]


def _reading_notes(rows: list[Row]) -> list[str]:
    """How to read the marks, rows and counts that the table has."""
    found = [cell for row in rows for cell in row.cells if isinstance(cell, Estimate)]
    lines = [notes.BEST] if any(cell.best for cell in found) else []
    lines += [notes.COMMON] if any(row.kind == "common" for row in rows) else []
    return [*lines, notes.CELLS] if any(cell.says_n for cell in found) else lines


def _table2_notes(run: Run, frames: dict[str, pd.DataFrame], kinds: set[str]) -> list[str]:
    lines = notes.identity_notes(run) + notes.interval_notes(kinds)
    lines += [*notes.sees_notes(run), *capability_notes(run)]
    lines += notes.missing_notes(run, frames)
    if any(_lost(sheet) for sheet in reading.sheets(run).values()):
        lines.append(f"failed at {_worst(run)}: the mean with each failed cell as the worst score")
    lines += [*notes.unjudged_notes(run), *disagreement(run), *notes.peak_notes(run)]
    violations = controls.control_order(run)
    lines += [f"{OUT_OF_ORDER}{violation}" for violation in violations]
    if run.header.profile == "full":
        lines.append(
            "published rows fill only what their source measured, with other clips and other audio "
            "preparation; they were not run again"
        )
    return [*lines, *notes.fingerprint_notes(run), notes.provenance_note(run)]


def disagreement(run: Run) -> list[str]:
    """Whom each judge of style puts first, where they do not all put the same first."""
    best = {j: standing.best(run, metric) for j, metric in reading.style_judges(run).items()}
    if len(set(best.values())) < standing.SEVERAL:
        return []
    order = standing.competitors(run)
    words = "; ".join(
        f"{judge}: {', '.join(label for label in order if label in labels) or 'nobody'}"
        for judge, labels in best.items()
    )
    return [f"judges of style disagree about the best ({words})"]

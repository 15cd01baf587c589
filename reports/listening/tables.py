"""The marks of listeners beside the scores: means per method, and rank correlations.

The functions are pure functions of a run and its ratings. Marks are 1 to 5, higher is better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.records.store import Run
from bench.statistics.intervals import MIN_CLUSTERS, MIN_STYLES
from bench.statistics.multiway import multiway_interval
from reports.listening.design import PASS_MARK, PASSED_SHARE, QUESTIONS
from reports.listening.ratings import Heard, Rating
from reports.tables import reading
from reports.tables.notes import counted
from reports.text.result_table import Column, Estimate, Missing, ResultTable, Row, Value, estimate

PAIRS = {"cp": ("cp",), "sf": reading.STYLE_FITS}  # question -> the metrics that ask the same
SCALE = (1.0, 5.0)
DRAWS = 1000
FEWEST_RANKED = 3


def listening(run: Run, heard: Heard) -> ResultTable:
    """Show the mean marks of each method beside its CP and SF on the cells that were rated.

    The interval of a mean mark is cluster-robust over raters, contents and, if there are enough,
    styles: one listener, piece or style counts once, however many ratings belong to it.
    """
    by_method = _by_method(heard.ratings)
    entries = [m for m in reading.ordered_methods(run) if m.label in by_method]
    metrics = [m for m in reading.ordered_metrics(run) if m.name in {"cp", *PAIRS["sf"]}]
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
        f"human: mean mark of {counted(len(heard.raters), 'listener')}, 1 to 5, on the cells they "
        "rated; its interval counts listeners as clusters too; n and coverage belong to the scores"
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
        f"run {run.header.run_id}: {people}, {clips} rated",
        f"mean [95 % interval], cluster-robust over {over}; no interval where there is only one",
        (
            f"attention checks: a hidden copy of the content (style) must get {PASS_MARK} or 5 for "
            f"content (style) in {PASSED_SHARE:.0%} of the cases; left out for failing: "
            f"{counted(len(heard.excluded), 'listener')}"
        ),
    ]
    return tuple(notes)


def ears(run: Run, heard: Heard) -> ResultTable:
    """Show the rank correlation of CP and SF with the marks of listeners.

    Over clips it is Spearman's correlation of a score with the mean mark of its cell, hidden
    controls included, with a percentile interval from redrawing raters and contents. Over methods
    it is that of the means, which rest on few points.
    """
    rows = [
        Row((metric.title, f"human.{question}",
             *_correlation(run, heard.ratings, metric.name, question)))
        for question, measures in PAIRS.items()
        for metric in reading.ordered_metrics(run)
        if metric.name in measures
    ]  # fmt: skip
    columns = (
        Column("measure", "Measure", text=True),
        Column("ears", "Marks", text=True),
        Column("clips", "Rank correlation over clips", decimals=2),
        Column("n", "Clips", decimals=0),
        Column("methods", "Over methods", decimals=2),
        Column("m", "Methods", decimals=0),
    )
    return ResultTable(
        "Do the measures hear what people hear?", "ears", reading.identity(run), columns,
        tuple(rows), _notes(run, heard)[:1],
    )  # fmt: skip


def _correlation(
    run: Run, ratings: Sequence[Rating], metric: str, question: str
) -> tuple[Value, ...]:
    scored = [(r, v) for r in ratings if (v := _value(run, r.cell_id, metric)) is not None]
    cells = sorted({r.cell_id for r, _ in scored})
    methods = sorted({r.method for r, _ in scored})
    if len(cells) < FEWEST_RANKED:
        return (Missing("n/a", "fewer than three clips have both"), len(cells), None, len(methods))
    marks = np.array([getattr(r, question) for r, _ in scored], dtype=np.float64)
    values = np.array([v for _, v in scored])
    whole = _ranked(marks, values, _index([r.cell_id for r, _ in scored]), np.ones(len(scored)))
    low, high = _ends(scored, marks, values)
    means = _ranked(marks, values, _index([r.method for r, _ in scored]), np.ones(len(scored)))
    few = len(methods) < FEWEST_RANKED
    over = Missing("n/a", "fewer than three methods") if few else means
    return (Estimate(whole, low, high, len(cells)), len(cells), over, len(methods))


def _ends(
    scored: Sequence[tuple[Rating, float]], marks: np.ndarray, values: np.ndarray
) -> tuple[float, float]:
    """The ends of the middle 95 % over redrawn raters and contents; NaN where there is only one."""
    raters = _index([r.rater for r, _ in scored])
    contents = _index([r.content for r, _ in scored])
    cells = _index([r.cell_id for r, _ in scored])
    sizes = [int(raters.max()) + 1, int(contents.max()) + 1]
    if min(sizes) < MIN_CLUSTERS:
        return float("nan"), float("nan")
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(DRAWS):
        first, second = (generator.multinomial(n, np.full(n, 1 / n)) for n in sizes)
        drawn.append(
            _ranked(marks, values, cells, (first[raters] * second[contents]).astype(float))
        )
    known = [value for value in drawn if np.isfinite(value)]
    if not known:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def _ranked(
    marks: np.ndarray, values: np.ndarray, groups: np.ndarray, weights: np.ndarray
) -> float:
    """Weighted Spearman correlation of the groups' mean marks with their mean values.

    It is NaN where one of them is constant.
    """
    from scipy.stats import rankdata

    total = np.bincount(groups, weights)
    kept = total > 0
    if kept.sum() < FEWEST_RANKED:
        return float("nan")
    means = [np.bincount(groups, weights * x)[kept] / total[kept] for x in (marks, values)]
    first, second = (rankdata(np.round(mean, 12)) for mean in means)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _index(names: Sequence[str]) -> np.ndarray:
    return np.asarray(np.unique(np.asarray(names), return_inverse=True)[1])

"""Which method is better than which: paired differences, and ranks as intervals.

Only the comparisons that a suite declared before the run are corrected for their number and may be
called findings; all others are exploratory. The functions are pure functions of a `Run`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from bench.records.schema import MetricEntry
from bench.records.store import Run
from bench.statistics.bootstrap import rank_intervals
from bench.statistics.intervals import Observations
from bench.statistics.paired import Comparison, compare, holm, unbeaten
from bench.statistics.spread import LEVEL, Population
from reports.tables import notes, reading
from reports.tables.reading import Frames
from reports.text.result_table import Column, Estimate, Missing, ResultTable, Row, Value

EXPLORED = 6  # with more competitors, exploratory pairs would fill pages
DECLARED, EXPLORATORY = "declared before the run", "exploratory, uncorrected"
POPULATIONS: dict[Population, str] = {
    "both": "styles and contents in general (two-way cluster-robust t)",
    "contents": "other contents on these styles (stratified t; fewer than 5 styles)",
    "styles": "other styles on these contents",
    "cells": "these cells only",
}
RANKS_NOTE = (
    "95 % of bootstrap resamples (styles x contents; contents by category with fewer than 5 "
    "styles) lie between these ranks, on the cells that all methods have"
)
WON_NOTE = "cells won: share of cells in which the first number is the larger; ties count half"
NOT_SIGNIFICANT = "not significant"
OUTCOME = (
    Column("finding", "Finding", text=True),
    Column("detectable", "Detectable"),
    Column("check_p", "p (sign flips)", decimals=4),
    Column("won", "Cells won", decimals=2),
    Column("n", "n", decimals=0),
)
COLUMNS = (
    Column("metric", "Metric", text=True),
    Column("comparison", "Difference", text=True),
    Column("delta", "Delta"),
    Column("p", "p", decimals=4),
    Column("p_holm", "p (Holm)", decimals=4),
    *OUTCOME,
)


@dataclass(frozen=True, slots=True)
class Pairing:
    """One comparison that is to be made: the first method minus the second, by one metric."""

    metric: MetricEntry
    first: str
    second: str

    @property
    def name(self) -> str:
        """A name that no other pairing has."""
        return f"{self.metric.name}: {self.first} - {self.second}"


def comparisons(run: Run) -> ResultTable:
    """Show paired differences between methods: those that the suite declared, then all other pairs.

    Columns: the mean difference with its interval, p, p after Holm's correction over the declared
    family, what follows at 5 %, the smallest detectable difference, the sign-flip check, the share
    of cells won and n.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    frames = reading.by_method(run)
    declared, others = _declared(run), _exploratory(run, frames)
    results = {p.name: _compared(frames, p) for p in (*declared, *others)}
    size = family_size(run)
    corrected = holm({p.name: _p(results[p.name]) for p in declared}, size=size)
    rows = [_row(p, results[p.name], corrected[p.name], DECLARED) for p in declared]
    rows += [
        _row(p, results[p.name], None, EXPLORATORY) for p in others if results[p.name] is not None
    ]
    populations = {result.population for result in results.values() if result and result.n}
    return ResultTable(
        "Paired differences between methods",
        "comparisons",
        reading.identity(run),
        COLUMNS,
        tuple(rows),
        (*notes.identity_notes(run), *_notes(size, populations), notes.provenance_note(run)),
    )


def _declared(run: Run) -> list[Pairing]:
    """The declared comparisons whose metrics this run has, even where it lacks a method."""
    family = run.header.suite.get("family") or {}
    known = {metric.name: metric for metric in reading.ordered_metrics(run)}
    return [
        Pairing(known[name], str(first), str(second))
        for name in family.get("metrics", ())
        if name in known
        for first, second in family.get("pairs", ())
    ]


def family_size(run: Run) -> int:
    """How many comparisons the suite declared, whether or not this run can make them."""
    family = run.header.suite.get("family") or {}
    return len(family.get("metrics", ())) * len(family.get("pairs", ()))


def _exploratory(run: Run, frames: Frames) -> list[Pairing]:
    labels = competitors(run, frames)
    if len(labels) > EXPLORED:
        return []
    declared = {
        (pairing.metric.name, frozenset((pairing.first, pairing.second)))
        for pairing in _declared(run)
    }
    return [
        Pairing(metric, first, second)
        for metric in reading.ordered_metrics(run)
        for first, second in combinations(labels, 2)
        if (metric.name, frozenset((first, second))) not in declared
    ]


def competitors(run: Run, frames: Frames) -> list[str]:
    """Labels of the methods that are not controls and have cells."""
    methods = reading.ordered_methods(run)
    return [m.label for m in methods if not m.control and m.label in frames]


def _compared(frames: Frames, pairing: Pairing) -> Comparison | None:
    """The comparison, or None where the run lacks one of the methods."""
    if pairing.first not in frames or pairing.second not in frames:
        return None
    first, second = (
        reading.scores_of(frames, label, pairing.metric.name)
        for label in (pairing.first, pairing.second)
    )
    return compare(first, second, bounds=pairing.metric.range)


def _p(result: Comparison | None) -> float:
    return math.nan if result is None else result.p


def _row(pairing: Pairing, result: Comparison | None, corrected: float | None, group: str) -> Row:
    names = (pairing.metric.title, f"{pairing.first} - {pairing.second}")
    if result is None or result.n == 0:
        why = "method not in this run" if result is None else "no cell has both numbers"
        return Row((*names, Missing("n/a", why), *([None] * (len(COLUMNS) - 3))), group)
    p = result.p if corrected is None else corrected
    follows = finding(pairing.metric, result, p, (pairing.first, pairing.second))
    if follows == NOT_SIGNIFICANT:
        follows += f" (detectable: {result.detectable:.3f})"
    delta, p_value = difference(result)
    return Row((*names, delta, p_value, known(corrected), follows, *strength(result)), group)


def difference(result: Comparison) -> tuple[Estimate, Value]:
    """The mean difference with its interval, and its uncorrected p."""
    return Estimate(result.delta, result.low, result.high, result.n), known(result.p)


def strength(result: Comparison) -> tuple[Value, ...]:
    """The columns of `OUTCOME` after the finding."""
    return (known(result.detectable), known(result.check_p), result.won, result.n)


def known(value: float | None) -> Value:
    """A number, or None where there is none."""
    return value if value is not None and math.isfinite(value) else None


def finding(metric: MetricEntry, result: Comparison, p: float, names: tuple[str, str]) -> str:
    """What follows at 5 %: which of the two is better, or that nobody can tell."""
    if math.isnan(p):
        return "too few contents or styles to tell"
    if p > 1 - LEVEL:
        return NOT_SIGNIFICANT
    first_better = (result.delta > 0) == (metric.direction == "maximize")
    return f"{names[0] if first_better else names[1]} is better"


def population_notes(populations: set[Population]) -> list[str]:
    """What the differences generalise to."""
    return [f"generalises to {POPULATIONS[name]}" for name in sorted(populations)]


def _notes(family: int, populations: set[Population]) -> Iterator[str]:
    yield from population_notes(populations)
    yield (
        f"p (Holm): corrected over the {family} comparisons that the suite declared before "
        "the run; exploratory ones are uncorrected and prove nothing by themselves"
    )
    yield (
        "detectable: the smallest difference that this run would have found in 4 of 5 cases; "
        f"{WON_NOTE}"
    )


def ranks(run: Run) -> ResultTable:
    """Show between which ranks each competitor lies by each metric, and which may be the best.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    frames = reading.by_method(run)
    labels = competitors(run, frames)
    metrics = reading.ordered_metrics(run)
    best = best_competitors(run)
    found = {metric.name: _ranks(frames, labels, metric, best[metric.name]) for metric in metrics}
    rows = [Row((label, *(found[metric.name][label] for metric in metrics))) for label in labels]
    columns = (
        Column("method", "Method", text=True),
        *(Column(metric.name, metric.title, text=True) for metric in metrics),
    )
    return ResultTable(
        "Ranks of the methods, 1 is the best",
        "ranks",
        reading.identity(run),
        columns,
        tuple(rows) if len(labels) > 1 else (),
        (
            *notes.identity_notes(run),
            RANKS_NOTE,
            notes.BEST,
            notes.provenance_note(run),
        ),
    )


def _ranks(
    frames: Frames, labels: Sequence[str], metric: MetricEntry, best: frozenset[str]
) -> dict[str, Value]:
    scores = {label: reading.scores_of(frames, label, metric.name) for label in labels}
    scored = {label: s for label, s in scores.items() if np.isfinite(s.values).any()}
    maximize = metric.direction == "maximize"
    found = rank_intervals(scored, maximize=maximize)
    words: dict[str, Value] = {}
    for label in labels:
        low, high = found.get(label, (0, 0))
        mark = notes.STAR if label in best else ""
        words[label] = f"{low}-{high}{mark}" if low else Missing("n/a", "no common cell")
    return words


def best_competitors(run: Run) -> Mapping[str, frozenset[str]]:
    """Per metric, the competitors that no other is shown to be better than.

    The set is empty where there is a single competitor.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    return _best_competitors(run)


@lru_cache(maxsize=1)
def _best_competitors(run: Run) -> dict[str, frozenset[str]]:
    """The sets of the latest run are kept, since two tables mark them."""
    frames = reading.by_method(run)
    labels = competitors(run, frames)
    return {
        metric.name: _best({x: reading.scores_of(frames, x, metric.name) for x in labels}, metric)
        for metric in run.header.metrics
    }


def _best(scores: Mapping[str, Observations], metric: MetricEntry) -> frozenset[str]:
    scored = {label: s for label, s in scores.items() if np.isfinite(s.values).any()}
    if len(scored) < 2:  # noqa: PLR2004 - one alone is the best of nothing
        return frozenset()
    maximize = metric.direction == "maximize"
    return frozenset(unbeaten(scored, maximize=maximize, bounds=metric.range))

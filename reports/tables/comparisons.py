"""Which method is better than which: paired differences, and ranks as intervals.

The comparisons that a suite declared before the run are a family of their own. All other pairs are
corrected over all pairs of a metric, as bold and ranks are, so that the three cannot disagree. The
functions are pure functions of a `Run`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from bench.outside.wording import some
from bench.records.schema import MetricEntry
from bench.records.store import Run
from bench.statistics.paired import MIN_FLIPPED, Comparison, compare, holm
from bench.statistics.spread import LEVEL, Population
from reports.tables import notes, reading, standing
from reports.text.result_table import (
    Column,
    Estimate,
    Missing,
    PValue,
    ResultTable,
    Row,
    Value,
)

SHOWN = 6  # with more competitors, all pairs would fill pages
DECLARED, OTHERS = "declared before the run", "all other pairs"
POPULATIONS: dict[Population, str] = {
    "both": "styles and contents in general (two-way cluster-robust t)",
    "contents": "other contents on these styles (stratified t; fewer than 5 styles)",
    "styles": "other styles on these contents",
    "cells": "these cells only",
}
RANKS_NOTE = (
    "ranks that a method can have by the tests of all pairs (each on the cells that both have, "
    "Holm over all pairs): all of them hold at once in 95 % of runs; no other is shown to be "
    "better than a method that can have rank 1"
)
WORST_NOTE = "a failed cell counts as the worst score, an n/a one is left out"
WON_NOTE = "cells won: share of cells in which the first number is the larger; ties count half"
CHECK_NOTE = (
    "p (sign flips): a check without any shape of the distribution; - where fewer than "
    f"{MIN_FLIPPED} styles or contents can be flipped"
)
NOT_SIGNIFICANT = "not significant"
NO_ORDER = "An order needs two competitors that have cells; this run has fewer."
ONE_ALONE = "A difference needs two competitors that have cells; this run has fewer."
BETTER = " is better"  # the end of a finding that claims something
OUTCOME = (
    Column("finding", "Finding", text=True),
    Column("detectable", "Detectable"),
    Column("check_p", "p (sign flips)"),
    Column("won", "Cells won", decimals=2),
    Column("n", "n", decimals=0),
)
COLUMNS = (
    Column("metric", "Metric", text=True),
    Column("comparison", "Difference", text=True),
    Column("delta", "Delta"),
    Column("p", "p"),
    Column("p_holm", "p (Holm)"),
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
    of cells won and n. There are no rows where the run has both methods of no pair.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    declared, others = _declared(run), _others(run)
    pairings = (*declared, *others)
    results = {p.name: _compared(run, p) for p in pairings}
    size = family_size(run)
    corrected = holm({p.name: _p(results[p.name]) for p in declared}, size=size)
    corrected |= {p.name: _among_all_pairs(run, p) for p in others}
    found = {p.name: _finding(run, p, results[p.name], corrected[p.name]) for p in pairings}
    said = _by_judge(run, pairings, found)
    groups = (*((p, DECLARED) for p in declared), *((p, OTHERS) for p in others))
    rows = [
        _row(p, results[p.name], corrected[p.name], doubted(found[p.name], said[p.name]), group)
        for p, group in groups
    ]
    populations = {result.population for result in results.values() if result and result.n}
    return ResultTable(
        "Paired differences between methods",
        "comparisons",
        reading.identity(run),
        COLUMNS,
        tuple(rows) if any(results.values()) else (),
        (*notes.identity_notes(run), *_notes(size, populations), notes.provenance_note(run)),
        empty=" ".join(filter(None, (_lacking(declared, results), _what_to_declare(run)))),
    )


def _lacking(declared: Sequence[Pairing], results: Mapping[str, Comparison | None]) -> str:
    """What the suite declared in vain: pairs of which this run has at most one method."""
    if not declared or any(results[pairing.name] for pairing in declared):
        return ""
    pairs = dict.fromkeys(f"{pairing.first} - {pairing.second}" for pairing in declared)
    return f"The suite declares {some(list(pairs), ', ')}; this run has both methods of none."


def _what_to_declare(run: Run) -> str:
    """Why there is no pair, and what to write into the suite so that there is one."""
    labels, metrics = standing.competitors(run), reading.ordered_metrics(run)
    if len(labels) <= SHOWN or not metrics:
        return "" if len(labels) > 1 else ONE_ALONE
    pairs = len(labels) * (len(labels) - 1) // 2
    example = json.dumps([labels[:2]], ensure_ascii=False)
    return (
        f"{len(labels)} competitors make {pairs} pairs by each metric, and all pairs are shown of "
        f"{SHOWN} competitors at most. Say in the suite, before the run, which of them matter: "
        f'[family] with pairs = {example} and metrics = ["{metrics[0].name}"].'
    )


def _declared(run: Run) -> list[Pairing]:
    """The declared comparisons whose metrics this run has, even where it lacks a method."""
    family = run.header.suite.get("family") or {}
    known = {metric.name: metric for metric in reading.ordered_metrics(run)}
    return [
        Pairing(known[name], *(run.shown_as.get(label, label) for label in map(str, pair)))
        for name in family.get("metrics", ())
        if name in known
        for pair in family.get("pairs", ())
    ]


def family_size(run: Run) -> int:
    """How many comparisons the suite declared, whether or not this run can make them."""
    family = run.header.suite.get("family") or {}
    return len(family.get("metrics", ())) * len(family.get("pairs", ()))


def _others(run: Run) -> list[Pairing]:
    """The pairs that the suite did not declare."""
    labels = standing.competitors(run)
    if len(labels) > SHOWN:
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


def _among_all_pairs(run: Run, pairing: Pairing) -> float:
    """The p of a pair after Holm over all pairs; NaN where a method is not judged."""
    found = standing.standing(run, pairing.metric).p
    return found.get((pairing.first, pairing.second), math.nan)


def _compared(run: Run, pairing: Pairing) -> Comparison | None:
    """The comparison, or None where the run lacks one of the methods."""
    known = reading.by_method(run)
    if pairing.first not in known or pairing.second not in known:
        return None
    first, second = (
        standing.judged(run, label, pairing.metric) for label in (pairing.first, pairing.second)
    )
    return compare(first, second, bounds=pairing.metric.range)


def _p(result: Comparison | None) -> float:
    return math.nan if result is None else result.p


def _row(
    pairing: Pairing, result: Comparison | None, corrected: float, follows: str, group: str
) -> Row:
    names = (pairing.metric.title, f"{pairing.first} - {pairing.second}")
    if result is None or result.n == 0:
        why = "method not in this run" if result is None else "no cell has both numbers"
        return Row((*names, Missing("n/a", why), *([None] * (len(COLUMNS) - 3))), group)
    delta, p_value = difference(result)
    return Row((*names, delta, p_value, p_of(corrected), follows, *strength(result)), group)


def _by_judge(
    run: Run, pairings: Sequence[Pairing], found: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """For each comparison of style, what every judge of style finds about its two methods."""
    judges = {metric.name: judge for judge, metric in reading.style_judges(run).items()}
    about: dict[frozenset[str], dict[str, str]] = {}
    for pairing in pairings:
        if pairing.metric.name in judges:
            said = about.setdefault(frozenset((pairing.first, pairing.second)), {})
            said[judges[pairing.metric.name]] = found[pairing.name]
    return {
        p.name: about[frozenset((p.first, p.second))] if p.metric.name in judges else {}
        for p in pairings
    }


def doubted(finding: str, said: Mapping[str, str]) -> str:
    """A finding with the judges of style that contradict it.

    Args:
        finding: What one of them finds.
        said: What each of them finds about the same two, by its name; empty where the finding is
            not about style.

    Example:
        >>> doubted("a is better", {"CLAP": "a is better", "MusicNN": "not significant"})
        'a is better (MusicNN: not)'
        >>> doubted("a is better", {"CLAP": "a is better", "MusicNN": "b is better"})
        'a is better (MusicNN: b is better)'
    """
    if not finding.endswith(BETTER):
        return finding
    others = {judge: words for judge, words in said.items() if words != finding}
    against = [f"{j}: {w if w.endswith(BETTER) else 'not'}" for j, w in others.items()]
    return f"{finding} ({'; '.join(against)})" if against else finding


def _finding(run: Run, pairing: Pairing, result: Comparison | None, p: float) -> str:
    """What follows, or why a pair is not judged."""
    if result is None or result.n == 0:
        return ""
    names = (pairing.first, pairing.second)
    follows = not_judged(pairing.metric, {name: (run, name) for name in names})
    if follows is None:
        follows = finding(pairing.metric, result, p, names)
    if follows == NOT_SIGNIFICANT:
        follows += f" (detectable: {result.detectable:.3f})"
    return follows


def not_judged(metric: MetricEntry, sides: Mapping[str, tuple[Run, str]]) -> str | None:
    """Why no finding is drawn from a pair, None where one is.

    Args:
        metric: The metric.
        sides: Each side by its name in the table: its run, and its method's label there.
    """
    for name, (run, label) in sides.items():
        left_out = standing.unjudged(run, metric)
        if label in left_out:
            return f"not judged: {name} {left_out[label]}"
    return None


def difference(result: Comparison) -> tuple[Estimate, Value]:
    """The mean difference with its interval, and its uncorrected p."""
    return Estimate(result.delta, result.low, result.high, result.n), p_of(result.p)


def strength(result: Comparison) -> tuple[Value, ...]:
    """The columns of `OUTCOME` after the finding."""
    return (known(result.detectable), p_of(result.check_p), result.won, result.n)


def known(value: float | None) -> Value:
    """A number, or None where there is none."""
    return value if value is not None and math.isfinite(value) else None


def p_of(value: float) -> Value:
    """A p-value, or None where there is none."""
    return PValue(value) if math.isfinite(value) else None


def finding(metric: MetricEntry, result: Comparison, p: float, names: tuple[str, str]) -> str:
    """What follows at 5 %: which of the two is better, or that nobody can tell."""
    if math.isnan(p):
        return "too few contents or styles to tell"
    if p > 1 - LEVEL:
        return NOT_SIGNIFICANT
    first_better = (result.delta > 0) == (metric.direction == "maximize")
    return f"{names[0] if first_better else names[1]}{BETTER}"


def population_notes(populations: set[Population]) -> list[str]:
    """What the differences generalise to."""
    return [f"generalises to {POPULATIONS[name]}" for name in sorted(populations)]


def _notes(family: int, populations: set[Population]) -> Iterator[str]:
    yield from population_notes(populations)
    yield (
        f"p (Holm): corrected over the {family} comparisons that the suite declared before the "
        "run, or else over all pairs of competitors by this metric, as bold and ranks are; it "
        "decides the finding"
    )
    yield (
        "detectable: the smallest difference that this run would have found in 4 of 5 cases; "
        f"{WON_NOTE}"
    )
    yield CHECK_NOTE
    yield WORST_NOTE


def ranks(run: Run) -> ResultTable:
    """Show between which ranks each competitor lies by each metric, and which may be the best.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    labels = standing.competitors(run)
    metrics = reading.ordered_metrics(run)
    rows = [Row((label, *(_rank(run, label, metric) for metric in metrics))) for label in labels]
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
            WORST_NOTE,
            *notes.unjudged_notes(run),
            notes.provenance_note(run),
        ),
        empty=NO_ORDER,
    )


def _rank(run: Run, label: str, metric: MetricEntry) -> Value:
    """The rank of a method, or the first and the last that it can have."""
    ranks = standing.standing(run, metric).ranks
    if label not in ranks:
        return Missing("n/a", standing.unjudged(run, metric).get(label, "no score"))
    first, last = ranks[label]
    return str(first) if first == last else f"{first}-{last}"

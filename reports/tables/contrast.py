"""Two runs, or two methods of one run, compared per cell and metric by metric."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.api import RecordError, UnknownNameError
from bench.errors import nearest
from bench.records.identity import other_methods
from bench.records.schema import MetricEntry
from bench.records.store import Run, load_run
from bench.statistics.intervals import Observations
from bench.statistics.paired import Comparison, compare
from bench.statistics.spread import Population
from reports.tables import notes, reading
from reports.tables.comparisons import (
    CHECK_NOTE,
    OUTCOME,
    WON_NOTE,
    WORST_NOTE,
    difference,
    doubted,
    finding,
    not_judged,
    population_notes,
    strength,
)
from reports.tables.standing import judged
from reports.text.result_table import Column, Estimate, Missing, ResultTable, Row
from reports.titles import shown_labels, titled

COLUMNS = (
    Column("method", "Method", text=True),
    Column("metric", "Metric", text=True),
    Column("delta", "Delta"),
    Column("p", "p"),
    *OUTCOME,
)


def contrast_runs(first: Path, second: Path, population: Population | None = None) -> ResultTable:
    """Compare two runs, first minus second, for each method that both have.

    Cells are paired by style and content; a content whose audio differs between the runs is left
    out. A metric whose fingerprints differ is marked, never compared.

    Raises:
        RecordError: A folder does not hold a run, or nothing in the two can be compared.
    """
    runs = [load_run(folder) for folder in (first, second)]
    names = shown_labels(entry for run in runs for entry in run.header.methods)
    ours, theirs = (titled(run, names) for run in runs)
    theirs_too = reading.by_method(theirs)
    labels = [label for label in reading.by_method(ours) if label in theirs_too]
    metrics = _shared(ours, theirs)
    if ours.header.profile != theirs.header.profile or not labels or not metrics:
        raise RecordError(
            f"{first} ({_words(ours)}) and {second} ({_words(theirs)}) share no profile, method or "
            "metric; only like is compared with like. Compare runs of one suite."
        )
    same = _same_contents(ours, theirs)
    rows, populations = [], set()
    for label in labels:
        for metric, fault in metrics:
            if fault:
                rows.append(_missing(label, metric, fault))
                continue
            pair = [_of_contents(judged(run, label, metric), same) for run in (ours, theirs)]
            result = compare(*pair, bounds=metric.range, population=population)
            populations.add(result.population)
            left_out = not_judged(metric, {"A": (ours, label), "B": (theirs, label)})
            rows.append(
                _row(
                    label, metric, result, left_out or finding(metric, result, result.p, ("A", "B"))
                )
            )
    title = f"{first} (A) minus {second} (B), paired per cell"
    return _table(title, ours, rows, [*_run_notes(ours, theirs, same), *_notes(populations)])


def contrast_methods(
    folder: Path, first: str, second: str, population: Population | None = None
) -> ResultTable:
    """Compare two methods of one run: first minus second.

    Raises:
        RecordError: The folder does not hold a run.
        UnknownNameError: The run has no such method.
    """
    run = titled(load_run(folder))
    first, second = (run.shown_as.get(label, label) for label in (first, second))
    frames = reading.by_method(run)
    for label in (first, second):
        if label not in frames:
            raise UnknownNameError(
                f"run {folder} has no method {label!r}; it has {', '.join(frames)}."
                f"{nearest(label, frames)}"
            )
    found = []
    for metric in reading.ordered_metrics(run):
        pair = [judged(run, label, metric) for label in (first, second)]
        result = compare(*pair, bounds=metric.range, population=population)
        follows = not_judged(metric, {name: (run, name) for name in (first, second)})
        found.append(
            (metric, result, follows or finding(metric, result, result.p, (first, second)))
        )
    populations = {result.population for _, result, _ in found}
    judges = {metric.name: judge for judge, metric in reading.style_judges(run).items()}
    said = {judges[metric.name]: words for metric, _, words in found if metric.name in judges}
    rows = [
        _row(
            f"{first} - {second}",
            metric,
            result,
            doubted(follows, said if metric.name in judges else {}),
        )
        for metric, result, follows in found
    ]
    told = (notes.invalid_note(run), *run.plan_faults, *run.remarks)
    lines = [words for words in told if words]
    title = f"{first} minus {second}, paired per cell"
    return _table(title, run, rows, [*lines, *_notes(populations)])


def comparable(table: ResultTable) -> bool:
    """Whether any row holds a number."""
    return any(isinstance(value, Estimate) for value in table.column("delta"))


def _table(title: str, run: Run, rows: Sequence[Row], lines: Sequence[str]) -> ResultTable:
    return ResultTable(title, "compare", reading.identity(run), COLUMNS, tuple(rows), tuple(lines))


def _words(run: Run) -> str:
    return f"profile {run.header.profile}, suite {run.header.suite_name}"


def _shared(ours: Run, theirs: Run) -> list[tuple[MetricEntry, str]]:
    """The metrics that both runs have, each with the reason why it cannot be compared, if any."""
    prints = [{m.name: _fingerprint(run, m) for m in run.header.metrics} for run in (ours, theirs)]
    return [
        (m, "" if prints[0][m.name] == prints[1][m.name] else "other fingerprint")
        for m in reading.ordered_metrics(ours)
        if m.name in prints[1]
    ]


def _fingerprint(run: Run, metric: MetricEntry) -> set[str]:
    return run.fingerprints().get(metric.name) or {metric.fingerprint}


def _same_contents(ours: Run, theirs: Run) -> set[str]:
    other = theirs.header.contents
    return {
        name
        for name, facts in ours.header.contents.items()
        if name in other and other[name].get("digest") == facts.get("digest")
    }


def _of_contents(scores: Observations, contents: set[str]) -> Observations:
    return scores.where([name in contents for name in scores.contents.tolist()])


def _missing(label: str, metric: MetricEntry, fault: str) -> Row:
    blank = (None,) * (len(COLUMNS) - 3)
    return Row((label, metric.title, Missing("incomparable", fault), *blank), label)


def _row(label: str, metric: MetricEntry, result: Comparison, follows: str) -> Row:
    if result.n == 0:
        return _missing(label, metric, "no cell has both numbers")
    return Row((label, metric.title, *difference(result), follows, *strength(result)), label)


def _run_notes(ours: Run, theirs: Run, same: set[str]) -> list[str]:
    named = (("A", ours), ("B", theirs))
    lines = [f"{name}: {_words(run)}, run {run.header.run_id}" for name, run in named]
    if ours.header.suite_digest != theirs.header.suite_digest:
        lines.append("the suites differ; only cells of the same style and content audio are paired")
    lines += [
        f"{label}: {words} in B than in A"
        for label, words in other_methods(ours.header, theirs.header).items()
    ]
    for name, run in named:
        told = (notes.invalid_note(run), *run.plan_faults, *run.remarks)
        lines += [f"{name}: {words}" for words in told if words]
    left_out = len(ours.header.contents) - len(same)
    return lines + ([f"{left_out} contents of A are not in B"] if left_out else [])


def _notes(populations: set[Population]) -> list[str]:
    return [
        *population_notes(populations),
        "p is uncorrected: with several rows, some fall below .05 by chance",
        "detectable: the smallest difference that would have been found in 4 of 5 cases",
        WON_NOTE,
        CHECK_NOTE,
        WORST_NOTE,
        *([notes.KINDS["none"]] if not populations else []),
    ]

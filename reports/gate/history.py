"""The history of the main branch, as a table and as a figure with its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from bench.errors import ExitCode
from bench.files import renewed_folder, replace_file
from bench.gate.history import HistoryLine, Trend, add, line_of, read_history, series_of, trend
from bench.gate.snapshot import snapshot
from bench.records.benchmarks import read_benchmarks
from bench.records.integrity import require_judgeable
from bench.records.store import load_run
from reports.figures import trends as figure
from reports.text import formats
from reports.text.result_table import Column, ResultTable, Row

COLUMNS = (
    Column("word", "Now", text=True),
    Column("method", "Method", text=True),
    Column("subject", "Subject", text=True),
    Column("points", "Runs"),
    Column("level", "Level"),
    Column("change", "Change"),
    Column("since", "Since", text=True),
)
NOTES = (
    "level: median of the runs since the last step",
    "change: against the best level before, a difference of metrics and a ratio of times",
    "steps: L1 Potts (ruptures, Pelt); a step is seen three runs after it",
    "worse: a metric by more than the gate's margin, a time by more than its ratio",
)
ORDER = ("worse", "better", "steady")


def add_run(
    folder: Path, out: Path, benchmarks: Path | None = None, *, records_only: bool = False
) -> str:
    """Append a run to a history, unless it is there already, and say which of the two.

    Args:
        folder: The run.
        out: The history.
        benchmarks: A file of pytest-benchmark of the run.
        records_only: Do not compare the audio with its records.

    Raises:
        RecordError: The folder does not hold a run, or one that is not what was written, or the
            file is not a history.
    """
    timed = read_benchmarks(benchmarks) if benchmarks else []
    run = load_run(folder)
    require_judgeable(run, records_only=records_only)
    added = add(out, line_of(snapshot(run, benchmarks=timed)))
    return f"{'Added to' if added else 'Already in'} {out}: {len(read_history(out))} runs"


def show(path: Path, report: Path | None = None) -> tuple[str, ExitCode]:
    """The terminal text of a history, and its exit code: 3 if a quantity became worse, else 0.

    Args:
        path: The history.
        report: A folder for trends.md, trends.svg and trends.csv.

    Raises:
        RecordError: The file is not a history.
    """
    lines = read_history(path)
    found = [trend(series) for series in series_of(lines)]
    shown = table(lines, found)
    if report is not None:
        with renewed_folder(report) as fresh:
            figure.write(fresh / "trends.svg", found)
            replace_file(fresh / "trends.md", formats.markdown(shown))
    text = formats.terminal(shown)
    worse = any(one.word == "worse" for one in found)
    return text, ExitCode.REGRESSED if worse else ExitCode.DONE


def table(lines: Sequence[HistoryLine], found: Sequence[Trend]) -> ResultTable:
    """Show one row per quantity, those that became worse first."""
    newest = lines[-1]
    identity = f"suite {newest.suite_name}, newest run {newest.run_id}, {len(lines)} runs"
    rows = sorted(found, key=lambda one: ORDER.index(one.word))
    return ResultTable(
        "Trends of the main branch",
        "history",
        identity,
        COLUMNS,
        tuple(_row(one) for one in rows),
        NOTES,
    )


def _row(one: Trend) -> Row:
    series = one.series
    stepped = len(one.starts) > 1
    since = series.changes[one.starts[-1]]
    change = one.change if stepped and math.isfinite(one.change) else None
    cells = (
        one.word, series.method, series.subject, len(series.values), one.levels[-1], change,
        since if stepped else None,
    )  # fmt: skip
    return Row(cells, one.word)

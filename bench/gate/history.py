"""The history of the main branch: one line per run, and the steps in it.

A gate sees one change at a time, so a method may lose a little with each of many changes and pass
every time. `history.jsonl` keeps a line per run of the main branch; here its lines become series
and each series a sequence of levels, cut where it stepped.

Any two points of a series are comparable: they have the same suite, profile and dataset, the same
measure, and for times the same machine class. Where that changed, the series begins anew.

**Conventions**: levels of metrics are raw means over the cells that ended well; times are in units
of the calibration kernel that ran beside them; newest points last.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Literal

from pydantic import Field, field_validator

from bench.api import RecordError
from bench.checkout import COMMAND
from bench.gate.cost import STAGES, TIME_RATIO
from bench.gate.snapshot import MARGIN, MeasuredCell, Snapshot
from bench.records.schema import Record
from bench.records.store import append, read_strictly
from bench.records.timings import disturbance
from bench.statistics.change_points import steps

# What platforms alone may move: no step below it is looked for.
FINEST = {"metric": 1e-3, "time": 0.02}
COMMIT = 12  # hex digits of a commit that are shown
LONGEST = 200  # runs looked at: the search takes seconds for forty series of that length
Kind = Literal["metric", "time"]
Word = Literal["worse", "better", "steady"]


class HistoryLine(Record):
    """One run of the main branch.

    `levels` hold the mean of each metric per method, `times` the median cost of each stage in
    kernels, `benchmarks` the median of each timed function in units of its yardstick. `states` say
    where methods from outside stood, whose own repositories `commit` says nothing about.
    """

    created_at: str
    run_id: str
    commit: str
    suite_name: str
    setting: str  # what must agree for metrics: suite digest, profile, dataset
    machine: str  # what must agree for times
    fingerprints: dict[str, str]
    directions: dict[str, Literal["maximize", "minimize"]]
    levels: dict[str, dict[str, float]]
    times: dict[str, dict[str, float]] = Field(default_factory=dict)
    states: dict[str, str] = Field(default_factory=dict)
    benchmarks: dict[str, float] = Field(default_factory=dict)

    @field_validator("levels", mode="before")
    @classmethod
    def _without_nan(cls, levels: object) -> object:
        """Leave out the level of a run whose scores held NaN, which was written as null."""
        if not isinstance(levels, dict):
            return levels
        return {
            method: {name: value for name, value in own.items() if _is_level(value)}
            if isinstance(own, dict)
            else own
            for method, own in levels.items()
        }


def _is_level(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity over the runs that are comparable with the newest.

    Args:
        method: Label of the method, or name of the timed function.
        subject: Metric or stage.
        kind: Whether a change is a difference (metric) or a ratio (time).
        maximize: Whether larger is better.
        changes: What changed from the point before to each point: the commit of the bench, or the
            state of the method's own repository, or both.
        values: The points, oldest first.
    """

    method: str
    subject: str
    kind: Kind
    maximize: bool
    changes: tuple[str, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """A series cut into levels.

    Args:
        series: The points.
        starts: Index of the first point of each level; the first is 0.
        levels: Median of each level.
        change: Newest level against the best before it: a difference of metrics, a ratio of times.
        word: `worse` or `better` where the change is large enough to matter, else `steady`.
    """

    series: Series
    starts: tuple[int, ...]
    levels: tuple[float, ...]
    change: float
    word: Word


def line_of(kept: Snapshot) -> HistoryLine:
    """Reduce a run, as the gate sees it, to one line."""
    cells: dict[str, list[MeasuredCell]] = defaultdict(list)
    for cell in kept.cells:
        if cell.status == "ok":
            cells[cell.method].append(cell)
    return HistoryLine(
        created_at=kept.created_at,
        run_id=kept.run_id,
        commit=kept.commit,
        suite_name=kept.suite_name,
        setting=f"{kept.suite_digest}, {kept.profile}, {kept.dataset}",
        machine=kept.machine,
        fingerprints={name: metric.fingerprint for name, metric in kept.metrics.items()},
        directions={name: metric.direction for name, metric in kept.metrics.items()},
        levels={method: _levels(own, kept.metrics) for method, own in cells.items()},
        times={method: times for method, own in cells.items() if (times := _times(own))},
        states={label: method.state for label, method in kept.methods.items() if method.state},
        benchmarks={
            b.name: b.median_s / (b.calibration_s or 1.0)
            for b in kept.benchmarks
            if b.median_s is not None and not b.disturbed
        },
    )


def _levels(cells: Sequence[MeasuredCell], metrics: Iterable[str]) -> dict[str, float]:
    found = {
        name: [x for cell in cells if (x := cell.values.get(name)) is not None] for name in metrics
    }
    return {name: fmean(values) for name, values in found.items() if values}


def _times(cells: Sequence[MeasuredCell]) -> dict[str, float]:
    """Median cost of each stage; none of a disturbed machine, whose times are no level."""
    if disturbance([cell.calibration_s for cell in cells if cell.calibration_s]):
        return {}
    found: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        for stage, column in STAGES.items():
            seconds: float | None = getattr(cell, column)
            if seconds and cell.calibration_s:
                found[stage].append(seconds / cell.calibration_s)
    return {stage: median(kernels) for stage, kernels in found.items()}


def add(path: Path, line: HistoryLine) -> bool:
    """Append a line, unless the run is there already, and return whether it was appended.

    Raises:
        RecordError: The file holds something other than a history.
    """
    known = read_strictly(path, HistoryLine)
    if line.run_id in {old.run_id for old in known}:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    append(path, [line])
    return True


def read_history(path: Path) -> list[HistoryLine]:
    """The lines of a file, oldest first.

    Raises:
        RecordError: The file does not exist, is empty, or holds something other than a history.
    """
    lines = read_strictly(path, HistoryLine)
    if not lines:
        raise RecordError(
            f"{path} holds no run; a history has one line per run of the main branch. Add one with "
            f"`{COMMAND} history add RUN -o FILE`."
        )
    return sorted(lines, key=lambda line: line.created_at)


def series_of(lines: Sequence[HistoryLine]) -> list[Series]:
    """Every quantity of the newest line with its comparable points among the last `LONGEST`."""
    newest = lines[-1]
    same = [line for line in lines[-LONGEST:] if line.setting == newest.setting]
    found = [
        _series(_measured(same, method, name), method, name, "metric", newest)
        for method, levels in newest.levels.items()
        for name in levels
    ]
    timed = [line for line in same if line.machine == newest.machine]
    found += [
        _series([(x, x.times.get(method, {}).get(stage)) for x in timed], method, stage, "time")
        for method, stages in newest.times.items()
        for stage in stages
    ]
    found += [
        _series([(x, x.benchmarks.get(name)) for x in timed], name, "benchmark", "time")
        for name in newest.benchmarks
    ]
    return found


def _measured(
    lines: Sequence[HistoryLine], method: str, metric: str
) -> list[tuple[HistoryLine, float | None]]:
    mark = lines[-1].fingerprints.get(metric)
    same = [line for line in lines if line.fingerprints.get(metric) == mark]
    return [(line, line.levels.get(method, {}).get(metric)) for line in same]


def _series(
    points: Sequence[tuple[HistoryLine, float | None]],
    method: str,
    subject: str,
    kind: Kind,
    newest: HistoryLine | None = None,
) -> Series:
    known = [(line, value) for line, value in points if value is not None]
    lines, values = zip(*known, strict=True)
    changes = [_change(method, *pair) for pair in zip([None, *lines], lines, strict=False)]
    maximize = newest is not None and newest.directions[subject] == "maximize"
    return Series(method, subject, kind, maximize, tuple(changes), tuple(values))


def _change(method: str, before: HistoryLine | None, line: HistoryLine) -> str:
    """What can have changed the numbers of a method from one run to the next, in words."""
    bench, own = line.commit[:COMMIT] or "unknown commit", line.states.get(method)
    if own is None:
        return bench
    named = f"{method} {own}"
    if before is None or before.states.get(method) == own:
        return bench
    return named if before.commit == line.commit else f"{named}; bench {bench}"


def trend(series: Series) -> Trend:
    """Cut a series into levels and say how the newest stands against the best before it.

    Drift by many small steps is a change against the best level, not against the last one.
    """
    timed = series.kind == "time"
    values = [math.log(value) for value in series.values] if timed else list(series.values)
    starts = steps(values, finest=FINEST[series.kind])
    ends = (*starts[1:], len(values))
    levels = [median(values[start:end]) for start, end in zip(starts, ends, strict=True)]
    best = (max if series.maximize else min)(levels[:-1], default=levels[-1])
    moved = levels[-1] - best
    return Trend(
        series,
        starts,
        tuple(math.exp(level) if timed else level for level in levels),
        math.exp(moved) if timed else moved,
        _word(moved if series.maximize else -moved, math.log(TIME_RATIO) if timed else MARGIN),
    )


def _word(towards: float, matters: float) -> Word:
    if towards < -matters:
        return "worse"
    return "better" if towards > matters else "steady"

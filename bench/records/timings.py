"""Timings of methods, and what follows from them: quartiles, amortised costs, crossovers.

`bench.timing.session` takes the times and `reports.tables.timings` shows them. What lies between is
here, and apart from reading and writing files it is pure.

**Conventions**: wall-clock seconds; memory in bytes, None where a device has no such view. A
repetition handles `clips` clips (styles, for a fit); per clip is the repetition divided by them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import Field

from bench.api import RecordError
from bench.checkout import COMMAND
from bench.files import replace_file
from bench.outside.texts import MOST_JSON_BYTES, read_text
from bench.records.schema import Record

StageName = Literal["start", "load", "fit", "transfer", "score"]
COUNTS = (1, 10, 100, 537)  # of clips; 3 styles x 179 contents are 537
Item = TypeVar("Item")
# Two witnesses say whether a machine was too busy for its times to say anything: the kernel of
# `bench.run.calibration`, whose seconds should be the same all along, and the load average.
QUIET = 1.5  # longest over shortest kernel; above, the machine was busy
SPARE = 0.75  # tasks beyond the cores; an average over a minute sways by less on a quiet machine


class Memory(Record):
    """Three views of memory, each the largest so far: of torch, of the device, of the process.

    Attributes:
        allocated: By torch's tensors on the device, since the stage began.
        held: By torch's allocator on the device, since the stage began; never less than allocated.
        resident: Of the process in main memory, since it started.
    """

    allocated: int | None = None
    held: int | None = None
    resident: int | None = None


class Extrapolation(Record):
    """The length of a fit, estimated from shorter ones: a line through two numbers of steps.

    Attributes:
        steps: What the fit really takes.
        measured: The two numbers of steps that were timed.
        seconds: Of each, one per repetition.
    """

    steps: int
    measured: tuple[int, int]
    seconds: tuple[tuple[float, ...], tuple[float, ...]]


class StageTiming(Record):
    """One stage of one method.

    Attributes:
        stage: start (a process of its own, imports), load, fit, transfer or score.
        clips: Clips (styles, for a fit) per repetition.
        seconds: Of each repetition, in the order in which they ran.
        calibration_s: Of the calibration kernel before each, see `bench.run.calibration`; none for
            start and load.
        memory: After the last repetition.
        extrapolated: How `seconds` were estimated, if the stage was not measured to its end.
    """

    stage: StageName
    clips: int = 1
    seconds: tuple[float, ...]
    calibration_s: tuple[float, ...] = ()
    memory: Memory = Memory()
    extrapolated: Extrapolation | None = None


class MethodTiming(Record):
    """All stages of a method, or why there are no more of them."""

    label: str
    fits_per_style: bool
    stages: tuple[StageTiming, ...] = ()
    failure: str | None = None

    def stage(self, name: StageName, clips: int | None = None) -> StageTiming | None:
        """A stage by its name and clips per repetition; by default that with the most clips."""
        found = [s for s in self.stages if s.stage == name and clips in (None, s.clips)]
        return max(found, key=lambda s: s.clips, default=None)


class TimingReport(Record):
    """The results of one session of timing, with the machine and the suite they belong to.

    Attributes:
        worked_s: In which a method fitted or transferred, or a metric scored, warm-ups included;
            what these processes do besides is loading and waiting for their turn. None in older
            files.
        wall_s: Of the whole session, which `worked_s` is a part of.
        energy_j: Joules of the whole session by "cpu" and "gpu", see `bench.estimate.energy`; what
            nothing counts is absent.
    """

    created_at: str
    suite_name: str
    suite_digest: str
    dataset: str
    profile: str
    device: str
    style: str
    contents: tuple[str, ...]
    duration_s: float
    metrics: tuple[str, ...]
    methods: tuple[MethodTiming, ...]
    scoring: MethodTiming
    worked_s: float | None = None
    wall_s: float | None = None
    energy_j: dict[str, float] = Field(default_factory=dict)
    provenance: dict[str, Any]

    @property
    def device_share(self) -> float | None:
        """The share of the wall time in which the device worked; None where nothing says."""
        return self.worked_s / self.wall_s if self.wall_s and self.worked_s is not None else None


def quartiles(stage: StageTiming) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of the seconds per clip.

    Example:
        >>> quartiles(StageTiming(stage="transfer", clips=2, seconds=(2.0, 4.0, 6.0)))
        (1.5, 2.0, 2.5)
    """
    low, middle, high = np.quantile(np.array(stage.seconds) / stage.clips, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)


def median_s(timing: MethodTiming, name: StageName) -> float:
    """Median seconds per clip of a stage; 0 where the method has no such stage."""
    stage = timing.stage(name)
    return quartiles(stage)[1] if stage else 0.0


def amortised_s(timing: MethodTiming, count: int) -> float:
    """T(n) = load + fit + n transfer: seconds until the n-th clip of one style is there.

    Load is the start of a process and the loading of its models; transfer is per clip of the
    largest batch that was timed. NaN where a transfer was not timed.
    """
    if timing.stage("transfer") is None:
        return math.nan
    return _fixed_s(timing) + count * median_s(timing, "transfer")


def _fixed_s(timing: MethodTiming) -> float:
    stages: tuple[StageName, ...] = ("start", "load", "fit")
    return math.fsum(median_s(timing, stage) for stage in stages)


def crossover(first: MethodTiming, second: MethodTiming) -> int | None:
    """The least number of clips from which on the first method costs no more than the second.

    1 where it always does; None where it never does, or where one was not timed.
    """
    if first.stage("transfer") is None or second.stage("transfer") is None:
        return None
    extra = _fixed_s(first) - _fixed_s(second)
    saved = median_s(second, "transfer") - median_s(first, "transfer")
    if saved < 0 or (saved == 0 and extra > 0):
        return None
    return 1 if extra <= saved else math.ceil(extra / saved)


def extrapolate(short: Sequence[float], long: Sequence[float], line: tuple[int, int, int]) -> float:
    """Seconds of a fit from two shorter ones, by a line through their medians.

    Args:
        short: Seconds of fits with `line[0]` steps.
        long: Seconds of fits with `line[1]` steps.
        line: Steps of the short, of the long and of the whole fit.

    Example:
        >>> extrapolate([3.0], [5.0], (10, 20, 100))
        21.0
    """
    few, many, steps = line
    low, high = float(np.median(short)), float(np.median(long))
    return low + (high - low) * (steps - few) / (many - few)


def contention(stages: Sequence[StageTiming]) -> float | None:
    """How much longer the calibration kernel took at worst than at best, as a ratio.

    1 is a quiet machine; None where it was not timed.
    """
    seconds = [value for stage in stages for value in stage.calibration_s]
    return max(seconds) / min(seconds) if seconds else None


def rounds(items: Sequence[Item], repetitions: int) -> Iterator[tuple[int, Item]]:
    """Round robin: every item once per round, each round led by the next one.

    Example:
        >>> [item for _, item in rounds("ab", 3)]
        ['a', 'b', 'b', 'a', 'a', 'b']
    """
    for number in range(repetitions):
        first = number % len(items) if items else 0
        for item in (*items[first:], *items[:first]):
            yield number, item


def write_timing(path: Path, report: TimingReport) -> None:
    """Write a report as JSON, its keys in order."""
    replace_file(path, json.dumps(report.model_dump(mode="json"), indent=1) + "\n")


def read_timing(path: Path) -> TimingReport:
    """Read a report.

    Raises:
        RecordError: The file does not exist, or `python -m bench time` did not write it.
    """
    try:
        return TimingReport.model_validate_json(read_text(path, MOST_JSON_BYTES))
    except (OSError, ValueError) as error:
        raise RecordError(
            f"{path} cannot be read as timings ({type(error).__name__}); it must be a file that "
            f"`{COMMAND} time --out FILE` wrote. Name another."
        ) from error


def disturbance(
    kernel_s: Sequence[float], *, load: float | None = None, cores: int | None = None
) -> str:
    """Why times taken beside these readings cannot be judged; empty on a quiet machine.

    Args:
        kernel_s: Seconds of the calibration kernel at several moments; none tell nothing.
        load: The load average, tasks; None where the system has none.
        cores: Of the machine.

    Example:
        >>> disturbance([0.01, 0.011], load=2.1, cores=2)
        ''
        >>> disturbance([0.01, 0.024], load=7.0, cores=2)
        'calibration kernel 2.40 times as long at worst as at best; load average 7.0 on 2 cores'
    """
    words = []
    ratio = max(kernel_s) / min(kernel_s) if kernel_s and min(kernel_s) > 0 else 1.0
    if ratio > QUIET:
        words.append(f"calibration kernel {ratio:.2f} times as long at worst as at best")
    if load is not None and cores and load > cores + SPARE:
        words.append(f"load average {load:.1f} on {cores} cores")
    return "; ".join(words)

"""One method (or the metrics) under measurement: its process, its laps, and what they come to."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from time import perf_counter
from typing import Any

from bench.api import BenchError, Json
from bench.failure import failure_of
from bench.records.timings import Extrapolation, MethodTiming, StageName, StageTiming, extrapolate
from bench.timing.process import Lap


@dataclass(slots=True, eq=False)
class Subject:
    """A method (or the metrics) under measurement, with its process and its laps so far."""

    label: str
    load: Callable[[ProcessPoolExecutor], tuple[float, Lap, float]]
    fits_per_style: bool = False
    sample_rate: int | None = None
    parameters: dict[str, Json] = field(default_factory=dict)
    pool: ProcessPoolExecutor | None = None
    laps: dict[tuple[StageName, int], list[Lap]] = field(default_factory=dict)
    short_fits: dict[int, list[Lap]] = field(default_factory=dict)
    failure: str | None = None
    worked_s: float = 0.0  # in calls so far, whether or not their laps are kept

    def call(self, work: Callable[..., Lap], *arguments: object) -> Lap | None:
        """Fit, transfer or score in its process; a failure ends this subject's measurement only."""
        if self.pool is None:
            return None
        try:
            lap = self.pool.submit(work, *arguments).result()
        except Exception as error:  # noqa: BLE001 - the boundary where a method's fault becomes a record
            self.failure = failure_of(error).reason
            return None
        self.worked_s += lap.seconds
        return lap

    def note(self, stage: StageName, clips: int, lap: Lap | None) -> None:
        """Keep a lap, if there is one."""
        if lap is not None:
            self.laps.setdefault((stage, clips), []).append(lap)


def started(pool: ProcessPoolExecutor, work: tuple[Any, ...]) -> tuple[float, Lap, float]:
    """Start a process and load: seconds of its start, the lap of the load, seconds of imports."""
    begun = perf_counter()
    pool.submit(int).result()  # the process, its interpreter and the harness
    started_s = perf_counter() - begun
    imported_s, lap = pool.submit(*work).result()
    return started_s, lap, imported_s


def load(subject: Subject) -> None:
    """Load a subject in a fresh process, in place of the one it has; times are kept."""
    if subject.pool is not None:
        subject.pool.shutdown()
    if subject.failure:
        return
    context = multiprocessing.get_context("spawn")
    subject.pool = ProcessPoolExecutor(max_workers=1, mp_context=context)
    try:
        started_s, lap, imported_s = subject.load(subject.pool)
    except BenchError:  # for the user to fix
        raise
    except Exception as error:  # noqa: BLE001 - the boundary where a method's fault becomes a record
        subject.failure = failure_of(error).reason
        return
    subject.note("start", 1, replace(lap, seconds=started_s + imported_s))
    subject.note("load", 1, lap)


def result(subject: Subject) -> MethodTiming:
    """The times of one subject."""
    stages = [_stage(name, clips, laps) for (name, clips), laps in subject.laps.items()]
    if subject.short_fits and not subject.failure:
        stages.insert(2, _extrapolated(subject.short_fits, subject.parameters))
    return MethodTiming(
        label=subject.label,
        fits_per_style=subject.fits_per_style,
        stages=tuple(stages),
        failure=subject.failure,
    )


def _stage(name: StageName, clips: int, laps: Sequence[Lap]) -> StageTiming:
    return StageTiming(
        stage=name,
        clips=clips,
        seconds=tuple(lap.seconds for lap in laps),
        calibration_s=tuple(lap.calibration_s for lap in laps if lap.calibration_s),
        memory=laps[-1].memory,
    )


def _extrapolated(
    short: Mapping[int, Sequence[Lap]], parameters: Mapping[str, Json]
) -> StageTiming:
    """A fit from two shorter ones, one line per repetition."""
    (few, first), (many, second) = islice(sorted(short.items()), 2)
    steps = int(str(parameters["steps"]))
    lines = [
        extrapolate([a.seconds], [b.seconds], (few, many, steps))
        for a, b in zip(first, second, strict=True)
    ]
    return StageTiming(
        stage="fit",
        seconds=tuple(lines),
        calibration_s=tuple(lap.calibration_s for lap in (*first, *second)),
        memory=second[-1].memory,
        extrapolated=Extrapolation(
            steps=steps,
            measured=(few, many),
            seconds=(tuple(a.seconds for a in first), tuple(b.seconds for b in second)),
        ),
    )

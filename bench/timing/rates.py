"""What `time` has measured, noted so that runs can be expected to cost the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.plan.plan import PlannedMethod, resolve_parameters
from bench.records.rates import Rate, Stage
from bench.records.timings import MethodTiming, StageTiming, TimingReport, quartiles
from bench.run.expecting import (
    NO_FACTS,
    Facts,
    Spent,
    facts_of_fit,
    facts_of_transfer,
    rate_of,
    subject_of,
)
from bench.run.request import Prepared

STAGES: tuple[Stage, ...] = ("load", "fit", "transfer")


def rates_of(
    prepared: Prepared, methods: Sequence[PlannedMethod], report: TimingReport
) -> list[Rate]:
    """A rate for each stage of each method that was timed: the median of its repetitions.

    A transfer is that of the largest batch. Metrics are timed all in one, so they have none.

    Args:
        prepared: The session's run.
        methods: Those that were timed, in the order of the report.
        report: What was measured.
    """
    return [
        rate.model_copy(update={"by": "time"})
        for method, timing in zip(methods, report.methods, strict=True)
        for rate in _method_rates(prepared, method, timing, report.duration_s)
    ]


def _method_rates(
    prepared: Prepared, method: PlannedMethod, timing: MethodTiming, clip_s: float
) -> Iterator[Rate]:
    facts = _facts(prepared, method)
    for name in STAGES:
        stage = timing.stage(name)
        if stage is None or (name == "fit" and not method.info.fits_per_style):
            continue
        units = stage.clips * clip_s if name == "transfer" else stage.clips
        spent = Spent(units, stage.clips * quartiles(stage)[1], facts[name], _memory(stage))
        yield rate_of(subject_of(prepared, method), name, spent, prepared.device)


def _facts(prepared: Prepared, method: PlannedMethod) -> dict[Stage, Facts]:
    """What decides the cost of each stage, with the parameters of the style that was timed."""
    style = next(iter(prepared.plan.splits))
    values = resolve_parameters(prepared.plan.suite, method, style)
    return {
        "load": NO_FACTS,
        "fit": facts_of_fit(prepared, method, style, values),
        "transfer": facts_of_transfer(method, values),
    }


def _memory(stage: StageTiming) -> int | None:
    return stage.memory.allocated or stage.memory.resident

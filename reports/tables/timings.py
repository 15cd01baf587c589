"""What `python -m bench time` measured, as tables: seconds, memory, amortised costs, crossovers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import permutations

from bench.records.accounts import energy_words, share_words
from bench.records.timings import (
    COUNTS,
    QUIET,
    MethodTiming,
    StageTiming,
    TimingReport,
    amortised_s,
    contention,
    crossover,
    quartiles,
)
from reports.text.result_table import MIB, Column, Estimate, Missing, ResultTable, Row, Value

NOT_TIMED = Missing("—", "not timed")
VIEWS = (("allocated", "Allocated (MiB)"), ("held", "Held (MiB)"), ("resident", "Resident (MiB)"))


def timing_tables(report: TimingReport) -> list[ResultTable]:
    """All tables of a session, in the order in which to read them."""
    return [seconds(report), memory(report), amortisation(report), crossovers(report)]


def _identity(report: TimingReport) -> str:
    return f"{report.suite_name} {report.suite_digest[:8]}, {_device(report)}"


def _device(report: TimingReport) -> str:
    facts = report.provenance
    return str(facts.get("gpu") or f"{report.device}, {facts.get('threads')} threads")


def seconds(report: TimingReport) -> ResultTable:
    """Show median [quartiles] of each stage: start, load, fit of a style, transfers."""
    batch = max([s.clips for m in report.methods for s in m.stages], default=1)
    columns = (
        Column("method", "Method", text=True),
        Column("start_s", "Start (s)", decimals=2),
        Column("load_s", "Load (s)", decimals=2),
        Column("fit_s", "Fit of a style (s)", decimals=2),
        Column("transfer_s", "Transfer, 1 clip (s)", decimals=3),
        Column("batched_s", f"Transfer, per clip of {batch} (s)", decimals=3),
        Column("real_time_factor", "Real-time factor", decimals=3),
    )
    rows = [Row(_seconds_of(method, report)) for method in report.methods]
    return ResultTable(
        "Wall clock", "costs", _identity(report), columns, tuple(rows), tuple(_notes(report))
    )


def _seconds_of(method: MethodTiming, report: TimingReport) -> tuple[Value, ...]:
    batched = method.stage("transfer")
    factor = quartiles(batched)[1] / report.duration_s if batched else NOT_TIMED
    return (
        method.label,
        spread(method.stage("start")),
        spread(method.stage("load")),
        spread(method.stage("fit")) if method.fits_per_style else Missing("none", "fits nothing"),
        spread(method.stage("transfer", 1)),
        spread(batched),
        factor,
    )


def spread(stage: StageTiming | None) -> Value:
    """Median and quartiles per clip, or a number with a tilde where it was extrapolated."""
    if stage is None:
        return NOT_TIMED
    low, middle, high = quartiles(stage)
    if stage.extrapolated:
        return f"~{middle:.2f}"
    return Estimate(middle, low, high, len(stage.seconds))


def _notes(report: TimingReport) -> Iterator[str]:
    count = max((len(s.seconds) for m in report.methods for s in m.stages), default=0)
    yield (
        f"median [quartiles] of {count} transfers; the methods take turns, each in its own process"
    )
    yield (
        "start: interpreter and imports; load: models, from files that the system may have in "
        "memory; the first fit of a process warms it up and is counted"
    )
    yield (
        f"clips of {report.duration_s:.2f} s that the process has not seen before; real-time "
        "factor: transfer time / duration, below 1 is faster than playback"
    )
    yield from _fit_notes(report)
    scored = report.scoring.stage("score")
    if scored:
        low, middle, high = quartiles(scored)
        names = ", ".join(report.metrics)
        yield f"scoring ({names}): {middle:.3f} [{low:.3f}, {high:.3f}] s per output"
    if report.device_share is not None:
        yield f"{share_words(report.device_share)}, {report.wall_s:.1f} s, warm-ups included"
    parts = ("cpu", "gpu") if report.device.startswith("cuda") else ("cpu",)
    yield f"{energy_words(report.energy_j, parts)}, of all that ran there"
    every = [s for m in report.methods for s in m.stages]
    ratio = contention(every)
    if ratio:
        words = "; DISTURBED: repeat on a quiet machine" if ratio > QUIET else ""
        yield f"calibration kernel: {ratio:.2f} times as long at worst as at best{words}"
    for method in (*report.methods, report.scoring):
        if method.failure:
            yield f"{method.label} failed: {method.failure}"


def _fit_notes(report: TimingReport) -> Iterator[str]:
    for method in report.methods:
        fit = method.stage("fit")
        line = fit.extrapolated if fit else None
        if line:
            yield (
                f"~ fit of {method.label}: EXTRAPOLATED to {line.steps} steps, on a line through "
                f"{line.measured[0]} and {line.measured[1]}"
            )
        elif fit and method.fits_per_style:
            yield f"fit of {method.label}: measured whole, {len(fit.seconds)} times"


def memory(report: TimingReport) -> ResultTable:
    """Show the largest memory of each stage in three views."""
    columns = (
        Column("method", "Method", text=True),
        Column("stage", "Stage", text=True),
        *(Column(key, title, decimals=0) for key, title in VIEWS),
    )
    rows = [
        Row((method.label, _stage_words(stage), *_views(stage)), method.label)
        for method in (*report.methods, report.scoring)
        for stage in method.stages
        if stage.stage != "start"
    ]
    notes = (
        "allocated: by tensors on the device since the stage began; n/a on a CPU",
        "held: by torch's allocator on the device, with its reserve; n/a on a CPU",
        "resident: the most that the process has held in main memory so far",
    )
    return ResultTable("Memory", "memory", _identity(report), columns, tuple(rows), notes)


def _stage_words(stage: StageTiming) -> str:
    if stage.stage in ("transfer", "score"):
        return f"{stage.stage}, {stage.clips} clip{'s' if stage.clips > 1 else ''}"
    return stage.stage


def _views(stage: StageTiming) -> list[Value]:
    values = [getattr(stage.memory, key) for key, _ in VIEWS]
    absent = Missing("n/a", "this device has no such view")
    return [absent if value is None else value / MIB for value in values]


def amortisation(report: TimingReport) -> ResultTable:
    """Show the cost of n clips of one style, T(n) = start + load + fit + n transfer, for some n."""
    columns = (
        Column("method", "Method", text=True),
        *(Column(f"t{n}_s", f"T({n}) (s)", decimals=1) for n in COUNTS),
    )
    rows = [
        Row((method.label, *(_amortised(method, n) for n in COUNTS))) for method in report.methods
    ]
    notes = (
        "T(n) = start + load + fit + n x transfer (medians): one style, n clips",
        "transfer is per clip of the largest batch timed",
        *_fit_notes(report),
    )
    return ResultTable(
        "Amortised cost", "amortised", _identity(report), columns, tuple(rows), notes
    )


def _amortised(method: MethodTiming, count: int) -> Value:
    total, fit = amortised_s(method, count), method.stage("fit")
    if math.isnan(total):
        return NOT_TIMED
    return f"~{total:.1f}" if fit and fit.extrapolated else total


def crossovers(report: TimingReport) -> ResultTable:
    """Show from how many clips on a method costs no more than another."""
    columns = (
        Column("method", "Method", text=True),
        Column("other", "costs no more than", text=True),
        Column("clips", "from n clips on", text=True),
    )
    rows = [
        Row((first.label, second.label, str(found)), first.label)
        for first, second in permutations(report.methods, 2)
        if (found := crossover(first, second)) is not None
    ]
    notes = ("1: always; pairs that are not listed: never; computed from the medians of T(n)",)
    return ResultTable("Crossovers", "crossover", _identity(report), columns, tuple(rows), notes)

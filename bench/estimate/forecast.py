"""What the work of a run is expected to take, and how that is known.

The best knowledge is a rate that was measured here for the same parameters; then one for others of
the same method, in proportion to the passes; then the shipped table of operations, at the rate of
matrix products that is measured now. What none of them knows is not guessed: its cost is None.

**Conventions**: seconds, bytes; None where nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from bench.estimate.operations import Row, row_of
from bench.estimate.work import Work
from bench.records.rates import Rate

UNKNOWN = "unknown: never measured here"
KILO, GIGA = 1e3, 1e9


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a run will work.

    Args:
        words: As `bench.device.machine_words` names it.
        kind: "cpu", "cuda" or "mps".
        devices: How many share the fits and transfers.
        matmul: Measures its rate of matrix products, operations per second.
    """

    words: str
    kind: str
    devices: int
    matmul: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected cost of one stage of one method.

    Args:
        label: Of the method or metric.
        place: The stage as the account of a run names it.
        stage: load, fit, transfer or score.
        units: How many.
        wall_s: Wall time on one device.
        gpu_s: Of that on a GPU; 0 without one.
        memory_bytes: Largest memory, of the GPU where there is one, else of the process.
        disk_bytes: What is written.
        basis: How it is known.
    """

    label: str
    place: str
    stage: str
    units: float
    wall_s: float | None
    gpu_s: float | None
    memory_bytes: int | None
    disk_bytes: int | None
    basis: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """All stages of a run, in its order.

    Args:
        stages: Each stage of each method and metric.
        devices: How many share the fits and transfers.
    """

    stages: tuple[Expected, ...]
    devices: int = 1

    @property
    def known(self) -> dict[str, float]:
        """Expected seconds by the stages of a run's account, those that are known in full."""
        unknown = {one.place for one in self.stages if one.wall_s is None}
        found: dict[str, float] = {}
        for one in self.stages:
            if one.wall_s is not None and one.place not in unknown:
                found[one.place] = found.get(one.place, 0.0) + one.wall_s
        return found

    @property
    def wall_s(self) -> float:
        """Seconds of all stages that are known, with every device at work."""
        shared = ("fit", "transfer")
        return math.fsum(
            one.wall_s / (self.devices if one.stage in shared else 1)
            for one in self.stages
            if one.wall_s is not None
        )


def forecast(works: Iterable[Work], rates: Sequence[Rate], machine: Machine) -> Forecast:
    """Expect a cost for each stage of each method.

    Args:
        works: What is to be done; works of one stage of one method follow each other.
        rates: Measured ones, of any machine, the oldest first.
        machine: Where the run will work.
    """
    paid: set[str] = set()
    stages = []
    for _, group in groupby(works, lambda work: (work.stage, work.subject.label)):
        parts = [_expected(work, rates, machine, paid) for work in group]
        stages.append(_together(parts))
    return Forecast(tuple(stages), machine.devices)


def _expected(work: Work, rates: Sequence[Rate], machine: Machine, paid: set[str]) -> Expected:
    subject = work.subject
    row = row_of(work.stage, subject.name, subject.profile)
    key = (work.stage, subject.name, subject.version, subject.profile, machine.words)
    found = [rate for rate in rates if rate.key == key]
    same = [rate for rate in found if rate.parameters == work.parameters]
    if found:
        rate = (same or found)[-1]
        return _from_rate(work, rate, row, machine)
    if row is not None and row.equivalent(machine.kind) is not None:
        return _from_row(work, row, machine, paid)
    return _made(work, machine, None, (None, work.disk_bytes), UNKNOWN)


def _from_rate(work: Work, rate: Rate, row: Row | None, machine: Machine) -> Expected:
    """From what was measured here, brought to other passes as the shipped line has it, if any."""
    factor, words = 1.0, f"measured here on {rate.measured_at[:10]}"
    if rate.parameters != work.parameters:
        line = row.equivalent(machine.kind) if row else None
        ask, had = (line.at(p) if line else p for p in (work.passes, rate.passes))
        factor = ask / had if had > 0 else 1.0
        words += f" with other settings ({rate.passes:g} passes, not {work.passes:g})"
    disk = work.disk_bytes
    if disk is None and rate.disk_bytes is not None:
        disk = round(work.units * rate.disk_bytes / rate.units)
    seconds = factor * work.units * rate.seconds / rate.units
    return _made(work, machine, seconds, (rate.memory_bytes, disk), words)


def _from_row(work: Work, row: Row, machine: Machine, paid: set[str]) -> Expected:
    """From the shipped table and the rate of matrix products that this machine has now."""
    line = row.equivalent(machine.kind)
    if line is None:
        raise ValueError(f"{row.name} has no cost on {machine.kind}")
    units = 0.0 if row.family in paid else work.units
    if row.family:
        paid.add(row.family)
    rate = machine.matmul() / GIGA
    gflop = units * line.at(work.passes)
    disk = work.disk_bytes
    if disk is None and row.disk_bytes is not None:
        disk = round(work.units * row.disk_bytes)
    words = _words(units * row.counted.at(work.passes) if row.counted else 0.0, gflop, rate)
    if machine.kind not in row.as_long_as:
        words += " (a guess: never timed on such a device)"
    if not units:
        words = "comes with another of its kind"
    return _made(work, machine, gflop / rate, (row.memory_bytes, disk), words)


def _words(counted: float, gflop: float, rate: float) -> str:
    at = f"{_flop(rate)}/s measured now"
    if counted and gflop:
        return f"from operations: {_flop(counted)} at {counted / gflop:.0%} of {at}"
    return f"from the table: as long as {_flop(gflop)} of matrix products, at {at}"


def _flop(gflop: float) -> str:
    """Operations in words.

    Example:
        >>> _flop(2_100.0), _flop(85.0), _flop(0.02), _flop(5_010_000.0)
        ('2.1 Tflop', '85 Gflop', '0.02 Gflop', '5.01 Pflop')
    """
    if gflop >= KILO * KILO:
        return f"{gflop / KILO / KILO:.3g} Pflop"
    return f"{gflop / KILO:.3g} Tflop" if gflop >= KILO else f"{gflop:.3g} Gflop"


def _made(
    work: Work,
    machine: Machine,
    wall_s: float | None,
    space: tuple[int | None, int | None],
    basis: str,
) -> Expected:
    memory, disk = space
    on_gpu = machine.kind != "cpu" and work.stage != "load"
    return Expected(
        label=work.subject.label,
        place=work.place,
        stage=work.stage,
        units=work.units,
        wall_s=wall_s,
        gpu_s=wall_s if on_gpu else 0.0,
        memory_bytes=memory,
        disk_bytes=disk,
        basis=basis,
    )


def _together(parts: Sequence[Expected]) -> Expected:
    """One stage of one method whose settings differ from style to style."""
    first = parts[0]
    return Expected(
        label=first.label,
        place=first.place,
        stage=first.stage,
        units=math.fsum(part.units for part in parts),
        wall_s=_total([part.wall_s for part in parts]),
        gpu_s=_total([part.gpu_s for part in parts]),
        memory_bytes=max(
            (p.memory_bytes for p in parts if p.memory_bytes is not None), default=None
        ),
        disk_bytes=None
        if any(p.disk_bytes is None for p in parts)
        else sum(p.disk_bytes or 0 for p in parts),
        basis=_joined([part.basis for part in parts]),
    )


def _joined(bases: Sequence[str]) -> str:
    """How the parts of a stage are known: that of the first, where the others differ in numbers."""
    unlike = len(set(bases)) - 1
    if not unlike:
        return bases[0]
    return f"{bases[0]}, and so on for {unlike} other setting{'' if unlike == 1 else 's'}"


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if len(known) == len(values) else None

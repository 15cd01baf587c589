"""Drift of what a method costs: time, memory and counted operations.

**Time** is judged as a ratio to a calibration kernel that ran in the same process beside each
chunk, so that a slower hour of the machine does not look like a slower method. Cells are paired;
the unit is one style and repetition. Across machine classes, or without the kernel, a verdict is
only advisory. Times from a cache are left out, and so are stages too short to be timed. Where the
kernel itself took now longer, now shorter, the machine was **disturbed**: there is no verdict on
time then, and no red one.

**Memory** is tight on a GPU, where the allocator counts; on a CPU it is the peak of the whole
process and only advisory. **Operations** (such as calls of a UNet) are exact: any increase is red.

**Conventions**: ratios are candidate / baseline, above 1 is worse.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from bench.gate.lanes import Ended, change_spread
from bench.gate.quality import ALPHA, one_sided_p
from bench.gate.reach import detectable_drop
from bench.gate.snapshot import MeasuredCell, Snapshot
from bench.gate.verdict import Verdict, Word
from bench.records.benchmarks import Benchmark, rounds_differ, time_ratio
from bench.records.timings import disturbance
from bench.statistics.spread import ends

TIME_RATIO = 1.25  # shared machines move by a fifth even relative to a kernel
MEMORY_RATIO = 1.02  # an allocator rounds
SHORTEST_S = 0.02  # below, the clock and the scheduler are what is timed
FEWEST_UNITS = 3
LARGEST_LOG = 50.0
ROUNDS_P = 0.002  # of the rounds of a single function, as asv asks
STAGES = {"transfer": "transfer_s", "fit": "fit_s"}


def verdicts(
    label: str, ended: Sequence[Ended], candidate: Snapshot, baseline: Snapshot
) -> Iterator[Verdict]:
    """Time, memory and operations of one method on the cells that both ended."""
    same_machine = candidate.machine == baseline.machine
    for subject, field in STAGES.items():
        yield from _time(label, subject, field, ended, same_machine=same_machine)
    on_gpu = baseline.device.startswith("cuda")
    yield from _memory(label, ended, advisory=not (on_gpu and same_machine))
    yield from _operations(label, ended)


def _time(
    label: str, subject: str, field: str, ended: Sequence[Ended], *, same_machine: bool
) -> Iterator[Verdict]:
    calibrated = all(new.calibration_s and old.calibration_s for new, old in ended)
    units: dict[tuple[str, int], list[float]] = defaultdict(list)
    for new, old in ended:
        spent, before = getattr(new, field), getattr(old, field)
        if spent and before and before >= SHORTEST_S:
            scale = _scale(new, old) if calibrated else 1.0
            units[old.style, old.repetition].append(math.log(spent / before * scale))
    if not units:
        return
    disturbed = _disturbed_words(
        disturbance(_kernels(new for new, _ in ended)),
        disturbance(_kernels(old for _, old in ended)),
    )
    if disturbed:
        yield _no_time_verdict(label, subject, disturbed)
        return
    change = np.array([np.mean(values) for values in units.values()])
    words = [] if calibrated else ["no calibration kernel in the records"]
    words += [] if same_machine else ["another machine class"]
    yield _time_verdict(label, subject, change, words)


def _kernels(cells: Iterable[MeasuredCell]) -> list[float]:
    """Seconds of the calibration kernel beside some cells."""
    return [cell.calibration_s for cell in cells if cell.calibration_s]


def _disturbed_words(here: str, there: str) -> str:
    """Why two times cannot be compared; empty where both machines were quiet."""
    return "; ".join([*([here] if here else []), *([f"baseline: {there}"] if there else [])])


def _no_time_verdict(label: str, subject: str, reason: str) -> Verdict:
    words = f"no verdict on time: the machine was disturbed ({reason})"
    return Verdict("time", label, subject, "inconclusive", words, advisory=True)


def _scale(new: MeasuredCell, old: MeasuredCell) -> float:
    return (old.calibration_s or 1.0) / (new.calibration_s or 1.0)


def _time_verdict(label: str, subject: str, change: np.ndarray, caveats: list[str]) -> Verdict:
    """Verdict on log ratios, one per unit: beyond `TIME_RATIO` and beyond chance."""
    spread = change_spread(-change, None)  # towards better, as everywhere
    slower, faster = one_sided_p(spread), 1 - one_sided_p(spread)
    ratio, limit = _exp(-spread.mean), math.log(TIME_RATIO)
    low, high = (_exp(-end) for end in reversed(ends(spread)))
    enough = len(change) >= FEWEST_UNITS
    word: Word = "inconclusive"
    if enough and -spread.mean > limit and slower <= ALPHA:
        word = "regressed"
    elif enough and spread.mean > limit and faster <= ALPHA:
        word = "improved"
    elif high < TIME_RATIO:
        word = "equivalent"
    detail = f"{ratio:.2f} times as long, {TIME_RATIO:g} is allowed ({len(change)} units)"
    return Verdict(
        "time", label, subject, word, "; ".join([detail, *caveats]),
        delta=ratio, low=low, high=high, p=slower,
        detectable=_exp(detectable_drop(spread, alpha=ALPHA)) if enough else math.nan,
        advisory=bool(caveats),
    )  # fmt: skip


def _exp(exponent: float) -> float:
    """A ratio from its logarithm; with two units an end of an interval lies beyond any number."""
    return math.exp(min(exponent, LARGEST_LOG))


def _memory(label: str, ended: Sequence[Ended], *, advisory: bool) -> Iterator[Verdict]:
    both = [
        (new.peak_memory_bytes, old.peak_memory_bytes)
        for new, old in ended
        if new.peak_memory_bytes and old.peak_memory_bytes
    ]
    if not both:
        return
    ratio = max(new for new, _ in both) / max(old for _, old in both)
    word: Word = "equivalent"
    if ratio > MEMORY_RATIO:
        word = "regressed"
    elif ratio < 1 / MEMORY_RATIO:
        word = "improved"
    reason = f"peak is {ratio:.3f} times that of the baseline"
    if advisory:
        reason += "; peak of a whole process or of another machine class"
    yield Verdict("memory", label, "peak", word, reason, delta=ratio, advisory=advisory)


def _operations(label: str, ended: Sequence[Ended]) -> Iterator[Verdict]:
    counted = [
        (new.operations, old.operations)
        for new, old in ended
        if new.operations is not None and old.operations is not None
    ]
    names = sorted({name for both in counted for part in both for name in part})
    for name in names:
        new, old = (sum(both[side].get(name, 0) for both in counted) for side in (0, 1))
        word: Word = "regressed" if new > old else "improved" if new < old else "equivalent"
        yield Verdict(
            "operations", label, name, word, f"{new} calls, baseline {old}", delta=float(new - old)
        )


def benchmark_verdicts(
    candidate: Sequence[Benchmark], baseline: Sequence[Benchmark]
) -> list[Verdict]:
    """Verdicts on timed functions, by name: lost ones are red, slower ones on the same machine.

    A function that did not end in its time counts as slower on a quiet machine; on a disturbed one
    no time is judged.

    Slower means a ratio above `TIME_RATIO`, and rounds that a Mann-Whitney test tells apart at
    `ROUNDS_P` where the files hold rounds.
    """
    found = {timed.name: timed for timed in candidate}
    return [_benchmark(found.get(old.name), old) for old in baseline]


def _benchmark(new: Benchmark | None, old: Benchmark) -> Verdict:
    if new is None:
        return Verdict("cells", old.name, "benchmark", "regressed", "not timed any more")
    disturbed = _disturbed_words(new.disturbed, old.disturbed)
    if disturbed:
        return _no_time_verdict(old.name, "benchmark", _ended(new) + disturbed)
    elsewhere = new.machine != old.machine
    if new.median_s is None:
        reason = (
            f"not done within {new.limit_s:g} s; the baseline took {old.median_s or math.nan:g} s"
        )
        return Verdict("time", old.name, "benchmark", "regressed", reason, advisory=elsewhere)
    ratio, p = time_ratio(new, old), rounds_differ(new, old)
    apart = math.isnan(p) or p <= ROUNDS_P
    word: Word = "equivalent"
    if apart and ratio > TIME_RATIO:
        word = "regressed"
    elif apart and ratio < 1 / TIME_RATIO:
        word = "improved"
    elif ratio > TIME_RATIO:
        word = "inconclusive"
    caveat = "; another machine class" if elsewhere else ""
    reason = f"{ratio:.2f} times as long, {TIME_RATIO:g} is allowed{caveat}"
    return Verdict(
        "time", old.name, "benchmark", word, reason, delta=ratio, p=p, advisory=bool(caveat)
    )


def _ended(new: Benchmark) -> str:
    """What is to be said of a function that did not end."""
    return f"not done within {new.limit_s:g} s; " if new.median_s is None else ""

"""A forecast as text, before a run, and how far it was off, after one."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bench.estimate.forecast import Expected, Forecast
from bench.files import size_words
from bench.records.accounts import duration_words

HEAD = ("method", "stage", "amount", "wall", "GPU", "memory", "disk", "how it is known")
UNITS = {"fit": " style(s)", "transfer": " s of audio", "score": " output(s)"}


def forecast_lines(expected: Forecast) -> list[str]:
    """A table of the stages, and a line with their sum."""
    from tabulate import tabulate

    if not expected.stages:
        return ["nothing is left to compute: it lies in the run folder or in the cache"]
    rows = [HEAD, *(_row(one) for one in expected.stages)]
    lines = tabulate(rows, tablefmt="plain", disable_numparse=True).splitlines()
    return [*map(str.rstrip, lines), _sum(expected)]


def _row(one: Expected) -> tuple[str, ...]:
    return (
        one.label,
        one.stage,
        f"{one.units:,.0f}{UNITS[one.stage]}" if one.stage in UNITS else "",
        _duration(one.wall_s),
        _duration(one.gpu_s),
        _size(one.memory_bytes),
        _size(one.disk_bytes),
        one.basis,
    )


def _sum(expected: Forecast) -> str:
    stages, unknown = expected.stages, [s for s in expected.stages if s.wall_s is None]
    gpu_s = math.fsum(one.gpu_s or 0.0 for one in stages)
    memory = max((one.memory_bytes or 0 for one in stages), default=0)
    disk = sum(one.disk_bytes or 0 for one in stages)
    shared = f" on {expected.devices} devices" if expected.devices > 1 else ""
    words = (
        f"expected: {_duration(expected.wall_s)}{shared} to load, fit, transfer and score, of it "
        f"GPU {_duration(gpu_s)}; memory {_size(memory)}, disk {_size(disk)}"
    )
    count = len(unknown)
    return (
        f"{words}; without {count} of {len(stages)} stages, which are unknown" if count else words
    )


def _duration(seconds: float | None) -> str:
    return "n/a" if seconds is None else duration_words(seconds)


def _size(count: int | None) -> str:
    return size_words(count) if count else "n/a"


def miss_words(expected: Mapping[str, float], account: Mapping[str, float]) -> str:
    """How far the expected seconds of stages were off; empty where nothing was expected.

    Args:
        expected: Seconds by the stages of an account.
        account: What they took; stages that were not expected are left out.

    Example:
        >>> miss_words({"fit tve": 6.0, "score": 1.0}, {"fit tve": 5.0, "score": 3.0, "other": 9.0})
        'expected 7.0 s, took 8.0 s (1.14 times as long); farthest off: score (1.0 s, took 3.0 s)'
    """
    both = [(stage, seconds, account.get(stage, 0.0)) for stage, seconds in expected.items()]
    foreseen = math.fsum(seconds for _, seconds, _ in both)
    took = math.fsum(seconds for _, _, seconds in both)
    if foreseen <= 0:
        return ""
    stage, most, real = max(both, key=lambda one: abs(one[1] - one[2]))
    words = [duration_words(seconds) for seconds in (foreseen, took, most, real)]
    return (
        f"expected {words[0]}, took {words[1]} ({took / foreseen:.2f} times as long); "
        f"farthest off: {stage} ({words[2]}, took {words[3]})"
    )

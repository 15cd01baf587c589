"""A forecast as text, before a run, and how far it was off, after one."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bench.estimate.forecast import Expected, Forecast
from bench.files import megabytes

HEAD = ("method", "stage", "amount", "wall", "GPU", "memory", "disk", "how it is known")
UNITS = {"fit": " style(s)", "transfer": " s of audio", "score": " output(s)"}
_FEW_S, _MINUTE_S, _HOUR_S = 10, 60, 3600


def forecast_lines(expected: Forecast) -> list[str]:
    """A table of the stages, and a line with their sum."""
    from tabulate import tabulate

    if not expected.stages:
        return ["nothing is left to compute: all of it lies in the run folder"]
    rows = [HEAD, *(_row(one) for one in expected.stages)]
    lines = tabulate(rows, tablefmt="plain", disable_numparse=True).splitlines()
    return [*map(str.rstrip, lines), _sum(expected)]


def _row(one: Expected) -> tuple[str, ...]:
    return (
        one.label,
        one.stage,
        f"{one.units:,.0f}{UNITS[one.stage]}" if one.stage in UNITS else "",
        duration(one.wall_s),
        duration(one.gpu_s),
        size(one.memory_bytes),
        size(one.disk_bytes),
        one.basis,
    )


def _sum(expected: Forecast) -> str:
    stages, unknown = expected.stages, [s for s in expected.stages if s.wall_s is None]
    gpu_s = math.fsum(one.gpu_s or 0.0 for one in stages)
    memory = max((one.memory_bytes or 0 for one in stages), default=0)
    disk = sum(one.disk_bytes or 0 for one in stages)
    shared = f" on {expected.devices} devices" if expected.devices > 1 else ""
    words = (
        f"expected: {duration(expected.wall_s)}{shared} to load, fit, transfer and score, of it "
        f"GPU {duration(gpu_s)}; memory {size(memory)}, disk {size(disk)}"
    )
    count = len(unknown)
    return (
        f"{words}; without {count} of {len(stages)} stages, which are unknown" if count else words
    )


def duration(seconds: float | None) -> str:
    """Seconds in words.

    Example:
        >>> duration(0), duration(0.034), duration(1.23), duration(12.3), duration(754)
        ('0 s', '0.0 s', '1.2 s', '12 s', '12 min 34 s')
        >>> duration(40_000), duration(None)
        ('11 h 7 min', 'n/a')
    """
    if seconds is None:
        return "n/a"
    if round(seconds) < _MINUTE_S:
        return f"{seconds:.{1 if 0 < seconds < _FEW_S else 0}f} s"
    if round(seconds) < _HOUR_S:
        return f"{round(seconds) // 60} min {round(seconds) % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def size(count: int | None) -> str:
    """Bytes in words.

    Example:
        >>> size(None), size(0), size(5_400_000), size(12_340_000_000)
        ('n/a', 'n/a', '5.4 MB', '12.3 GB')
    """
    if not count:
        return "n/a"
    return megabytes(count)


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
    return (
        f"expected {duration(foreseen)}, took {duration(took)} ({took / foreseen:.2f} times as "
        f"long); farthest off: {stage} ({duration(most)}, took {duration(real)})"
    )

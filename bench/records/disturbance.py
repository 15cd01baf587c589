"""Whether a machine was too busy for its times to say anything.

Two witnesses: the calibration kernel of `bench.run.calibration`, whose seconds should be the same
all along, and the load average, which counts the tasks that want to compute.
"""

from __future__ import annotations

from collections.abc import Sequence

QUIET = 1.5  # longest over shortest kernel; above, the machine was busy
SPARE = 0.75  # tasks beyond the cores; an average over a minute sways by less on a quiet machine


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

"""The rate at which a device multiplies matrices: the measure that counted operations are held to.

It is what the device gives now, over a quarter of a second, so that whatever else keeps it busy is
in it: a run will have to share with that as well. Runs that begin within an hour measure it once:
the cache keeps it, among the rates (`bench.records.rates`).

**Conventions**: operations per second, a multiply-add counting as two.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from bench.device import frozen_precision, machine_words, synchronise
from bench.records.rates import Rate, add_rates, read_rates

SIDES = {"cpu": 1024, "cuda": 8192}  # large enough that starting a product costs nothing
MEASURED_S = 0.25
KEPT = timedelta(hours=1)  # for so long a machine is taken to be as busy as it was
_OTHER = 2048


@lru_cache(maxsize=8)
def matmul_rate(device: str, clock: Callable[[], float] = time.perf_counter) -> float:
    """Operations per second of square matrix products, in the format of frozen networks.

    It is measured once in a process, and on a CPU takes the threads that torch has.

    Args:
        device: Such as "cpu" or "cuda:0".
        clock: Seconds; that of CPU time leaves out what else keeps a processor busy.
    """
    import torch

    side = SIDES.get(device.partition(":")[0], _OTHER)
    dtype = getattr(torch, frozen_precision(device))
    matrix = torch.linspace(-1, 1, side * side, device=device).reshape(side, side).to(dtype)
    matrix @ matrix  # the first one warms up
    synchronise(device)
    begun, products = clock(), 0
    while clock() - begun < MEASURED_S:
        matrix @ matrix
        synchronise(device)
        products += 1
    return 2 * side**3 * products / (clock() - begun)


def kept_matmul_rate(cache: Path, device: str) -> float:
    """The rate that a device of this machine had within the last hour.

    Args:
        cache: The folder of the cache. Where it knows none, one is measured, and kept there.
        device: As for `matmul_rate`.
    """
    machine, now = machine_words(device), datetime.now(UTC)
    oldest = (now - KEPT).isoformat(timespec="seconds")
    for rate in reversed(read_rates(cache)):
        known = rate.stage == "matmul" and rate.machine == machine and rate.measured_at >= oldest
        if known and rate.seconds > 0:
            return rate.units / rate.seconds
    measured = matmul_rate(device)
    kept = Rate(
        stage="matmul",
        name="matmul",
        version="",
        profile="",
        machine=machine,
        units=measured,
        seconds=1.0,
        measured_at=now.isoformat(timespec="seconds"),
    )
    add_rates(cache, [kept])
    return measured

"""The rate at which a device multiplies matrices: the measure that counted operations are held to.

It is what the device gives now, over half a second, so that whatever else keeps it busy is in it: a
run will have to share with that as well.

**Conventions**: operations per second, a multiply-add counting as two.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache

from bench.device import frozen_precision, synchronise

SIDES = {"cpu": 1024, "cuda": 8192}  # large enough that starting a product costs nothing
MEASURED_S = 0.5
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

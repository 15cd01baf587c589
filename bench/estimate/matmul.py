"""The rate at which a device multiplies matrices: the measure that counted operations are held to.

**Conventions**: operations per second, a multiply-add counting as two.
"""

from __future__ import annotations

import time
from functools import lru_cache

from bench.device import frozen_precision, synchronise

SIDES = {"cpu": 1024, "cuda": 8192}  # large enough that starting a product costs nothing
REPEATS = 6  # the fastest counts, because a disturbance can only make a product slower
_OTHER = 2048


@lru_cache(maxsize=8)
def matmul_rate(device: str) -> float:
    """Operations per second of square matrix products, in the format of frozen networks.

    It takes about a quarter of a second, once in a process.
    """
    import torch

    kind = device.partition(":")[0]
    side = SIDES.get(kind, _OTHER)
    dtype = getattr(torch, frozen_precision(device))
    matrix = torch.linspace(-1, 1, side * side, device=device).reshape(side, side).to(dtype)
    return 2 * side**3 / min([_timed(matrix, device) for _ in range(REPEATS + 1)][1:])


def _timed(matrix: object, device: str) -> float:
    synchronise(device)
    begun = time.perf_counter()
    matrix @ matrix  # type: ignore[operator]  # a tensor, whose class is imported above alone
    synchronise(device)
    return time.perf_counter() - begun

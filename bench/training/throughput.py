"""How fast a training is, and how much of the device it uses.

**Share of the device**: operations per second of the training over those of a product of two large
matrices, measured in the same number format just before; 0 to about 1. Operations are those that
torch counts (products and convolutions, forwards and backwards); recurrent layers are not counted,
so the share is a lower bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.training.recipe import Precision

_CPU_SIZE, _GPU_SIZE = 768, 8192
_REPEATS = 4


def wait_for(device: str) -> None:
    """Wait until a GPU has done what it was given; a clock would not see it otherwise."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def peak_rate(device: str, precision: Precision) -> float:
    """Operations per second of a matrix product, the best of a few."""
    size = _GPU_SIZE if device.startswith("cuda") else _CPU_SIZE
    matrix = torch.ones(size, size, device=device, dtype=getattr(torch, precision))
    best = 0.0
    for _ in range(_REPEATS):
        wait_for(device)
        started = time.perf_counter()
        matrix @ matrix
        wait_for(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def operations_of(work: Callable[[], object]) -> float:
    """Floating-point operations that torch counts while something runs.

    Example:
        >>> operations_of(lambda: torch.ones(2, 3) @ torch.ones(3, 4))
        48.0
    """
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


class Stopwatch:
    """What a training did since the last report: steps, samples, seconds, and those for data."""

    def __init__(self, device: str, precision: Precision, operations: float) -> None:
        self._device, self._operations = device, operations
        self._peak = peak_rate(device, precision)
        self._restart()

    def _restart(self) -> None:
        wait_for(self._device)
        self._started, self._cpu = time.monotonic(), time.process_time()
        self._steps, self._samples, self._data_s = 0, 0, 0.0

    def count(self, samples: int, data_s: float) -> None:
        """One step more."""
        self._steps, self._samples = self._steps + 1, self._samples + samples
        self._data_s += data_s

    def read(self) -> dict[str, float]:
        """Samples per second, share of the device, of the time for data, and CPU cores in use."""
        wait_for(self._device)
        seconds = max(time.monotonic() - self._started, 1e-9)
        found = {
            "samples_per_s": self._samples / seconds,
            "device_share": self._steps * self._operations / seconds / self._peak,
            "data_share": self._data_s / seconds,
            "cores": (time.process_time() - self._cpu) / seconds,
        }
        return {name: round(value, 4) for name, value in found.items()}

    def restart(self) -> None:
        """Leave out what was done since the last reading, evaluation for instance."""
        self._restart()

"""Measuring the machine beside a chunk: the time of a calibration kernel, and counted operations.

The kernel is a fixed mix of Fourier transforms and matrix products on the device of the run, timed
shortly before the chunk in the same process. A chunk's time relative to it says what the method
costs, whatever else the machine is doing.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, TypedDict

from bench import counts
from bench.device import synchronise

if TYPE_CHECKING:
    import torch

FRESH_S = 2.0  # chunks of a few milliseconds share one timing, which would cost more than they do
REPEATS = 12  # the fastest counts, because a disturbance can only make a kernel slower
SIGNALS, SAMPLES, SIZE = 16, 2**14, 256


_latest: dict[str, tuple[float, float]] = {}  # device -> (when, seconds of the kernel)


class GaugeFacts(TypedDict, total=False):
    """What a cell record says about the machine while its chunk was rendered."""

    calibration_s: float
    operations: dict[str, int] | None


class Gauge:
    """Measures the machine beside one chunk; make it right before the chunk, and read it after."""

    def __init__(self, device: str) -> None:
        self.calibration_s = recent_kernel_s(device)
        self._before = counts.counts()

    def facts(self) -> GaugeFacts:
        """The kernel's time in seconds, and the operations counted since; None without any."""
        calls = dict(counts.counts() - self._before)
        return {"calibration_s": self.calibration_s, "operations": calls or None}


def recent_kernel_s(device: str) -> float:
    """The kernel's seconds, timed anew when the last timing is older than `FRESH_S`."""
    when, seconds = _latest.get(device, (-math.inf, 0.0))
    if time.perf_counter() - when >= FRESH_S:
        seconds = kernel_s(device)
        _latest[device] = (time.perf_counter(), seconds)
    return seconds


def kernel_s(device: str) -> float:
    """Seconds of the calibration kernel: the fastest of `REPEATS`, after one to warm up."""
    import torch

    signals = torch.linspace(-1, 1, SIGNALS * SAMPLES, device=device).reshape(SIGNALS, SAMPLES)
    matrix = torch.linspace(-1, 1, SIZE * SIZE, device=device).reshape(SIZE, SIZE)
    return min([_timed(signals, matrix, device) for _ in range(REPEATS + 1)][1:])


def _timed(signals: torch.Tensor, matrix: torch.Tensor, device: str) -> float:
    import torch

    synchronise(device)
    start = time.perf_counter()
    spectra = torch.fft.rfft(signals)
    torch.fft.irfft(spectra * spectra.conj())
    product = matrix
    for _ in range(4):
        product = torch.tanh(product @ matrix)
    synchronise(device)
    return time.perf_counter() - start

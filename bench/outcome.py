"""What comes of a cell: audio fit for scoring, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.api import Audio, BenchError, UnsupportedError
from bench.audio import fit_length, resample
from bench.records import CellStatus

LENGTH_TOLERANCE_S = 0.05  # the contract of StyleTransferMethod.transfer


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a fit or a cell has no result."""

    status: CellStatus
    reason: str
    exception: str | None = None


class WorkerError(Exception):
    """A method raised in its worker process.

    Args:
        failure: The fault, named where it happened.
        trace: The traceback there; empty where there is none.
    """

    def __init__(self, failure: Failure, trace: str = "") -> None:
        super().__init__(failure.reason)
        self.failure = failure
        self.trace = trace


class WorkerLostError(WorkerError):
    """The worker process died or was stopped: the call is lost and so is the worker."""


def restore(output: Audio, heard: Audio, content: Audio) -> Audio | Failure:
    """Bring an output to the content's rate and exact sample count, its level untouched.

    Args:
        output: What the method returned; must be mono, at the rate of `heard`, finite and within 50
            ms of its length.
        heard: The content as the method received it.
        content: The content as it stands in the dataset.

    Returns:
        Mono audio of the content's rate and length, or the `invalid_output` failure that says what
        is wrong.
    """
    difference_s = abs(output.num_samples / output.sample_rate - heard.duration_s)
    faults = {
        f"{output.waveform.shape[0]} channels, not 1": output.waveform.shape[0] != 1,
        f"{output.sample_rate} Hz, not {heard.sample_rate} Hz": output.sample_rate
        != heard.sample_rate,
        "no samples": output.num_samples == 0,
        "NaN or infinite samples": not np.isfinite(output.waveform).all(),
        f"{output.duration_s:.3f} s, not {heard.duration_s:.3f} s": difference_s
        > LENGTH_TOLERANCE_S,
    }
    wrong = [fault for fault, present in faults.items() if present]
    if wrong:
        return Failure("invalid_output", f"output has {', '.join(wrong)}")
    exact = fit_length(output, heard.num_samples)
    return fit_length(resample(exact, content.sample_rate), content.num_samples)


def failure_of(error: BaseException) -> Failure:
    """Name a fault: declined, out of memory, or an error with its class and message."""
    if isinstance(error, WorkerError):
        return error.failure
    if isinstance(error, UnsupportedError):
        return Failure("unsupported", str(error))
    name = type(error).__name__
    if isinstance(error, MemoryError) or name == "OutOfMemoryError":
        return Failure("oom", f"out of memory: {error}", name)
    reason = str(error) if isinstance(error, BenchError) else f"{name}: {error}"
    return Failure("error", reason, name)

"""Why there is no result, in words for the records; without libraries, for every worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.api import BenchError, CheckpointError, DeviceError, UnsupportedError
from bench.outside.wording import one_line

CellStatus = Literal[
    "started",
    "ok",
    "unsupported",
    "invalid_output",
    "error",
    "oom",
    "timeout",
    "crash",
    "cancelled",
]

# Errors that the user must fix before any cell can be rendered: they end the run, and are nobody's
# failure. Whatever else a method raises becomes the record of a cell.
STOPS_RUN: tuple[type[BenchError], ...] = (CheckpointError, DeviceError)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a fit or a cell has no result.

    The words may be a plug-in's: they are kept as one line, see `bench.outside.wording`.
    """

    status: CellStatus
    reason: str
    exception: str | None = None

    def __post_init__(self) -> None:
        """Bound the words and show what cannot be seen in them."""
        object.__setattr__(self, "reason", one_line(self.reason))
        if self.exception is not None:
            object.__setattr__(self, "exception", one_line(self.exception))


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


def failure_of(error: BaseException) -> Failure:
    """Name a fault: declined, out of memory, or an error with its class and message."""
    if isinstance(error, WorkerError):
        return error.failure
    said, name = one_line(error), type(error).__name__
    if isinstance(error, UnsupportedError):
        return Failure("unsupported", said)
    if isinstance(error, MemoryError) or name == "OutOfMemoryError":
        return Failure("oom", f"out of memory: {said}", name)
    return Failure("error", said if isinstance(error, BenchError) else f"{name}: {said}", name)

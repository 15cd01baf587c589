"""Why there is no result, in words for the records; without libraries, for every worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.api import BenchError, CheckpointError, DeviceError, UnsupportedError

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

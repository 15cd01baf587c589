"""Why there is no result, in words for the records; without libraries, for every worker."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from bench.api import BenchError, CheckpointError, DeviceError, UnsupportedError
from bench.errors import heed
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

# Errors that the user must fix before any cell can be rendered: raised by `load`, they end the run
# and are nobody's failure. Whatever else a method raises becomes the record of a cell.
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


class RaisedError(Exception):
    """A plug-in raised, here or in its worker process.

    Args:
        failure: The fault, named where it happened.
        trace: The traceback there; empty where there is none.
    """

    def __init__(self, failure: Failure, trace: str = "") -> None:
        super().__init__(failure.reason)
        self.failure = failure
        self.trace = trace


class WorkerError(RaisedError):
    """A plug-in raised in its worker process."""


class WorkerLostError(WorkerError):
    """The worker process died or was stopped: the call is lost and so is the worker."""


@contextmanager
def contained(*, loading: bool = False) -> Iterator[None]:
    """Let a plug-in's call in this process end with a result or an `Exception` about the call.

    `SystemExit`, `GeneratorExit` and the like are faults of the plug-in, and so are `STOPS_RUN`
    unless it is `loading`: both become a `RaisedError`. A `KeyboardInterrupt` passes: in this
    process nobody can tell whether the user sent it. One that the call has lost is raised again.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        heed(error)
        if isinstance(error, Exception) and (loading or not isinstance(error, STOPS_RUN)):
            raise
        raise RaisedError(failure_of(error), trace_of(error)) from error
    heed()


def failure_of(error: BaseException) -> Failure:
    """Name a fault: declined, out of memory, or an error with its class and message."""
    if isinstance(error, RaisedError):
        return error.failure
    said, name = one_line(error), _class_name(error)
    if isinstance(error, UnsupportedError):
        return Failure("unsupported", said)
    if isinstance(error, MemoryError) or name == "OutOfMemoryError":
        return Failure("oom", _joined("out of memory", said), name)
    ours = isinstance(error, BenchError) and said
    return Failure("error", said if ours else _joined(name, said), name)


def _joined(what: str, said: str) -> str:
    return f"{what}: {said}" if said else what


def trace_of(error: BaseException) -> str:
    """The traceback of an error, which may be of a plug-in's own class and fail to be shown."""
    if isinstance(error, RaisedError) and error.trace:
        return error.trace
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - its class may answer any question with another error
        return f"{_class_name(error)}: its traceback cannot be written\n"


def _class_name(error: BaseException) -> str:
    """The name of its class, which a metaclass may hide from `__name__`."""
    return str(type.__dict__["__name__"].__get__(type(error)))

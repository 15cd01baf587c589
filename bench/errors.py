"""How a command ends: exit codes, errors that a user can fix, and what Ctrl-C and SIGTERM do.

`bench.api` hands the errors on to plug-ins. SIGTERM, as clusters send it, does what Ctrl-C does:
both raise a `KeyboardInterrupt` in the main thread, so that files are closed, workers ended and
open work written down; a SIGTERM that comes while that is done changes nothing. The exit code
tells the two apart. What a signal asked for is noted, since the code that it interrupts may lose
the exception.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

GO_ON = "run the same command again to go on"


class ExitCode(IntEnum):
    """What a command tells the shell; docs/reference/commands.md has the same table."""

    DONE = 0
    INTERNAL_ERROR = 1
    BAD_INPUT = 2
    REGRESSED = 3
    NOT_COMPARABLE = 4
    FAILED_CELLS = 5
    INTERRUPTED = 130
    READER_GONE = 141
    TERMINATED = 143


class BenchError(Exception):
    """Anything the user can fix: its message is printed without a traceback, with exit code 2.

    BenchError
    +- ConfigError          a suite, option or parameter that breaks a rule
    +- UnknownNameError     a name that no catalog, card or suite knows
    +- DatasetError         audio or a card that is missing, unreadable or unfit
    +- ContentError         a clip that a method cannot take (too long, too short)
    +- CheckpointError      weights that are missing or incomplete
    +- DeviceError          a device that this machine lacks
    +- RecordError          a run folder that cannot be read or continued
    +- UnsupportedError     a method or metric declines honestly: an `n/a` cell
    """


class ConfigError(BenchError):
    """A suite, an option or a parameter breaks a rule."""


class UnknownNameError(BenchError):
    """A name that no catalog, card or suite knows; the message carries the nearest known one."""


class DatasetError(BenchError):
    """Audio or a dataset card is missing, unreadable or unfit."""


class ContentError(BenchError):
    """A clip cannot be taken by a method: too long for its window, or too short."""


class CheckpointError(BenchError):
    """Weights or tokenizer files are missing, incomplete or not what they claim."""


class DeviceError(BenchError):
    """The requested device does not exist on this machine."""


class RecordError(BenchError):
    """A run folder cannot be read, continued or compared."""


class UnsupportedError(BenchError):
    """A method or metric declines a request honestly.

    The message is the reason of an `n/a` cell.
    """


# By name, as one process tells another what was raised.
KINDS: dict[str, type[BenchError]] = {kind.__name__: kind for kind in BenchError.__subclasses__()}
KINDS["BenchError"] = BenchError


def told_as(error: BenchError) -> str:
    """The name in `KINDS` of an error, or of what it derives from where a plug-in made its class.

    Example:
        >>> class MyDeviceError(DeviceError): ...
        >>> told_as(MyDeviceError("no such device"))
        'DeviceError'
    """
    return next(kind.__name__ for kind in type(error).__mro__ if kind in KINDS.values())


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence with the nearest known name and a space before it, or nothing where none is near.

    Example:
        >>> nearest("strenght", ["strength", "steps"])
        " Did you mean 'strength'?"
    """
    import difflib  # only mistakes need it, and every worker process imports this module

    by_lower = {text.lower(): text for text in sorted(known)}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


class TerminatedError(KeyboardInterrupt):
    """A SIGTERM arrived."""


# What signals have asked this process for, in their order. A compiled module, for one, that is
# interrupted while it is imported raises an ImportError without a trace of the interrupt.
_came: list[type[KeyboardInterrupt]] = []


def end_when_asked() -> None:
    """Let SIGTERM raise `TerminatedError` in this process's main thread, and note Ctrl-C too.

    A handler of Ctrl-C that is not Python's own stays.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupt)


def _end(_number: int, _frame: FrameType | None) -> None:
    if _found(sys.exception()) is None:  # else the end is under way
        _came.append(TerminatedError)
        raise TerminatedError


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    _came.append(KeyboardInterrupt)
    raise KeyboardInterrupt


def _found(error: BaseException | None) -> type[KeyboardInterrupt] | None:
    """The request to end that an error is, or that led to it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return None if error is None else type(error)


def _asked(error: BaseException | None) -> type[KeyboardInterrupt] | None:
    """The request to end that led to an error, also where the error does not show it."""
    return _found(error) or (_came[-1] if _came else None)


def was_asked(error: BaseException | None) -> bool:
    """Whether an error came of a request to end; after one that was lost every error counts."""
    return error is not None and _asked(error) is not None


def heed(error: BaseException | None = None) -> None:
    """Raise the request to end that a signal made and that was lost, unless the end is under way.

    Args:
        error: What was raised in its place; None where all went well.

    Raises:
        KeyboardInterrupt: This process was asked to end.
    """
    if _came and (error is not None or _found(sys.exception()) is None):
        raise _came[-1] from error


def last_words(error: BaseException) -> tuple[str, ExitCode]:
    """What a command says when it was asked to end, and its exit code; no SIGTERM counts any more.

    Args:
        error: What was raised: the request itself, or an error that it led to.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if _terminated(error):
        return f"terminated; {GO_ON}", ExitCode.TERMINATED
    return f"interrupted; {GO_ON}", ExitCode.INTERRUPTED


def reason_of(error: BaseException) -> str:
    """Why a cell was not finished, for its record."""
    return "ended by SIGTERM" if _terminated(error) else "interrupted by the user"


def _terminated(error: BaseException) -> bool:
    return issubclass(_asked(error) or KeyboardInterrupt, TerminatedError)


@contextmanager
def unbroken() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of a block that takes little time.

    In another thread than the main one, where neither arrives, this changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # None stands for a handler that is not one of Python's.
    handlers = {number: one for number, one in known.items() if one is not None}
    for number in handlers:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for asked in dict.fromkeys(came):
            signal.raise_signal(asked)


@contextmanager
def sparing_children() -> Iterator[None]:
    """Processes that are started here do not obey SIGTERM before they unblock it.

    A cluster sends SIGTERM to every process of a job. This process ends its workers itself: one
    that obeyed would look as if its plug-in had ended it.
    """
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)

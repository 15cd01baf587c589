"""How a process is ended from outside: SIGTERM, as clusters send it, does what Ctrl-C does.

Both raise a `KeyboardInterrupt` in the main thread, so that files are closed, workers ended and
open work written down; a SIGTERM that comes while that is done changes nothing. The exit code
tells the two apart.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bench.errors import ExitCode

GO_ON = "run the same command again to go on"


class TerminatedError(KeyboardInterrupt):
    """A SIGTERM arrived."""


def end_on_sigterm() -> None:
    """Let a SIGTERM to this process raise `TerminatedError` in its main thread."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    if _asked(sys.exception()) is None:  # else the end is under way
        raise TerminatedError


def _asked(error: BaseException | None) -> KeyboardInterrupt | None:
    """The request to end that an error is, or that led to it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def last_words(error: BaseException) -> tuple[str, ExitCode]:
    """What a command says when it was asked to end, and its exit code; no SIGTERM counts any more.

    Args:
        error: What was raised: the request itself, or an error that it led to.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if isinstance(_asked(error), TerminatedError):
        return f"terminated; {GO_ON}", ExitCode.TERMINATED
    return f"interrupted; {GO_ON}", ExitCode.INTERRUPTED


def reason_of(asked: KeyboardInterrupt) -> str:
    """Why a cell was not finished, for its record."""
    return "ended by SIGTERM" if isinstance(asked, TerminatedError) else "interrupted by the user"


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

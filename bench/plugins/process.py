"""Starting a worker process, talking to it, and ending it with all that it started.

Whatever a plug-in does to the link costs the call and nothing else: one deadline holds for the
whole exchange (sending, waiting, half a message, messages without end), and what is no message ends
the worker. The process that is started here is the worker's keeper (`bench.plugins.keeper`), which
says what becomes of the worker's own children.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from bench.api import Progress
from bench.errors import KINDS, sparing_children, unbroken
from bench.failure import Failure, WorkerError, WorkerLostError
from bench.outside.wording import one_line
from bench.plugins.log import Capture
from bench.plugins.wire import GarbledError, Wire

SHUTDOWN_S = 2.0  # what a worker gets to end by itself after its last answer
KILLING_S = 5.0  # what its keeper gets to kill everything
DRAINING_S = 0.5  # what is read of a dead worker's last words
START = (
    "import json, sys; facts = json.loads(sys.argv[1]); sys.path[:0] = facts['path']; "
    "from bench.plugins.keeper import keep; keep(sys.argv[1]); "
    "from bench.plugins.worker import serve; serve(sys.argv[1])"
)
_RAISED = ("unsupported", "error", "oom")  # the statuses of what a plug-in raises


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What a worker process is started with.

    Args:
        python: The Python program.
        path: Where it looks for modules before its own packages.
        variables: Its environment variables.
    """

    python: str
    path: list[str]
    variables: Mapping[str, str]


def this_environment() -> Interpreter:
    """The interpreter of this environment."""
    return Interpreter(sys.executable, sys.path, os.environ)


class _TooLongError(Exception):
    """An exchange took longer than its limit."""


@dataclass(slots=True)
class _Exchange:
    """How long one call may still go on; to be asked while it waits.

    Args:
        process: The worker's keeper.
        limit_s: Longest time for the call, seconds; None sets no limit.
    """

    process: subprocess.Popen[bytes]
    limit_s: float | None
    _begun_at: float = field(default_factory=time.monotonic)
    _dead_at: float | None = None

    def __call__(self) -> None:
        """Raise where the call is over; of a dead worker, its last words are read.

        Raises:
            EOFError: The worker is dead, whoever still holds its end of the link.
        """
        now = time.monotonic()
        if self.limit_s is not None and now - self._begun_at >= self.limit_s:
            raise _TooLongError
        if self._dead_at is None and self.process.poll() is not None:
            self._dead_at = now
        if self._dead_at is not None and now - self._dead_at >= DRAINING_S:
            raise EOFError


class Worker:
    """A running worker process and the link to it.

    Args:
        interpreter: What it is started with.
        log: Where its output goes; the folder must exist.
    """

    def __init__(self, interpreter: Interpreter, log: Path) -> None:
        with contextlib.ExitStack() as undone:
            self._capture = Capture(log)
            undone.callback(self._capture.finish)
            with unbroken():
                self._files = Path(tempfile.mkdtemp(prefix="bench-worker-"))
                # Also where a signal comes before the caller has the worker.
                self._remove_files = weakref.finalize(self, _remove, self._files)
                undone.callback(self._remove_files)
            near, far = socket.socketpair()
            self._wire = Wire(near, self._files, "run")
            undone.callback(self._wire.close)
            reading, writing = os.pipe()
            self._lifeline = os.fdopen(writing, "wb", buffering=0)
            undone.callback(self._lifeline.close)
            with (
                far,
                os.fdopen(reading, "rb", buffering=0) as ending,
                sparing_children(),
            ):
                self._process = self._start(interpreter, far, ending.fileno())
            undone.pop_all()
        self._numbers = itertools.count()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                self._capture.follow(stream, quotable=stream is self._process.stderr)

    def _start(
        self, interpreter: Interpreter, far: socket.socket, ending: int
    ) -> subprocess.Popen[bytes]:
        numbers = {"link": far.fileno(), "lifeline": ending, "log": self._capture.fileno()}
        facts = {**numbers, "run": os.getpid(), "files": str(self._files), "path": interpreter.path}
        return subprocess.Popen(  # noqa: S603 - an interpreter of our own choice with our own code
            [interpreter.python, "-c", START, json.dumps(facts)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=tuple(numbers.values()),
            start_new_session=True,
            env={
                **interpreter.variables,
                "PYTHONUNBUFFERED": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            },
        )

    def call(
        self, verb: str, payload: list[Any], progress: Progress | None, limit_s: float | None
    ) -> dict[str, Any]:
        """Send a call and wait for its answer: its `value`, and the worker's `peak_bytes`.

        Raises:
            WorkerLostError: The worker died, was killed because the call took longer than
                `limit_s`, or sent what is no answer and was killed for it.
            WorkerError: The method raised.
            OSError: A disk is full, here or where the plug-in wrote; the error names the file.
        """
        number, exchange = next(self._numbers), _Exchange(self._process, limit_s)
        with self._linked(limit_s):
            self._wire.send(number, verb, payload, exchange)
        while True:
            with self._linked(limit_s):
                message = self._wire.receive(exchange)
                value = self._wire.value_of(message)
                found = told(message.kind, value)
            if message.number != number:
                continue
            if found is not None:
                raise found
            if message.kind == "done":
                return dict(value)
            if progress is not None:
                progress(*value)

    @contextlib.contextmanager
    def _linked(self, limit_s: float | None) -> Iterator[None]:
        """Turn whatever goes wrong on the link into the loss of the worker."""
        try:
            yield
        except (EOFError, ConnectionError):
            self._report_end()
        except _TooLongError:
            self.kill()
            words = f"took longer than {limit_s:g} s; {self._last_line()}"
            raise WorkerLostError(Failure("timeout", words)) from None
        except GarbledError as error:
            self.kill()
            words = f"the worker's link carried what is no answer ({one_line(error, 120)})"
            raise WorkerLostError(Failure("crash", f"{words}; {self._last_line()}")) from error

    def _report_end(self) -> NoReturn:
        """Raise an error that says how the worker ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(DRAINING_S)
        code = self._process.poll()
        self.kill()
        raise WorkerLostError(Failure("crash", f"{how_it_ended(code)}; {self._last_line()}"))

    def _last_line(self) -> str:
        line = self._capture.last_line
        return f"its last output: {line}" if line else "no output"

    def close(self) -> None:
        """Let the worker end by itself, then make sure of it and of what it started.

        Takes at most `SHUTDOWN_S` and what `kill` takes.
        """
        self._wire.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(SHUTDOWN_S)
        self.kill()

    def kill(self) -> None:
        """Kill the worker and all that it started, see `bench.plugins.keeper`; finish its log.

        Takes a few milliseconds, and where the keeper does not do its work, `KILLING_S` and a
        second for each stream of the log. May be called again.
        """
        self._lifeline.close()
        try:
            self._process.wait(KILLING_S)
        except subprocess.TimeoutExpired:  # a plug-in has stopped its keeper, or the system hangs
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(KILLING_S)
        self._wire.close()
        self._capture.finish()
        self._remove_files()


def _remove(folder: Path) -> None:
    with contextlib.suppress(RecursionError):  # a plug-in may nest folders without end
        shutil.rmtree(folder, ignore_errors=True)


def told(kind: str, value: object) -> Exception | None:
    """The error that a message of the worker stands for, if it does.

    Raises:
        GarbledError: It is none of the messages that a worker sends.
    """
    found: Exception | None = None
    match kind, value:
        case ("progress", [float(), str()]) | ("done", {"value": _, "peak_bytes": int()}):
            pass
        case "failed", {"failure": Failure() as fault, "trace": str(trace), "passed_on": None} if (
            fault.status in _RAISED
        ):
            found = WorkerError(fault, trace)
        case "failed", {"passed_on": ["disk", int(number), str(words), str(name)]}:
            found = OSError(number, words, name)
        case "failed", {"passed_on": [str(name), str(words)]} if name in KINDS:
            found = KINDS[name](words)
        case _:
            raise GarbledError(f"an answer of the kind {one_line(kind, 40)!r} is not known so")
    return found


def how_it_ended(code: int | None, what: str = "the worker") -> str:
    """How a process ended, in words.

    Example:
        >>> how_it_ended(1), how_it_ended(-11)
        ('the worker ended with exit code 1', 'the worker was ended by SIGSEGV')
    """
    if code is None:
        return f"{what} closed its link"
    if code >= 0:
        return f"{what} ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = " (as the system does when memory runs out)" if -code == signal.SIGKILL else ""
    return f"{what} was ended by {name}{hint}"

"""Starting a worker process, talking to it, and ending it with all its children."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from bench import errors
from bench.api import Entry, Profile, Progress
from bench.backend import FOLDERS_VARIABLE
from bench.checkout import CHECKOUT
from bench.ending import sparing_children
from bench.failure import Failure, WorkerError, WorkerLostError
from bench.plugins.checkpoints import checkpoints_of
from bench.plugins.environments import child_environment, project_of, python_of
from bench.plugins.log import Capture
from bench.plugins.wire import Wire
from bench.weights import hub_folder

POLL_EVERY_S = 0.05  # how soon the death of a worker is seen; answers are seen at once
SHUTDOWN_S = 2.0  # what a worker gets to end by itself after its last answer
START = (
    "import json, sys; facts = json.loads(sys.argv[1]); sys.path[:0] = facts['path']; "
    "from bench.plugins.worker import serve; serve(sys.argv[1])"
)
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """What a worker process is started with.

    Args:
        python: The Python program.
        path: Where it looks for modules before its own packages.
        variables: Its environment variables.
    """

    python: str
    path: list[str]
    variables: Mapping[str, str]


def _interpreter_of(entry: Entry, profile: Profile) -> _Interpreter:
    """The interpreter of this environment, or of the back end's with this checkout on its path."""
    project = project_of(entry)
    if project is None:
        return _Interpreter(sys.executable, sys.path, os.environ)
    folders = {c.title: str(hub_folder(c)) for c in checkpoints_of(entry, profile)}
    variables = {**child_environment(), FOLDERS_VARIABLE: json.dumps(folders)}
    return _Interpreter(str(python_of(project, logger.info)), [str(CHECKOUT)], variables)


class Worker:
    """A running worker process and the link to it.

    Args:
        entry: The plug-in that will live in it.
        profile: Which of its checkpoints it will load.
        log: Where its output goes; the folder must exist.
    """

    def __init__(self, entry: Entry, profile: Profile, log: Path) -> None:
        interpreter = _interpreter_of(entry, profile)
        self._capture = Capture(log)
        self._files = Path(tempfile.mkdtemp(prefix="bench-worker-"))
        near, far = socket.socketpair()
        self._wire = Wire(near, self._files, "run")
        ending, self._lifeline = os.pipe()
        self._numbers = itertools.count()
        with sparing_children():
            self._process = self._start(interpreter, far, ending)
        os.close(ending)
        far.close()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                self._capture.follow(stream, quotable=stream is self._process.stderr)

    def _start(
        self, interpreter: _Interpreter, far: socket.socket, ending: int
    ) -> subprocess.Popen[bytes]:
        numbers = {"link": far.fileno(), "lifeline": ending, "log": self._capture.fileno()}
        facts = {**numbers, "files": str(self._files), "path": interpreter.path}
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
            WorkerLostError: The worker died, or was killed because it took longer than `limit_s`.
            WorkerError: The method raised.
        """
        number = next(self._numbers)
        try:
            self._wire.send(number, verb, payload)
            return self._answer(number, progress, limit_s)
        except (EOFError, ConnectionError):
            self._report_end()

    def _answer(
        self, number: int, progress: Progress | None, limit_s: float | None
    ) -> dict[str, Any]:
        deadline = None if limit_s is None else time.monotonic() + limit_s
        while deadline is None or time.monotonic() < deadline:
            if self._wire.poll(POLL_EVERY_S):
                message = self._wire.receive()
                value = self._wire.value_of(message)
                if message.number != number:
                    continue
                if message.kind == "done":
                    return dict(value)
                if message.kind == "failed":
                    _raise(**value)
                if progress is not None:
                    progress(*value)
            elif self._process.poll() is not None:
                self._report_end()
        self.kill()
        raise WorkerLostError(
            Failure("timeout", f"took longer than {limit_s:g} s; {self._last_line()}")
        )

    def _report_end(self) -> NoReturn:
        """Raise an error that says how the worker ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(POLL_EVERY_S * 10)
        code = self._process.poll()
        self.kill()
        raise WorkerLostError(Failure("crash", f"{_how_it_ended(code)}; {self._last_line()}"))

    def _last_line(self) -> str:
        line = self._capture.last_line
        return f"its last output: {line}" if line else "no output"

    def close(self) -> None:
        """Let the worker end by itself, then make sure of it and of its children."""
        self._wire.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(SHUTDOWN_S)
        self.kill()

    def kill(self) -> None:
        """Kill the worker and every process of its group, and finish its log."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._wire.close()
        os.close(self._lifeline)
        self._capture.finish()
        shutil.rmtree(self._files, ignore_errors=True)


def _raise(failure: Failure, trace: str, stops_run: list[str] | None) -> NoReturn:
    if stops_run is not None:
        kind, words = stops_run
        raise getattr(errors, kind)(words)
    raise WorkerError(failure, trace)


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "the worker closed its link"
    if code >= 0:
        return f"the worker ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = " (as the system does when memory runs out)" if -code == signal.SIGKILL else ""
    return f"the worker was ended by {name}{hint}"

"""Methods in a process of their own: what takes that process down costs one chunk, not the run.

`Isolated` stands for a method whose real instance lives in a worker process. Calls and results are
the same to the last bit as in-process. A worker that dies, or that takes longer than its limit, is
killed with all its children and the call raises `WorkerLostError`; its user makes a new `Isolated`
for the next chunk.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from bench import errors
from bench.api import (
    Audio,
    ConfigError,
    Entry,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from bench.capture import Capture
from bench.catalog import built_in
from bench.outcome import Failure, WorkerError, WorkerLostError

LOOK_EVERY_S = 0.05  # how soon the death of a worker is seen; answers are seen at once
FAREWELL_S = 2.0  # what a worker gets to end by itself after its last answer
LONGEST_LOAD_S = 300.0  # large checkpoints from a slow disk
START = (
    "import json, sys; facts = json.loads(sys.argv[1]); sys.path[:] = facts['path']; "
    "from bench.worker import serve; serve(sys.argv[1])"
)


@dataclass(frozen=True, slots=True)
class Isolation:
    """How a method is kept in a worker.

    Args:
        entry: The catalog entry of the method.
        limit_s: Longest time for one chunk and for each style of a fit; None: no limit. Loading
            may take `LONGEST_LOAD_S` where that is longer.
    """

    entry: Entry
    limit_s: float | None = None


def require_consistent(isolate: bool | None, timeout_s: float | None) -> None:
    """Refuse a time limit without workers.

    Raises:
        ConfigError: Both were asked for.
    """
    if isolate is False and timeout_s is not None:
        raise ConfigError(
            f"--timeout {timeout_s:g} was given with --no-isolate; only a method in a worker "
            "process can be stopped. Leave one of them out."
        )


def isolation_for(
    name: str,
    entry: Entry,
    isolate: bool | None,
    timeout_s: float | None,
) -> Isolation | None:
    """Whether a method gets a worker: as asked, else if it is from outside or has a time limit."""
    wanted = isolate if isolate is not None else timeout_s is not None or not built_in(name)
    return Isolation(entry, timeout_s) if wanted else None


class Isolated(StyleTransferMethod):
    """A method that lives in a worker process.

    Args:
        isolation: Which method, and its time limit.
        log: Where the worker's output goes; its folder must exist.
    """

    def __init__(self, isolation: Isolation, log: Path) -> None:
        self._isolation = isolation
        self._log = log
        self._worker: Worker | None = None
        self.peak_bytes = 0

    def load(self, profile: Profile, device: str) -> None:
        """Start the worker and load the method in it."""
        self._worker = Worker(self._log)
        limit_s = self._isolation.limit_s
        longest_s = None if limit_s is None else max(limit_s, LONGEST_LOAD_S)
        self._call("load", (self._isolation.entry, profile, device), longest_s)

    def fit(self, requests: Sequence[FitRequest], progress: Progress) -> list[StyleState]:
        """As the method does; the limit grows with the number of styles.

        Raises:
            WorkerLostError: The worker died or was stopped; this object is of no use any more.
            WorkerError: The method raised.
        """
        limit_s = self._isolation.limit_s and self._isolation.limit_s * len(requests)
        states: list[StyleState] = self._call("fit", list(requests), limit_s, progress)
        return states

    def transfer(self, requests: Sequence[TransferRequest]) -> list[Audio]:
        """As the method does; raises what `fit` raises."""
        audios: list[Audio] = self._call("transfer", list(requests), self._isolation.limit_s)
        return audios

    def close(self) -> None:
        """End the worker; harmless where there is none."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _call(
        self, verb: str, payload: object, limit_s: float | None, progress: Progress | None = None
    ) -> Any:  # noqa: ANN401 - what comes back differs by verb and is for the caller to judge
        if self._worker is None:
            raise ValueError("an isolated method was called before load or after its worker's end")
        try:
            answer = self._worker.call(verb, payload, progress, limit_s)
        except WorkerError as fault:
            if isinstance(fault, WorkerLostError):
                self._worker = None
            raise
        except BaseException:  # interrupted: the worker is in the middle of a call
            self._worker.kill()
            self._worker = None
            raise
        self.peak_bytes = answer.peak_bytes
        return answer.value


class Worker:
    """A running worker process and the link to it."""

    def __init__(self, log: Path) -> None:
        self._capture = Capture(log)
        self._link, far = Pipe()
        ending, self._lifeline = os.pipe()
        self._numbers = itertools.count()
        self._process = self._start(far, ending)
        os.close(ending)
        far.close()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                self._capture.follow(stream, quotable=stream is self._process.stderr)

    def _start(self, far: Connection, ending: int) -> subprocess.Popen[bytes]:
        numbers = {"link": far.fileno(), "lifeline": ending, "log": self._capture.fileno()}
        return subprocess.Popen(  # noqa: S603 - this interpreter with our own code
            [sys.executable, "-c", START, json.dumps({**numbers, "path": sys.path})],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=tuple(numbers.values()),
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        )

    def call(
        self, verb: str, payload: object, progress: Progress | None, limit_s: float | None
    ) -> Any:  # noqa: ANN401 - an Answer, whose class lives on the far side
        """Send a call and wait for its answer.

        Raises:
            WorkerLostError: The worker died, or was killed because it took longer than `limit_s`.
            WorkerError: The method raised.
        """
        number = next(self._numbers)
        try:
            self._link.send_bytes(pickle.dumps((number, verb, payload)))
            return self._answer(number, progress, limit_s)
        except (EOFError, ConnectionError):
            self._mourn()

    def _answer(self, number: int, progress: Progress | None, limit_s: float | None) -> Any:  # noqa: ANN401
        deadline = None if limit_s is None else time.monotonic() + limit_s
        while deadline is None or time.monotonic() < deadline:
            if self._link.poll(LOOK_EVERY_S):
                told, kind, value = pickle.loads(self._link.recv_bytes())  # noqa: S301 - from our own worker
                if told != number:
                    continue
                if kind == "done":
                    return value
                if kind == "failed":
                    _raise(value)
                if progress is not None:
                    progress(*value)
            elif self._process.poll() is not None:
                self._mourn()
        self.kill()
        raise WorkerLostError(
            Failure("timeout", f"took longer than {limit_s:g} s; {self._last_line()}")
        )

    def _mourn(self) -> NoReturn:
        """Name the death of the worker."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LOOK_EVERY_S * 10)
        code = self._process.poll()
        self.kill()
        raise WorkerLostError(Failure("crash", f"{_cause_of_death(code)}; {self._last_line()}"))

    def _last_line(self) -> str:
        line = self._capture.last_line
        return f"last words: {line}" if line else "no last words"

    def close(self) -> None:
        """Let the worker end by itself, then make sure of it and of its children."""
        self._link.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(FAREWELL_S)
        self.kill()

    def kill(self) -> None:
        """Kill the worker and every process of its group, and finish its log."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._link.close()
        os.close(self._lifeline)
        self._capture.finish()


def _raise(refusal: Any) -> NoReturn:  # noqa: ANN401 - a Refusal, whose class lives on the far side
    if refusal.stops_run is not None:
        raise getattr(errors, refusal.stops_run)(refusal.failure.reason)
    raise WorkerError(refusal.failure, refusal.trace)


def _cause_of_death(code: int | None) -> str:
    if code is None:
        return "the worker closed its link"
    if code >= 0:
        return f"the worker ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = " (as the system does when memory runs out)" if -code == signal.SIGKILL else ""
    return f"the worker was ended by {name}{hint}"

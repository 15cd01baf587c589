"""The worker process: it holds one plug-in and answers calls until it is told to stop.

`bench.plugins.process` starts it, in this environment or in that of a back end. This module
therefore uses the standard library, numpy and the contract alone, and nothing newer than Python
3.10. Calls and answers travel over a socket of their own (`bench.plugins.wire`), so a plug-in may
print what it likes. Calls have the kinds load, fit, transfer, fingerprint, score and ask; answers
have the kinds progress, done and failed. The process ends with the run, whatever the plug-in is
doing then; its keeper (`bench.plugins.keeper`) ends the processes that the plug-in started.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.api import BenchError, StyleTransferMethod
from bench.device import peak_memory_bytes
from bench.errors import told_as
from bench.failure import STOPS_RUN, failure_of, trace_of
from bench.files import disk_is_full
from bench.outside.wording import LONGEST_MESSAGE, one_line
from bench.plugins.loading import load_class
from bench.plugins.returned import ADMITTED, admit
from bench.plugins.wire import Wire

PROGRESS_EVERY_S = 0.1


def serve(facts: str) -> None:
    """Answer calls until the parent closes the link.

    Args:
        facts: JSON with the numbers of the inherited descriptors: `link`, a socket; `lifeline`, a
            pipe that ends with the parent; `log`, where a dying interpreter writes its stack; and
            the folder of the wire, `files`.
    """
    told = json.loads(facts)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    _leave_sigterm_to_parent()
    faulthandler.enable(told["log"])
    sys.dont_write_bytecode = True  # of a plug-in's modules: see `bench.plugins.loading`
    threading.Thread(target=_end_with, args=(told["lifeline"],), daemon=True).start()
    server = Server(Wire(socket.socket(fileno=told["link"]), Path(told["files"]), "worker"))
    while server.answer():
        pass


def _leave_sigterm_to_parent() -> None:
    """Let a SIGTERM do nothing here, as a cluster sends it to every process of a job.

    The parent started this process with the signal blocked (`bench.errors.sparing_children`). It
    is not ignored: processes that the plug-in starts would inherit that, and could not be ended.
    """
    terminating = {signal.SIGTERM}

    def allow() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, terminating)

    def obey() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        allow()

    signal.signal(signal.SIGTERM, lambda *_: None)
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, terminating),
        after_in_parent=allow,
        after_in_child=obey,
    )
    allow()


def _end_with(lifeline: int) -> None:
    """Wait for the run's end, then kill this process group, in case the keeper is gone."""
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


@dataclass
class Server:
    """Takes calls from a wire, passes them to the plug-in and sends its answers back."""

    wire: Wire
    owner: int = field(default_factory=os.getpid)
    device: str = "cpu"
    _plugin: Any = None
    _said_at: float = 0.0

    def answer(self) -> bool:
        """Serve one call; False when there will be no more."""
        try:
            call = self.wire.receive()
        except (EOFError, OSError):
            return False
        try:
            value = self._serve(call.number, call.kind, self.wire.value_of(call))
            answer = {"value": value, "peak_bytes": peak_memory_bytes(self.device)}
            self._send(call.number, "done", answer)
        except BaseException as error:  # noqa: BLE001 - whatever a plug-in raises is an answer; even SystemExit
            stopping = BenchError if call.kind == "ask" else STOPS_RUN
            self._send(call.number, "failed", _refusal(error, stopping))
        return True

    def _serve(self, number: int, verb: str, payload: list[Any]) -> Any:  # noqa: ANN401 - differs by verb
        if verb == "ask":
            return _answer(*payload)
        if verb == "load":
            return self._load(*payload)
        if self._plugin is None:
            raise ValueError("the plug-in was called before it was loaded")
        more = [self._progress(number)] if verb == "fit" else []
        answer = getattr(self._plugin, verb)(*payload, *more)
        return admit(verb, answer, len(payload[0])) if verb in ADMITTED else answer

    def _load(self, target: str, profile: str, device: str, settings: dict[str, Any]) -> None:
        kind: Any = load_class(target)
        self.wire.parameters = kind.Parameters if issubclass(kind, StyleTransferMethod) else dict
        self.device = device
        plugin = kind(**settings)
        plugin.load(profile, device)
        self._plugin = plugin

    def _progress(self, number: int) -> Callable[[float, str], None]:
        def say(fraction: float, text: str) -> None:
            if time.monotonic() - self._said_at >= PROGRESS_EVERY_S:
                self._said_at = time.monotonic()
                self._send(number, "progress", [float(fraction), one_line(text)])

        return say

    def _send(self, number: int, kind: str, value: object) -> None:
        if os.getpid() != self.owner:  # a process that the plug-in forked ran on to here
            os._exit(0)
        self.wire.send(number, kind, value)


def _answer(question: str, *told: Any) -> object:  # noqa: ANN401 - differs by question
    from bench.plugins.answers import QUESTIONS  # more libraries than a back end need have

    return QUESTIONS[question](*told)


def _refusal(
    error: BaseException, stopping: type[BenchError] | tuple[type[BenchError], ...]
) -> dict[str, object]:
    """A call that raised, named as it would be in-process.

    What the run has to be told as it is stands in `passed_on`: class and message of an error of a
    kind that is `stopping`: the user must fix it before any cell can be rendered, as with a missing
    checkpoint; or number, words and file of one that says that a disk is full.
    """
    passed_on: list[object] | None = None
    if isinstance(error, OSError) and disk_is_full(error):
        passed_on = ["disk", error.errno, one_line(error.strerror), error.filename]
    if isinstance(error, stopping):
        passed_on = [told_as(error), one_line(error, LONGEST_MESSAGE)]
    return {"failure": failure_of(error), "trace": trace_of(error), "passed_on": passed_on}

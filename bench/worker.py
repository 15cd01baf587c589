"""The far side of isolation: a process that holds one method and answers calls until told to stop.

Started by `bench.isolation`, never by hand. Calls and answers travel as pickles over a socket of
their own, so a method may print what it likes. Calls are `(number, verb, payload)` with the verbs
load, fit and transfer; answers are `(number, kind, value)` with the kinds progress, done and
failed. The process ends with its parent, whatever the method is doing then, and takes the
processes that the method left behind along.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from bench.api import CheckpointError, DeviceError, Entry, StyleTransferMethod
from bench.catalog import resolve
from bench.device import peak_memory_bytes
from bench.outcome import Failure, failure_of

PROGRESS_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that raised: named as it would be in-process.

    Args:
        failure: What the cell records say.
        trace: The traceback, for the log.
        stops_run: Class name of an error that the user must mend before any cell can be made, such
            as a missing checkpoint; None for a fault of the method.
    """

    failure: Failure
    trace: str
    stops_run: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call returned and the largest memory in use so far, bytes."""

    value: Any
    peak_bytes: int


def serve(facts: str) -> None:
    """Answer calls until the parent closes the link.

    Args:
        facts: JSON with the numbers of the inherited descriptors: `link`, a socket; `lifeline`, a
            pipe that ends with the parent; `log`, where a dying interpreter writes its stack.
    """
    numbers = json.loads(facts)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    faulthandler.enable(numbers["log"])
    threading.Thread(target=_end_with, args=(numbers["lifeline"],), daemon=True).start()
    desk = Desk(Connection(numbers["link"]))
    while desk.answer():
        pass


def _end_with(lifeline: int) -> None:
    """Wait for the parent's end, then kill the whole process group."""
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


@dataclass(slots=True)
class Desk:
    """Takes calls from a link and gives them to the method."""

    link: Connection
    owner: int = field(default_factory=os.getpid)
    device: str = "cpu"
    _method: StyleTransferMethod | None = None
    _said_at: float = 0.0

    def answer(self) -> bool:
        """Serve one call; False when there will be no more."""
        try:
            call = self.link.recv_bytes()
        except (EOFError, OSError):
            return False
        number: int | None = None
        try:
            number, verb, payload = pickle.loads(call)  # noqa: S301 - written by our own parent process
            value = self._serve(number, verb, payload)
            reply = _packed(number, "done", Answer(value, peak_memory_bytes(self.device)))
        except BaseException as error:  # noqa: BLE001 - whatever a method raises is an answer; even SystemExit
            reply = _packed(number, "failed", _refusal(error))
        self._send(reply)
        return True

    def _serve(self, number: int, verb: str, payload: Any) -> Any:  # noqa: ANN401 - differs by verb
        if verb == "load":
            return self._load(*payload)
        if self._method is None:
            raise ValueError("the method was called before it was loaded")
        if verb == "fit":
            return self._method.fit(payload, self._progress(number))
        return self._method.transfer(payload)

    def _load(self, entry: Entry, profile: Any, device: str) -> None:  # noqa: ANN401 - a literal, passed through
        self._method = resolve(entry)()
        self.device = device
        self._method.load(profile, device)

    def _progress(self, number: int) -> Callable[[float, str], None]:
        def say(fraction: float, text: str) -> None:
            if time.monotonic() - self._said_at >= PROGRESS_EVERY_S:
                self._said_at = time.monotonic()
                self._send(_packed(number, "progress", (float(fraction), str(text))))

        return say

    def _send(self, reply: bytes) -> None:
        if os.getpid() != self.owner:  # a fork of the method ran on to here: it has no say
            os._exit(0)
        self.link.send_bytes(reply)


def _packed(number: int | None, kind: str, value: object) -> bytes:
    return pickle.dumps((number, kind, value), protocol=pickle.HIGHEST_PROTOCOL)


def _refusal(error: BaseException) -> Refusal:
    stops_run = type(error).__name__ if isinstance(error, CheckpointError | DeviceError) else None
    return Refusal(failure_of(error), "".join(traceback.format_exception(error)), stops_run)

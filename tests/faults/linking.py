"""A method that attacks its link to the run, its keeper, and the end of its process."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.api import (
    Audio,
    FitRequest,
    NoParameters,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)

SLEEPER = "import time; time.sleep(600)"
DONE = '{"number": 1, "kind": "done", "value": {"$": "map", "of": {"value": [], "peak_bytes": 0}}}'


def link() -> socket.socket:
    """The worker's end of the link: the one socket of this process."""
    for entry in Path("/proc/self/fd").iterdir():
        number = int(entry.name)
        try:
            found = stat.S_ISSOCK(os.fstat(number).st_mode)
        except OSError:
            continue
        if found:
            return socket.socket(fileno=os.dup(number))
    raise RuntimeError("no link")


def say(text: str) -> None:
    """Write to the link, past the worker."""
    channel = link()
    channel.setblocking(True)
    channel.sendall(text.encode())


def note(number: int) -> None:
    (Path(os.environ["TOY_NOTES"]) / f"pid-{number}").touch()


def sleeper(**how: object) -> None:
    """A child that sleeps, started as `subprocess.Popen` is told."""
    note(subprocess.Popen([sys.executable, "-c", SLEEPER], **how).pid)  # type: ignore[call-overload]  # options of the test


def daemon() -> None:
    """A grandchild in a session of its own, whose parent is gone; its environment is empty."""
    if os.fork() == 0:
        os.setsid()
        sleeper(env={}, start_new_session=True)
        os._exit(0)
    os.wait()


def bomb() -> None:
    """Processes that replace each other, faster than one after the other could be killed."""
    if os.fork() == 0:
        os.setsid()
        note(os.getpid())
        end = time.monotonic() + 600
        while time.monotonic() < end:
            if os.fork():
                time.sleep(0.05)
                os._exit(0)
            if time.monotonic() % 0.5 < 0.02 and os.fork() == 0:
                note(os.getpid())
                time.sleep(600)


def orphaned(*, link_too: bool) -> None:
    """A child that outlives the worker, with the link or without it."""
    child = os.fork()
    if child == 0:
        os.setsid()
        if not link_too:
            os.closerange(3, 100)
        time.sleep(600)
    note(child)
    os._exit(0)


def hang() -> None:
    time.sleep(600)


DEEDS = {
    "half": lambda: (say('{"number": 1, "kin'), hang()),
    "endless": lambda: [say("x" * 1_000_000) for _ in range(80)],
    "flood": lambda: [
        say('{"number": 1, "kind": "progress", "value": [0.5, "x"]}\n' * 1000)
        for _ in range(1_000_000)
    ],
    "garbage": lambda: (say("what is this\n"), hang()),
    "forged": lambda: (
        say(
            DONE.replace("done", "failed").replace(
                '"value": [], "peak_bytes": 0',
                '"failure": {"$": "Failure", "of": {"status": "ok", "reason": ""}}, '
                '"trace": "", "passed_on": null',
            )
            + "\n"
        ),
        hang(),
    ),
    "empty": lambda: (say(DONE + "\n"), hang()),
    "shut": lambda: (os.closerange(3, 100), hang()),
    "children": lambda: (
        sleeper(),
        sleeper(start_new_session=True),
        sleeper(process_group=0),
        sleeper(start_new_session=True, env={}),
        daemon(),
        hang(),
    ),
    "bomb": lambda: (bomb(), hang()),
    "orphan": lambda: orphaned(link_too=False),
    "heir": lambda: orphaned(link_too=True),
    "group": lambda: os.killpg(0, signal.SIGKILL),
    "keeper": lambda: (os.kill(os.getppid(), signal.SIGKILL), hang()),
    "stopped": lambda: (os.kill(os.getppid(), signal.SIGSTOP), hang()),
}


class Linking(StyleTransferMethod[NoParameters]):
    """Does what its style is called."""

    def load(self, profile: Profile, device: str) -> None:
        note(os.getpid())
        note(os.getppid())

    def fit(
        self, requests: Sequence[FitRequest[NoParameters]], progress: Progress
    ) -> list[StyleState]:
        DEEDS[requests[0].style.id]()
        return [StyleState() for _ in requests]

    def transfer(self, requests: Sequence[TransferRequest[NoParameters]]) -> list[Audio]:
        return [request.content.audio for request in requests]

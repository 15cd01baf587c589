"""A shard as a task: a process on some machine that does `run --shard` and ends with its parent.

Whoever schedules tasks starts one again elsewhere when a machine dies or is taken away. So a task
first waits until its predecessor shows no life any more, and its process ends when the process that
started it is gone. All that the task knows of the run stands in its command line.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.checkout import CHECKOUT
from bench.errors import ExitCode
from bench.files import make_folder
from bench.records.claims import LIFE_S, POLL_S, holder

PATIENCE_S = 30.0  # what a process gets to close what is open, as Slurm grants by default
SETTLED = frozenset({ExitCode.DONE, ExitCode.FAILED_CELLS})  # each cell has an outcome
_SET_DEATH_SIGNAL = 1  # of Linux's prctl
START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from bench.submit.task import end_with_parent; end_with_parent(int(sys.argv.pop(1))); "
    "from bench.__main__ import start; start()"
)


@dataclass(frozen=True, slots=True)
class Task:
    """A command line of the bench, and where it is run.

    Args:
        name: What the task is called, such as the shard `2/8`.
        words: The words of the command line, from the command on.
        log: Where its output goes.
        directory: The working directory.
        environment: Variables that it needs beside those of the machine.
        claim: The claim that it will take; None where it takes none.
    """

    name: str
    words: tuple[str, ...]
    log: Path
    directory: Path
    environment: tuple[tuple[str, str], ...] = ()
    claim: Path | None = None


def run_task(
    task: Task, started: Callable[[subprocess.Popen[bytes]], None] = lambda _process: None
) -> int:
    """Run a task to its end; returns its exit code, below 0 the signal that ended it.

    Args:
        task: What to run.
        started: Is told the process.
    """
    if task.claim is not None:
        wait_for_predecessor(task.claim)
    process = begin(task)
    try:
        started(process)
        return process.wait()
    finally:
        end(process)


def wait_for_predecessor(claim: Path) -> None:
    """Wait while somebody shows life on a claim; a dead one is free after `LIFE_S` seconds.

    One who is alive even then is no predecessor: the task itself says so.
    """
    until = time.monotonic() + LIFE_S + PATIENCE_S
    while holder(claim) is not None and time.monotonic() < until:
        time.sleep(POLL_S)


def wait_until_closed(tasks: Iterable[Task]) -> None:
    """Wait, for `PATIENCE_S` at most, until tasks that were told to end have given up their claims.

    Else the next submission would find them at work.
    """
    until = time.monotonic() + PATIENCE_S
    claims = [task.claim for task in tasks if task.claim is not None]
    while any(holder(claim) is not None for claim in claims) and time.monotonic() < until:
        time.sleep(POLL_S)


def begin(task: Task) -> subprocess.Popen[bytes]:
    """Start the process of a task; it gets a SIGTERM when this thread is gone."""
    make_folder(task.log.parent)
    place = [str(CHECKOUT), str(os.getpid())]
    with task.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own interpreter with our own code
            [sys.executable, "-c", START, *place, *task.words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=task.directory,
            env=os.environ | dict(task.environment),
        )


def end_with_parent(parent: int) -> None:
    """Let this process get a SIGTERM when its parent is gone; on other systems than Linux it stays.

    Args:
        parent: The number of the parent, which may be gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SET_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(ExitCode.TERMINATED)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, wait until it has, and kill it if it takes longer than `PATIENCE_S`.

    May be called from a signal handler while the process is waited for: it takes no lock, and
    leaves the exit code to whoever waits.
    """
    if process.returncode is not None:
        return
    number, until = signal.SIGTERM, time.monotonic() + PATIENCE_S
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(process.pid, number)
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() > until:
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.02)


def last_line(log: Path) -> str:
    """The last words of a task, from its log; empty where there are none."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4000))
        lines = file.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
    return ""

"""The keeper of a worker: the process between the run and a worker, which ends all that it started.

The run starts a keeper, and the keeper forks the worker. On Linux whoever is orphaned below the
keeper becomes a child of the keeper (it is their subreaper), so nothing that a plug-in starts
leaves its family tree: not by a session or group of its own, not as a daemon, not with an emptied
environment. When the worker ends, or the run closes its end of the lifeline or is gone, the keeper
kills the whole tree and then ends as the worker did. Where the run is gone, nobody else is left to
remove the files of the link: then the keeper does.

**What is promised**: on Linux all of the tree, unless the plug-in ends the keeper itself; on other
systems the worker's process group. This module needs the standard library alone and starts no
thread, as it forks.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
from pathlib import Path

_SET_CHILD_SUBREAPER = 36  # of Linux's prctl
_LOOK_AGAIN_MS = 1000  # how often the keeper asks whether the run is still its parent
_PAUSE_S = 0.001  # for killed processes to end
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # meant for the run, which ends us


def keep(facts: str) -> None:
    """Become a keeper; returns in the forked worker alone.

    Args:
        facts: JSON with the numbers of the inherited descriptors `link`, `log` and `lifeline`, and
            the process number of the run, `run`, and the folder of the link, `files`.
    """
    told = json.loads(facts)
    _adopt_orphans()
    worker = os.fork()
    if worker == 0:
        os.setsid()  # a plug-in that ends its own group does not end its keeper
        return
    for descriptor in (told["link"], told["log"]):
        os.close(descriptor)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    status = _watch(worker, told["lifeline"], told["run"])
    _end_descendants(worker)
    if status is None:
        shutil.rmtree(told["files"], ignore_errors=True)
    _end_like(status or 0)


def _adopt_orphans() -> None:
    """Make this process the parent of every process below it that loses its own."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _watch(worker: int, lifeline: int, run: int) -> int | None:
    """Wait until the worker ends or the run lets go; its status, None where it still runs."""
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    events = select.poll()
    events.register(lifeline, select.POLLIN)
    events.register(woken, select.POLLIN)
    while os.getppid() == run:
        status = _reaped(worker)
        if status is not None:
            return status
        if any(descriptor == lifeline for descriptor, _ in events.poll(_LOOK_AGAIN_MS)):
            break
        with contextlib.suppress(BlockingIOError):
            os.read(woken, 4096)
    return None


def _reaped(worker: int) -> int | None:
    """Take leave of children that have ended; the worker's status where it is one of them."""
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 0
        if ended == worker:
            return status
        if ended == 0:
            return None


def _end_descendants(worker: int) -> None:
    """Kill everything below this process, again until nothing is left.

    All are stopped before the first is killed, so that those who start others cannot go on with it.
    """
    while True:
        if sys.platform != "linux":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(worker, signal.SIGKILL)
        found: set[int] = set()
        while fresh := _descendants() - found:
            _send_all(fresh, signal.SIGSTOP)
            found |= fresh
        _send_all(found, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(_PAUSE_S)


def _send_all(processes: set[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def _descendants() -> set[int]:
    """The processes below this one; none where the system does not list them."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, parent = entry.read_bytes().rpartition(b")")[2].split()[:2]
            if state != b"Z":
                parents[int(entry.parent.name)] = int(parent)
    found: set[int] = set()
    level = {os.getpid()}
    while level := {process for process, parent in parents.items() if parent in level}:
        found |= level
    return found


def _end_like(status: int) -> None:
    """End with the exit code, or by the signal, that ended the worker."""
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the worker has left its core, if any
        number = os.WTERMSIG(status)
        with contextlib.suppress(OSError):  # nothing else can be done about SIGKILL
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))

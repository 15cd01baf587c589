"""The tasks of a submission as processes of this machine, all at once."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence

from bench.submit.task import Task, begin, end

POLL_S = 1.0
Poll = Callable[[int], None]  # is told how many tasks have ended


def run_locally(tasks: Sequence[Task], poll: Poll) -> dict[str, int | None]:
    """Run tasks and wait for all; they end with this process.

    Args:
        tasks: All are started at once.
        poll: Is called every second.

    Returns:
        The exit code of each, by its name; below 0 the signal that ended it.
    """
    begun: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for task in tasks:
            begun[task.name] = begin(task)
        while (left := sum(one.poll() is None for one in begun.values())) > 0:
            poll(len(begun) - left)
            time.sleep(POLL_S)
    finally:
        for process in begun.values():
            end(process)
    poll(len(begun))
    return {name: process.wait() for name, process in begun.items()}

"""Working on several devices: one process for each, over shares of the same plan.

What one style of one method and repetition needs (its fit and its cells) stays on one device. All
processes append to the records of one folder. What a process leaves undone, because it ended early
or was stopped, is done by the next session of the run.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from multiprocessing.process import BaseProcess

from bench.errors import end_when_asked, last_words, was_asked
from bench.plan.plan import CELLS_PER_FIT
from bench.records.schema import PlannedCell

POLL_S = 1.0
PATIENCE_S = 10.0  # what processes get to write down what they leave open
Work = Callable[[str, frozenset[str]], None]  # a device, and the ids of the cells to render on it


def assign(plan: Sequence[PlannedCell], count: int) -> list[frozenset[str]]:
    """Split a plan into `count` shares of about equal work: the ids of their cells.

    Groups are dealt out by length, the longest first, each to the share with least work so far; the
    result takes at most a third longer than the best split (Graham 1969).
    """

    def group_of(cell: PlannedCell) -> tuple[str, int, str]:
        return cell.method, cell.repetition, cell.style

    groups = [list(group) for _, group in groupby(sorted(plan, key=group_of), group_of)]
    shares: list[list[PlannedCell]] = [[] for _ in range(count)]
    work = [0] * count
    for group in sorted(groups, key=len, reverse=True):
        least = work.index(min(work))
        shares[least] += group
        work[least] += CELLS_PER_FIT + len(group)
    return [frozenset(cell.cell_id for cell in share) for share in shares]


def work_through(
    work: Work, devices: Sequence[str], shares: Sequence[frozenset[str]], poll: Callable[[], None]
) -> None:
    """Run every share in a process of its own and wait for all; processes end with this one.

    Args:
        work: What a process does; importable by name, because processes are started anew.
        devices: One for each share.
        shares: The ids of the cells of each process; nothing is started for an empty share.
        poll: Is called every second.
    """
    context = multiprocessing.get_context("spawn")
    processes: list[BaseProcess] = [
        context.Process(target=_work_while_parent_lives, args=(work, device, share))
        for device, share in zip(devices, shares, strict=True)
        if share
    ]
    begun: list[BaseProcess] = []
    try:
        for process in processes:
            begun.append(process)
            process.start()
        while any(process.is_alive() for process in processes):
            next(process for process in processes if process.is_alive()).join(POLL_S)
            poll()
    finally:
        _end(begun)


def _end(processes: Sequence[BaseProcess]) -> None:
    """Ask the processes that are still there to end, and kill those that do not."""
    alive = [process for process in processes if process.is_alive()]
    for process in alive:
        process.terminate()
    deadline = time.monotonic() + PATIENCE_S
    for process in alive:
        process.join(max(0.0, deadline - time.monotonic()))
        process.kill()
        process.join()


def _work_while_parent_lives(work: Work, device: str, share: frozenset[str]) -> None:
    """Work on one share, and end with the parent, so that its next run has the folder to itself."""
    end_when_asked()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(device, share)
    except (Exception, KeyboardInterrupt) as error:
        if not was_asked(error):
            raise
        sys.exit(last_words(error)[1])  # the parent has the words for it


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)

"""Work on the CPU beside an accelerator: several items at once, in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

MOST_THREADS = 8
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(work: Callable[[Item], Result], items: Iterable[Item], device: str) -> list[Result]:
    """Results of all items, in order.

    Threads where `device` is an accelerator, whose host would idle; one after the other on the
    CPU, where the libraries already use every core. The first error is raised when all have ended.

    Example:
        >>> in_parallel(abs, [-1, 2, -3], "cpu")
        [1, 2, 3]
    """
    if device == "cpu":
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(work, items))

"""Several items at once: in batches that fit into a device's memory, and in threads beside it.

The size of a batch comes from the memory that is free, and is halved when it runs out all the same.

While an accelerator works, the host can read what comes next and write down what came before
(`Aside`). On the CPU the libraries use every core already, so nothing goes on beside anything
there: two threads would take turns, and the times of methods would hold the work of others.
`BENCH_OVERLAP` ("on", "off") decides otherwise; no result depends on it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from bench.device import asked_for, free_memory_bytes

if TYPE_CHECKING:
    from typing import Self  # back ends have older Pythons

OVERLAP_VARIABLE = "BENCH_OVERLAP"
MOST_THREADS = 8
SHARE = 0.7  # of the free memory: allocators and library workspaces take the rest
Item = TypeVar("Item")
Result = TypeVar("Result")
logger = logging.getLogger(__name__)


def affordable(device: str, bytes_each: int, most: int) -> int:
    """How many items of a size go into the free memory: a power of two, at most `most`.

    A power of two, so that small changes of what is free do not change the size, and with it the
    last digits of results. Where the device does not tell, it is `most`.

    Example:
        >>> affordable("cpu", 10**9, 16)
        16
    """
    free = free_memory_bytes(device)
    return most if free is None else size_within(free, bytes_each, most)


def size_within(free_bytes: int, bytes_each: int, most: int) -> int:
    """`affordable` for a known amount.

    Example:
        >>> size_within(80 * 10**9, 10**9, 16), size_within(9 * 10**9, 10**9, 16)
        (16, 4)
        >>> size_within(0, 10**9, 16)
        1
    """
    room = max(1, int(SHARE * free_bytes / bytes_each))
    return min(most, 1 << (room.bit_length() - 1))


class Batcher:
    """Works through items in batches and remembers the size that fits.

    Args:
        size: How many at once, at least 1; halved when memory runs out.

    Example:
        >>> Batcher(2).run([1, 2, 3], lambda part: [10 * item for item in part])
        [10, 20, 30]
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(
        self, items: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Result]]
    ) -> list[Result]:
        """Results of all items, in order.

        Args:
            items: In any number.
            work: One result per item, in order; after an out-of-memory error it is called again
                with fewer, so a failed call must leave nothing behind.

        Raises:
            OutOfMemoryError: A single item does not fit (torch's own error, which a cell records).
        """
        import torch

        results: list[Result] = []
        while len(results) < len(items):
            part = items[len(results) : len(results) + self.size]
            try:
                results.extend(work(part))
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
                self.size = len(part) // 2
                logger.warning("out of memory with %d at once; now %d", len(part), self.size)
            else:
                continue
            # Outside the handler: only here does no traceback hold the tensors of the failed try.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return results


def in_parallel(work: Callable[[Item], Result], items: Iterable[Item], device: str) -> list[Result]:
    """Results of all items, in order.

    Threads where `device` is an accelerator, whose host would idle; one after the other on the
    CPU, where the libraries already use every core. The first error is raised when all have ended.

    Example:
        >>> in_parallel(abs, [-1, 2, -3], "cpu")
        [1, 2, 3]
    """
    return [work(item) for item in items] if device == "cpu" else in_threads(work, items)


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Results of all items, in order, for work that waits or decodes; errors as `in_parallel`.

    Example:
        >>> in_threads(abs, [-1, 2, -3])
        [1, 2, 3]
    """
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(work, items))


def overlaps(device: str) -> bool:
    """Whether work of the host goes on in a thread while the device works.

    Raises:
        ConfigError: `BENCH_OVERLAP` is no such word.

    Example:
        >>> overlaps("cpu"), overlaps("cuda:0")
        (False, True)
    """
    asked = asked_for(OVERLAP_VARIABLE, {"on": True, "off": False})
    return device != "cpu" if asked is None else asked


class Aside:
    """Work of the host beside a device: in one thread, in the order in which it is begun.

    Where nothing overlaps (see `overlaps`) there is no thread, and work is done by whoever asks for
    its result. Leaving the block waits for what is under way and drops what has not been begun.

    Args:
        device: What works meanwhile.

    Example:
        >>> with Aside("cuda") as aside:
        ...     largest = aside.begin(lambda: max([1, 3, 2]))
        ...     largest()
        3
    """

    def __init__(self, device: str) -> None:
        self._pool = ThreadPoolExecutor(1) if overlaps(device) else None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    @property
    def overlaps(self) -> bool:
        """Whether there is a thread."""
        return self._pool is not None

    def begin(self, work: Callable[[], Result]) -> Callable[[], Result]:
        """Begin work; what comes back waits for its result, or raises what the work has raised."""
        return cache(work) if self._pool is None else self._pool.submit(work).result


def one_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, each handed on when the one after it has been made.

    Where making an item begins work in a thread (`Aside.begin`), the next one is under way while
    the present one is used; never more, so that memory holds no third.

    Example:
        >>> def made():
        ...     for item in "ab":
        ...         print(f"begin {item}")
        ...         yield item
        >>> for item in one_ahead(made()):
        ...     print(f"use {item}")
        begin a
        begin b
        use a
        use b
    """
    held: list[Item] = []
    for item in items:
        held.append(item)
        if len(held) > 1:
            yield held.pop(0)
    yield from held

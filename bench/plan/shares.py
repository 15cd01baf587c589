"""Shards: which part of a plan one of several runs does, so that together they do all of it.

A shard is a number and how many there are, `2/8`. Its share follows from the plan alone: every
shard deals out the same plan and takes its own share, without asking the others. Nothing here reads
a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from bench.api import ConfigError
from bench.outside.texts import MOST_COUNT
from bench.outside.wording import one_line
from bench.records.schema import PlannedCell

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several runs that share a plan.

    Args:
        index: Its number, from 1.
        count: How many there are.
        source: Where the two come from, in words.
    """

    index: int
    count: int
    source: str = "as asked"

    @property
    def name(self) -> str:
        """As it is asked for: `2/8`."""
        return f"{self.index}/{self.count}"


@dataclass(frozen=True, slots=True)
class Scheduler:
    """The variables in which a scheduler tells a task its number and the number of tasks.

    Args:
        task: The number of the task.
        count: How many there are; empty where only the last number is told.
        last: The last number.
        first: The first number, 0 where the variable is not set.
        step: By how much the numbers rise, 1 where the variable is not set.
    """

    task: str
    count: str = ""
    last: str = ""
    first: str = ""
    step: str = ""


# The first that is set counts: an array of jobs before the tasks within a job.
SCHEDULERS = (
    Scheduler(
        "SLURM_ARRAY_TASK_ID",
        count="SLURM_ARRAY_TASK_COUNT",
        first="SLURM_ARRAY_TASK_MIN",
        step="SLURM_ARRAY_TASK_STEP",
    ),
    Scheduler(
        "SGE_TASK_ID", last="SGE_TASK_LAST", first="SGE_TASK_FIRST", step="SGE_TASK_STEPSIZE"
    ),
    Scheduler("SLURM_PROCID", count="SLURM_NTASKS"),
    Scheduler("OMPI_COMM_WORLD_RANK", count="OMPI_COMM_WORLD_SIZE"),
)


def find_shard(words: str, environment: Mapping[str, str]) -> Shard:
    """The shard that was asked for: `2/8`, or `auto` for what the scheduler tells.

    Args:
        words: What was asked for.
        environment: The environment variables of this process.

    Raises:
        ConfigError: It is neither, there is no such shard, or no scheduler tells a number.

    Example:
        >>> find_shard("2/8", {}).name
        '2/8'
        >>> find_shard("auto", {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"})
        Shard(index=1, count=4, source='SLURM_PROCID=0, SLURM_NTASKS=4')
    """
    if words == AUTO:
        return _told(environment)
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", words, re.ASCII)
    if found is None:
        raise ConfigError(
            f"--shard {one_line(words)!r} is no shard; write its number and how many there are, "
            f"such as 2/8, or {AUTO}."
        )
    return _checked(int(found[1]), int(found[2]), "as asked")


def _told(environment: Mapping[str, str]) -> Shard:
    for one in SCHEDULERS:
        names = [n for n in (one.task, one.count, one.last, one.first, one.step) if n]
        values = {name: environment[name] for name in names if environment.get(name)}
        if one.task in values and (one.count in values or one.last in values):
            source = ", ".join(f"{name}={one_line(value, 20)}" for name, value in values.items())
            return _counted(one, values, source)
    raise ConfigError(
        f"--shard {AUTO} reads the number of a task from {_names()}; none of them is set here. "
        "Run it as a task of a scheduler, or name the shard, such as --shard 2/8."
    )


def _counted(scheduler: Scheduler, values: Mapping[str, str], source: str) -> Shard:
    numbers = {name: int(value) for name, value in values.items() if re.fullmatch(r"\d+", value)}
    task, first = numbers.get(scheduler.task), numbers.get(scheduler.first, 0)
    step = numbers.get(scheduler.step, 1)
    last = numbers.get(scheduler.last, 0)
    count = numbers.get(scheduler.count, (last - first) // max(1, step) + 1)
    if task is None or step < 1 or (task - first) % step:
        raise ConfigError(
            f"--shard {AUTO} finds {source}; these are not the numbers of tasks that rise evenly. "
            "Name the shard, such as --shard 2/8."
        )
    return _checked((task - first) // step + 1, count, source)


def _checked(index: int, count: int, source: str) -> Shard:
    if not 1 <= index <= count <= MOST_COUNT:
        raise ConfigError(
            f"there is no shard {index}/{count} ({source}); the number of a shard lies between 1 "
            f"and how many there are, at most {MOST_COUNT}. Name one, such as --shard 2/8."
        )
    return Shard(index, count, source)


def _names() -> str:
    return ", ".join(scheduler.task for scheduler in SCHEDULERS)


def share_of(plan: Sequence[PlannedCell], shard: Shard) -> tuple[PlannedCell, ...]:
    """The cells of a shard, in the order of the plan: whole chunks of it.

    The shares of all shards are disjoint and hold every cell. What a cell costs differs from method
    to method and nobody knows by how much, so each method is dealt out to all shards alike. Of a
    method, each gets chunks that follow one another by repetition and style, so that it needs few
    fits. The sizes of two shares differ by at most two of the largest chunks.

    Args:
        plan: Every cell of the run, as `make_plan` lays them out.
        shard: Which share.
    """
    return tuple(
        cell for cell, index in zip(plan, dealt(plan, shard.count), strict=True)
        if index == shard.index - 1
    )  # fmt: skip


def dealt(plan: Sequence[PlannedCell], count: int) -> list[int]:
    """For each cell of a plan, the share that it falls into, from 0.

    The chunks of a method fill the emptiest shares up to one level. A chunk goes where its middle
    falls, so that no share is off by more than half a chunk at either end.
    """
    shares: dict[str, int] = {}  # by chunk
    load = [0] * count
    for chunks in _by_method(plan):
        sizes = list(chunks.values())
        ends = list(accumulate(_needs(load, sum(sizes))))
        order = sorted(range(count), key=lambda share: (load[share], share))
        place, begun = 0, 0
        for chunk, size in chunks.items():
            while place < count - 1 and ends[place] <= begun + size / 2:
                place += 1
            shares[chunk] = order[place]
            load[order[place]] += size
            begun += size
    return [shares[cell.chunk] for cell in plan]


def _by_method(plan: Sequence[PlannedCell]) -> Iterator[dict[str, int]]:
    """The chunks of each method with their sizes, by repetition and then as they are planned."""
    order = {method: place for place, method in enumerate(dict.fromkeys(c.method for c in plan))}
    ordered = sorted(plan, key=lambda cell: (order[cell.method], cell.repetition))
    for _, cells in groupby(ordered, key=lambda cell: cell.method):
        chunks: dict[str, int] = {}
        for cell in cells:
            chunks[cell.chunk] = chunks.get(cell.chunk, 0) + 1
        yield chunks


def _needs(load: Sequence[int], more: int) -> list[float]:
    """What each share lacks to the level that they reach with so much more, the emptiest first."""
    ordered = sorted(load)
    level, filled = 0.0, 0
    for filled, total in enumerate(accumulate(ordered), start=1):
        level = (total + more) / filled
        if filled == len(ordered) or level <= ordered[filled]:
            break
    return [max(0.0, level - one) for one in ordered]

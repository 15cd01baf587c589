"""What is submitted: one task for each shard of a plan that lacks something.

A shard whose cells all have outcomes and scores is left out, and so is one that somebody works on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import ExitCode
from bench.outside.wording import some
from bench.plan.plan import Plan
from bench.plan.shares import dealt
from bench.records import store
from bench.records.claims import holder
from bench.records.joining import Joined, join
from bench.records.parts import CLAIM, SHARDS, part_folder
from bench.records.planned import plan_facts, written
from bench.records.schema import FAILED, PlannedCell
from bench.run.continuing import read_former, require_same_setting
from bench.run.request import RunRequest, folder_of, resolve
from bench.run.sharding import require_same_plan
from bench.scores import INVALID
from bench.submit.task import Task

JOBS = "jobs"  # in the folder of the shards: logs of tasks and what schedulers keep
PREFIX = "BENCH_"  # of the variables that every task gets, wherever it runs


@dataclass(frozen=True, slots=True)
class Order:
    """The tasks of a submission.

    Args:
        folder: The run folder, which all tasks share.
        count: How many shards there are.
        tasks: One for each shard that lacks something.
        ids: The ids of all cells of the plan.
        missing: How many cells of the plan have no outcome.
        failed: How many failed.
        at_work: The shards that lack something and have a process already.
    """

    folder: Path
    count: int
    tasks: tuple[Task, ...]
    ids: frozenset[str]
    missing: int
    failed: int
    at_work: tuple[str, ...]

    @property
    def jobs(self) -> Path:
        """Where logs lie, and what a scheduler keeps."""
        return self.folder.absolute() / SHARDS / JOBS

    @property
    def words(self) -> str:
        """What will be done, in words."""
        lines = [
            f"{len(self.ids)} cells in {self.folder}, {self.missing} missing, {self.failed} failed",
            f"{len(self.tasks)} of {self.count} shards lack something"
            + (f", beside {some(self.at_work, ', ')}, at work already" if self.at_work else ""),
        ]
        if self.failed and not self.tasks:
            lines.append("failed cells are outcomes; --retry tries them again")
        return "\n".join(lines)


def make_order(
    request: RunRequest, count: int, words: Sequence[str], devices: Sequence[str]
) -> Order:
    """Plan a run and find out which of its shards lack something.

    Args:
        request: The run.
        count: Into how many shards it is dealt.
        words: The command line of the run, without folder, device and shard.
        devices: Where the shards work, in turn; such as `cpu`.

    Raises:
        BenchError: The request breaks a rule, or the folder holds another run.
    """
    plan, *_ = resolve(request)
    folder = folder_of(request, plan.suite)
    known = _known(folder, plan)
    metrics = plan.suite.metrics
    shares = shares_of(plan.cells, count)
    at_work = _at_work(folder, count)
    lacking = [
        number
        for number, share in shares.items()
        if known is None or lacks(share, known, metrics, retry=request.retry)
    ]
    return Order(
        folder=folder,
        count=count,
        tasks=tuple(
            task_of(folder, f"{number}/{count}", words, devices[(number - 1) % len(devices)])
            for number in lacking
            if number not in at_work
        ),
        ids=frozenset(cell.cell_id for cell in plan.cells),
        missing=len(plan.cells) - (0 if known is None else len(known.cells)),
        failed=0 if known is None else sum(c.status in FAILED for c in known.cells.values()),
        at_work=tuple(f"{number}/{count}" for number in lacking if number in at_work),
    )


def _known(folder: Path, plan: Plan) -> Joined | None:
    """What the folder holds of the plan; None where it holds nothing."""
    former = read_former(folder)
    if former is None:
        return None
    # Whether the precision is that of the nodes is found out there: this machine may have no GPU.
    require_same_setting(folder, former, plan, str(former.provenance.get("precision", "float32")))
    require_same_plan(folder, former, plan_facts(written(plan.cells)))
    with store.without_garbage_collection():
        known = join([store.read_run(folder)])
    planned = {cell.cell_id for cell in plan.cells}
    return replace(known, cells={name: c for name, c in known.cells.items() if name in planned})


def code_if_whole(request: RunRequest, order: Order) -> int | None:
    """The exit code of a run that lacks nothing and has nobody at work; None while it does."""
    devices = ["cpu"]  # no task of this order is run
    now = make_order(replace(request, retry=False), order.count, [], devices)
    if now.tasks or now.at_work or _at_work(order.folder, order.count):
        return None
    return ExitCode.FAILED_CELLS if now.failed else ExitCode.DONE


def shares_of(plan: Sequence[PlannedCell], count: int) -> dict[int, list[PlannedCell]]:
    """The shares of a plan by their numbers, from 1; those that are empty are left out."""
    shares: dict[int, list[PlannedCell]] = {}
    for cell, index in zip(plan, dealt(plan, count), strict=True):
        shares.setdefault(index + 1, []).append(cell)
    return dict(sorted(shares.items()))


def lacks(
    share: Iterable[PlannedCell], known: Joined, metrics: Iterable[str], *, retry: bool
) -> bool:
    """Whether a cell of a share has no outcome, or a sound of it no score.

    Args:
        share: The cells.
        known: What there is.
        metrics: The names of the metrics.
        retry: A failed cell and an invalid score count as none.
    """
    names = list(metrics)
    for cell in share:
        record = known.cells.get(cell.cell_id)
        if record is None or (retry and record.status in FAILED):
            return True
        if record.status != "ok":
            continue
        scores = [known.scores.get((cell.cell_id, name)) for name in names]
        if any(one is None or (retry and one.status == INVALID) for one in scores):
            return True
    return False


def _at_work(folder: Path, count: int) -> frozenset[int]:
    claims = {number: part_folder(folder, number, count) / CLAIM for number in range(1, count + 1)}
    return frozenset(n for n, claim in claims.items() if holder(claim) is not None)


def task_of(folder: Path, shard: str, words: Sequence[str], device: str) -> Task:
    """The task of a shard.

    Args:
        folder: The run folder.
        shard: Such as `2/8`.
        words: The command line of the run, without folder, device and shard.
        device: Where the shard works.
    """
    index, _, count = shard.partition("/")
    own = ("--device", device, "--out", str(folder), "--shard", shard)
    return Task(
        name=shard,
        words=("run", *words, *own),
        log=folder.absolute() / SHARDS / JOBS / f"{index}-of-{count}.log",
        directory=Path.cwd(),
        environment=_variables(os.environ),
        claim=part_folder(folder.absolute(), int(index), int(count)) / CLAIM,
    )


def closing_tasks(order: Order) -> tuple[Task, ...]:
    """What is done when all shards have ended: say what is missing, and write the tables."""
    folder = str(order.folder)
    return tuple(
        Task(
            name=words[0],
            words=words,
            log=order.jobs / f"{words[0]}.log",
            directory=Path.cwd(),
            environment=_variables(os.environ),
        )
        for words in (("merge", folder), ("report", folder))
    )


def _variables(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((n, value) for n, value in environment.items() if n.startswith(PREFIX)))

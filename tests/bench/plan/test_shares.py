"""Shares of a plan: whole chunks, disjoint, complete, even; where a shard's number is read."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from bench.api import ConfigError
from bench.plan.shares import Shard, dealt, find_shard, share_of
from bench.records.schema import PlannedCell


def plan_of(rng: np.random.Generator) -> list[PlannedCell]:
    """Some methods, styles, repetitions and contents in chunks of at most eight, as planned."""
    methods, styles, repetitions, contents = rng.integers(1, (8, 7, 4, 20))
    size = int(rng.integers(1, 9))
    return [
        PlannedCell.model_construct(
            cell_id=f"{m}-{s}-{r}-{c}", chunk=f"{m}-{s}-{r}-{c // size}",
            method=f"m{m}", style=f"s{s}", repetition=r, content=f"c{c}",
        )
        for m in range(methods)
        for s in range(styles)
        for r in range(repetitions)
        for c in range(contents)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_shares_are_disjoint_complete_even_and_of_whole_chunks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plan, count = plan_of(rng), int(rng.integers(1, 40))
    shares = [share_of(plan, Shard(index + 1, count)) for index in range(count)]
    assert sorted(c.cell_id for share in shares for c in share) == sorted(c.cell_id for c in plan)
    place = {cell.cell_id: number for number, cell in enumerate(plan)}
    for share in shares:
        assert all(place[a.cell_id] < place[b.cell_id] for a, b in pairwise(share))
    holders: dict[str, set[int]] = {}
    for number, share in enumerate(shares):
        for cell in share:
            holders.setdefault(cell.chunk, set()).add(number)
    assert {len(found) for found in holders.values()} == {1}
    largest = max(Counter(cell.chunk for cell in plan).values())
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 2 * largest


@pytest.mark.parametrize("seed", range(10))
def test_every_share_has_its_part_of_each_method(seed: int) -> None:
    """A dear method shall not fall to one shard: with equal loads all get the same of it."""
    rng = np.random.default_rng(seed)
    size, count = int(rng.integers(1, 5)), int(rng.integers(2, 6))
    plan = [
        PlannedCell.model_construct(
            cell_id=f"{m}-{c}", chunk=f"{m}-{c // size}", method=f"m{m}", style="s", repetition=0
        )
        for m in range(4)
        for c in range(3 * size * count)
    ]
    found = Counter(zip(dealt(plan, count), (cell.method for cell in plan), strict=True))
    assert set(found.values()) == {3 * size}
    assert len(found) == 4 * count


def test_a_share_needs_few_fits() -> None:
    """Three repetitions and three shards: each shard needs the fits of one repetition alone."""
    plan = [
        PlannedCell.model_construct(
            cell_id=f"{s}-{r}-{c}", chunk=f"{s}-{r}-{c // 2}",
            method="m", style=f"s{s}", repetition=r,
        )
        for s in range(4)
        for r in range(3)
        for c in range(4)
    ]  # fmt: skip
    for index in range(3):
        assert {cell.repetition for cell in share_of(plan, Shard(index + 1, 3))} == {index}


SLURM = {
    "SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "8",
    "SLURM_PROCID": "0", "SLURM_NTASKS": "1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        (SLURM, "7/8"),
        (SLURM | {"SLURM_ARRAY_TASK_MIN": "0"}, "8/8"),
        (SLURM | {"SLURM_ARRAY_TASK_STEP": "3", "SLURM_ARRAY_TASK_MIN": "1"}, "3/8"),
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "4"}, "4/4"),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, "1/2"),
        (
            {
                "SGE_TASK_ID": "5", "SGE_TASK_FIRST": "1", "SGE_TASK_LAST": "9",
                "SGE_TASK_STEPSIZE": "2",
            },
            "3/5",
        ),
        ({"SGE_TASK_ID": "undefined", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, "2/2"),
    ],
)  # fmt: skip
def test_the_number_is_read_from_the_scheduler_and_its_source_is_said(
    environment: dict[str, str], name: str
) -> None:
    shard = find_shard("auto", environment)
    assert shard.name == name
    for variable in shard.source.split(", "):
        key, _, value = variable.partition("=")
        assert environment[key] == value


@pytest.mark.parametrize(
    ("words", "environment", "message"),
    [
        ("auto", {}, "none of them is set here. Run it as a task of a scheduler, or name"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "1"}, "none of them is set"),
        ("auto", SLURM | {"SLURM_ARRAY_TASK_ID": "9"}, "no shard 9/8 .SLURM_ARRAY_TASK_ID=9"),
        ("auto", SLURM | {"SLURM_ARRAY_TASK_STEP": "4"}, "not the numbers of tasks that rise"),
        ("auto", SLURM | {"SLURM_ARRAY_TASK_ID": "x"}, "not the numbers of tasks that rise"),
        ("0/8", {}, "there is no shard 0/8 .as asked."),
        ("9/8", {}, "there is no shard 9/8"),
        ("1/9999999", {}, "at most"),
        ("2 of 8", {}, "'2 of 8' is no shard; write its number and how many there are"),
        ("", {}, "is no shard"),
        ("\u0662/\u0668", {}, "is no shard"),
    ],
)
def test_what_is_no_shard_is_refused(words: str, environment: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_shard(words, environment)

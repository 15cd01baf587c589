"""What a shard does with its share: group after group, those first whose fits nobody else makes.

A group is the cells of one method and repetition, which need the same fits. Each shard begins with
another group, so that different shards learn different styles; a group whose styles another shard
is learning just now comes later.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from bench.api import Progress
from bench.plan.shares import Shard
from bench.records import store
from bench.records.schema import CellRecord, PlannedCell
from bench.run.claims import POLL_S
from bench.run.company import waiting
from bench.run.context import RunContext
from bench.run.runner import check_space, render
from bench.run.studio import Studio

Group = list[PlannedCell]


def render_share(
    context: RunContext,
    cells: Sequence[PlannedCell],
    studios: Mapping[str, Studio],
    shard: Shard,
    *,
    retry: bool = False,
) -> dict[str, CellRecord]:
    """Render what is missing of a share; returns the latest record of each of its cells.

    Args:
        context: What the methods share.
        cells: The share, in the order of the plan.
        studios: The methods by label, each with its company.
        shard: Which share it is.
        retry: Failed cells are rendered again.
    """
    known = store.read_cells(context.folder, of={cell.cell_id for cell in cells})
    check_space(context.folder, len(cells) - len({record.cell_id for record in known}))
    groups, settled = in_turn(cells, shard), dict[str, CellRecord]()
    done, total = 0, max(1, len(cells))
    while groups:
        group = _next(groups, studios, _within(context.progress, done / total, 0.0))
        groups.remove(group)
        told = _within(context.progress, done / total, len(group) / total)
        part = replace(context, progress=told)
        settled |= render(part, group, studios, retry=retry, known=known)
        done += len(group)
    for studio in studios.values():
        if studio.company is not None:
            studio.company.tidy()
    return settled


def in_turn(cells: Sequence[PlannedCell], shard: Shard) -> list[Group]:
    """The groups of a share, turned round so that neighbouring shards begin with different ones."""
    methods = {method: place for place, method in enumerate(dict.fromkeys(c.method for c in cells))}
    ordered = sorted(cells, key=lambda cell: (methods[cell.method], cell.repetition))
    groups = [
        list(group) for _, group in groupby(ordered, lambda cell: (cell.method, cell.repetition))
    ]
    first = (shard.index - 1) % max(1, len(groups))
    return [*groups[first:], *groups[:first]]


def _next(groups: Sequence[Group], studios: Mapping[str, Studio], progress: Progress) -> Group:
    """The first group whose styles nobody else is learning; waits while there is none."""
    said = ""
    while True:
        for group in groups:
            company = studios[group[0].method].company
            owner = None if company is None else company.elsewhere(group[0].repetition)
            if owner is None:
                return group
            said = f"{group[0].method}: {waiting(owner)}"
        progress(0.0, said)
        time.sleep(POLL_S)


def _within(progress: Progress, begun: float, share: float) -> Progress:
    """What tells the progress of a part of the work, from where it began."""
    return lambda fraction, words: progress(begun + fraction * share, words)

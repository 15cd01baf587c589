"""How far all tasks of a submission are, from the records of the folder that they share."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path

from bench.api import Progress
from bench.records import store
from bench.records.schema import OPEN

PART_OF_TIME = 0.05  # that may go into looking


def cells_done(folder: Path, ids: Collection[str]) -> int:
    """How many of some cells have an outcome in a run folder."""
    records = store.read_cells(folder, of=ids)
    return len({r.cell_id for r in records if r.status not in OPEN})


def follower(
    folder: Path, ids: Collection[str], count: int, progress: Progress
) -> Callable[[int], None]:
    """What shows how far the tasks are each time it is told how many have ended.

    Args:
        folder: The run folder.
        ids: The ids of all cells of the plan.
        count: How many tasks there are.
        progress: Where it is shown.
    """
    next_look = 0.0

    def look(ended: int) -> None:
        nonlocal next_look
        begun = time.monotonic()
        if begun < next_look and ended < count:
            return
        done = cells_done(folder, ids)
        progress(
            done / max(1, len(ids)),
            f"shards: {done} of {len(ids)} cells, {ended} of {count} tasks ended",
        )
        spent = time.monotonic() - begun
        next_look = begun + spent / PART_OF_TIME

    return look

"""Writing chunks down, at most one behind the device.

What was handed over is written down whatever comes: an error elsewhere, Ctrl-C or SIGTERM wait for
it, and a record is written only when its audio is on the disk. Chunks are written one after the
other, so that the records of a run stand in the order of its plan.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from bench.batching import Aside
from bench.errors import unbroken
from bench.records import store
from bench.records.schema import CellRecord
from bench.run.chunks import Writing


class Outbox:
    """The chunk that is being written down while the device works on the next one.

    Where nothing overlaps (see `bench.batching`) a chunk is written when it is handed over.

    Args:
        log: Where records are appended.
        settled: Gets the records of chunks that are written, by their cells.
        device: What works meanwhile.
    """

    def __init__(self, log: Path, settled: dict[str, CellRecord], device: str) -> None:
        self.settled = settled
        self.log = log
        self._aside = Aside(device)
        self._ending: Writing | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the last chunk."""
        with self._aside, unbroken():
            self._wait()

    def take(self, writing: Writing) -> None:
        """Write a chunk down when the one before it is written.

        Raises:
            OSError: A chunk could not be written, as on a full disk: this one, or the one before
                it, and this one then is not begun.
        """
        with unbroken():
            self._wait()
            self._ending = self._aside.begin(lambda: self._written(writing))
            if not self._aside.overlaps:
                self._wait()

    def _written(self, writing: Writing) -> list[CellRecord]:
        records = writing()
        store.append(self.log, records)
        return records

    def _wait(self) -> None:
        ending, self._ending = self._ending, None
        if ending is not None:
            self.settled.update({record.cell_id: record for record in ending()})

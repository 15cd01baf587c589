"""What the methods and metrics of this project cost, counted and timed once: the shipped table.

`python -m tests.benchmarks.operations` makes `operations.json`. A row has two costs of a unit, each
as what every unit takes and what a pass adds to it: the operations that torch counts, and the
matrix products that would have taken as long on the device where it was timed. Fourier transforms
and the like are in the second alone. Both are held to the rate of matrix products, so a row holds
on other machines as far as these do everything else as much faster.

**Conventions**: Gflop (1e9 operations, a multiply-add counting as two) per unit of
`bench.estimate.work`; bytes.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field

from bench.outside.texts import MOST_JSON_BYTES, read_text
from bench.records.rates import Stage
from bench.records.schema import Record

FILE = Path(__file__).parent / "operations.json"
# Of the rate of matrix products, for networks that were counted but never timed on such a device:
# between the 7 % of a training step of one row and the 32 % of a batch on an H200.
ASSUMED_SHARE = 0.2


class Line(Record):
    """A cost that grows with the passes: `fixed + per_pass x passes`."""

    fixed: float
    per_pass: float = 0.0

    def at(self, passes: float) -> float:
        """The cost at so many passes.

        Example:
            >>> Line(fixed=1, per_pass=2).at(10)
            21.0
        """
        return self.fixed + self.per_pass * passes


class Row(Record):
    """What one unit of a stage of a method or metric costs.

    Attributes:
        stage: Which.
        name: Of the method or metric in the catalog; "metrics" for the loading of all of them.
        profile: Of the checkpoints.
        counted: Gflop that torch counts; None where it counts none.
        as_long_as: Gflop of matrix products that take as long, by kind of device ("cpu", "cuda").
        family: Metrics that look at an output together, so that it is paid for once.
        memory_bytes: Largest memory of the process (of the device on CUDA).
        disk_bytes: What a unit leaves on the disk.
        source: Where it was timed.
    """

    stage: Stage
    name: str
    profile: str
    counted: Line | None = None
    as_long_as: dict[str, Line] = Field(default_factory=dict)
    family: str | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    source: str

    def equivalent(self, kind: str) -> Line | None:
        """Gflop of matrix products that take as long on a kind of device; None if none can be said.

        Counted operations stand for it where nothing was timed, at `ASSUMED_SHARE` of the rate.
        """
        if kind in self.as_long_as or self.counted is None:
            return self.as_long_as.get(kind)
        return Line(
            fixed=self.counted.fixed / ASSUMED_SHARE, per_pass=self.counted.per_pass / ASSUMED_SHARE
        )


class Table(Record):
    """All rows."""

    rows: tuple[Row, ...]


@lru_cache(maxsize=1)
def shipped() -> tuple[Row, ...]:
    """The rows of the shipped table."""
    return Table.model_validate_json(read_text(FILE, MOST_JSON_BYTES)).rows


def row_of(stage: Stage, name: str, profile: str) -> Row | None:
    """The row of a stage of a method or metric, None for what does not ship with this project."""
    place = (stage, name, profile)
    found = (row for row in shipped() if (row.stage, row.name, row.profile) == place)
    return next(found, None)

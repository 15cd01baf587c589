"""A table before it has a format: numbers with their intervals, and words about what is missing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bench.statistics.intervals import Interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with the ends of its interval or its quartiles; NaN ends mean that it has none.

    `best` marks the best of a column and whatever cannot be told apart from it. `says_n` prints `n`
    beside the number, where it rests on fewer cells than its row says.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    best: bool = False
    says_n: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """A cell without a number: `mark` is printed in it, and `reason` goes to the CSV."""

    mark: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PValue:
    """A p-value, which is never printed as 0."""

    value: float


Value: TypeAlias = str | int | float | Estimate | PValue | Missing | None
RowKind = Literal["measured", "imputed", "common", "mean", "total", "published", "card"]
MIB = 1024**2  # bytes; tables show memory in MiB


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `decimals` rounds its numbers; a terminal leaves out columns that are `wide`."""

    key: str
    title: str
    decimals: int = 3
    text: bool = False
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row; a rule is drawn where `group` changes. `kind` says how its numbers came about.

    `method` is the label of the method whose numbers they are, where a figure needs it.
    """

    cells: tuple[Value, ...]
    group: str = ""
    kind: RowKind = "measured"
    method: str = ""


@dataclass(frozen=True, slots=True)
class ResultTable:
    """A finished table.

    Args:
        title: Its caption.
        label: Its name in LaTeX references, as in ``tab:table2``.
        identity: Suite name and digest, printed with every format.
        columns: The columns, in order.
        rows: The rows, each with one value per column.
        notes: What must be read with the numbers.
        empty: Where it has no rows, why that is and what gives it some.
    """

    title: str
    label: str
    identity: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    empty: str = ""

    def __post_init__(self) -> None:
        """Check that every row has one value per column."""
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(
                    f"table {self.label!r}: a row has {len(row.cells)} values for "
                    f"{len(self.columns)} columns; give one value per column, None for blank."
                )

    def column(self, key: str) -> tuple[Value, ...]:
        """The values of one column, top to bottom.

        Raises:
            KeyError: No column has this key.
        """
        keys = [column.key for column in self.columns]
        if key not in keys:
            raise KeyError(f"table {self.label!r} has no column {key!r}; it has {keys}.")
        return tuple(row.cells[keys.index(key)] for row in self.rows)


def estimate(interval: Interval) -> Estimate:
    """An interval as a table value."""
    return Estimate(interval.mean, interval.low, interval.high, interval.n)

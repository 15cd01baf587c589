"""The one number of each method and metric by which methods are put in an order.

It is that of Table II: the mean with each failed cell as the worst score where any cell failed,
else the mean as it was measured. So failing cannot lift a method. Where methods have scores of
different cells there is a second number, over the cells that all judged competitors have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bench.records.schema import MetricEntry
from bench.records.store import Run
from reports.tables import reading
from reports.tables.table2 import table2
from reports.text.result_table import Estimate, ResultTable, Row, Value


@dataclass(frozen=True, slots=True)
class Placed:
    """A method with its numbers.

    Args:
        label: Its label in the run.
        control: Whether it is a control, which does not compete.
        values: By metric, as in Table II.
        common: By metric over the common cells; empty where all competitors have the same cells.
        n: The most (style, content) cells that a number rests on.
        common_n: The same of the common cells.
        coverage: Cells that ended well with valid scores, and all that were planned.
        failed: How many cells failed, in words; empty where none did.
    """

    label: str
    control: bool
    values: Mapping[str, Value]
    common: Mapping[str, Value]
    n: Value
    common_n: Value
    coverage: str
    failed: str


def placed(run: Run, table: ResultTable | None = None) -> tuple[Placed, ...]:
    """The methods of a run that have cells, in the order of Table II.

    Args:
        run: The run.
        table: Its Table II, where that has been built already.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    shown = table2(run) if table is None else table
    metrics = reading.ordered_metrics(run)
    kinds: dict[str, dict[str, Row]] = {}
    for row in shown.rows:
        if row.method:
            kinds.setdefault(row.method, {})[row.kind] = row
    controls = {entry.label for entry in run.header.methods if entry.control}
    return tuple(
        _placed(label, rows, metrics, control=label in controls) for label, rows in kinds.items()
    )


def _placed(
    label: str, rows: Mapping[str, Row], metrics: list[MetricEntry], *, control: bool
) -> Placed:
    measured = rows["measured"]
    judged = rows.get("imputed", measured)
    marked = _values(measured, metrics)
    values = {
        name: _with_mark(value, marked[name]) for name, value in _values(judged, metrics).items()
    }
    common = _values(rows["common"], metrics) if "common" in rows else {}
    failed = str(judged.cells[-1]) if "imputed" in rows else ""
    common_n = rows["common"].cells[-2] if "common" in rows else None
    return Placed(
        label,
        control,
        values,
        common,
        n=judged.cells[-2],
        common_n=common_n,
        coverage=str(measured.cells[-1]),
        failed=failed,
    )


def _values(row: Row, metrics: list[MetricEntry]) -> dict[str, Value]:
    """The values of a row of Table II by metric; n and coverage stand after them."""
    first = len(row.cells) - len(metrics) - 2
    return {metric.name: row.cells[first + place] for place, metric in enumerate(metrics)}


def _with_mark(value: Value, measured: Value) -> Value:
    """The value marked as one of the best where Table II marks the measured one."""
    if isinstance(value, Estimate) and isinstance(measured, Estimate):
        return replace(value, best=measured.best)
    return value

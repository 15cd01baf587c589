"""A `ResultTable` as plain data, for JSON that a script reads."""

from __future__ import annotations

import math

from bench.api import Json
from reports.text.result_table import Estimate, Missing, PValue, ResultTable, Value


def plain_table(table: ResultTable) -> dict[str, Json]:
    """A table with all its digits.

    Returns:
        `label`, `title`, `identity`, `notes`; `columns`, each with `key` and `title`; and `rows`,
        each with `kind`, `group`, `method` and `values`, one per column (see `plain_value`).
    """
    return {
        "label": table.label,
        "title": table.title,
        "identity": table.identity,
        "notes": [*table.notes],
        "columns": [{"key": column.key, "title": column.title} for column in table.columns],
        "rows": [
            {
                "kind": row.kind,
                "group": row.group,
                "method": row.method,
                "values": [plain_value(value) for value in row.cells],
            }
            for row in table.rows
        ],
    }


def plain_value(value: Value) -> Json:
    """A value of a table: a text, a number, an object, or null for a blank.

    An estimate becomes `value`, `low`, `high`, `n` and `best`; what is missing becomes `missing`,
    the mark that is printed, and `reason`; a p-value becomes `p`. JSON has no NaN or infinity: they
    become null.

    Example:
        >>> plain_value(Estimate(0.5, n=1)), plain_value(Missing("n/a", "no clip"))
        ({'value': 0.5, 'low': None, 'high': None, 'n': 1, 'best': False}, \
{'missing': 'n/a', 'reason': 'no clip'})
    """
    if isinstance(value, Estimate):
        ends = {"value": value.value, "low": value.low, "high": value.high}
        known: dict[str, Json] = {name: _finite(end) for name, end in ends.items()}
        return {**known, "n": value.n, "best": value.best}
    if isinstance(value, Missing):
        return {"missing": value.mark, "reason": value.reason}
    if isinstance(value, PValue):
        return {"p": _finite(value.value)}
    return _finite(value) if isinstance(value, float) else value


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None

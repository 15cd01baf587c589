"""A run folder as a table: one row is one planned cell, whether or not it has run.

The columns are explained here in words, with their units; `bench.load_records` is the door to this
for notebooks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.records.schema import NOT_RUN, Record
from bench.records.store import Run, load_run

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: dict[str, str] = {
    "run_id": "the run: when it was begun, and the head of its suite's digest",
    "suite": "name of the suite",
    "profile": "mini or full: which checkpoints",
    "device": "cpu, cuda:0, mps",
    "cell_id": "identity of the cell, 16 hex digits; the same cell has it in every run",
    "chunk": "the batch it was rendered in, 16 hex digits",
    "method": "label as tables print it, such as tve[strength=0.5]",
    "method_name": "catalog name or file.py:Class, without parameters",
    "style": "id of the style in the dataset",
    "content": "id of the content in the dataset",
    "category": "category of the content",
    "repetition": "from 0; each has seeds of its own",
    "seed": "of the transfer; the same for every method",
    "fit_seed": "of the fit",
    "content_seed": "of what is drawn for the content alone; the same for every style and method",
    "status": "ok; unsupported (declined); invalid_output, error, oom, timeout, crash (failed); "
    "cancelled (not run)",
    "reason": "why the status is not ok",
    "exception": "class of what the method raised",
    "attempt": "how often the cell was begun",
    "identity": "digest of the method's code and weights, 32 hex digits",
    "audio": "output, path within the run folder",
    "audio_digest": "SHA-256 of rate, shape and samples of the output",
    "sample_rate": "of the output, Hz",
    "duration_s": "length of the output, seconds",
    "peak": "largest absolute sample of the output; above 1 is beyond full scale",
    "fit_key": "identity of the fit in the cache",
    "load_s": "loading the method's models, seconds, once per run",
    "fit_s": "the whole fit that this cell used, seconds; the same for every cell of the fit",
    "fit_cached": "whether the fit came from the cache, or was learnt with another method's; fit_s "
    "is then what it cost when made, or its share",
    "transfer_s": "this cell's share of its batch, seconds",
    "transfer_cached": "whether the output came from the cache; transfer_s as with fit_s",
    "peak_memory_bytes": "largest memory of the process (CPU) or device so far, bytes",
    "calibration_s": "a fixed kernel timed beside the batch, seconds: the pace of the machine",
    "operations": "calls counted in the batch, by name",
    "finished_at": "when the cell ended, ISO 8601, UTC",
}
OF_PARAMETERS = {"parameter.<name>": "a parameter of the method; empty where it has none"}
OF_METRICS = {
    "<metric>": "the reported score, such as cp; empty where there is none",
    "<metric>.raw": "before clipping; for CLAP metrics the cosine in [-1, 1]; statistics use it",
    "<metric>.status": "ok; silent (a number with a caveat); unsupported, invalid_output, "
    "invalid_score (none)",
}


def explain(column: str, metrics: list[str]) -> str:
    """What a column of the table means; `metrics` are those of the run.

    Raises:
        KeyError: The table has no such column.

    Example:
        >>> explain("sf.seen.status", ["sf.seen"])
        'ok; silent (a number with a caveat); unsupported, invalid_output, invalid_score (none)'
    """
    if column.startswith("parameter."):
        return OF_PARAMETERS["parameter.<name>"]
    for metric in metrics:
        if column in {metric, f"{metric}.raw", f"{metric}.status"}:
            return OF_METRICS["<metric>" + column.removeprefix(metric)]
    return COLUMNS[column]


RUN_COLUMNS = ("run_id", "suite", "profile", "device")


def frame(run: Run) -> pd.DataFrame:
    """The table of a run, one row per planned cell.

    Columns hold identity, outcome and cost, and for each metric `<metric>`, `<metric>.raw` and
    `<metric>.status`.
    """
    import pandas as pd

    if not run.plan:
        return pd.DataFrame()
    ids = [cell.cell_id for cell in run.plan]
    cells = run.cells
    columns = _facts(run.plan)
    columns |= _parameters([cell.parameters for cell in run.plan])
    columns |= _facts([cells.get(cell_id, NOT_RUN) for cell_id in ids]) | {"cell_id": ids}
    for metric in run.header.metrics:
        columns |= _score_columns(run, ids, metric.name)
    return pd.DataFrame(columns)


def load_frame(folder: str | Path) -> pd.DataFrame:
    """The table of `explained_frame` of a run folder.

    Raises:
        RecordError: The folder holds no run, or one that this version cannot read.
    """
    return explained_frame(load_run(folder))


def explained_frame(run: Run) -> pd.DataFrame:
    """The table of `frame` with the run's own columns first; its `attrs` explain every column."""
    table, header = frame(run), run.header
    own = (header.run_id, header.suite_name, header.profile, header.device)
    for place, (name, value) in enumerate(zip(RUN_COLUMNS, own, strict=True)):
        table.insert(place, name, value)
    metrics = [metric.name for metric in header.metrics]
    table.attrs["columns"] = {str(name): explain(str(name), metrics) for name in table.columns}
    return table


def _facts(records: Sequence[Record]) -> dict[str, list[Any]]:
    """The fields of like records as columns; not `model_dump`, which is slow and copies."""
    fields = [f for f in type(records[0]).model_fields if f not in {"schema_version", "parameters"}]
    return {field: [getattr(record, field) for record in records] for field in fields}


def _parameters(given: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """A column per parameter that any cell has; NaN where a cell's method has no such parameter."""
    names = dict.fromkeys(name for parameters in given for name in parameters)
    return {f"parameter.{name}": [one.get(name, math.nan) for one in given] for name in names}


def _score_columns(run: Run, ids: Sequence[str], metric: str) -> dict[str, list[Any]]:
    found = [run.scores.get((cell_id, metric)) for cell_id in ids]
    return {
        metric: [None if score is None else score.value for score in found],
        f"{metric}.raw": [None if score is None else score.raw for score in found],
        f"{metric}.status": [None if score is None else score.status for score in found],
    }

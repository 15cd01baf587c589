"""The columns of the table that `bench.load_records` gives, in words and with their units.

One row is one planned cell: method x style x content x repetition, whether or not it has run.
"""

from __future__ import annotations

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
    "status": "ok; unsupported (declined); invalid_output, error, oom, timeout, crash (failed); "
    "cancelled (not run)",
    "reason": "why the status is not ok",
    "exception": "class of what the method raised",
    "attempt": "how often the cell was begun",
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
    "<metric>.status": "ok; silent (a number with a caveat); unsupported, invalid_output (none)",
}


def explain(column: str, metrics: list[str]) -> str:
    """What a column of the table means; `metrics` are those of the run.

    Raises:
        KeyError: The table has no such column.

    Example:
        >>> explain("sf.seen.status", ["sf.seen"])
        'ok; silent (a number with a caveat); unsupported, invalid_output (none)'
    """
    if column.startswith("parameter."):
        return OF_PARAMETERS["parameter.<name>"]
    for metric in metrics:
        if column in {metric, f"{metric}.raw", f"{metric}.status"}:
            return OF_METRICS["<metric>" + column.removeprefix(metric)]
    return COLUMNS[column]

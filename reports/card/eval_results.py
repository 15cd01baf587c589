"""Results of methods in the form in which the hub reads them from model repositories.

The hub shows a score on a model's page when that *model* repository holds a YAML file in
`.eval_results/`, and collects them for the leaderboard of the *dataset* repository that the file
names, once the hub has accepted that dataset as a benchmark. A dataset repository shows none of
these files. They are published beside the records so that whoever keeps the repository of a model
can copy the one of that method.

Source: the hub's documentation, "Evaluation Results" and its file `eval_results.yaml` (2026-08):
`dataset.id`, `dataset.task_id` and `value` are required; `date`, `source` (`url`, `name`) and
`notes` are given as well; nothing else is.

**Conventions**: a task is a metric, by its name, such as `cp`; a value is the mean of Table II with
each failed cell as the worst score, unrounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from bench.outside.wording import one_line
from bench.records.schema import MetricEntry
from bench.records.store import Run
from reports.tables import reading
from reports.tables.placing import Placed
from reports.text import formats
from reports.text.result_table import Estimate

FOLDER = ".eval_results"
MINI = "results of mini models belong to no repository of a model, and are not to be compared"
_DECIMALS = 3


def eval_results(
    run: Run, methods: Sequence[Placed], benchmark: str, source: str
) -> dict[str, list[dict[str, Any]]]:
    """The entries of each method that competes and has a number, by the name of its file.

    Args:
        run: The run, of the full profile.
        methods: Its methods with their numbers.
        benchmark: OWNER/NAME of the dataset in whose leaderboard the results shall stand.
        source: The address at which the run is published.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for one in methods:
        entries = [] if one.control else _entries(run, one, benchmark, source)
        if entries:
            found[f"{FOLDER}/{_file_name(one.label, found)}"] = entries
    return found


def _entries(run: Run, one: Placed, benchmark: str, source: str) -> list[dict[str, Any]]:
    return [
        {
            "dataset": {"id": benchmark, "task_id": metric.name},
            "value": value.value,
            "date": run.header.created_at,
            "source": {"url": source, "name": "records and tables of the run"},
            "notes": _notes(run, one, metric, value),
        }
        for metric in reading.ordered_metrics(run)
        if isinstance(value := one.values[metric.name], Estimate) and math.isfinite(value.value)
    ]


def _notes(run: Run, one: Placed, metric: MetricEntry, value: Estimate) -> str:
    words = [
        f"{one_line(metric.title)}, {metric.direction}",
        f"mean [95 % interval] {formats.show(value, _DECIMALS)}",
        f"n = {value.n} (style, content) cells",
        f"method {one_line(one.label)}",
        f"suite {reading.identity(run)}",
    ]
    return "; ".join([*words, f"{one.failed}, each as the worst score"] if one.failed else words)


def _file_name(label: str, taken: dict[str, Any]) -> str:
    """A label in letters that every file system takes; a second one of a name gets a number."""
    stem = re.sub(r"[^A-Za-z0-9.=_-]+", "-", label).strip("-.") or "method"
    names = [f"{stem}.yaml", *(f"{stem}-{n}.yaml" for n in range(2, len(taken) + 2))]
    return next(name for name in names if f"{FOLDER}/{name}" not in taken)

"""In which process a plug-in lives, and opening and closing it there.

A plug-in is an object of this process, or it lives in a worker process of its own
(`bench.plugins.isolated`), where nothing that it does can end the run:

* whatever has an environment of its own always lives in a worker;
* a method or metric lives in a worker too where it comes from outside, and a method where it has a
  time limit; `--isolate` gives every method one, `--no-isolate` imports what comes from outside
  here;
* everything else lives in this process: metrics of this project always do, as they share networks.

Importing this module imports no plug-in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.api import ConfigError, Entry, Metric, StyleTransferMethod
from bench.plugins.catalog import resolve
from bench.plugins.inspection import is_outside
from bench.plugins.isolated import Isolated, IsolatedMetric


@dataclass(frozen=True, slots=True)
class Isolation:
    """What was asked about the worker processes of methods and metrics.

    Args:
        wanted: Whether methods of this environment, and metrics from outside, get a worker. None
            gives one to what comes from outside, and to all methods where there is a time limit.
        limit_s: Longest time for one chunk, for each style of a fit and for each output that a
            metric from outside scores, seconds; None sets no limit.

    Raises:
        ConfigError: A time limit without workers.
    """

    wanted: bool | None = None
    limit_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse a time limit without workers."""
        if self.wanted is False and self.limit_s is not None:
            raise ConfigError(
                f"--timeout {self.limit_s:g} was given with --no-isolate; only a method in a "
                "worker process can be stopped. Leave one of them out."
            )

    def needs_worker(self, entry: Entry) -> bool:
        """Whether the method of a catalog entry lives in a worker process."""
        if entry.environment is not None:
            return True
        if self.wanted is not None:
            return self.wanted
        return self.limit_s is not None or is_outside(entry.target)

    def metric_needs_worker(self, entry: Entry) -> bool:
        """Whether the metric of a catalog entry lives in a worker process."""
        apart = self.wanted is not False and is_outside(entry.target)
        return apart or entry.environment is not None


USUAL = Isolation()
IN_THIS_PROCESS = Isolation(wanted=False)  # except what has an environment of its own


def open_method(entry: Entry, log: Path, isolation: Isolation = USUAL) -> StyleTransferMethod[Any]:
    """Make a method, in the process where it is to live; nothing is loaded yet.

    Args:
        entry: Its line of the catalog.
        log: Where the output of its worker goes, if it has one; the folder must exist.
        isolation: What was asked about workers.
    """
    if isolation.needs_worker(entry):
        return Isolated(entry, log, isolation.limit_s)
    made: StyleTransferMethod[Any] = resolve(entry)(**dict(entry.settings))
    return made


def open_metric(entry: Entry, log: Path, isolation: Isolation = USUAL) -> Metric:
    """Make a metric, in the process where it is to live; arguments are those of `open_method`."""
    if isolation.metric_needs_worker(entry):
        return IsolatedMetric(entry, log, isolation.limit_s)
    settings = {"name": entry.name, **dict(entry.settings)} if entry.name else {}
    made: Metric = resolve(entry)(**settings)
    return made


def close(plugin: StyleTransferMethod[Any] | Metric) -> None:
    """End the worker of a plug-in; one of this process needs nothing.

    A method that was closed is of no use any more; open another.
    """
    if isinstance(plugin, Isolated | IsolatedMetric):
        plugin.close()


def worker_peak_bytes(plugin: StyleTransferMethod[Any] | None) -> int | None:
    """Largest memory so far of the worker that a method lives in; None where it has none."""
    return plugin.peak_bytes if isinstance(plugin, Isolated) else None

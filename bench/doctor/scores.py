"""What the doctor finds out about the metrics: whether they give their reference values here.

Unlike everything else that the doctor does, this loads models.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bench.api import Profile, UnsupportedError
from bench.checkout import INSTALL
from bench.device import resolve_device
from bench.doctor.findings import Finding
from bench.doctor.reference import Row, Verdict, compare, nothing_remembered, read_table
from bench.outside.wording import one_line
from bench.plugins.catalog import find_metric
from bench.plugins.opening import close, open_metric
from bench.weights import quiet_loaders


def reference_values() -> list[Finding]:
    """Lines for every row of the table, on the device that `--device auto` would take."""
    quiet_loaders()
    device = resolve_device("auto")
    with nothing_remembered():
        return list(_findings(device))


def _findings(device: str) -> Iterator[Finding]:
    without: dict[str, list[str]] = {}
    for (name, profile), row in read_table().items():
        topic = name if profile == "mini" else f"{name} ({profile})"
        if row.not_here:
            without.setdefault(row.not_here, []).append(topic)
            continue
        try:
            yield _finding(topic, row, _verdict(row, name, profile, device), device)
        except UnsupportedError as refusal:  # what it needs is optional, and not here
            without.setdefault(str(refusal), []).append(topic)
        except Exception as error:  # noqa: BLE001 - a metric that fails is a finding, like any other
            yield Finding(topic, f"{type(error).__name__}: {one_line(error)}", "wrong", INSTALL)
    for reason, topics in without.items():
        yield Finding("no values", f"{reason}: {', '.join(topics)}")


def _verdict(row: Row, name: str, profile: Profile, device: str) -> Verdict:
    metric = open_metric(find_metric(name), Path(os.devnull))
    try:
        metric.load(profile, device)
        return compare(row, metric)
    finally:
        close(metric)


def _finding(topic: str, row: Row, verdict: Verdict, device: str) -> Finding:
    aside = f"; {'; '.join(verdict.libraries)}" if verdict.libraries else ""
    if verdict.fault:
        return Finding(topic, f"{verdict.fault}{aside}", "wrong", INSTALL)
    apart = f"at most {verdict.largest:.0e} apart" if verdict.largest else "to the last digit"
    words = f"{len(row.scores)} scores as in the table on {device}, {apart}"
    return Finding(topic, f"{words} (allowed {row.tolerance:.0e}){aside}")

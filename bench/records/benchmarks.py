"""Timings of single functions, read from the JSON that pytest-benchmark writes.

`pytest --benchmark-json=FILE` times a function in rounds. A benchmark whose name holds the word
`calibration` is the yardstick: with one in the file, the others are compared as ratios to it, so
that a slower machine does not look like a slower function.

`tests/benchmarks/watching.py` adds how busy the machine was, and the functions that did not end in
their time: neither a disturbed time nor a missing one is a time.

**Conventions**: seconds per call; `rounds` are the single measurements, oldest first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import RecordError
from bench.outside.texts import MOST_JSON_BYTES, parse_json, read_text
from bench.records.schema import Record
from bench.records.timings import disturbance

CALIBRATION = "calibration"
KEPT = 50  # rounds of a function: more tell no more, and a baseline is a file to be read


class Benchmark(Record):
    """One timed function.

    Attributes:
        name: As pytest names it.
        machine: Processor and cores.
        median_s: Of its rounds; None where it did not end within `limit_s`.
        rounds: Some of them.
        calibration_s: Median of the yardstick in the same file.
        limit_s: Within which it did not end.
        disturbed: Why its time cannot be judged; empty on a quiet machine.
    """

    name: str
    machine: str
    median_s: float | None
    rounds: tuple[float, ...] = ()
    calibration_s: float | None = None
    limit_s: float | None = None
    disturbed: str = ""


def read_benchmarks(path: Path) -> list[Benchmark]:
    """Read the benchmarks of a pytest-benchmark file, without the yardstick itself.

    Raises:
        RecordError: The file does not exist, or pytest-benchmark did not write it.
    """
    try:
        content = parse_json(read_text(path, MOST_JSON_BYTES))
        entries, machine = content["benchmarks"], _machine(content.get("machine_info") or {})
        medians = {str(entry["fullname"]): float(entry["stats"]["median"]) for entry in entries}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"{path} cannot be read as JSON of pytest-benchmark ({type(error).__name__}: {error}). "
            "Write it with `pytest --benchmark-json=FILE`."
        ) from error
    yardsticks = [median for name, median in medians.items() if CALIBRATION in name]
    unfinished = content.get("unfinished") or []
    watched = {str(e["fullname"]): e.get("extra_info") or {} for e in (*entries, *unfinished)}
    best = min([s for facts in watched.values() for s in facts.get("kernel_s") or ()], default=None)
    timed = {
        str(entry["fullname"]): _thinned(entry["stats"].get("data") or ()) for entry in entries
    }
    return [
        Benchmark(
            name=name,
            machine=machine,
            median_s=medians.get(name),
            rounds=timed.get(name, ()),
            calibration_s=yardsticks[0] if yardsticks else None,
            limit_s=facts.get("limit_s"),
            disturbed=_disturbed(facts, best),
        )
        for name, facts in watched.items()
        if CALIBRATION not in name
    ]


def _disturbed(facts: Mapping[str, Any], best_s: float | None) -> str:
    """Why a function's time cannot be judged, from what was seen beside it."""
    seen = [float(seconds) for seconds in facts.get("kernel_s") or ()]
    if best_s is not None and seen:
        seen.append(best_s)
    return disturbance(seen, load=facts.get("load"), cores=facts.get("cores"))


def _thinned(rounds: Sequence[float]) -> tuple[float, ...]:
    """At most `KEPT` rounds, evenly spread over all."""
    step = -(-len(rounds) // KEPT) or 1
    return tuple(float(value) for value in rounds[::step])


def _machine(facts: Mapping[str, Any]) -> str:
    cpu = facts.get("cpu") or {}
    return f"{cpu.get('brand_raw') or facts.get('machine')}, {cpu.get('count')} cores"


def time_ratio(candidate: Benchmark, baseline: Benchmark) -> float:
    """How many times as long the candidate takes, each relative to its yardstick if both have one.

    1 is as fast, 2 is twice as slow; NaN where the baseline took no time, or one has no time.
    """
    if candidate.median_s is None or not baseline.median_s:
        return math.nan
    ratio = candidate.median_s / baseline.median_s
    if candidate.calibration_s and baseline.calibration_s:
        ratio *= baseline.calibration_s / candidate.calibration_s
    return ratio


def rounds_differ(candidate: Benchmark, baseline: Benchmark) -> float:
    """Two-sided p-value that the rounds of two benchmarks are alike; NaN without rounds.

    The Mann-Whitney test on rounds in units of the yardsticks. Rounds of one process are not
    independent, so a small p alone proves nothing; the gate asks for a large ratio as well.

    References:
        Mann, Whitney (1947), On a Test of Whether one of Two Random Variables is Stochastically
        Larger than the Other.
    """
    from scipy.stats import mannwhitneyu

    both = bool(candidate.calibration_s and baseline.calibration_s)
    ours, theirs = _units(candidate, scaled=both), _units(baseline, scaled=both)
    if not len(ours) or not len(theirs):
        return math.nan
    return float(mannwhitneyu(ours, theirs).pvalue)


def _units(timed: Benchmark, *, scaled: bool) -> np.ndarray:
    rounds: Sequence[float] = timed.rounds
    return np.array(rounds) / (timed.calibration_s if scaled and timed.calibration_s else 1.0)

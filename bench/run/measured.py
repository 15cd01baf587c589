"""What the stages of a session cost, noted so that later sessions can be expected to cost the same.

Only what was really computed counts: nothing that came from the cache, and no cell that failed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.cache import Cache
from bench.device import machine_words
from bench.estimate.work import Subject
from bench.plan.plan import PlannedMethod
from bench.records.rates import Rate, Stage
from bench.records.schema import CellRecord, PlannedCell, ScoreRecord
from bench.run.expecting import (
    METRICS,
    beside,
    facts_of_fit,
    facts_of_transfer,
    metric_subject,
    subject_of,
)
from bench.run.remaining import Remaining
from bench.run.request import Prepared

Facts = tuple[str, float]  # digest of the parameters that decide the cost, and passes
NO_FACTS: Facts = ("", 1.0)


@dataclass(frozen=True, slots=True)
class Spent:
    """What one stage took.

    Args:
        units: How many were done.
        seconds: Together.
        facts: What decides the cost of each.
        memory_bytes: The largest memory of the process or the device.
        disk_bytes: Together.
    """

    units: float
    seconds: float
    facts: Facts = NO_FACTS
    memory_bytes: int | None = None
    disk_bytes: int | None = None


def session_rates(
    prepared: Prepared,
    left: Remaining,
    cells: Mapping[str, CellRecord],
    scores: Iterable[ScoreRecord],
) -> list[Rate]:
    """What the stages of a session cost, a rate for each.

    Args:
        prepared: The run.
        left: What it had left when the session began.
        cells: The latest record of each of its cells.
        scores: All scores of its folder.
    """
    wanted = left.rendered
    new = [
        cell
        for cell in prepared.cells
        if cell.cell_id in wanted and _is_rendered(cells.get(cell.cell_id))
    ]
    rates: list[Rate] = []
    for method in prepared.plan.methods:
        own = [cell for cell in new if cell.method == method.choice.label]
        subject = subject_of(prepared, method)
        rates += [
            rate_of(subject, stage, spent, prepared.device)
            for stage, spent in _spent(prepared, method, own, cells)
        ]
    return [*rates, *_metric_rates(prepared, {cell.cell_id for cell in new}, scores)]


def _is_rendered(record: CellRecord | None) -> bool:
    return record is not None and record.status == "ok" and not record.transfer_cached


def _spent(
    prepared: Prepared,
    method: PlannedMethod,
    own: Sequence[PlannedCell],
    cells: Mapping[str, CellRecord],
) -> Iterator[tuple[Stage, Spent]]:
    """The stages of one method: its loading, and fits and transfers by what decides their cost."""
    records = [(cell, cells[cell.cell_id]) for cell in own]
    peak = max((record.peak_memory_bytes or 0 for _, record in records), default=0) or None
    load_s = max((record.load_s or 0.0 for _, record in records), default=0.0)
    if load_s > 0:
        yield "load", Spent(1, load_s, memory_bytes=peak)
    fits: dict[Facts, dict[str, float]] = defaultdict(dict)
    transfers: dict[Facts, list[CellRecord]] = defaultdict(list)
    for cell, record in records:
        transfers[facts_of_transfer(method, cell)].append(record)
        if method.info.fits_per_style and not record.fit_cached and record.fit_key:
            fits[facts_of_fit(prepared, method, cell)][record.fit_key] = record.fit_s or 0.0
    cache = Cache.default()
    for facts, learnt in fits.items():
        disk = sum(map(cache.state_bytes, learnt))
        yield "fit", Spent(len(learnt), math.fsum(learnt.values()), facts, peak, disk)
    for facts, group in transfers.items():
        length_s = math.fsum(record.duration_s or 0.0 for record in group)
        seconds = math.fsum(record.transfer_s or 0.0 for record in group)
        yield "transfer", Spent(length_s, seconds, facts, peak)


def _metric_rates(
    prepared: Prepared, new: set[str], scores: Iterable[ScoreRecord]
) -> Iterator[Rate]:
    spent: dict[str, dict[str, float]] = {name: {} for name in prepared.metrics}
    for score in scores:
        if score.cell_id in new and score.metric in spent and score.score_s is not None:
            spent[score.metric][score.cell_id] = score.score_s
    facts = (beside(prepared), 1.0)
    for name, seconds in spent.items():
        if seconds:
            done = Spent(len(seconds), math.fsum(seconds.values()), facts)
            yield rate_of(metric_subject(prepared, name), "score", done, prepared.device)
    load_s = prepared.watch.stages.get(f"load {METRICS}", 0.0)
    if load_s > 0 and any(spent.values()):
        subject = Subject(METRICS, METRICS, "", prepared.plan.suite.profile)
        yield rate_of(subject, "load", Spent(1, load_s, facts), prepared.device)


def rate_of(subject: Subject, stage: Stage, spent: Spent, device: str) -> Rate:
    """What a stage took, as a rate of this machine and this hour."""
    parameters, passes = spent.facts
    return Rate(
        stage=stage,
        name=subject.name,
        version=subject.version,
        profile=subject.profile,
        parameters=parameters,
        passes=passes,
        machine=machine_words(device),
        units=spent.units,
        seconds=spent.seconds,
        memory_bytes=spent.memory_bytes,
        disk_bytes=spent.disk_bytes,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )

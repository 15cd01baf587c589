"""What a session is expected to cost, and what it did cost, noted so that the next one knows.

What decides the cost of a stage (`facts_of_fit`, `facts_of_transfer`, `beside`) is the same for
both. Of what a session has done only what was really computed counts: no fit and no output that
came from the cache, and no cell that failed. Scores never come from there.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from bench.api import Json
from bench.cache import Cache
from bench.counts import passes_of
from bench.data.clips import ClipSource, inspect
from bench.description import is_made_elsewhere
from bench.device import machine_words
from bench.estimate.forecast import Forecast, Machine, forecast
from bench.estimate.matmul import matmul_rate
from bench.estimate.work import Subject, Work, fit_digest, passes_of_fit, transfer_digest
from bench.files import json_digest
from bench.plan.plan import PlannedMethod
from bench.plugins.catalog import find_metric
from bench.plugins.parameters import split_parameters
from bench.records.rates import Rate, Stage, read_rates
from bench.records.schema import CellRecord, PlannedCell, ScoreRecord
from bench.run.remaining import Left, Remaining
from bench.run.request import Prepared

METRICS = "metrics"  # the loading of all metrics, as the account of a run names it
_HIGHEST_HZ = 48_000  # supposed of clips that are not here
_BYTES_PER_SAMPLE = 2 + 4  # of the audio file, at most, and of the entry in the cache
Facts = tuple[str, float]  # digest of the parameters that decide the cost, and passes
NO_FACTS: Facts = ("", 1.0)


def expect(
    prepared: Prepared, left: Remaining, matmul: Callable[[str], float] = matmul_rate
) -> Forecast:
    """What is left of a run, with what it is expected to cost on its devices.

    Args:
        prepared: The run.
        left: What it has left.
        matmul: Gives the rate of matrix products of a device, where no other rate is known.
    """
    device = prepared.device
    machine = Machine(
        words=machine_words(device),
        kind=device.partition(":")[0],
        devices=len(prepared.devices),
        matmul=partial(matmul, device),
    )
    return forecast(_works(prepared, left), read_rates(Cache.default().root), machine)


def _works(prepared: Prepared, left: Remaining) -> Iterator[Work]:
    for method in prepared.plan.methods:
        own = left.methods[method.choice.label]
        if is_made_elsewhere(method.choice.name):
            continue  # files are read
        if own.fits or own.cells:
            yield Work(subject_of(prepared, method), "load", 1)
        if method.info.fits_per_style:
            yield from _fits(prepared, method, own)
        yield from _transfers(prepared, method, own)
    if any(left.scores.values()):
        profile = prepared.plan.suite.profile
        yield Work(Subject(METRICS, METRICS, "", profile), "load", 1, beside(prepared))
    for metric, outputs in left.scores.items():
        if outputs:
            yield Work(metric_subject(prepared, metric), "score", len(outputs), beside(prepared))


def _fits(prepared: Prepared, method: PlannedMethod, left: Left) -> Iterator[Work]:
    subject = subject_of(prepared, method)
    for cell in left.fits:
        yield Work(subject, "fit", 1, *facts_of_fit(prepared, method, cell.style, cell.parameters))


def _transfers(prepared: Prepared, method: PlannedMethod, left: Left) -> Iterator[Work]:
    subject, by_style = subject_of(prepared, method), defaultdict(list)
    for cell in left.cells:
        by_style[cell.style].append(cell)
    lengths = {clip.id: _seconds(prepared, clip) for clip in prepared.plan.contents}
    sizes = {clip.id: _bytes(prepared, clip) for clip in prepared.plan.contents}
    for cells in by_style.values():
        parameters, passes = facts_of_transfer(method, cells[0].parameters)
        seconds = math.fsum(lengths[cell.content] for cell in cells)
        size = sum(sizes[cell.content] for cell in cells)
        yield Work(subject, "transfer", seconds, parameters, passes, size)


def subject_of(prepared: Prepared, method: PlannedMethod) -> Subject:
    """A method as rates know it."""
    choice, profile = method.choice, prepared.plan.suite.profile
    model = ",".join(f"{name}={value}" for name, value in method.settings)
    named = f"{choice.name}[{model}]" if model else choice.name
    return Subject(choice.label, named, method.info.version, profile)


def metric_subject(prepared: Prepared, name: str) -> Subject:
    """A metric as rates know it."""
    info = find_metric(name).info
    return Subject(name, name, "" if info is None else info.version, prepared.plan.suite.profile)


def beside(prepared: Prepared) -> str:
    """Metrics share what they have heard, so what one costs depends on all of them."""
    return json_digest(list(prepared.metrics))[:16]


def facts_of_fit(
    prepared: Prepared, method: PlannedMethod, style: str, values: Mapping[str, Json]
) -> Facts:
    """Digest of those values that decide what the fit of a style costs, and its passes."""
    parameters = method.kind.parameters(values)
    clips = len(prepared.plan.splits[style].clips)
    return fit_digest(split_parameters(parameters)[0]), passes_of_fit(passes_of(parameters), clips)


def facts_of_transfer(method: PlannedMethod, values: Mapping[str, Json]) -> Facts:
    """Digest of those values that decide what a transfer costs, and its passes."""
    parameters = method.kind.parameters(values)
    return transfer_digest(*split_parameters(parameters)), passes_of(parameters).transfer


def _seconds(prepared: Prepared, clip: ClipSource) -> float:
    longest_s = prepared.plan.suite.duration_s
    return clip.duration_s if longest_s is None else min(longest_s, clip.duration_s)


def _bytes(prepared: Prepared, clip: ClipSource) -> int:
    """What an output of a content takes on the disk, at most."""
    rate = _HIGHEST_HZ
    if not prepared.is_absent:
        rate = inspect(clip.path, clip.start_s, clip.duration_s).sample_rate
    return round(_BYTES_PER_SAMPLE * rate * _seconds(prepared, clip))


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
        scores: Those of the cells that it had to score.
    """
    wanted = left.rendered
    new = [
        cell
        for cell in prepared.cells
        if cell.cell_id in wanted and _is_rendered(cells.get(cell.cell_id))
    ]
    rates: list[Rate] = []
    for method in prepared.plan.methods:
        if is_made_elsewhere(method.choice.name):
            continue  # nobody knows what making it has cost
        own = [cell for cell in new if cell.method == method.choice.label]
        subject = subject_of(prepared, method)
        rates += [
            rate_of(subject, stage, spent, prepared.device)
            for stage, spent in _spent(prepared, method, own, cells)
        ]
    return [*rates, *_metric_rates(prepared, left, scores)]


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
    by_style: dict[str, list[tuple[PlannedCell, CellRecord]]] = defaultdict(list)
    for cell, record in records:
        by_style[cell.style].append((cell, record))
    for style, members in by_style.items():
        values = members[0][0].parameters  # the same for all cells of a style
        found = [record for _, record in members]
        transfers[facts_of_transfer(method, values)] += found
        learnt = {r.fit_key: r.fit_s or 0.0 for r in found if r.fit_key and not r.fit_cached}
        if method.info.fits_per_style and learnt:
            fits[facts_of_fit(prepared, method, style, values)] |= learnt
    cache = Cache.default()
    for facts, learnt in fits.items():
        disk = sum(map(cache.state_bytes, learnt))
        yield "fit", Spent(len(learnt), math.fsum(learnt.values()), facts, peak, disk)
    for facts, group in transfers.items():
        length_s = math.fsum(record.duration_s or 0.0 for record in group)
        seconds = math.fsum(record.transfer_s or 0.0 for record in group)
        yield "transfer", Spent(length_s, seconds, facts, peak)


def _metric_rates(
    prepared: Prepared, left: Remaining, scores: Iterable[ScoreRecord]
) -> Iterator[Rate]:
    spent: dict[str, dict[str, float]] = {name: {} for name in left.scores}
    for score in scores:
        if score.score_s is not None and score.cell_id in left.scores.get(score.metric, ()):
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

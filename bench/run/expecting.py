"""What a session is expected to cost: what it has left to do, as work whose cost can be found.

What decides the cost of a stage (`facts_of_fit`, `facts_of_transfer`, `beside`) is the same for
what is expected here and for what is measured afterwards (`bench.run.measured`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from functools import partial

from bench.cache import Cache
from bench.counts import passes_of
from bench.data.clips import ClipSource, inspect
from bench.device import machine_words
from bench.estimate.forecast import Forecast, Machine, forecast
from bench.estimate.matmul import matmul_rate
from bench.estimate.work import Subject, Work, fit_digest, passes_of_fit, transfer_digest
from bench.files import json_digest
from bench.plan.plan import PlannedMethod
from bench.plugins.catalog import find_metric
from bench.plugins.parameters import split_parameters
from bench.records.rates import read_rates
from bench.records.schema import PlannedCell
from bench.run.remaining import Left, Remaining
from bench.run.request import Prepared

METRICS = "metrics"  # the loading of all metrics, as the account of a run names it
_HIGHEST_HZ = 48_000  # supposed of clips that are not here
_BYTES_PER_SAMPLE = 2 + 4  # of the audio file, at most, and of the entry in the cache


def expect(prepared: Prepared, left: Remaining) -> Forecast:
    """What is left of a run, with what it is expected to cost on its devices."""
    device = prepared.device
    machine = Machine(
        words=machine_words(device),
        kind=device.partition(":")[0],
        devices=len(prepared.devices),
        matmul=partial(matmul_rate, device),
    )
    return forecast(_works(prepared, left), read_rates(Cache.default().root), machine)


def _works(prepared: Prepared, left: Remaining) -> Iterator[Work]:
    for method in prepared.plan.methods:
        own = left.methods[method.choice.label]
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
            yield Work(metric_subject(prepared, metric), "score", outputs, beside(prepared))


def _fits(prepared: Prepared, method: PlannedMethod, left: Left) -> Iterator[Work]:
    subject = subject_of(prepared, method)
    for cell in left.fits:
        yield Work(subject, "fit", 1, *facts_of_fit(prepared, method, cell))


def _transfers(prepared: Prepared, method: PlannedMethod, left: Left) -> Iterator[Work]:
    subject, by_style = subject_of(prepared, method), defaultdict(list)
    for cell in left.cells:
        by_style[cell.style].append(cell)
    lengths = {clip.id: _seconds(prepared, clip) for clip in prepared.plan.contents}
    sizes = {clip.id: _bytes(prepared, clip) for clip in prepared.plan.contents}
    for cells in by_style.values():
        parameters, passes = facts_of_transfer(method, cells[0])
        seconds = math.fsum(lengths[cell.content] for cell in cells)
        size = sum(sizes[cell.content] for cell in cells)
        yield Work(subject, "transfer", seconds, parameters, passes, size)


def subject_of(prepared: Prepared, method: PlannedMethod) -> Subject:
    """A method as rates know it."""
    choice, profile = method.choice, prepared.plan.suite.profile
    return Subject(choice.label, choice.name, method.info.version, profile)


def metric_subject(prepared: Prepared, name: str) -> Subject:
    """A metric as rates know it."""
    info = find_metric(name).info
    return Subject(name, name, "" if info is None else info.version, prepared.plan.suite.profile)


def beside(prepared: Prepared) -> str:
    """Metrics share what they have heard, so what one costs depends on all of them."""
    return json_digest(list(prepared.metrics))[:16]


def facts_of_fit(prepared: Prepared, method: PlannedMethod, cell: PlannedCell) -> tuple[str, float]:
    """The parameters that decide what the fit of a cell's style costs, and its passes."""
    parameters = method.kind.parameters(cell.parameters)
    clips = len(prepared.plan.splits[cell.style].clips)
    return fit_digest(split_parameters(parameters)[0]), passes_of_fit(passes_of(parameters), clips)


def facts_of_transfer(method: PlannedMethod, cell: PlannedCell) -> tuple[str, float]:
    """The parameters that decide what the transfer of a cell costs, and its passes."""
    parameters = method.kind.parameters(cell.parameters)
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

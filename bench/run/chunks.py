"""Rendering a chunk of cells and recording what came of it, in three steps.

`read_chunk` reads the contents, `render_chunk` calls the method, and what that gives back writes
the audio and makes the records. The first and the last are work of the host, which goes on beside
the device (`bench.batching.Aside`), the first a chunk ahead and the last a chunk behind.

A chunk is rendered whole or taken whole from the cache, because batched arithmetic depends in the
last digits on what is computed together: a chunk that was interrupted is rendered again in the same
company. What a method raises becomes the record of a cell here, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypedDict

from bench.api import Audio, Clip, StyleState, TransferRequest
from bench.audio import as_heard, peak_of, read_audio, unclipped_suffix, write_audio
from bench.batching import Aside, in_parallel
from bench.delivery.matching import DeliveredFile, Delivery
from bench.delivery.sounds import receive
from bench.errors import heed
from bench.failure import STOPS_RUN, Failure, WorkerLostError, failure_of
from bench.files import disk_is_full
from bench.outputs import restore
from bench.plugins.parameters import split_parameters
from bench.records.schema import CellRecord, PlannedCell
from bench.run.calibration import Gauge, GaugeFacts
from bench.run.keys import chunk_key
from bench.run.studio import Fitted, Studio

Writing = Callable[[], list[CellRecord]]  # writes the audio of a chunk; a record per cell


class FitFacts(TypedDict, total=False):
    """What a cell record says about the fit that the cell used: nothing of one made elsewhere."""

    fit_key: str
    fit_s: float
    fit_cached: bool
    load_s: float
    finished_at: str


class TransferFacts(GaugeFacts, total=False):
    """What a cell record says about the cost of its rendering: nothing where it was elsewhere."""

    transfer_s: float
    transfer_cached: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """The contents of a chunk, which may still be read; each call waits for its part.

    Args:
        contents: The clips as they stand in the dataset. Raises a `DatasetError` where one cannot
            be read.
        digests: Of their audio.
        heard: The clips as the method receives them.
        targets: The true results as it receives them; none for a method that is not told.
    """

    contents: Callable[[], list[Clip]]
    digests: Callable[[], list[str]]
    heard: Callable[[], list[Clip]]
    targets: Callable[[], list[Audio | None]]


@dataclass(frozen=True, slots=True)
class _Job:
    """What the cells of a chunk have in common; `parameters` are needed to render them alone."""

    studio: Studio
    fitted: Fitted
    attempt: int
    parameters: object = None
    peak_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A cell, its content as it stands in the dataset, and the true result for who is told it."""

    cell: PlannedCell
    content: Clip
    target: Audio | None


@dataclass(frozen=True, slots=True)
class _Made:
    """What a method has made of a cell, and the content to whose rate and length it is brought.

    `key` names it in the cache.
    """

    cell: PlannedCell
    key: str
    output: Audio
    heard: Clip
    content: Clip
    facts: TransferFacts


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the cache holds of a cell."""

    cell: PlannedCell
    audio: Audio
    facts: TransferFacts


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """What was made elsewhere of a cell, if it was delivered."""

    cell: PlannedCell
    file: DeliveredFile | None
    content: Clip


@dataclass(frozen=True, slots=True)
class _Lost:
    """Why there is nothing of a cell."""

    cell: PlannedCell
    failure: Failure


Outcome = _Made | _Stored | _Elsewhere | _Lost


def read_chunk(studio: Studio, chunk: Sequence[PlannedCell], aside: Aside) -> Reading:
    """Begin to read what a chunk is rendered from."""
    material, device = studio.context.material, studio.context.device
    rate = studio.planned.profile.sample_rate
    names = [cell.content for cell in chunk]
    contents = aside.begin(lambda: in_parallel(material.content, names, device))
    return Reading(
        contents,
        aside.begin(lambda: in_parallel(lambda clip: clip.audio.digest, contents(), device)),
        aside.begin(lambda: in_parallel(lambda clip: as_heard(clip, rate), contents(), device)),
        aside.begin(lambda: _targets(studio, chunk)),
    )


def _targets(studio: Studio, chunk: Sequence[PlannedCell]) -> list[Audio | None]:
    """The true results of a chunk, if this is a control that is told them."""
    if "target" not in studio.planned.info.needs:
        return [None for _ in chunk]
    rate, material = studio.planned.profile.sample_rate, studio.context.material
    found = [(cell, material.target(cell.style, cell.content)) for cell in chunk]
    return [
        None if audio is None else as_heard(Clip(cell.content, cell.category, audio), rate).audio
        for cell, audio in found
    ]


def render_chunk(
    studio: Studio, chunk: Sequence[PlannedCell], fitted: Fitted, attempt: int, reading: Reading
) -> Writing:
    """Render a chunk, or take it from the cache; what is left is writing it down.

    Args:
        studio: The method that renders. It may be closed before anything is written.
        chunk: Cells of one style and one set of parameters.
        fitted: The style as the method has learnt it; a failure is the outcome of every cell.
        attempt: How often the chunk has been begun, from 1.
        reading: What `read_chunk` gave for the chunk.
    """
    job, found = _found(_Job(studio, fitted, attempt), chunk, reading)
    job = replace(job, peak_bytes=studio.peak_bytes)
    return lambda: in_parallel(partial(_write_down, job), found, studio.context.device)


def _found(
    job: _Job, chunk: Sequence[PlannedCell], reading: Reading
) -> tuple[_Job, Sequence[Outcome]]:
    """The job with the parameters of the chunk, and what there is of each cell."""
    studio, fitted = job.studio, job.fitted
    if studio.delivery is not None:
        return job, _delivered(studio.delivery, chunk, reading)
    if isinstance(fitted.result, Failure):
        return job, [_Lost(cell, fitted.result) for cell in chunk]
    job = replace(job, parameters=studio.kind.parameters(chunk[0].parameters))
    _, transfer_parameters = split_parameters(job.parameters)
    seeds = [cell.seed for cell in chunk]
    contents = reading.contents()
    targets = reading.targets()
    heard = [*reading.digests(), *(one.digest for one in targets if one is not None)]
    key = chunk_key(studio.identity, fitted.key, transfer_parameters, heard, seeds)
    stored = _stored(job, key, chunk)
    if stored is not None:
        return job, stored
    asked = [_Asked(*one) for one in zip(chunk, contents, targets, strict=True)]
    return job, _render_new(job, key, asked, reading.heard, fitted.result)


def _delivered(
    delivery: Delivery, chunk: Sequence[PlannedCell], reading: Reading
) -> list[_Elsewhere]:
    return [
        _Elsewhere(cell, delivery.files.get((cell.style, cell.content, cell.repetition)), content)
        for cell, content in zip(chunk, reading.contents(), strict=True)
    ]


def _stored(job: _Job, key: str, chunk: Sequence[PlannedCell]) -> list[_Stored] | None:
    """A chunk whose outputs are all in the cache, or None."""
    cache = job.studio.context.cache
    found = [cache.load_audio(f"{key}-{position}") for position in range(len(chunk))]
    present = [entry for entry in found if entry is not None]
    if len(present) < len(chunk):
        return None
    return [
        _Stored(cell, audio, {"transfer_s": cost.get("transfer_s", 0.0), "transfer_cached": True})
        for cell, (audio, cost) in zip(chunk, present, strict=True)
    ]


def _render_new(
    job: _Job,
    key: str,
    asked: Sequence[_Asked],
    heard: Callable[[], list[Clip]],
    state: StyleState,
) -> list[_Made | _Lost]:
    """Render a chunk in one call.

    If it raises, each cell is rendered in a call of its own, so that one bad content costs only
    itself; a lost worker costs the chunk.
    """
    try:
        return _transfer(job, key, asked, heard(), state)
    except STOPS_RUN:
        raise
    except Exception as error:
        if disk_is_full(error):
            raise
        job.studio.keep_traceback(error)
        if len(asked) == 1 or isinstance(error, WorkerLostError):
            return [_Lost(one.cell, failure_of(error)) for one in asked]
    singly = [
        _render_new(job, f"{key}-alone-{position}", [one], partial(_heard, job, one.content), state)
        for position, one in enumerate(asked)
    ]
    return [made for part in singly for made in part]


def _heard(job: _Job, content: Clip) -> list[Clip]:
    return [as_heard(content, job.studio.planned.profile.sample_rate)]


def _transfer(
    job: _Job,
    key: str,
    asked: Sequence[_Asked],
    heard: Sequence[Clip],
    state: StyleState,
) -> list[_Made | _Lost]:
    """Outputs as the method made them, and what each cost."""
    requests = [
        TransferRequest(
            clip, state, job.parameters, one.cell.seed, one.target, one.cell.content_seed
        )
        for one, clip in zip(asked, heard, strict=True)
    ]
    gauge = Gauge(job.studio.context.device)
    outputs, seconds = job.studio.timed_transfer(requests)
    facts: TransferFacts = {
        "transfer_s": seconds / len(asked),
        "transfer_cached": False,
        **gauge.facts(),
    }
    made = enumerate(zip(asked, outputs, heard, strict=True))
    return [
        _Made(one.cell, f"{key}-{position}", output, clip, one.content, facts)
        for position, (one, output, clip) in made
    ]


def _write_down(job: _Job, found: Outcome) -> CellRecord:
    """Keep and write the audio of a cell, if there is any, at the content's own rate and length."""
    audio = _audio_of(job, found)
    if isinstance(audio, Failure):
        return _failed(job, found.cell, audio)
    facts: TransferFacts = found.facts if isinstance(found, _Made | _Stored) else {}
    return _finished(job, found.cell, audio, facts)


def _audio_of(job: _Job, found: Outcome) -> Audio | Failure:
    """The audio of a cell at the content's own rate and length, or why there is none."""
    if isinstance(found, _Lost):
        return found.failure
    if isinstance(found, _Stored):
        return found.audio
    if isinstance(found, _Elsewhere):
        return receive(found.file, found.content)
    return _kept(job, found)


def _kept(job: _Job, made: _Made) -> Audio | Failure:
    """What a method has made, restored and kept in the cache, or what is wrong with it."""
    try:
        audio = restore(made.output, made.heard.audio, made.content.audio)
    except Exception as error:
        heed(error)
        if disk_is_full(error):
            raise
        job.studio.keep_traceback(error)
        audio = failure_of(error)
    if isinstance(audio, Audio):
        cost = {"transfer_s": made.facts["transfer_s"]}
        job.studio.context.cache.save_audio(made.key, audio, cost)
    return audio


def _finished(job: _Job, cell: PlannedCell, audio: Audio, facts: TransferFacts) -> CellRecord:
    """Write the audio of a cell; the record says what the file holds."""
    name = f"audio/{cell.cell_id}{unclipped_suffix(audio)}"
    path = job.studio.context.folder / name
    write_audio(path, audio)
    return CellRecord(
        cell_id=cell.cell_id,
        status="ok",
        attempt=job.attempt,
        identity=job.studio.identity.mark,
        audio=name,
        audio_digest=read_audio(path).digest,
        sample_rate=audio.sample_rate,
        duration_s=audio.duration_s,
        peak=peak_of(audio),
        peak_memory_bytes=None if job.studio.delivery else job.peak_bytes,
        **facts,
        **_fit_facts(job),
    )


def _failed(job: _Job, cell: PlannedCell, failure: Failure) -> CellRecord:
    return CellRecord(
        cell_id=cell.cell_id,
        attempt=job.attempt,
        identity=job.studio.identity.mark,
        status=failure.status,
        reason=failure.reason,
        exception=failure.exception,
        **_fit_facts(job),
    )


def _fit_facts(job: _Job) -> FitFacts:
    finished_at = datetime.now(UTC).isoformat(timespec="seconds")
    if job.studio.delivery is not None:
        return {"finished_at": finished_at}
    return {
        "fit_key": job.fitted.key,
        "fit_s": job.fitted.cost_s,
        "fit_cached": job.fitted.cached,
        "load_s": job.studio.load_s,
        "finished_at": finished_at,
    }

"""Rendering a chunk of cells and recording what came of it.

A chunk is rendered whole or taken whole from the cache, because batched arithmetic depends in the
last digits on what is computed together: a chunk that was interrupted is rendered again in the same
company. What a method raises becomes the record of a cell here, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

from bench.api import Audio, Clip, StyleState, TransferRequest
from bench.audio import as_heard, peak_of, read_audio, unclipped_suffix, write_audio
from bench.batching import in_parallel
from bench.failure import STOPS_RUN, Failure, WorkerLostError, failure_of
from bench.files import disk_is_full
from bench.outputs import restore
from bench.plugins.parameters import split_parameters
from bench.records.schema import CellRecord, PlannedCell
from bench.run.calibration import Gauge, GaugeFacts
from bench.run.keys import chunk_key
from bench.run.studio import Fitted, Studio


class FitFacts(TypedDict):
    """What a cell record says about the fit that the cell used."""

    fit_key: str
    fit_s: float
    fit_cached: bool
    load_s: float
    finished_at: str


class TransferFacts(GaugeFacts):
    """What a cell record says about the cost of its rendering."""

    transfer_s: float
    transfer_cached: bool


@dataclass(frozen=True, slots=True)
class _Job:
    """What the cells of a chunk have in common; `parameters` are needed to render them alone."""

    studio: Studio
    fitted: Fitted
    attempt: int
    parameters: object = None


def render_chunk(
    studio: Studio, chunk: Sequence[PlannedCell], fitted: Fitted, attempt: int
) -> list[CellRecord]:
    """Render a chunk, or take it from the cache, and write its audio; one record per cell.

    Args:
        studio: The method that renders.
        chunk: Cells of one style and one set of parameters.
        fitted: The style as the method has learnt it; a failure is the outcome of every cell.
        attempt: How often the chunk has been begun, from 1.
    """
    if isinstance(fitted.result, Failure):
        lost = _Job(studio, fitted, attempt)
        return [_failed(lost, cell, fitted.result) for cell in chunk]
    job = _Job(studio, fitted, attempt, studio.kind.parameters(chunk[0].parameters))
    context = studio.context
    contents = in_parallel(
        context.material.content, [cell.content for cell in chunk], context.device
    )
    _, transfer_parameters = split_parameters(job.parameters)
    key = chunk_key(
        studio.identity,
        fitted.key,
        transfer_parameters,
        [clip.audio for clip in contents],
        [cell.seed for cell in chunk],
    )
    return _cached(job, key, chunk) or _render_new(job, key, chunk, contents, fitted.result)


def _cached(job: _Job, key: str, chunk: Sequence[PlannedCell]) -> list[CellRecord] | None:
    """The records of a chunk whose outputs are all in the cache, or None."""
    cache = job.studio.context.cache
    found = [cache.load_audio(f"{key}-{position}") for position in range(len(chunk))]
    present = [entry for entry in found if entry is not None]
    if len(present) < len(chunk):
        return None
    return [
        _finished(
            job,
            cell,
            audio,
            {"transfer_s": cost.get("transfer_s", 0.0), "transfer_cached": True},
        )
        for cell, (audio, cost) in zip(chunk, present, strict=True)
    ]


def _render_new(
    job: _Job, key: str, chunk: Sequence[PlannedCell], contents: Sequence[Clip], state: StyleState
) -> list[CellRecord]:
    """Render a chunk in one call.

    If it raises, each cell is rendered in a call of its own, so that one bad content costs only
    itself; a lost worker costs the chunk.
    """
    try:
        results, facts = _transfer(job, chunk, contents, state)
    except STOPS_RUN:
        raise
    except Exception as error:
        if disk_is_full(error):
            raise
        job.studio.keep_traceback(error)
        if len(chunk) == 1 or isinstance(error, WorkerLostError):
            return [_failed(job, cell, failure_of(error)) for cell in chunk]
        singly = [
            _render_new(job, f"{key}-alone-{position}", [cell], [content], state)
            for position, (cell, content) in enumerate(zip(chunk, contents, strict=True))
        ]
        return [record for part in singly for record in part]

    def keep(numbered: tuple[int, tuple[PlannedCell, Audio | Failure]]) -> CellRecord:
        position, (cell, result) = numbered
        if isinstance(result, Failure):
            return _failed(job, cell, result)
        cost = {"transfer_s": facts["transfer_s"]}
        job.studio.context.cache.save_audio(f"{key}-{position}", result, cost)
        return _finished(job, cell, result, facts)

    pairs = zip(chunk, results, strict=True)
    return in_parallel(keep, enumerate(pairs), job.studio.context.device)


def _transfer(
    job: _Job, chunk: Sequence[PlannedCell], contents: Sequence[Clip], state: StyleState
) -> tuple[list[Audio | Failure], TransferFacts]:
    """Outputs at the content's own rate and exact length, and what each cost."""
    studio, device = job.studio, job.studio.context.device
    rate = studio.planned.profile.sample_rate
    heard = in_parallel(lambda clip: as_heard(clip, rate), contents, device)
    requests = [
        TransferRequest(clip, state, job.parameters, cell.seed)
        for cell, clip in zip(chunk, heard, strict=True)
    ]
    gauge = Gauge(device)
    outputs, seconds = studio.timed_transfer(requests)
    restored = [
        restore(output, given.audio, content.audio)
        for output, given, content in zip(outputs, heard, contents, strict=True)
    ]
    share_s = seconds / len(chunk)
    return restored, {"transfer_s": share_s, "transfer_cached": False, **gauge.facts()}


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
        peak_memory_bytes=job.studio.peak_bytes,
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
    return {
        "fit_key": job.fitted.key,
        "fit_s": job.fitted.cost_s,
        "fit_cached": job.fitted.cached,
        "load_s": job.studio.load_s,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }

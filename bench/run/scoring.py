"""Scoring finished cells by each metric that has not scored them with its present fingerprint.

Whatever a metric answers passes the gate of `bench.scores`. What it raises, too few scores, or one
that breaks a rule becomes an `invalid_score` of the outputs concerned; the other outputs, the other
metrics and the run go on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.api import BenchError, ConfigError, Entry, Metric, MetricInfo, Output, Score
from bench.failure import failure_of
from bench.files import no_space
from bench.outside.wording import some
from bench.plugins.opening import close, open_metric
from bench.records import store
from bench.records.integrity import recorded_audio
from bench.records.schema import CellRecord, PlannedCell, ScoreRecord
from bench.run.context import RunContext
from bench.run.keys import digest
from bench.scores import INVALID, AnswerError, Declared, admit, invalid

logger = logging.getLogger(__name__)
BATCH = 32  # outputs held in memory at a time
# A plug-in that calls sys.exit has failed too, and is not asked whether the run may go on.
RAISED = (Exception, SystemExit)


@dataclass(frozen=True, slots=True)
class LoadedMetric:
    """A metric that is ready to score, or that could not be loaded.

    Args:
        name: Its name in the catalog, or `file.py:Class`.
        info: What it declares.
        metric: The metric, loaded; None where that failed.
        fingerprint: Digest of all that decides a score beside the audio, 12 hex digits; empty where
            it is not known.
        detail: What the fingerprint is a digest of.
        fault: Why there is no metric.
    """

    name: str
    info: MetricInfo
    metric: Metric | None = None
    fingerprint: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)
    fault: str = ""

    @property
    def declared(self) -> Declared:
        """What its scores are checked against."""
        return Declared(self.name, self.info.range)


def load_metric(context: RunContext, name: str, entry: Entry) -> LoadedMetric:
    """Load a metric, in a worker where it has an environment of its own.

    Raises:
        BenchError: What the user can fix before anything is computed, such as a missing checkpoint.
            Whatever else it raises is the reason why its cells have no score.
    """
    if not isinstance(entry.info, MetricInfo):
        raise ConfigError(f"{name} is described as a method; a metric was named. Correct its INFO.")
    metric: Metric | None = None
    try:
        with context.watch.measure("load metrics", context.device):
            metric = open_metric(entry, context.log_of(name))
            metric.load(context.profile, context.device)
        detail = dict(metric.fingerprint())
        return LoadedMetric(name, entry.info, metric, digest(detail)[:12], detail)
    except BenchError:
        raise
    except RAISED as error:
        if metric is not None:
            close(metric)
        _stop_if_full(error)
        context.keep_traceback(name, error)
        reason = f"metric {name!r} could not be loaded: {failure_of(error).reason}"
        return LoadedMetric(name, entry.info, fault=reason)


def missing(
    metric: LoadedMetric,
    plan: Sequence[PlannedCell],
    cells: Mapping[str, CellRecord],
    scores: Mapping[tuple[str, str], ScoreRecord],
    *,
    retry: bool = False,
) -> list[PlannedCell]:
    """Finished cells that this metric is to score, in the order of the plan.

    They have no score of it, or one of other audio or of another fingerprint; with `retry`, also an
    invalid one.
    """

    def is_open(score: ScoreRecord | None, record: CellRecord) -> bool:
        if score is None or not store.belongs(score, record):
            return True
        other = metric.metric is not None and score.fingerprint != metric.fingerprint
        return other or (retry and score.status == INVALID)

    return [
        cell
        for cell in plan
        if (record := cells.get(cell.cell_id)) is not None
        and record.status == "ok"
        and is_open(scores.get((cell.cell_id, metric.name)), record)
    ]


def score(
    context: RunContext,
    metric: LoadedMetric,
    todo: Sequence[PlannedCell],
    cells: dict[str, CellRecord],
) -> Iterator[int]:
    """Score `todo` in batches, appending the records of each; yields how many are done.

    Audio that is not what was recorded gets no score: its cell becomes `cancelled` in `cells` and
    on the disk, and the next session renders it again.
    """
    for start in range(0, len(todo), BATCH):
        batch, outputs = _outputs(context, todo[start : start + BATCH], cells)
        if not batch:
            continue
        before = context.watch.total_s
        with context.watch.measure("score", context.device):
            results = _scores(context, metric, outputs)
        share_s = (context.watch.total_s - before) / len(batch)
        rows = [
            ScoreRecord(
                cell_id=cell.cell_id,
                metric=metric.name,
                value=result.value,
                raw=result.raw,
                status=result.status,
                reason=result.reason,
                fingerprint=metric.fingerprint,
                audio_digest=cells[cell.cell_id].audio_digest,
                score_s=share_s,
            )
            for cell, result in zip(batch, results, strict=True)
        ]
        store.append(context.folder / "scores.jsonl", rows)
        yield min(start + BATCH, len(todo))


def _scores(context: RunContext, metric: LoadedMetric, outputs: Sequence[Output]) -> list[Score]:
    """One sound or invalid score per output.

    A call that raises, or that answers with too few, is made again for each output alone, so that
    one output at fault costs only itself.
    """
    if metric.metric is None:
        return [invalid(metric.name, metric.fault) for _ in outputs]
    try:
        return admit(metric.metric.score(outputs), len(outputs), metric.declared)
    except RAISED as error:
        _stop_if_full(error)
        context.keep_traceback(metric.name, error)
        if len(outputs) == 1:
            return [_refusal(metric.name, error)]
    return [_score_alone(metric.metric, output, metric.declared) for output in outputs]


def _score_alone(metric: Metric, output: Output, declared: Declared) -> Score:
    try:
        (found,) = admit(metric.score([output]), 1, declared)
    except RAISED as error:
        _stop_if_full(error)
        return _refusal(declared.name, error)
    return found


def _stop_if_full(error: BaseException) -> None:
    """A full disk, such as that of the cache, is no fault of a metric: it ends the run."""
    if isinstance(error, OSError) and no_space(error) is not None:
        raise error


def _refusal(name: str, error: BaseException) -> Score:
    """The score of an output for which the metric raised: n/a where it declines, else invalid."""
    failure = failure_of(error)
    if failure.status == "unsupported":
        return Score(name, None, status="unsupported", reason=failure.reason)
    if isinstance(error, AnswerError):
        return invalid(name, str(error))
    return invalid(name, f"metric {name!r} gave no score: {failure.reason}")


def _outputs(
    context: RunContext, batch: Sequence[PlannedCell], cells: dict[str, CellRecord]
) -> tuple[list[PlannedCell], list[Output]]:
    """The cells of a batch whose audio is what was recorded, with that audio."""
    sound: list[PlannedCell] = []
    outputs, gone = [], []
    for cell in batch:
        record, material = cells[cell.cell_id], context.material
        audio = recorded_audio(context.folder, record)
        if isinstance(audio, str):
            gone.append(
                CellRecord(
                    cell_id=cell.cell_id,
                    status="cancelled",
                    identity=record.identity,
                    reason=audio,
                )
            )
            continue
        sound.append(cell)
        outputs.append(Output(material.content(cell.content), material.style(cell.style), audio))
    if gone:
        store.append(context.folder / "cells.jsonl", gone)
        cells.update({record.cell_id: record for record in gone})
        words = some(str(record.reason) for record in gone)
        logger.warning("%s: %s; not scored, the next run renders it again", context.folder, words)
    return sound, outputs

"""Scoring finished cells by each metric that has not scored them with its present fingerprint.

Whatever a metric answers passes the gate of `bench.scores`. What it raises, too few scores, or one
that breaks a rule becomes an `invalid_score` of the outputs concerned; the other outputs, the other
metrics and the run go on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.api import (
    BenchError,
    ConfigError,
    Entry,
    Json,
    Metric,
    MetricInfo,
    Output,
    Profile,
    Score,
)
from bench.failure import contained, failure_of
from bench.files import disk_is_full
from bench.outside.wording import some
from bench.plugins.catalog import describe
from bench.plugins.inspection import digest_of, is_outside
from bench.plugins.opening import USUAL, Isolation, close, open_metric
from bench.plugins.returned import plain_fingerprint
from bench.records import store
from bench.records.integrity import recorded_audio
from bench.records.schema import CellRecord, PlannedCell, ScoreRecord
from bench.run.context import RunContext
from bench.run.keys import digest
from bench.scores import INVALID, AnswerError, Declared, admit, invalid
from bench.weights import digest as weights_digest

logger = logging.getLogger(__name__)
BATCH = 32  # outputs held in memory at a time


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
        code: Digest of its code, 12 hex digits. Scores of other code are made again in this run;
            whether scores of two runs may be compared is for the fingerprint to say.
    """

    name: str
    info: MetricInfo
    metric: Metric | None = None
    fingerprint: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)
    fault: str = ""
    code: str | None = None

    @property
    def declared(self) -> Declared:
        """What its scores are checked against."""
        return Declared(self.name, self.info.range)


def load_metric(
    context: RunContext, name: str, entry: Entry, isolation: Isolation = USUAL
) -> LoadedMetric:
    """Load a metric, in a worker where it comes from outside or has an environment of its own.

    Raises:
        BenchError: What the user can fix before anything is computed, such as a missing checkpoint.
            Whatever else it raises is the reason why its cells have no score.
    """
    if not isinstance(entry.info, MetricInfo):
        raise ConfigError(f"{name} is described as a method; a metric was named. Correct its INFO.")
    metric: Metric | None = None
    try:
        with context.watch.measure("load metrics", context.device), contained(loading=True):
            metric = open_metric(entry, context.log_of(name), isolation)
            metric.load(context.profile, context.device)
            said = plain_fingerprint(metric.fingerprint())
        code = digest_of(entry)[:12]
        detail = {**said, **_outside(entry, context.profile, code)}
        mark = digest(detail)[:12]
        return LoadedMetric(name, entry.info, metric, mark, detail, code=code)
    except BenchError:
        raise
    except Exception as error:
        if metric is not None:
            close(metric)
        if disk_is_full(error):
            raise
        context.keep_traceback(name, error)
        reason = f"metric {name!r} could not be loaded: {failure_of(error).reason}"
        return LoadedMetric(name, entry.info, fault=reason)


def _outside(entry: Entry, profile: Profile, code: str) -> dict[str, Json]:
    """What identifies the code and weights of a metric from outside, whatever version it states."""
    if not is_outside(entry.target):
        return {}
    names = describe(entry, profile).weights
    weights: dict[str, Json] = {name: weights_digest(name)[:12] for name in names}
    return {"code": code, **({"declared_weights": weights} if weights else {})}


def missing(
    metric: LoadedMetric,
    plan: Sequence[PlannedCell],
    cells: Mapping[str, CellRecord],
    scores: Mapping[tuple[str, str], ScoreRecord],
    *,
    retry: bool = False,
) -> list[PlannedCell]:
    """Finished cells that this metric is to score, in the order of the plan.

    They have no score of it, or one of other audio, of another fingerprint or of other code; with
    `retry`, also an invalid one.
    """

    def is_open(score: ScoreRecord | None, record: CellRecord) -> bool:
        if score is None or not store.belongs(score, record):
            return True
        changed = score.fingerprint != metric.fingerprint or score.code not in {None, metric.code}
        return (changed and metric.metric is not None) or (retry and score.status == INVALID)

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
                code=metric.code,
                audio_digest=cells[cell.cell_id].audio_digest,
                score_s=share_s,
            )
            for cell, result in zip(batch, results, strict=True)
        ]
        store.append(context.own_folder / "scores.jsonl", rows)
        yield min(start + BATCH, len(todo))


def _scores(context: RunContext, metric: LoadedMetric, outputs: Sequence[Output]) -> list[Score]:
    """One sound or invalid score per output.

    A call that raises, or that answers with too few, is made again for each output alone, so that
    one output at fault costs only itself.
    """
    if metric.metric is None:
        return [invalid(metric.name, metric.fault) for _ in outputs]
    try:
        with contained():
            return admit(metric.metric.score(outputs), len(outputs), metric.declared)
    except Exception as error:
        if disk_is_full(error):
            raise
        context.keep_traceback(metric.name, error)
        if len(outputs) == 1:
            return [_refusal(metric.name, error)]
    return [_score_alone(metric.metric, output, metric.declared) for output in outputs]


def _score_alone(metric: Metric, output: Output, declared: Declared) -> Score:
    try:
        with contained():
            (found,) = admit(metric.score([output]), 1, declared)
    except Exception as error:
        if disk_is_full(error):
            raise
        return _refusal(declared.name, error)
    return found


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
        store.append(context.own_folder / "cells.jsonl", gone)
        cells.update({record.cell_id: record for record in gone})
        words = some(str(record.reason) for record in gone)
        logger.warning("%s: %s; not scored, the next run renders it again", context.folder, words)
    return sound, outputs

"""Scoring finished cells by each metric that has not scored them with its present fingerprint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.api import Entry, Metric, Output
from bench.audio import read_audio
from bench.plugins.opening import open_metric
from bench.records import store
from bench.records.schema import CellRecord, PlannedCell, ScoreRecord
from bench.run.context import RunContext
from bench.run.keys import digest

BATCH = 32  # outputs held in memory at a time


@dataclass(frozen=True, slots=True)
class LoadedMetric:
    """A metric that is ready to score.

    Args:
        name: Its name in the catalog, or `file.py:Class`.
        metric: The metric, loaded.
        fingerprint: Digest of all that decides a score beside the audio, 12 hex digits.
        detail: What the fingerprint is a digest of.
    """

    name: str
    metric: Metric
    fingerprint: str
    detail: Mapping[str, object]


def load_metric(context: RunContext, name: str, entry: Entry) -> LoadedMetric:
    """Load a metric, in a worker where it has an environment of its own."""
    metric = open_metric(name, entry, context.log_of(name))
    with context.watch.measure("load metrics", context.device):
        metric.load(context.profile, context.device)
    detail = dict(metric.fingerprint())
    return LoadedMetric(name, metric, digest(detail)[:12], detail)


def missing(
    metric: LoadedMetric,
    plan: Sequence[PlannedCell],
    cells: Mapping[str, CellRecord],
    scores: Mapping[tuple[str, str], ScoreRecord],
) -> list[PlannedCell]:
    """Finished cells without a score of this metric and fingerprint, in the order of the plan."""
    return [
        cell
        for cell in plan
        if (record := cells.get(cell.cell_id)) is not None
        and record.status == "ok"
        and (
            (score := scores.get((cell.cell_id, metric.name))) is None
            or score.fingerprint != metric.fingerprint
        )
    ]


def score(
    context: RunContext,
    metric: LoadedMetric,
    todo: Sequence[PlannedCell],
    cells: Mapping[str, CellRecord],
) -> Iterator[int]:
    """Score `todo` in batches, appending the records of each; yields how many are done."""
    for start in range(0, len(todo), BATCH):
        batch = todo[start : start + BATCH]
        outputs = [_output(context, cell, cells[cell.cell_id]) for cell in batch]
        before = context.watch.total_s
        with context.watch.measure("score", context.device):
            results = metric.metric.score(outputs)
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
                score_s=share_s,
            )
            for cell, result in zip(batch, results, strict=True)
        ]
        store.append(context.folder / "scores.jsonl", rows)
        yield start + len(batch)


def _output(context: RunContext, cell: PlannedCell, record: CellRecord) -> Output:
    audio = read_audio(context.folder / str(record.audio))
    return Output(context.material.content(cell.content), context.material.style(cell.style), audio)

"""Scoring: finished cells by each metric that has not scored them with its present fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.api import Entry, Metric, Output
from bench.audio import read_audio
from bench.plugins.catalog import resolve
from bench.plugins.isolated import IsolatedMetric, Isolation
from bench.records import store
from bench.records.schema import CellRecord, PlannedCell, ScoreRecord
from bench.run.keys import digest
from bench.run.studio import Bench

BATCH = 32  # outputs held in memory at a time
LONGEST_NAME = 100  # of a log file: a metric from outside is named by its path


@dataclass(frozen=True, slots=True)
class LoadedMetric:
    """A metric ready to score, with the short name of its fingerprint and what that stands for."""

    name: str
    metric: Metric
    fingerprint: str
    detail: Mapping[str, object]


def load_metric(bench: Bench, name: str, entry: Entry) -> LoadedMetric:
    """Load a metric, in a worker where its environment is another, and name its fingerprint.

    The name has 12 hex digits.
    """
    metric = _make(bench, name, entry)
    with bench.watch.measure("load metrics", bench.device):
        metric.load(bench.profile, bench.device)  # type: ignore[arg-type]  # checked by the suite
    detail = dict(metric.fingerprint())
    return LoadedMetric(name, metric, digest(detail)[:12], detail)


def _make(bench: Bench, name: str, entry: Entry) -> Metric:
    if entry.environment is None:
        made: Metric = resolve(entry)()
        return made
    log = bench.folder / "logs" / f"{name.replace('/', '_')[-LONGEST_NAME:]}.log"
    return IsolatedMetric(name, Isolation(entry), log)


def close(metrics: Iterable[LoadedMetric]) -> None:
    """Let go of the workers of metrics; those in this process need nothing."""
    for loaded in metrics:
        if isinstance(loaded.metric, IsolatedMetric):
            loaded.metric.close()


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
    bench: Bench, metric: LoadedMetric, todo: Sequence[PlannedCell], cells: Mapping[str, CellRecord]
) -> Iterator[int]:
    """Score `todo` in batches, appending the records of each; yields how many are done."""
    for start in range(0, len(todo), BATCH):
        batch = todo[start : start + BATCH]
        outputs = [_output(bench, cell, cells[cell.cell_id]) for cell in batch]
        before = bench.watch.total_s
        with bench.watch.measure("score", bench.device):
            results = metric.metric.score(outputs)
        share_s = (bench.watch.total_s - before) / len(batch)
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
        store.append(bench.folder / "scores.jsonl", rows)
        yield start + len(batch)


def _output(bench: Bench, cell: PlannedCell, record: CellRecord) -> Output:
    audio = read_audio(bench.folder / str(record.audio))
    return Output(bench.material.content(cell.content), bench.material.style(cell.style), audio)

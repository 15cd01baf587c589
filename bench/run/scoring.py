"""Scoring finished cells by each metric that has not scored them with its present fingerprint.

Whatever a metric answers passes the gate of `bench.scores`. What it raises, too few scores, or one
that breaks a rule becomes an `invalid_score` of the outputs concerned; the other outputs, the other
metrics and the run go on.

A metric that embeds sounds (`bench.api.EmbeddingMetric`) and lives in this process leaves the
vectors of outputs and of held-out clips in the folder too (`bench.records.embeddings`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from bench.api import (
    Audio,
    BenchError,
    ConfigError,
    EmbeddingMetric,
    Entry,
    Json,
    Metric,
    MetricInfo,
    Output,
    Profile,
    Score,
    UnsupportedError,
)
from bench.batching import Aside, in_parallel, one_ahead
from bench.failure import contained, failure_of
from bench.files import disk_is_full
from bench.outputs import judge, usable
from bench.outside.wording import some
from bench.plugins.catalog import describe
from bench.plugins.inspection import digest_of, is_outside
from bench.plugins.opening import USUAL, Isolation, close, open_metric
from bench.plugins.returned import plain_fingerprint
from bench.records import store
from bench.records.embeddings import Place, is_unit, known_places, to_text
from bench.records.integrity import recorded_audio
from bench.records.schema import CellRecord, EmbeddingRecord, PlannedCell, ScoreRecord
from bench.run.context import RunContext
from bench.run.keys import digest
from bench.scores import INVALID, AnswerError, Declared, admit, invalid
from bench.weights import digest as weights_digest

logger = logging.getLogger(__name__)
# Outputs that are scored in one call, and held in memory; where the host works beside the device,
# those of the next call are read meanwhile, and a metric finds work for both in one call.
BATCH, BATCH_OVERLAPPED = 32, 128
Found = tuple[PlannedCell, Output | CellRecord]  # a cell with its output, or with what is wrong


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
        detail = {**said, **outside_facts(entry, context.profile, code)}
        if "rivals" in entry.info.needs:
            detail["styles"] = context.material.styles_digest[:12]
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


def outside_facts(entry: Entry, profile: Profile, code: str) -> dict[str, Json]:
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
    vectors: VectorLog | None = None,
) -> Iterator[int]:
    """Score `todo` in batches, appending the records of each; yields how many are done.

    Audio that is not what was recorded gets no score: its cell becomes `cancelled` in `cells` and
    on the disk, and the next session renders it again.

    Args:
        context: What the metrics share.
        metric: The metric.
        todo: The cells to score.
        cells: The latest records of all cells.
        vectors: Gets the outputs too, where the metric embeds them.
    """
    for sound, done in _outputs(context, metric.info, todo, cells):
        if sound:
            rows = _rows(context, metric, sound, cells)
            store.append(context.own_folder / "scores.jsonl", rows)
        if vectors is not None:
            vectors.keep([output for _, output in sound])
        yield done


def _outputs(
    context: RunContext,
    info: MetricInfo,
    todo: Sequence[PlannedCell],
    cells: dict[str, CellRecord],
) -> Iterator[tuple[list[tuple[PlannedCell, Output]], int]]:
    """Batches of cells with their outputs, each with how many cells are done with it."""
    done = 0
    with Aside(context.device) as aside:
        for reading in one_ahead(_readings(context, info, todo, cells, aside)):
            found = reading()
            _let_go(context, found, cells)
            done += len(found)
            yield [(cell, one) for cell, one in found if isinstance(one, Output)], done


@dataclass(frozen=True, slots=True)
class VectorLog:
    """Where a metric that embeds sounds leaves their vectors: each sound once in a run.

    Args:
        context: What the metrics share.
        metric: The metric.
        embedding: The name of its vectors in tables.
        embed: Its vectors of some sounds.
        known: The sounds that have one.
    """

    context: RunContext
    metric: LoadedMetric
    embedding: str
    embed: Callable[[Sequence[Audio]], NDArray[np.float64]]
    known: set[Place]

    def missing(
        self,
        plan: Sequence[PlannedCell],
        cells: Mapping[str, CellRecord],
        scores: Mapping[tuple[str, str], ScoreRecord],
    ) -> list[PlannedCell]:
        """Finished cells whose sound has no vector and, by their scores, could have one."""

        def is_open(cell: PlannedCell) -> bool:
            record, score = cells.get(cell.cell_id), scores.get((cell.cell_id, self.metric.name))
            if record is None or record.status != "ok" or record.audio_digest is None:
                return False
            judged = score is not None and score.status in {"silent", "invalid_output"}
            return not judged and (record.audio_digest, None, None) not in self.known

        return [cell for cell in plan if is_open(cell)]

    def add(self, todo: Sequence[PlannedCell], cells: dict[str, CellRecord]) -> Iterator[int]:
        """Keep the vectors of finished cells, in batches; yields how many are done."""
        for sound, done in _outputs(self.context, self.metric.info, todo, cells):
            self.keep([output for _, output in sound])
            yield done

    def keep(self, outputs: Sequence[Output]) -> None:
        """Append the vectors of outputs; silent and broken ones have none."""
        verdicts = in_parallel(partial(judge, self.metric.name), outputs, self.context.device)
        pairs = zip(outputs, verdicts, strict=True)
        self._append({(o.audio.digest, None, None): o.audio for o, said in pairs if said is None})

    def keep_clips(self, styles: Iterable[str]) -> None:
        """Append the vectors of the held-out clips of styles."""
        for style in map(self.context.material.style, styles):
            try:
                clips = usable(style.heldout_clips, f"style {style.id!r}, held-out clips")
            except UnsupportedError:
                continue  # the scores say it
            self._append({(one.audio.digest, style.id, one.id): one.audio for one in clips})

    def _append(self, sounds: Mapping[Place, Audio]) -> None:
        new = {place: audio for place, audio in sounds.items() if place not in self.known}
        if not new:
            return
        with self.context.watch.measure("score", self.context.device):
            vectors = self._vectors([*new.values()])
        rows = [
            EmbeddingRecord(
                embedding=self.embedding,
                metric=self.metric.name,
                fingerprint=self.metric.fingerprint,
                audio_digest=digest,
                style=style,
                clip=clip,
                vector=to_text(vector),
            )
            for (digest, style, clip), vector in zip(new, vectors, strict=True)
            if vector is not None
        ]
        if rows:
            store.append(self.context.own_folder / store.EMBEDDINGS, rows)
        self.known.update(new)

    def _vectors(self, audios: Sequence[Audio]) -> list[NDArray[np.float64] | None]:
        """A vector each; where a call fails it is made again for each sound alone."""
        try:
            with contained():
                return [*_required(self.embed(audios), len(audios))]
        except Exception as error:
            if disk_is_full(error):
                raise
            if len(audios) > 1:
                return [vector for audio in audios for vector in self._vectors([audio])]
            self.context.keep_traceback(self.metric.name, error)
            said = str(error) if isinstance(error, AnswerError) else failure_of(error).reason
            _warn(f"metric {self.metric.name!r} gave no vector of some sound: {said}")
            return [None]


def _required(found: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """What a metric answered, if it is that many vectors.

    Raises:
        AnswerError: It is not.
    """
    vectors = np.asarray(found, np.float64)
    shaped = vectors.shape == (count, *vectors.shape[1:2]) and vectors.size > 0
    if not shaped or not is_unit(vectors):
        raise AnswerError(
            f"embed gave numbers of shape {vectors.shape} for a list of {count}; they must be "
            "(sound, dimension), finite, with rows of unit norm"
        )
    return vectors


@cache
def _warn(words: str) -> None:
    """Say it once in a process, of however many sounds."""
    logger.warning(words)


def vector_log(context: RunContext, metric: LoadedMetric) -> VectorLog | None:
    """Where a metric leaves its vectors; None for one that embeds nothing, or not here."""
    loaded = metric.metric
    if not isinstance(loaded, EmbeddingMetric):
        return None
    known = known_places(context.folder, metric.name, metric.fingerprint)
    return VectorLog(context, metric, loaded.EMBEDDING, loaded.embed, known)


def _rows(
    context: RunContext,
    metric: LoadedMetric,
    sound: Sequence[tuple[PlannedCell, Output]],
    cells: Mapping[str, CellRecord],
) -> list[ScoreRecord]:
    """The scores of some outputs, and what each cost."""
    before = context.watch.total_s
    with context.watch.measure("score", context.device):
        results = _scores(context, metric, [output for _, output in sound])
    share_s = (context.watch.total_s - before) / len(sound)
    return [
        ScoreRecord(
            cell_id=cell.cell_id,
            metric=metric.name,
            value=result.value,
            raw=result.raw,
            status=result.status,
            reason=result.reason,
            detail=dict(result.detail) or None,
            fingerprint=metric.fingerprint,
            code=metric.code,
            audio_digest=cells[cell.cell_id].audio_digest,
            score_s=share_s,
        )
        for (cell, _), result in zip(sound, results, strict=True)
    ]


def _scores(context: RunContext, metric: LoadedMetric, outputs: Sequence[Output]) -> list[Score]:
    """One sound or invalid score per output."""
    if metric.metric is None:
        return [invalid(metric.name, metric.fault) for _ in outputs]
    keep = partial(context.keep_traceback, metric.name)
    return scores_of(metric.metric, outputs, metric.declared, keep)


def scores_of(
    metric: Metric,
    outputs: Sequence[Output],
    declared: Declared,
    keep: Callable[[Exception], None],
) -> list[Score]:
    """One sound or invalid score per output.

    A call that raises, or that answers with too few, is made again for each output alone, so that
    one output at fault costs only itself.

    Args:
        metric: It is loaded.
        outputs: In any number.
        declared: What its scores are checked against.
        keep: Is told what a call for several outputs raised.
    """
    try:
        with contained():
            return admit(metric.score(outputs), len(outputs), declared)
    except Exception as error:
        if disk_is_full(error):
            raise
        keep(error)
        if len(outputs) == 1:
            return [_refusal(declared.name, error)]
    return [_score_alone(metric, output, declared) for output in outputs]


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


def _readings(
    context: RunContext,
    info: MetricInfo,
    todo: Sequence[PlannedCell],
    cells: Mapping[str, CellRecord],
    aside: Aside,
) -> Iterator[Callable[[], list[Found]]]:
    """Begin to read the outputs of one call after the other."""
    size = BATCH_OVERLAPPED if aside.overlaps else BATCH
    for start in range(0, len(todo), size):
        batch = [(cell, cells[cell.cell_id]) for cell in todo[start : start + size]]
        yield aside.begin(partial(_read, context, info, batch))


def _read(
    context: RunContext, info: MetricInfo, batch: Sequence[tuple[PlannedCell, CellRecord]]
) -> list[Found]:
    """Each cell with its output, if its audio is what was recorded."""
    styles = list(dict.fromkeys(cell.style for cell, _ in batch))
    for style in styles:
        context.material.style(style)  # once, and not in each thread
    needs_rivals = "rivals" in info.needs
    rivals = {one: context.material.rivals(one) if needs_rivals else () for one in styles}
    target = context.material.target if "target" in info.needs else _no_target

    def find(pair: tuple[PlannedCell, CellRecord]) -> Found:
        cell, record = pair
        audio, material = recorded_audio(context.folder, record), context.material
        if not isinstance(audio, str):
            content, style = material.content(cell.content), material.style(cell.style)
            wanted = target(cell.style, cell.content)
            return cell, Output(content, style, audio, rivals[cell.style], wanted)
        return cell, CellRecord(
            cell_id=cell.cell_id, status="cancelled", identity=record.identity, reason=audio
        )

    return in_parallel(find, batch, context.device)


def _no_target(style: str, content: str) -> None:
    """What a metric is told that does not ask for the true result."""
    del style, content


def _let_go(context: RunContext, found: Sequence[Found], cells: dict[str, CellRecord]) -> None:
    """Open the cells whose audio is not what was recorded, and say so."""
    gone = [one for _, one in found if isinstance(one, CellRecord)]
    if gone:
        store.append(context.own_folder / "cells.jsonl", gone)
        cells.update({record.cell_id: record for record in gone})
        words = some(str(record.reason) for record in gone)
        logger.warning("%s: %s; not scored, the next run renders it again", context.folder, words)

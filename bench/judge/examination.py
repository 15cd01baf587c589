"""Asking a metric what it hears: its card.

Which of the two ways of comparing is fit for a metric is not declared but found out: the same
outputs are scored with another content, and with another style. A metric whose scores change with
the content compares two clips; one whose scores change with the style compares a clip with a style;
one that does both is asked both ways.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.api import (
    ConfigError,
    Direction,
    Json,
    Metric,
    MetricInfo,
    Output,
    Profile,
    Progress,
)
from bench.judge.comparisons import (
    NEITHER,
    RIGHT,
    SAME_INSTRUMENT,
    SAME_PIECE,
    WRONG_NOTES,
    WRONG_TIMBRE,
    Asker,
    Comparison,
    changes,
    clip_and_style,
    probes,
    two_clips,
)
from bench.judge.material import JudgeMaterial
from bench.plugins.catalog import find_metric
from bench.plugins.inspection import digest_of
from bench.plugins.opening import close, open_metric
from bench.plugins.returned import plain_fingerprint
from bench.records.judge_cards import Area, Form, Hearing, JudgeCard, measure_digest
from bench.run.keys import digest
from bench.run.scoring import outside_facts, scores_of
from bench.scores import INVALID, Declared
from bench.statistics.separation import Comparisons, separation

BATCH = 64  # outputs that are scored in one call
DIGITS = 4  # of a card's numbers
SAME = 1e-9  # scores that differ by less are the same
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pupil:
    """A loaded metric and what it is asked with.

    Args:
        name: Its name in the catalog, or `file.py:Class`.
        info: What it says of itself.
        metric: The metric.
        material: The clips.
        progress: Is told how far the examination is.
    """

    name: str
    info: MetricInfo
    metric: Metric
    material: JudgeMaterial
    progress: Progress

    @property
    def asker(self) -> Asker:
        """Makes outputs as the metric needs them."""
        return Asker(self.material, self.info)

    def scores(self, outputs: Sequence[Output], share: tuple[float, float]) -> list[float]:
        """A number per output, before clipping; NaN where there is none.

        Args:
            outputs: In any number.
            share: Where the examination stands before and after them, in [0, 1].
        """
        declared, found = Declared(self.name, self.info.range), []
        for start in range(0, len(outputs), BATCH):
            done = share[0] + (share[1] - share[0]) * start / len(outputs)
            self.progress(done, self.name)
            part = outputs[start : start + BATCH]
            found += scores_of(self.metric, part, declared, _nothing)
        wrong = [score.reason for score in found if score.status == INVALID]
        if wrong:
            logger.warning("%s: %d invalid scores, such as: %s", self.name, len(wrong), wrong[0])
        raws = [score.value if score.raw is None else score.raw for score in found]
        return [math.nan if raw is None else raw for raw in raws]


def _nothing(error: Exception) -> None:
    del error  # the scores of the single outputs say it again


def judge_metric(
    name: str,
    material: JudgeMaterial,
    profile: Profile,
    device: str,
    seed: int,
    progress: Progress,
) -> JudgeCard:
    """Load a metric and find out what it hears.

    Args:
        name: Its name in the catalog, or `file.py:Class`.
        material: The clips.
        profile: Which checkpoint it loads.
        device: Where it works.
        seed: Decides noise and intervals.
        progress: Is told how far it is.

    Raises:
        BenchError: There is no such metric, or its checkpoint is missing.
    """
    entry = find_metric(name)
    if not isinstance(entry.info, MetricInfo):
        raise ConfigError(f"{name} is described as a method; a metric was named. Correct its INFO.")
    metric = open_metric(entry, Path(os.devnull))
    try:
        metric.load(profile, device)
        said = plain_fingerprint(metric.fingerprint())
        detail = {**said, **outside_facts(entry, profile, digest_of(entry)[:12])}
        pupil = Pupil(name, entry.info, metric, material, progress)
        return examine(pupil, detail, profile, seed)
    finally:
        close(metric)


def examine(pupil: Pupil, detail: dict[str, Json], profile: Profile, seed: int) -> JudgeCard:
    """Ask a loaded metric; `detail` is its fingerprint, and the rest is as for `judge_metric`."""
    hears_content, hears_style = _what_counts(pupil)
    hearings: list[Hearing] = []
    if hears_content:
        hearings += _hearings(pupil, "two clips", seed)
    if hears_style:
        hearings += _hearings(pupil, "clip and style", seed)
    return JudgeCard(
        metric=pupil.name,
        title=pupil.info.title,
        fingerprint=digest(detail)[:12],
        measure=measure_digest(detail),
        dataset=pupil.material.name,
        profile=profile,
        seed=seed,
        hears_content=hears_content,
        hears_style=hears_style,
        hearings=tuple(hearings),
        responses=_responses(pupil, seed),
    )


def _what_counts(pupil: Pupil) -> tuple[bool, bool]:
    """Whether scores depend on the content, and whether they depend on the style."""
    asked = probes(pupil.asker)
    plain = pupil.scores(asked.plain, (0, 0))
    by_content = [pupil.scores(p, (0, 0)) for p in (asked.same_piece, asked.same_instrument)]
    hears_content = any(_differ(plain, scores) for scores in by_content)
    return hears_content, _differ(plain, pupil.scores(asked.other_style, (0, 0)))


def _differ(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether a score changed; where one of two is none, nothing is known."""
    return any(abs(a - b) > SAME for a, b in zip(first, second, strict=True))


def _hearings(pupil: Pupil, form: Form, seed: int) -> Iterable[Hearing]:
    kinds = _FORMS[form]
    grids = pupil.material.grids
    for number, grid in enumerate(grids):
        asked = list(kinds.ask(pupil.asker, grid))
        share = (number / len(grids), (number + 1) / len(grids))
        values = np.array(pupil.scores([one.output for one in asked], share))
        closer = values if pupil.info.direction is Direction.MAXIMIZE else -values
        of = {kind: _of_kind(asked, closer, kind) for kind in kinds.all}
        yield Hearing(
            clips=grid.title,
            form=form,
            notes=_area(of, kinds.notes, seed),
            timbre=_area(of, kinds.timbre, seed),
            balance=_area(of, kinds.balance, seed),
            means={kind: _mean(values[[one.kind == kind for one in asked]]) for kind in kinds.all},
            outputs=len(asked),
            scored=int(np.isfinite(values).sum()),
            nearest=_nearest(asked, closer) if form == "clip and style" else None,
        )


@dataclass(frozen=True, slots=True)
class _Kinds:
    """How comparisons of a form are made, and which kinds stand against each other."""

    ask: Callable[..., Iterable[Comparison]]
    notes: tuple[str, str]
    timbre: tuple[str, str]
    balance: tuple[str, str]
    all: tuple[str, str, str]


_FORMS: dict[Form, _Kinds] = {
    "two clips": _Kinds(
        two_clips,
        notes=(SAME_PIECE, NEITHER),
        timbre=(SAME_INSTRUMENT, NEITHER),
        balance=(SAME_PIECE, SAME_INSTRUMENT),
        all=(SAME_PIECE, SAME_INSTRUMENT, NEITHER),
    ),
    "clip and style": _Kinds(
        clip_and_style,
        notes=(RIGHT, WRONG_NOTES),
        timbre=(RIGHT, WRONG_TIMBRE),
        balance=(WRONG_TIMBRE, WRONG_NOTES),
        all=(RIGHT, WRONG_NOTES, WRONG_TIMBRE),
    ),
}


def _of_kind(asked: Sequence[Comparison], closer: np.ndarray, kind: str) -> Comparisons:
    """The comparisons of one kind, which all rest on as many pieces and instruments."""
    places = [place for place, one in enumerate(asked) if one.kind == kind]
    return Comparisons(
        closer[places],
        np.array([asked[place].pieces for place in places], dtype=np.intp),
        np.array([asked[place].instruments for place in places], dtype=np.intp),
    )


def _area(of: Mapping[str, Comparisons], kinds: tuple[str, str], seed: int) -> Area:
    found = separation(of[kinds[0]], of[kinds[1]], seed=seed)
    return Area(value=_short(found.value), low=_short(found.low), high=_short(found.high))


def _short(value: float) -> float | None:
    return round(value, DIGITS) if math.isfinite(value) else None


def _mean(values: np.ndarray) -> float | None:
    there = values[np.isfinite(values)]
    return _short(float(there.mean())) if len(there) else None


def _nearest(asked: Sequence[Comparison], closer: np.ndarray) -> tuple[int, int] | None:
    """Of how many clips the style that they play in is the closest, among those with all scores."""
    table: dict[tuple[int, int], dict[int, float]] = {}
    for one, value in zip(asked, closer, strict=True):
        if one.heard is not None and one.kind != WRONG_NOTES:
            style, clip = one.heard
            table.setdefault(clip, {})[style] = float(value)
    whole = {clip: row for clip, row in table.items() if all(map(math.isfinite, row.values()))}
    if not whole:
        return None
    right = sum(max(row, key=row.__getitem__) == clip[1] for clip, row in whole.items())
    return right, len(whole)


def _responses(pupil: Pupil, seed: int) -> dict[str, float | None]:
    asked = list(changes(pupil.asker, seed))
    values = np.array(pupil.scores([one.output for one in asked], (1.0, 1.0)))
    kinds = dict.fromkeys(one.kind for one in asked)
    return {kind: _mean(values[[one.kind == kind for one in asked]]) for kind in kinds}

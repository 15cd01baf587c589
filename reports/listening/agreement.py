"""Whether a metric ranks outputs as listeners do: rank correlations with the marks of each cell.

Pure functions of a run and its ratings. For each metric and each question the mean mark of a cell
is set beside its score: Spearman's correlation and Kendall's tau-b over cells, hidden controls
included, and Spearman's over the means of the methods, which rest on few points. A metric of which
less is better is turned round, so that 1 is agreement for all.

**Interval**: percentiles over draws with replacement of raters and of contents, and of styles where
there are at least `MIN_STYLES`; one listener, one piece, one style count once, however many ratings
belong to them. There is none where one of these has a single member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.records.schema import MetricEntry
from bench.records.store import Run
from bench.statistics.intervals import MIN_CLUSTERS, MIN_STYLES
from bench.statistics.ranks import Ranked, rank_correlations, signs
from bench.statistics.variances import Floats, Indices
from reports.listening.design import QUESTIONS
from reports.listening.ratings import Rating
from reports.tables import reading
from reports.text.result_table import Estimate

DRAWS = 1000
FEWEST_RANKED = 3  # cells or methods
_ENDS = (0.025, 0.975)
NONE = float("nan")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a metric and the listeners' marks for one question agree.

    Args:
        metric: The metric's name.
        question: "cp", "sf" or "ovl".
        spearman: Over cells, in [-1, 1], 1 is agreement; with its interval.
        kendall: Tau-b over the same cells.
        over_methods: Spearman's correlation of the methods' means; NaN below three methods.
        cells: How many cells have both.
        methods: How many methods these belong to, hidden controls among them.
        raters: How many listeners marked them.
    """

    metric: str
    question: str
    spearman: Estimate
    kendall: Estimate
    over_methods: float
    cells: int
    methods: int
    raters: int


def agreement(run: Run, ratings: Sequence[Rating], *, draws: int = DRAWS) -> tuple[Agreement, ...]:
    """The agreement of every metric of a run with the answers to every question, in their order.

    Metrics that have a score in fewer than `FEWEST_RANKED` rated cells are left out.

    Args:
        run: Its scores.
        ratings: The marks that count, see `reports.listening.ratings.heard`.
        draws: On how many an interval rests.
    """
    metrics = reading.ordered_metrics(run)
    return tuple(one for metric in metrics for one in _of_metric(run, ratings, metric, draws))


def _of_metric(
    run: Run, ratings: Sequence[Rating], metric: MetricEntry, number: int
) -> list[Agreement]:
    scores = {rating.cell_id: _score(run, rating.cell_id, metric) for rating in ratings}
    both = [rating for rating in ratings if scores[rating.cell_id] is not None]
    cells = _index([rating.cell_id for rating in both])
    if cells.max(initial=-1) + 1 < FEWEST_RANKED:
        return []
    values = np.array([scores[rating.cell_id] for rating in both], np.float64)
    draws = _draws(both, number)
    return [_of_question(metric.name, question, both, values, draws) for question in QUESTIONS]


def _of_question(
    metric: str, question: str, both: Sequence[Rating], values: Floats, draws: Sequence[_Draw]
) -> Agreement:
    marks = np.array([getattr(rating, question) for rating in both], np.float64)
    cells, methods = (_index([getattr(r, key) for r in both]) for key in ("cell_id", "method"))
    once = np.ones(len(both))
    scores = signs(_means(values, cells))
    whole = _ranked(scores, marks, cells, _Draw(once, once)) or Ranked(NONE, NONE)
    drawn = [found for draw in draws if (found := _ranked(scores, marks, cells, draw)) is not None]
    spearman, kendall = (
        _estimate(value, [one[place] for one in drawn], len(scores))
        for place, value in enumerate(whole)
    )
    over_methods = _over_methods(values, marks, methods)
    count = int(methods.max()) + 1
    raters = len({rating.rater for rating in both})
    return Agreement(metric, question, spearman, kendall, over_methods, len(scores), count, raters)


def _score(run: Run, cell_id: str, metric: MetricEntry) -> float | None:
    """The number before clipping, larger where the metric finds the output better."""
    score = run.scores.get((cell_id, metric.name))
    if score is None or score.value is None:
        return None
    number = score.value if score.raw is None else score.raw
    return number if metric.direction == "maximize" else -number


class _Draw(NamedTuple):
    """How often the listener of each rating was drawn, and how often its place; (rating,)."""

    raters: Floats
    places: Floats


def _ranked(scores: Floats, marks: Floats, cells: Indices, draw: _Draw) -> Ranked | None:
    """The correlations in one draw; None where it holds too few cells.

    A cell counts as often as its content (and style) was drawn, and its mean mark is over those of
    its listeners who were drawn; one without a listener is left out.
    """
    listened = np.bincount(cells, draw.raters)
    weights = np.zeros(len(listened))
    weights[cells] = draw.places  # alike for all ratings of a cell
    kept = np.flatnonzero(weights * listened)
    if len(kept) < FEWEST_RANKED:
        return None
    means = np.bincount(cells, draw.raters * marks)[kept] / listened[kept]
    return rank_correlations(scores[np.ix_(kept, kept)], signs(means), weights[kept])


def _draws(ratings: Sequence[Rating], number: int) -> list[_Draw]:
    """The draws of an interval; none where there is one listener, content or style alone."""
    raters = _index([rating.rater for rating in ratings])
    places = [_index([rating.content for rating in ratings])]
    styles = _index([rating.style for rating in ratings])
    if styles.max() + 1 >= MIN_STYLES:
        places.append(styles)
    if min(int(index.max()) + 1 for index in (raters, *places)) < MIN_CLUSTERS:
        return []
    generator = np.random.default_rng(0)
    return [
        _Draw(
            _times_drawn(generator, raters),
            np.prod([_times_drawn(generator, index) for index in places], axis=0),
        )
        for _ in range(number)
    ]


def _times_drawn(generator: np.random.Generator, index: Indices) -> Floats:
    """How often the group of each rating is drawn, as many groups being drawn as there are."""
    size = int(index.max()) + 1
    return generator.multinomial(size, np.full(size, 1 / size))[index].astype(np.float64)


def _estimate(value: float, drawn: Sequence[float], cells: int) -> Estimate:
    known = [one for one in drawn if np.isfinite(one)]
    low, high = np.quantile(known, _ENDS) if known and np.isfinite(value) else (NONE, NONE)
    return Estimate(value, float(low), float(high), cells)


def _over_methods(values: Floats, marks: Floats, methods: Indices) -> float:
    if methods.max() + 1 < FEWEST_RANKED:
        return NONE
    first, second = (signs(_means(numbers, methods)) for numbers in (values, marks))
    return rank_correlations(first, second, np.ones(len(first))).spearman


def _means(values: Floats, groups: Indices) -> Floats:
    return np.asarray(np.bincount(groups, values) / np.bincount(groups))


def _index(names: Sequence[str]) -> Indices:
    return np.asarray(np.unique(np.asarray(names), return_inverse=True)[1], np.intp)

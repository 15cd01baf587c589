"""Metrics beside the marks of listeners: correlations by another library, turns, and intervals."""

from __future__ import annotations

import itertools
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

sys.path.insert(0, str(Path(__file__).parent))

from building import header, method, run_of, scored

from bench.records.store import Run
from reports.listening.agreement import Agreement, agreement
from reports.listening.ratings import Heard, Rating
from reports.listening.tables import ears
from reports.text.result_table import Missing

STYLES = ("harp", "oud", "bird")
CONTENTS = tuple(f"c{n}" for n in range(6))
METRICS = ("cp", "chroma")
DRAWS = 200
LABELS = ("tve", "rti", "copy-content")
Mark = Callable[[float], float]


def rated(raters: int, mark: Mark, styles: tuple[str, ...] = STYLES) -> tuple[Run, Heard]:
    """Scores that are drawn, and marks for CP that follow them; the other marks are drawn."""
    entries = [method(label, control=label.startswith("copy")) for label in LABELS]
    run = run_of(header(entries, styles, CONTENTS, METRICS), {n: {"cp": 0.0} for n in LABELS})
    generator = np.random.default_rng(3)
    scores, ratings = {}, []
    for cell in run.plan:
        raw = float(generator.uniform(-0.5, 1))
        scores[cell.cell_id, "cp"] = scored(cell.cell_id, "cp", max(0.0, raw), raw=raw)
        chroma = float(generator.uniform(0, 1))
        scores[cell.cell_id, "chroma"] = scored(cell.cell_id, "chroma", chroma)
        for rater in range(raters):
            cp = int(np.clip(round(mark(raw) + generator.normal(0, 0.7)), 1, 5))
            sf, ovl = (int(number) for number in generator.integers(1, 6, 2))
            place = (cell.method, cell.style, cell.content, cell.cell_id)
            ratings.append(Rating(f"r{rater}", *place, cp, sf, ovl))
    heard = Heard(tuple(ratings), tuple(f"r{n}" for n in range(raters)), ())
    return replace(run, scores=scores), heard


def by_name(run: Run, heard: Heard) -> dict[tuple[str, str], Agreement]:
    found = agreement(run, heard.ratings, draws=DRAWS)
    return {(one.metric, one.question): one for one in found}


def follows(raw: float) -> float:
    return 2.5 + 2 * raw


def test_correlations_are_scipys_of_the_mean_marks_and_the_scores_before_clipping() -> None:
    run, heard = rated(5, follows)
    found = by_name(run, heard)
    marks: dict[str, list[int]] = defaultdict(list)
    for rating in heard.ratings:
        marks[rating.cell_id].append(rating.sf)
    raws = [run.scores[cell, "cp"].raw for cell in marks]
    means = [np.mean(given) for given in marks.values()]
    one = found["cp", "sf"]
    assert one.spearman.value == pytest.approx(spearmanr(raws, means).statistic, abs=1e-12)
    assert one.kendall.value == pytest.approx(kendalltau(raws, means).statistic, abs=1e-12)
    assert (one.cells, one.methods, one.raters) == (len(LABELS) * 18, 3, 5)


def test_the_metric_that_listeners_follow_is_found_and_no_other() -> None:
    run, heard = rated(6, follows)
    found = by_name(run, heard)
    assert set(found) == set(itertools.product(METRICS, ("cp", "sf", "ovl")))
    agreeing = found["cp", "cp"]
    assert agreeing.spearman.low > 0.6
    assert 0.4 < agreeing.kendall.low < agreeing.kendall.value < agreeing.spearman.value
    for pair in itertools.product(METRICS, ("cp", "sf", "ovl")):
        if pair != ("cp", "cp"):
            assert found[pair].kendall.low < 0 < found[pair].kendall.high, pair


def test_a_metric_of_which_less_is_better_is_turned_round() -> None:
    run, heard = rated(4, follows)
    distances = {
        key: score.model_copy(update=dict.fromkeys(("value", "raw"), 2 - (score.raw or 0.0)))
        if key[1] == "cp"
        else score
        for key, score in run.scores.items()
    }
    metrics = [replace_direction(one) if one.name == "cp" else one for one in run.header.metrics]
    turned = replace(
        run, scores=distances, header=run.header.model_copy(update={"metrics": metrics})
    )
    assert by_name(turned, heard)["cp", "cp"] == by_name(run, heard)["cp", "cp"]


def replace_direction(metric: object) -> object:
    return metric.model_copy(update={"direction": "minimize"})  # type: ignore[attr-defined] # a record


def test_listeners_who_agree_give_a_narrower_interval_the_more_there_are() -> None:
    """Contents stay the same, so that only what listeners add can shrink."""
    widths = []
    for raters in (2, 16):
        run, heard = rated(raters, follows)
        one = by_name(run, heard)["cp", "cp"].kendall
        widths.append(one.high - one.low)
    assert widths[1] < widths[0]


def test_a_cell_counts_as_often_as_its_content_is_drawn() -> None:
    """One content against the rest: its draws of 0, 1, 2 and more move the interval."""
    run, heard = rated(4, follows)
    scores = {
        key: score.model_copy(update={"raw": -score.raw})
        if key[1] == "cp" and score.raw is not None and content_of(run, key[0]) == "c0"
        else score
        for key, score in run.scores.items()
    }
    plain = by_name(run, heard)["cp", "cp"].spearman
    spoilt = by_name(replace(run, scores=scores), heard)["cp", "cp"].spearman
    assert spoilt.high - spoilt.low > 1.5 * (plain.high - plain.low)


def content_of(run: Run, cell_id: str) -> str:
    return next(cell.content for cell in run.plan if cell.cell_id == cell_id)


def test_a_draw_of_one_listener_alone_hears_that_listener_alone() -> None:
    """The second contradicts the first, but weakly: only where it is drawn twice it wins."""
    run, heard = rated(2, follows)
    good = {one.cell_id for one in run.scores.values() if one.metric == "cp" and one.raw > 0.25}
    marks = {("r0", True): 5, ("r0", False): 1, ("r1", True): 2, ("r1", False): 4}
    told = [replace(one, cp=marks[one.rater, one.cell_id in good]) for one in heard.ratings]
    found = by_name(run, replace(heard, ratings=tuple(told)))["cp", "cp"]
    assert found.spearman.value > 0.5
    assert found.spearman.low < -0.5


def test_one_listener_or_one_content_leaves_no_interval() -> None:
    run, heard = rated(1, follows)
    one = by_name(run, heard)["cp", "cp"]
    assert np.isfinite(one.spearman.value)
    assert np.isnan([one.spearman.low, one.kendall.high]).all()
    run, heard = rated(3, follows)
    alone = [rating for rating in heard.ratings if rating.content == "c0"]
    (first, *_) = agreement(run, alone, draws=DRAWS)
    assert np.isnan(first.kendall.low)


def test_a_metric_with_too_few_scores_is_left_out_and_said_in_the_table() -> None:
    run, heard = rated(3, follows)
    known = {rating.cell_id for rating in heard.ratings[:6]}  # two cells
    scores = {key: s for key, s in run.scores.items() if key[1] == "cp" or key[0] in known}
    poor = replace(run, scores=scores)
    assert {one.metric for one in agreement(poor, heard.ratings, draws=DRAWS)} == {"cp"}
    table = ears(poor, heard)
    cells = dict(zip(table.column("measure"), table.column("kendall"), strict=True))
    assert cells["Chroma"] is None
    reasons = [value.reason for value in table.column("clips") if isinstance(value, Missing)]
    assert reasons == ["fewer than three clips have both"] * 3


def test_nothing_rated_is_no_agreement() -> None:
    run, _ = rated(1, follows)
    assert agreement(run, ()) == ()

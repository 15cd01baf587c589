"""The gate on single styles: what a mean over all of them hides, and what one cannot tell."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))

from styled import METHODS, SF, STYLES, Level, even, levels, run

from bench.gate.judge import judge
from bench.gate.lanes import style_spreads
from bench.gate.quality import ALPHA, shared_alpha
from bench.gate.snapshot import MeasuredCell, Snapshot
from bench.gate.verdict import Verdict, exit_code, outcome


def said(found: list[Verdict], method: str, style: str = "") -> Verdict:
    """The verdict on quality of a method, over all styles or on one."""
    lane = "style" if style else "quality"
    [verdict] = [v for v in found if (v.lane, v.method, v.style) == (lane, method, style)]
    return verdict


@pytest.mark.parametrize("method", METHODS)
def test_a_style_that_collapses_is_red_and_named(method: str) -> None:
    """One of four at 0: over all styles it was inconclusive, and the gate passed."""
    found = judge(run(1, levels(rain=0.0)), run(0))
    assert said(found, method, "rain").word == "regressed"
    assert said(found, method).word == "regressed"
    assert "rain: worse by 0.4" in said(found, method).reason  # clipped at 0, so less than .5
    assert exit_code(found) == 3
    for style in ("bells", "flute", "viola"):
        assert not said(found, method, style).red


@pytest.mark.parametrize("method", METHODS)
def test_a_collapse_that_the_other_styles_make_up_for_is_red_and_named(method: str) -> None:
    """One at 0, three up by a quarter: over all styles it was equivalent, and the gate passed."""
    found = judge(run(1, levels(bells=0.75, flute=0.75, rain=0.0, viola=0.75)), run(0))
    assert said(found, method).word == "regressed"
    assert said(found, method).reason.startswith("rain: worse by")
    assert said(found, method, "bells").word == "improved"
    assert exit_code(found) == 3


def test_two_styles_that_fall_by_little_are_both_named() -> None:
    found = judge(run(1, levels(flute=0.4, viola=0.38), size=(8, 6)), run(0, size=(8, 6)))
    reason = said(found, "tve").reason
    assert "viola: worse by" in reason
    assert "flute: worse by" in reason
    assert [said(found, "tve", style).word == "regressed" for style in STYLES] == [
        False, True, False, True,
    ]  # fmt: skip


def test_a_style_without_scores_in_the_new_run_is_lost_and_named() -> None:
    found = judge(run(1, levels(rain=None)), run(0))
    [lost] = [v for v in found if v.lane == "cells" and v.method == "tve"]
    assert lost.red
    assert "rain/c0/0" in lost.reason
    assert not [v for v in found if v.style == "rain"]


def test_a_style_without_scores_in_both_runs_is_no_lane() -> None:
    found = judge(run(1, levels(rain=None)), run(0, levels(rain=None)))
    assert not [v for v in found if v.style == "rain" or (v.red and v.lane == "cells")]


def test_a_style_that_is_gone_is_lost_and_named() -> None:
    new = run(1)
    gone = new.model_copy(update={"cells": tuple(c for c in new.cells if c.style != "rain")})
    found = judge(gone, run(0))
    assert [v.reason.split()[4] for v in found if v.lane == "cells"] == ["rain/c0/0,"] * 2
    assert exit_code(found) == 3


def test_a_style_of_one_cell_can_tell_nothing() -> None:
    few = {"rain": 1}
    old, new = run(0, size=(4, 1), fewer=few), run(1, size=(4, 1), fewer=few)
    found = judge(new, old)
    blind = said(found, "musicgen", "rain")
    assert (blind.word, blind.detectable) == ("blind", math.inf)
    assert blind.reason == "nothing could be found (1 cell); 0.2 needs at least 1 more seed"
    assert "rain: nothing could be found" in said(found, "musicgen").reason


def test_a_halved_score_on_two_by_two_cells_never_passes() -> None:
    for seeds in (1, 2):
        known = run(0, size=(2, seeds))
        halved = run(1, levels(bells=0.25, flute=0.25), size=(2, seeds))
        assert exit_code(judge(halved, known)) in {3, 4}
        assert said(judge(halved, known), "tve").word in {"regressed", "blind"}


def test_a_lane_that_finds_too_little_ends_the_gate_with_four_unless_it_is_allowed() -> None:
    known, new = run(0, size=(8, 1)), run(1, size=(8, 1))
    found = [v for v in judge(new, known) if v.lane in {"quality", "style"}]
    assert {said(found, "tve", style).word for style in STYLES} == {"blind"}
    assert (exit_code(found), outcome(found)) == (4, "cannot tell")
    allowed = [v for v in judge(new, known, least_drop=1) if v.lane in {"quality", "style"}]
    assert (exit_code(allowed), outcome(allowed)) == (0, "passed")
    suite = new.model_copy(update={"least_drop": 1.0})
    assert {v.word for v in judge(suite, known)} == {
        v.word for v in judge(new, known, least_drop=1)
    }
    assert exit_code(judge(known, known)) == 0  # the same audio: any change would have been seen


def test_an_improvement_of_some_styles_does_not_hide_what_another_may_have_lost() -> None:
    rising = levels(bells=0.8, flute=0.8, viola=0.8, rain=0.48)
    found = judge(run(1, rising), run(0))
    assert said(found, "musicgen", "rain").word == "inconclusive"
    assert said(found, "musicgen").word == "inconclusive"
    assert "better by" in said(found, "musicgen").reason
    assert "but not on each: rain:" in said(found, "musicgen").reason


def test_an_improvement_everywhere_is_one() -> None:
    found = judge(run(1, lambda *_: 0.8), run(0))
    assert {said(found, method).word for method in METHODS} == {"improved"}


def test_equivalent_needs_every_style() -> None:
    """Changes of .06 up and down on one style: little in the mean over four, much on that one."""
    old = run(0, drawn=False)

    def moved(cell: MeasuredCell) -> MeasuredCell:
        step = 0.06 if cell.style == "flute" else 0.001
        value = 0.5 + step * (-1) ** int(cell.content[1:])
        return cell.model_copy(update={"values": {"sf": value}, "audio_digest": "new"})

    found = judge(old.model_copy(update={"cells": tuple(map(moved, old.cells))}), old)
    whole = said(found, "musicgen")
    assert whole.low > -SF.margin  # by itself it would be equivalent
    assert said(found, "musicgen", "flute").word == "inconclusive"
    assert whole.word == "inconclusive"
    assert (
        "no drop beyond 0.01 over all styles, but not on each: flute: may have lost 0.0"
        in whole.reason
    )
    assert said(found, "tve").word == "equivalent"  # its fits did not move


def test_a_metric_of_which_less_is_better_falls_upwards() -> None:
    distance = SF.model_copy(update={"direction": "minimize"})
    found = judge(run(1, levels(rain=1.0), metric=distance), run(0, metric=distance))
    assert said(found, "tve", "rain").word == "regressed"
    assert said(found, "tve", "rain").delta == pytest.approx(-0.5, abs=0.05)


def test_one_style_needs_no_lane_of_its_own() -> None:
    def alone(seed: int, level: Level = even) -> Snapshot:
        whole = run(seed, level)
        return whole.model_copy(
            update={"cells": tuple(c for c in whole.cells if c.style == "rain")}
        )

    found = judge(alone(1, levels(rain=0.0)), alone(0))
    assert not [v for v in found if v.lane == "style"]
    assert said(found, "tve").word == "regressed"


def test_no_drop_is_called_findable_that_the_metric_has_no_room_for() -> None:
    """Wild noise on few cells: "a drop of 2.98 would have been found", of scores up to 1."""
    rng = np.random.default_rng(0)
    for seed in range(20):
        old = run(seed, lambda *_: float(rng.uniform()), size=(2, 2))
        new = run(seed + 100, lambda *_: float(rng.uniform()), size=(2, 2))
        for verdict in judge(new, old, least_drop=1):
            if verdict.lane in {"quality", "style"}:
                values = [
                    c.values["sf"] or 0.0
                    for c in old.cells
                    if c.method == verdict.method and verdict.style in {"", c.style}
                ]
                assert verdict.detectable < np.mean(values) or verdict.detectable == math.inf
                assert verdict.low >= -1
                assert verdict.high <= 1


def test_numbers_that_are_none_are_no_numbers() -> None:
    known = run(0)
    cells = list(known.cells)
    cells[0] = MeasuredCell.model_validate(
        {**cells[0].model_dump(), "values": {"sf": math.nan}, "audio_digest": "new"}
    )
    assert cells[0].values == {"sf": None}
    new = known.model_copy(update={"cells": tuple(cells)})
    [lost] = [v for v in judge(new, known) if v.lane == "cells"]
    assert "1 of 96 lost: bells/c0/0" in lost.reason


def test_the_noise_of_a_style_is_the_larger_of_its_own_and_that_of_all() -> None:
    rng = np.random.default_rng(3)
    styles = np.repeat(["a", "b", "c"], [4, 4, 6])
    change = rng.normal(0, np.where(styles == "a", 0.3, 0.1))
    own = {s: change[styles == s].var(ddof=1) for s in "abc"}
    pooled = (3 * own["a"] + 3 * own["b"] + 5 * own["c"]) / 11
    found = style_spreads(change, None, styles)
    for style, size in (("a", 4), ("b", 4), ("c", 6)):
        assert found[style].standard_error == pytest.approx(
            math.sqrt(max(own[style], pooled) / size)
        )
        assert found[style].degrees == size + 1  # two more than its own
    lonely = style_spreads(np.arange(6.0), None, np.array(["a", "a", "b", "b", "b", "c"]))
    assert [lonely[s].degrees for s in "abc"] == [3, 3, 0]
    only = style_spreads(np.arange(4.0), None, np.array(["a", "a", "a", "b"]))
    assert [only[s].degrees for s in "ab"] == [2, 0]  # nobody lends


def test_fits_are_the_units_of_a_style_where_a_method_fits() -> None:
    fits = np.repeat(np.arange(6), 5)
    styles = np.repeat(["a", "b"], 15)
    change = np.random.default_rng(0).normal(size=30)
    means = change.reshape(6, 5).mean(axis=1)
    pooled = max(means[:3].var(ddof=1), means.reshape(2, 3).var(axis=1, ddof=1).mean())
    found = style_spreads(change, fits, styles)["a"]
    assert found.standard_error == pytest.approx(math.sqrt(pooled / 3))
    assert found.degrees == 4


def test_both_kinds_of_lanes_share_the_chance_of_a_false_alarm() -> None:
    over_all, of_styles = shared_alpha(50, 200)
    assert 50 * over_all + 200 * of_styles == pytest.approx(ALPHA)
    assert shared_alpha(3, 0)[0] == pytest.approx(ALPHA / 3)


def test_the_p_of_a_style_is_corrected_over_all_styles_and_methods() -> None:
    """Sixteen changes of one content each: one style of one method is moved, p by hand."""
    change = np.array([-0.06, -0.05, -0.04, -0.09])
    old = run(0, size=(4, 1), drawn=False)

    def moved(cell: MeasuredCell) -> MeasuredCell:
        if (cell.method, cell.style) != ("musicgen", "rain"):
            return cell
        value = 0.5 + float(change[int(cell.content[1:])])
        return cell.model_copy(update={"values": {"sf": value}, "audio_digest": "new"})

    found = judge(old.model_copy(update={"cells": tuple(map(moved, old.cells))}), old)
    # the other styles stood still, which lends two degrees of freedom but no noise
    t = change.mean() / (change.std(ddof=1) / 2)
    assert said(found, "musicgen", "rain").p == pytest.approx(2 * stats.t.cdf(t, 5))

"""Style fit at equal content preservation: the table, and its intervals by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import CONTENTS, STYLES, header, method, row, run_of, toy

from bench.statistics.bootstrap import panel, panel_means
from bench.statistics.spread import Spread, ends
from reports.tables.standing import judged
from reports.tables.tradeoff import DASHES, tradeoff
from reports.text.result_table import Estimate, Missing


def test_a_sweep_is_read_at_the_cp_that_the_curves_share() -> None:
    levels = {
        "tve[strength=0.4]": 0.8, "tve[strength=0.7]": 0.4,
        "rti[strength=0.4]": 0.7, "rti[strength=0.7]": 0.3,
    }  # fmt: skip
    table = tradeoff(toy(**levels))
    curve = row(table, "method", "tve, curve")
    assert isinstance(curve["fit_at_content"], Estimate)
    shared = row(table, "method", "tve[strength=0.4]")
    assert isinstance(shared["content"], float)
    assert (
        curve["fit_at_content"].low < curve["fit_at_content"].value < curve["fit_at_content"].high
    )
    assert curve["volume"] == Missing("n/a", "no controls")
    assert {r.cells[4] for r in table.rows if r.kind == "measured"} <= {"yes", "no"}
    assert DASHES in table.notes


def test_what_is_chosen_in_words_has_a_curve_of_its_own() -> None:
    levels = {
        "tve[strength=0.4]": 0.8, "tve[strength=0.7]": 0.4,
        "tve[sampler=zeta,strength=0.5]": 0.7, "tve[sampler=zeta,strength=1e-1]": 0.3,
    }  # fmt: skip
    table = tradeoff(toy(**levels))
    curves = [r.cells[1] for r in table.rows if r.kind == "mean"]
    assert curves == ["tve, curve", "tve[sampler=zeta], curve"]


def test_controls_bound_the_area() -> None:
    levels = {"tve[strength=0.4]": 0.8, "tve[strength=0.7]": 0.4}
    bounds = {"noise": (0.0, 0.0), "copy-content": (1.0, 0.1), "copy-style": (0.1, 1.0)}
    entries = [method(label) for label in levels] + [method(m, control=True) for m in bounds]
    values = {label: {"cp": v, "sf.heldout": 1 - v} for label, v in levels.items()}
    values |= {label: {"cp": cp, "sf.heldout": sf} for label, (cp, sf) in bounds.items()}
    head = header(entries, STYLES, CONTENTS, ("cp", "sf.heldout"))
    volume = row(tradeoff(run_of(head, values)), "method", "tve, curve")["volume"]
    assert isinstance(volume, Estimate)
    fits = [(0.2 - 0.1) / 0.9, (0.6 - 0.1) / 0.9]  # styles and contents shift all alike
    assert volume.value == pytest.approx((0.8 - 0.4) * fits[0] + 0.4 * fits[1], abs=1e-6)


def test_without_a_sweep_there_is_no_curve() -> None:
    assert tradeoff(toy()).rows == ()
    assert DASHES not in tradeoff(toy()).notes


def test_intervals_have_the_error_and_skewness_of_the_bootstrap() -> None:
    """Each resample gives a method two points; the line between them is read at the matched CP."""
    levels = {
        "tve[strength=0.4]": 0.8, "tve[strength=0.7]": 0.4,
        "rti[strength=0.4]": 0.7, "rti[strength=0.7]": 0.3,
    }  # fmt: skip
    run = toy(**levels)
    table = tradeoff(run)
    scores = [judged(run, label, metric) for metric in run.header.metrics for label in levels]
    whole, drawn = panel_means(panel(scores))
    matched = (max(whole[1], whole[3]) + min(whole[0], whole[2])) / 2
    for place, name in ((0, "tve"), (2, "rti")):
        right, left, sf_right, sf_left = (drawn[:, place + k] for k in (0, 1, 4, 5))
        share = (matched - left) / (right - left)
        reached = (left <= matched) & (matched <= right)  # nothing is extrapolated
        fits = (sf_left + share * (sf_right - sf_left))[reached]
        value = row(table, "method", f"{name}, curve")["fit_at_content"]
        assert isinstance(value, Estimate)
        degrees = min(len(STYLES), len(CONTENTS)) - 1
        spread = Spread(
            value.value, float(fits.std()), degrees, 48, "both", float(stats.skew(fits)), (0.0, 1.0)
        )
        assert (value.low, value.high) == pytest.approx(ends(spread), abs=1e-9)

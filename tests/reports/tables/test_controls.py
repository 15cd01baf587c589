"""Gains over the controls, and the order that controls must keep."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import fail, header, jittered, method, number, run_of, scored, simple

from bench.statistics.spread import Spread, smallest_detectable
from reports.tables.controls import control_order
from reports.tables.gains import gains, verdict


def test_the_verdict_is_over_the_strongest_trivial_answer() -> None:
    """The mix has more of the style than the content alone, and than the model without it."""
    run = jittered(simple(tve=0.8, rti=0.5, copy_content=0.3, mix=0.5, null=0.2))
    table = gains(run)
    assert table.column("over")[:3] == ("copy-content", "mix", "null")
    said = {
        (row.cells[0], row.cells[1]): row.cells[-1] for row in table.rows if row.cells[2] == "all"
    }
    assert said["tve", "mix"] == "gain"
    assert str(said["rti", "mix"]).startswith("no gain shown (0.0")
    assert {said[m, c] for m in ("tve", "rti") for c in ("copy-content", "null")} == {""}
    (note,) = (note for note in table.notes if note.startswith("verdict"))
    assert "tve (all), tve (natural), tve (tonal): gain over mix" in note
    assert "rti (all), rti (tonal): no gain shown (0.02 would have been) over mix" in note


def test_a_gain_over_weaker_controls_is_no_gain_if_one_cannot_be_told() -> None:
    """Over null the mean gain is larger, but contents disagree, so nothing is shown."""
    run = simple(tve=0.5, copy_content=0.3, null=0.0)
    spoilt = {
        key: scored(*key, 0.9)
        for key in run.scores
        if key[0].startswith("null/") and "/c1/" in key[0]
    }
    table = gains(replace(run, scores=run.scores | spoilt))
    said = {row.cells[1]: row.cells[-1] for row in table.rows if row.cells[2] == "all"}
    assert said["copy-content"] == ""
    assert str(said["null"]).startswith("no gain shown (")


def test_what_would_have_been_found_stands_in_the_verdict() -> None:
    spread = Spread(0.1, 0.09, 9, 40, "both", bounds=(-2.0, 2.0))
    assert verdict(spread) == f"no gain shown ({smallest_detectable(spread):.2f} would have been)"
    assert verdict(replace(spread, mean=-0.3)).startswith("a loss")
    assert verdict(replace(spread, degrees=0)) == "too few contents or styles to tell"


def test_a_failed_cell_is_no_gain() -> None:
    """The control's failure is left out; the method's counts as the worst score."""
    run = simple(tve=0.5, copy_content=0.3)
    ours = gains(fail(run, "tve/harp/c1/0"))
    theirs = gains(fail(run, "copy-content/harp/c1/0"))
    assert number(ours, "cp") == pytest.approx((0.2 * 7 + 0.0 - 0.3) / 8)
    assert number(theirs, "cp") == pytest.approx(0.2)


def test_a_control_that_a_run_lacks_is_named() -> None:
    notes = gains(simple(tve=0.5, copy_content=0.3)).notes
    assert "not in this run, so no verdict knows of it: mix, null" in notes


def test_gains_are_paired_raw_differences_per_kind_of_style() -> None:
    table = gains(simple(tve=0.5, copy_content=0.3, null=0.45))
    assert table.column("over") == ("copy-content", "null") * 3
    assert table.column("styles")[::2] == ("all", "natural", "tonal")
    assert [number(table, "cp", row) for row in (0, 1)] == pytest.approx([0.2, 0.05])


def ordered() -> dict[str, dict[str, float]]:
    """Scores in the order that controls must have."""
    return {
        "tve": {"cp": 0.5, "sf.heldout": 0.4},
        "copy-content": {"cp": 0.985, "sf.heldout": 0.2},
        "copy-style": {"cp": 0.1, "sf.heldout": 0.7},
        "vocoder": {"cp": 0.9, "sf.heldout": 0.2},
        "noise": {"cp": 0.0, "sf.heldout": 0.0},
    }


def order_of(values: dict[str, dict[str, float]]) -> list[str]:
    """Violations of a run with these scores."""
    return control_order(run_of(header([method(m, control=m != "tve") for m in values]), values))


def test_controls_in_order_give_no_violation() -> None:
    assert order_of(ordered()) == []  # the tonal style has mean + .015, so copy-content is at 1


@pytest.mark.parametrize(
    ("label", "metric", "value", "said"),
    [
        ("copy-content", "cp", 0.9, "copy-content = 1 expected"),
        ("tve", "cp", 0.95, "vocoder >= tve"),
        ("noise", "cp", 0.6, "tve > noise"),
        ("copy-style", "sf.heldout", 0.3, "copy-style > tve"),
        ("copy-content", "sf.heldout", 0.5, "tve > copy-content"),
    ],
)
def test_each_control_out_of_order_is_named(
    label: str, metric: str, value: float, said: str
) -> None:
    values = ordered()
    values[label][metric] = value
    assert [said in violation for violation in order_of(values)] == [True]


def test_a_difference_that_is_none_has_no_sign() -> None:
    values = ordered()
    values["copy-content"]["sf.heldout"] = values["tve"]["sf.heldout"]
    (violation,) = order_of(values)
    assert violation == (
        "SF-audio (held-out): tve > copy-content expected, the paired difference on tonal styles "
        "is within 0.001 of 0"
    )


def test_natural_styles_do_not_break_the_order() -> None:
    values = ordered()
    head = header([method(m, control=m != "tve") for m in values])
    run = run_of(head, values)
    natural = {k: scored(*k, 0.0) for k in run.scores if "tve/bird" in k[0]}
    assert control_order(replace(run, scores=run.scores | natural)) == []

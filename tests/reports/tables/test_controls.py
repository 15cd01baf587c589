"""Gains over the controls, and the order that controls must keep."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import header, method, number, run_of, scored, simple

from reports.tables.controls import control_order
from reports.tables.gains import gains


def test_a_method_without_a_gain_is_named() -> None:
    table = gains(simple(tve=0.5, rti=0.3, copy_content=0.3))
    (note,) = (note for note in table.notes if note.startswith("no gain"))
    where = "(all, natural, tonal)"
    assert note == f"no gain in SF-audio (held-out) shown over copy-content: rti {where}"
    assert not any(n.startswith("no gain") for n in gains(simple(tve=0.5, copy_content=0.3)).notes)


def test_gains_are_paired_raw_differences_per_kind_of_style() -> None:
    table = gains(simple(tve=0.5, copy_content=0.3, null=0.45))
    assert table.column("over") == ("copy-content",) * 3 + ("null",) * 3
    assert table.column("styles")[:3] == ("all", "natural", "tonal")
    assert [number(table, "cp", row) for row in (0, 3)] == pytest.approx([0.2, 0.05])


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


def test_natural_styles_do_not_break_the_order() -> None:
    values = ordered()
    head = header([method(m, control=m != "tve") for m in values])
    run = run_of(head, values)
    natural = {k: scored(*k, 0.0) for k in run.scores if "tve/bird" in k[0]}
    assert control_order(replace(run, scores=run.scores | natural)) == []

"""What the notes under a table say about the run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import header, method, run_of

from bench.records.store import Run
from reports.tables.notes import identity_notes
from reports.tables.table2 import table2


def run_with(channels: dict[str, int | None]) -> Run:
    """A finished run on contents with so many channels; None where the header does not say."""
    head = header([method("tve")], contents=tuple(channels), metrics=("cp",))
    contents = {
        name: {key: fact for key, fact in facts.items() if key != "channels"}
        | ({} if channels[name] is None else {"channels": channels[name]})
        for name, facts in head.contents.items()
    }
    changed = head.model_copy(update={"contents": contents})
    return run_of(changed, {"tve": {"cp": 0.5}})


def stereo_notes(run: Run) -> list[str]:
    return [note for note in identity_notes(run) if "several channels" in note]


def test_stereo_contents_are_counted_and_said_to_give_mono_outputs() -> None:
    (note,) = stereo_notes(run_with({"ode": 2, "air": 1, "gigue": 2}))
    assert note.startswith("2 of 3 contents have several channels; ")
    assert "outputs are mono" in note


def test_every_table_of_a_run_with_stereo_contents_has_the_note() -> None:
    run = run_with({"ode": 2, "air": 1, "gigue": 2})
    assert stereo_notes(run)[0] in table2(run).notes


@pytest.mark.parametrize("count", [1, None])
def test_mono_contents_need_no_note(count: int | None) -> None:
    assert stereo_notes(run_with({"ode": count, "air": 1})) == []

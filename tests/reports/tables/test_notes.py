"""What the notes under a table say about the run."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import header, method, run_of

from bench.records.store import Run
from reports.tables.notes import identity_notes, peak_notes
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


def with_peaks(*peaks: float | None) -> Run:
    """A finished run of one method with these peaks."""
    names = tuple(f"clip{number}" for number in range(len(peaks)))
    run = run_of(header([method("tve")], contents=names, metrics=("cp",)), {"tve": {"cp": 0.5}})
    of_cell = dict(zip((cell.cell_id for cell in run.plan), peaks, strict=False))
    cells = {
        name: record.model_copy(update={"peak": of_cell.get(name, 0.5)})
        for name, record in run.cells.items()
    }
    return dataclasses.replace(run, cells=cells)


def test_peaks_beyond_full_scale_are_counted_and_the_largest_said() -> None:
    run = with_peaks(0.5, 1.2, 3.456, 1.0)
    (note,) = peak_notes(run)
    total = len(run.cells)
    assert note == (
        f"tve: 2 of {total} outputs with a peak beyond full scale, at most 3.46: integer files "
        "would clip them"
    )
    assert note in table2(run).notes


@pytest.mark.parametrize("peaks", [(0.5, 1.0), (None, 0.0), (0.999,)])
def test_peaks_within_full_scale_need_no_note(peaks: tuple[float | None, ...]) -> None:
    run = with_peaks(*peaks)
    assert peak_notes(run) == []
    assert "full scale" not in " ".join(table2(run).notes)


def test_the_first_number_beyond_one_is_beyond_full_scale() -> None:
    (note,) = peak_notes(with_peaks(float(np.nextafter(np.float32(1), np.float32(2)))))
    assert "at most 1.0000001:" in note

"""What a page says first: the finding in words, the scatter, and three cells to hear."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import CONTENTS, STYLES, fail, golden_run, header, jittered, method, run_of, toy

from bench.records.schema import CellRecord
from bench.records.store import Run
from reports.figures.data import Point
from reports.figures.looks import looks
from reports.figures.plates import scatters
from reports.page import chart as charts
from reports.page import finding
from reports.page.picks import picks
from reports.tables.table2 import table2
from reports.text.result_table import Estimate

PAIR = ("cp", "sf.heldout")


def with_sounds(run: Run) -> Run:
    cells = {
        key: cell.model_copy(update={"audio": f"audio/{number}.flac"})
        if cell.status == "ok"
        else cell
        for number, (key, cell) in enumerate(run.cells.items())
    }
    return replace(run, cells=cells)


def alarms(run: Run) -> list[str]:
    return finding.alarms(run, table2(run))


def said(run: Run) -> str:
    return " ".join(finding.sentences(run, scatters(run, table2(run))))


def copying(**levels: float) -> Run:
    """Methods whose style fit is their level, and a copy of the content whose fit is 0.2."""
    labels = levels | {"copy-content": 0.2}
    entries = [method(label, control=label.startswith("copy")) for label in labels]
    head = header(entries, STYLES, CONTENTS, PAIR)
    values = {label: {"cp": 1 - v, "sf.heldout": v} for label, v in labels.items()}
    return jittered(run_of(head, values, style_step=0.02))


def test_the_title_names_methods_and_data() -> None:
    run = toy()
    assert finding.title(run) == "tve, rti and musicgen on by hand"
    assert finding.title(toy(a=0.1, b=0.2, c=0.3, d=0.4)) == "4 methods on by hand"
    words = finding.subtitle(run)
    assert words.startswith("6 styles and 8 contents, profile mini, 2 January 2026, run r1.")


def test_the_finding_has_the_numbers_of_table_two() -> None:
    run = copying(tve=0.5)
    value = table2(run).column("cp")[0]
    assert isinstance(value, Estimate)
    assert f"tve keeps {value.value:.2f} of the content at an SF-audio" in said(run)


def test_means_over_the_common_cells_are_said_to_be_that() -> None:
    run = copying(tve=0.5, rti=0.4)
    cell = next(cell for cell in run.plan if cell.method == "rti")
    declined = CellRecord(cell_id=cell.cell_id, status="unsupported", reason="cannot")
    scores = {key: score for key, score in run.scores.items() if key[0] != cell.cell_id}
    short = replace(run, cells=run.cells | {cell.cell_id: declined}, scores=scores)
    assert said(short).startswith("On the cells that all have, rti keeps")
    assert said(run).startswith("rti keeps")


def test_a_method_of_which_nothing_was_measured_has_no_place() -> None:
    """Failed cells count as the worst score, but that alone is no finding about a method."""
    run = copying(tve=0.5, rti=0.4)
    for cell in run.plan:
        if cell.method == "rti":
            run = fail(run, cell.cell_id)
    (plane, *_) = scatters(run, table2(run))
    assert ([p.label for p in plane.points], plane.absent) == (["tve", "copy-content"], ("rti",))
    words = said(run)
    assert "rti lacks a number in content preservation (CP) or SF-audio (held-out)" in words
    assert "better than rti" not in words


def test_what_cannot_be_told_from_a_copy_is_said() -> None:
    words = said(copying(tve=0.5, rti=0.2, musicgen=0.05))
    assert "rti is not distinguishable from a copy of the content" in words
    assert "a copy of the content fits better than musicgen" in words
    assert "it fits the style better" in said(copying(tve=0.5))
    assert "both methods fit the style better" in said(copying(tve=0.5, rti=0.4))
    assert "copy" not in said(toy())


def test_failed_cells_and_controls_out_of_order_are_alarms() -> None:
    assert alarms(toy()) == []
    (failed, *_) = alarms(golden_run())
    assert failed == "1 of 48 cells failed: tve[strength=0.5] 1."
    assert any("out of order" in line for line in alarms(copying(tve=0.1)))


def test_an_empty_run_has_no_finding() -> None:
    run = Run(Path("r"), header([method("tve")]), (), {}, {})
    assert finding.sentences(run, []) == []
    assert finding.title(run) == "tve on by hand"


def test_the_cells_to_hear_are_typical_of_their_methods() -> None:
    run = with_sounds(toy(good=0.5, fair=0.4, poor=0.1))
    lucky = next(c for c in run.plan if c.method == "poor")
    scores = dict(run.scores)
    for name in PAIR:
        score = scores[lucky.cell_id, name]
        scores[lucky.cell_id, name] = score.model_copy(update={"value": 1.0, "raw": 1.0})
    found = picks(replace(run, scores=scores), PAIR)
    assert [one.title for one in found] == ["Best", "In the middle", "Worst"]
    assert lucky not in [one.cell for one in found]
    assert len({one.cell.method for one in found}) == 3
    for one in found:
        kept = [
            score.value
            for (cell, name), score in scores.items()
            if name == "cp" and cell.startswith(one.cell.method) and score.value is not None
        ]
        assert np.quantile(kept, 0.1) < one.scores[0] < np.quantile(kept, 0.9)


def test_the_best_method_keeps_the_content_and_fits_the_style() -> None:
    levels = {"poor": 0.1, "good": 0.5, "fair": 0.3}
    head = header([method(label) for label in levels], STYLES, CONTENTS, PAIR)
    run = with_sounds(run_of(head, {k: dict.fromkeys(PAIR, v) for k, v in levels.items()}))
    assert [one.cell.method for one in picks(run, PAIR)] == ["good", "fair", "poor"]


def test_a_method_that_failed_on_half_of_its_cells_is_not_the_best() -> None:
    levels = {"poor": 0.1, "good": 0.5, "fair": 0.3}
    head = header([method(label) for label in levels], STYLES, CONTENTS, PAIR)
    run = run_of(head, {k: dict.fromkeys(PAIR, v) for k, v in levels.items()})
    for cell in [cell for cell in run.plan if cell.method == "good"][::2]:
        run = fail(run, cell.cell_id)
    assert picks(with_sounds(run), PAIR)[0].cell.method == "fair"


def test_one_or_two_methods_have_cells_to_hear_too() -> None:
    (only,) = picks(with_sounds(toy(tve=0.5)), PAIR)
    assert only.title == "Typical"
    pair = picks(with_sounds(toy(tve=0.5, rti=0.2)), PAIR)
    assert len({one.cell.cell_id for one in pair}) == 3
    assert picks(toy(), PAIR) == ()  # no sounds


def test_a_failed_cell_is_not_played() -> None:
    run = toy(tve=0.5)
    (before,) = picks(with_sounds(run), PAIR)
    failed = with_sounds(run)
    record = failed.cells[before.cell.cell_id].model_copy(update={"status": "error"})
    cells = failed.cells | {before.cell.cell_id: record}
    (after,) = picks(replace(failed, cells=cells), PAIR)
    assert after.cell != before.cell


def points(count: int) -> list[Point]:
    """Methods at places that fill the plane, some of them close together."""
    draws = np.random.default_rng(5).uniform(0, 1, (count, 2)).tolist()
    return [
        Point(f"method {n}", f"f{n}", "method", Estimate(x, x - 0.02, x + 0.02), Estimate(y))
        for n, (x, y) in enumerate(draws)
    ]


@pytest.mark.parametrize("frame", [charts.WIDE, charts.NARROW])
@pytest.mark.parametrize("count", [1, 2, 10, 35])
def test_names_cover_nothing(frame: charts.Frame, count: int) -> None:
    shown = points(count)
    drawn_as = looks((p.label, p.family, p.kind) for p in shown)
    drawn = charts.chart(shown, ("CP", "SF"), drawn_as, frame)
    boxes = [box for mark in drawn.marks if (box := charts.name_box(mark)) is not None]
    assert count > 10 or len(boxes) == count
    for one, other in combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for mark in drawn.marks:
        assert frame.left <= mark.x <= frame.width - frame.right
        assert frame.top <= mark.y <= frame.height - frame.bottom
        assert not any(b[0] < mark.x < b[2] and b[1] < mark.y < b[3] for b in boxes)


def test_points_stand_where_the_numbers_of_the_axes_say() -> None:
    shown = points(10)
    drawn_as = looks((p.label, p.family, p.kind) for p in shown)
    drawn = charts.chart(shown, ("CP", "SF"), drawn_as, charts.WIDE)
    for ticks, of in ((drawn.x_ticks, "content"), (drawn.y_ticks, "fit")):
        numbers, places = [float(t.text) for t in ticks], [t.at for t in ticks]
        line = np.polyfit(numbers, places, 1)
        for point, mark in zip(shown, drawn.marks, strict=True):
            at = mark.x if of == "content" else mark.y
            value = getattr(point, of).value
            assert np.polyval(line, value) == pytest.approx(at, abs=0.2)  # tenths of a pixel

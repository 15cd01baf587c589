"""The numbers of Table I and II against plain arithmetic, and the words where there is none."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import fail, golden_run, header, method, number, run_of, scored, simple

from bench.api import RecordError
from bench.records.schema import CellRecord
from bench.records.store import Run
from reports.tables.gains import gains
from reports.tables.run_costs import run_costs
from reports.tables.settings import table1
from reports.tables.table2 import table2
from reports.text.result_table import Column, Estimate, Missing, ResultTable, Row


def test_a_mean_is_over_cells_of_all_styles_and_contents() -> None:
    # styles add 0 and .1, contents 0, .01, .02 and .03
    assert number(table2(simple(tve=0.5)), "cp") == pytest.approx(0.5 + 0.05 + 0.015)


def test_competitors_stand_before_controls_whatever_the_order_of_the_run() -> None:
    table = table2(simple(copy_content=0.8, tve=0.5))
    assert table.column("method") == ("tve", "copy-content")
    assert [row.group for row in table.rows] == ["", "controls"]


def test_a_failed_cell_counts_in_coverage_and_pulls_the_imputed_mean_down() -> None:
    table = table2(fail(simple(tve=0.5), "tve/harp/c1/0"))
    assert table.column("coverage") == ("7/8", "1 failed")
    total = 8 * 0.565 - 0.5
    assert number(table, "cp", 0) == pytest.approx(total / 7)
    assert number(table, "cp", 1) == pytest.approx(total / 8)
    assert any("1 of 8 cells failed (error: broke)" in note for note in table.notes)


def test_a_failed_cell_with_a_stale_score_has_no_number() -> None:
    run = simple(tve=0.5)
    cell = "tve/harp/c1/0"
    broken = replace(run, cells=run.cells | {cell: CellRecord(cell_id=cell, status="crash")})
    assert number(table2(broken), "cp") == number(table2(fail(run, cell)), "cp")


def test_an_invalid_score_is_a_failure_of_that_metric_alone() -> None:
    run = simple(tve=0.5)
    key = ("tve/harp/c1/0", "cp")
    bad = scored(*key, None, status="invalid_output", reason="NaN")
    table = table2(replace(run, scores=run.scores | {key: bad}))
    assert number(table, "cp", 1) == pytest.approx((8 * 0.565 - 0.5) / 8)
    assert number(table, "sf.seen", 1) == pytest.approx(0.565)


def test_unsupported_is_neither_number_nor_failure() -> None:
    run = simple(tve=0.5)
    declined = {
        key: scored(*key, None, status="unsupported", reason="text unknown to this model")
        for key in run.scores
        if key[1] == "sf.text"
    }
    table = table2(replace(run, scores=run.scores | declined))
    assert table.column("sf.text") == (Missing("n/a", "declined; the reason is in the notes"),)
    assert len(table.rows) == 1
    assert any("8 of 8 cells n/a (text unknown to this model)" in note for note in table.notes)


def test_a_style_that_no_method_can_be_scored_on_is_not_imputed() -> None:
    run = fail(simple(tve=0.5), "tve/bird/c1/0")
    declined = {
        key: scored(*key, None, status="unsupported", reason="no held-out clip")
        for key in run.scores
        if key[1] == "sf.heldout" and "/bird/" in key[0]
    }
    table = table2(replace(run, scores=run.scores | declined))
    assert number(table, "sf.heldout", 1) == pytest.approx(0.515)
    assert number(table, "cp", 1) < number(table, "cp", 0)


def test_all_cells_failed_gives_no_mean_but_an_imputed_zero() -> None:
    run = simple(tve=0.5)
    for cell in run.plan:
        run = fail(run, cell.cell_id)
    table = table2(run)
    assert table.column("cp")[0] == Missing("failed", "every cell that ran failed")
    assert number(table, "cp", 1) == 0
    assert table.column("coverage") == ("0/8", "8 failed")


def test_cells_not_run_are_said_and_not_imputed() -> None:
    run = simple(tve=0.5)
    table = table2(replace(run, cells={}, scores={}))
    assert table.column("cp") == (Missing("—", "not run"),)
    assert any("8 of 8 cells not run" in note for note in table.notes)


def test_an_empty_run_gives_an_empty_table() -> None:
    run = Run(Path("hand"), header([method("tve")]), (), {}, {})
    assert (table2(run).rows, table1(run).rows, run_costs(run).rows, gains(run).rows) == ((),) * 4


def test_one_cell_has_a_mean_and_no_interval() -> None:
    head = header([method("tve")], styles=("harp",), contents=("c1",))
    value = table2(run_of(head, {"tve": {"cp": 0.5}})).column("cp")[0]
    assert isinstance(value, Estimate)
    assert (value.value, value.n) == (0.5, 1)
    assert value.low != value.low  # NaN


def test_unlike_fingerprints_are_refused_in_one_column() -> None:
    run = simple(tve=0.5)
    key = ("tve/harp/c1/0", "cp")
    other = scored(*key, 0.5, fingerprint="other")
    with pytest.raises(RecordError, match="'cp' has scores with fingerprints cp-fp, other"):
        table2(replace(run, scores=run.scores | {key: other}))


def test_published_rows_stand_in_full_tables_only_and_fill_what_they_measured() -> None:
    run = simple(tve=0.5)
    assert all(row.kind != "published" for row in table2(run).rows)
    assert any("never compare with published" in note for note in table2(run).notes)
    table = table2(replace(run, header=run.header.model_copy(update={"profile": "full"})))
    assert not any("never compare" in note for note in table.notes)
    paper = next(row for row in table.rows if str(row.cells[0]).startswith("R+TI"))
    report = next(row for row in table.rows if "reproduced" in str(row.cells[0]))
    assert paper.cells[2:7] == (0.3481, None, None, 0.2722, None)
    assert report.cells[2:7] == (0.41, None, 0.43, None, None)


def test_table1_has_a_row_per_style_and_setting_and_their_mean() -> None:
    table = table1(simple(tve=0.5, noise=0.1))
    assert table.column("style") == ("bird", "harp", "mean")
    assert table.column("strength") == (0.65, 0.65, None)
    means = [number(table, "cp", row) for row in range(3)]
    assert means == pytest.approx([0.615, 0.515, 0.565])


def test_a_row_that_does_not_fill_its_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="a row has 2 values for 1 columns"):
        ResultTable("t", "t", "suite", (Column("a", "A"),), (Row((1, 2)),))


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(KeyError, match="has no column 'cq'"):
        table2(golden_run()).column("cq")

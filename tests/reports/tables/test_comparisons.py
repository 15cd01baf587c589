"""Tables of differences and ranks, and the marks of the best."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from dataclasses import replace

from building import row, toy

from bench.statistics.paired import holm
from reports.tables.comparisons import comparisons, ranks
from reports.tables.table2 import table2
from reports.text.formats import markdown, terminal
from reports.text.latex import latex
from reports.text.result_table import Estimate, Missing, PValue


def test_declared_comparisons_come_first_and_are_corrected_over_the_family() -> None:
    table = comparisons(toy())
    declared = [r for r in table.rows if r.group.startswith("declared")]
    assert [r.cells[1] for r in declared] == ["tve - rti", "tve - other"]
    first = row(table, "comparison", "tve - rti")
    assert isinstance(first["p"], PValue)
    assert isinstance(first["p_holm"], PValue)
    assert first["p_holm"].value == pytest.approx(2 * first["p"].value)
    assert first["finding"] == "tve is better"
    assert isinstance(declared[1].cells[2], Missing)
    others = [r for r in table.rows if r.group == "all other pairs"]
    assert len(others) == 2 + 3  # cp: two pairs that were not declared; sf.heldout: three


def test_not_significant_stands_beside_what_could_have_been_found() -> None:
    table = comparisons(toy())
    close = row(table, "comparison", "rti - musicgen")
    assert str(close["finding"]).startswith("not significant (detectable: 0.0")
    assert isinstance(close["delta"], Estimate)


def test_other_pairs_are_corrected_over_all_pairs_of_their_metric() -> None:
    table = comparisons(toy())
    rows = [r for r in table.rows if r.cells[0] == "SF-audio (held-out)"]
    p = {str(r.cells[1]): v.value for r in rows if isinstance(v := r.cells[3], PValue)}
    corrected = {str(r.cells[1]): v.value for r in rows if isinstance(v := r.cells[4], PValue)}
    assert corrected == pytest.approx(holm(p))


def test_a_suite_without_a_family_has_other_pairs_only() -> None:
    run = toy()
    plain = replace(run, header=run.header.model_copy(update={"suite": {"name": "toy"}}))
    assert {r.group for r in comparisons(plain).rows} == {"all other pairs"}


def test_ranks_are_intervals_or_one_number() -> None:
    table = ranks(toy())
    assert table.column("cp") == ("1", "2-3", "2-3")
    assert table.column("sf.heldout")[0] == "3"
    assert ranks(toy(tve=0.5)).rows == ()


def test_too_many_pairs_say_what_to_declare() -> None:
    many = toy(**{f"m{number}": number / 10 for number in range(7)})
    plain = replace(many, header=many.header.model_copy(update={"suite": {"name": "toy"}}))
    table = comparisons(plain)
    assert table.rows == ()
    for words in ("7 competitors make 21 pairs", 'pairs = [["m0", "m1"]] and metrics = ["cp"]'):
        assert words in table.empty
        assert words in markdown(table)
    assert "needs two competitors" in comparisons(toy(tve=0.5)).empty
    assert comparisons(toy()).empty == ""


def test_pairs_that_were_declared_for_other_methods_are_no_rows_of_dashes() -> None:
    """As in a sweep of one method by a suite that compares others."""
    table = comparisons(toy(**{f"m{number}": number / 10 for number in range(7)}))
    assert table.rows == ()
    assert "The suite declares tve - rti, tve - other; this run has both methods" in table.empty
    assert "7 competitors make 21 pairs" in table.empty
    few = comparisons(toy(m0=0.5, m1=0.4))
    assert {row.group for row in few.rows} == {"declared before the run", "all other pairs"}


def test_the_best_and_its_equals_are_bold_in_every_format() -> None:
    table = table2(toy())
    best = [isinstance(v, Estimate) and v.best for v in table.column("cp")]
    assert best == [True, False, False]
    fit = [isinstance(v, Estimate) and v.best for v in table.column("sf.heldout")]
    assert fit == [False, True, True]
    assert markdown(table).count("**") == 6
    assert latex(table).count("\\textbf{") == 3
    assert "*" in terminal(table)


def test_one_competitor_is_the_best_of_nothing() -> None:
    assert not any(isinstance(v, Estimate) and v.best for v in table2(toy(tve=0.5)).column("cp"))

"""Words of plug-ins and of foreign records in every form of a report: nothing gets through."""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import fail
from sounding import save, sounding_run

from bench.gate.verdict import Verdict
from bench.outside.wording import LONGEST
from bench.records.store import Run
from reports.gate.verdicts import junit
from reports.page.write import write_page
from reports.text import formats, latex
from reports.text.html import html_table
from reports.text.result_table import Column, Missing, ResultTable, Row
from reports.write import read_report, terminal_summary, write_report

HOSTILE = "\x1b[31mred\x1b[2J \x00 \x07 \u202eright \ufffe " + "<b>&amp;|%$_" + "w " * 1_000_000
NAME = "na\x1b[31mme\x00\x9b\u202e"


def require_clean(text: str) -> None:
    unseen = {one for one in text if not one.isprintable()} - {"\n"}
    assert unseen == set()
    text.encode()


@pytest.fixture
def table() -> ResultTable:
    columns = (Column("method", "Method\x1b", text=True), Column("cp", "CP"))
    rows = (Row((NAME, Missing("n/a", NAME)), f"group {NAME}"), Row((NAME, NAME), "other"))
    return ResultTable(f"T {NAME}", "table", f"suite {NAME}", columns, rows, (f"note {NAME}",))


@pytest.mark.parametrize("form", [formats.markdown, latex.latex, formats.csv, formats.terminal])
def test_names_cannot_break_out_of_a_table(form: object, table: ResultTable) -> None:
    text = form(table)  # type: ignore[operator] # one of four functions
    require_clean(text)
    plain = r"\textbackslash{}x1b" if form is latex.latex else r"\x1b"
    assert text.count(plain) >= 5


def test_csv_keeps_a_name_in_one_field(table: ResultTable) -> None:
    rows = list(csv.reader(io.StringIO(formats.csv(table))))
    assert len({len(row) for row in rows}) == 1


def test_html_cells_are_clean(table: ResultTable) -> None:
    require_clean(html_table(table).rows[0].cells[0].text)


@pytest.mark.parametrize("word", ["regressed", "incomparable", "inconclusive"])
def test_junit_is_xml_whatever_the_words(word: str) -> None:
    text = junit([Verdict("cells", NAME, NAME, word, HOSTILE)])  # type: ignore[arg-type] # a word
    require_clean(text)
    (case,) = ET.fromstring(text)  # noqa: S314 - our own text
    assert "x1b" in str(case.get("name"))
    assert len(str(case[0].get("message"))) <= LONGEST


@pytest.fixture
def broken(tmp_path: Path) -> Run:
    """A run with a cell that failed with two megabytes of bad words."""
    run = sounding_run(tmp_path / "run", ("harp",), ("c1", "c2"))
    words = fail(run, "rti/harp/c1/0", reason=HOSTILE)
    folder = save(replace(words, folder=tmp_path / "run")).folder
    lines = (folder / "cells.jsonl").read_text("utf-8").splitlines()
    assert any("x1b" in line for line in lines)
    return words


def test_two_megabytes_of_bad_words_stay_a_line_in_every_file(broken: Run) -> None:
    report = read_report(broken.folder)
    write_report(report)
    page = write_page(report)
    require_clean(terminal_summary(report))
    texts = {path: path.read_text("utf-8") for path in report.out.rglob("*.*") if path.suffix in {
        ".md", ".tex", ".csv", ".html"
    }}  # fmt: skip
    assert page in texts
    assert sum("red" in text for text in texts.values()) >= 3
    for text in texts.values():
        require_clean(text)
        assert "w " * (LONGEST // 2) not in text

"""LaTeX tables as a paper prints them: their width, height, notes and captions, and Table II."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from building import JUDGED, fail, golden_run, header, method, run_of, save

from bench.api import UnknownNameError
from bench.cli.main import cli
from bench.records.store import Run
from reports.paper.check import parse_rows
from reports.tables import notes, printed
from reports.tables.table2 import table2
from reports.text import latex
from reports.text.latex import Dress
from reports.text.result_table import Column, Estimate, ResultTable, Row
from reports.write import write_report

METHOD = Column("method", "Method", text=True)
DIGEST = re.compile(r"[0-9a-f]{10}")


@pytest.fixture(scope="module")
def run() -> Run:
    """Two methods and a control by nine measures; one cell failed."""
    levels = {"m3[strength=0.3,steps=50]": 0.3, "m4[strength=0.4,steps=50]": 0.4, "mix": 0.5}
    entries = [method(label, control=label == "mix") for label in levels]
    values = {label: dict.fromkeys(JUDGED, level) for label, level in levels.items()}
    made = run_of(header(entries, metrics=tuple(JUDGED)), values)
    return fail(made, "m3[strength=0.3,steps=50]/harp/c1/0")


def numbered(columns: int, rows: int = 2, value: float = 0.41234) -> ResultTable:
    """A table of a name and as many measures."""
    cells = (Estimate(value, value - 0.001, value + 0.001),) * columns
    return ResultTable(
        "Numbers", "numbers", "suite, digest 0123456789ab",
        (METHOD, *(Column(f"c{n}", f"C{n}") for n in range(columns))),
        tuple(Row((f"m{n}", *cells)) for n in range(rows)),
    )  # fmt: skip


def tabulars(text: str) -> list[list[list[str]]]:
    """The rows of each tabular of a text, its head first."""
    found = re.findall(r"\\begin\{tabular\}(.*?)\\end\{tabular\}", text, re.DOTALL)
    return [parse_rows(body) for body in found]


def test_nothing_is_scaled_and_rules_are_those_of_booktabs() -> None:
    text = latex.latex(table2(golden_run()))
    assert "resizebox" not in text
    assert "\\hline" not in text
    assert text.count("\\toprule") == text.count("\\bottomrule") == 1
    assert text.index("\\caption") < text.index("\\begin{tabular}")


def test_numbers_have_two_decimals_and_intervals_stand_beneath() -> None:
    ((_, row, _),) = tabulars(latex.latex(numbered(1)))
    assert row == ["m0", "0.41 [0.41, 0.41]"]
    assert "\\scriptsize {[}0.41, 0.41{]}" in latex.latex(numbered(1))


def test_a_note_begins_as_a_sentence_and_an_option_keeps_its_hyphens() -> None:
    notes = ("a gain: run it with --profile full", "n: cells")
    text = latex.latex(numbered(1), Dress("Numbers", notes))
    assert "A gain: run it with -{}-profile full. n: cells." in text


def test_minus_signs_are_no_hyphens() -> None:
    text = latex.latex(numbered(1, value=-0.5))
    assert "$-$0.50" in text
    assert "-0." not in text.replace("$-$0.", "")


@pytest.mark.parametrize(("narrow", "room"), [(False, latex.TWO_COLUMNS), (True, latex.ONE_COLUMN)])
def test_what_is_too_wide_goes_on_in_blocks_that_name_the_rows(
    *, narrow: bool, room: float
) -> None:
    blocks = tabulars(latex.latex(numbered(25), Dress(narrow=narrow)))
    assert len(blocks) > 25 * 40 / room - 1
    assert [cell for block in blocks for cell in block[0][1:]] == [f"C{n}" for n in range(25)]
    assert {block[1][0] for block in blocks} == {"m0"}
    sizes = {len(block[0]) for block in blocks}
    assert max(sizes) - min(sizes) <= 1


def test_what_is_too_high_goes_on_in_floats_with_one_number() -> None:
    text = latex.latex(numbered(3, rows=70))
    floats = text.split("\\begin{table*}")[1:]
    assert len(floats) == latex.float_count(numbered(3, rows=70), Dress()) == 3
    rows = [row[0] for block in tabulars(text) for row in block[1:]]
    assert rows == [f"m{n}" for n in range(70)]
    assert text.count("\\label") == 1
    assert text.count("\\addtocounter{table}{-1}") == 2
    sizes = [one.count("\\scriptsize") for one in floats]
    assert min(sizes) > max(sizes) / 2


@pytest.mark.parametrize("per_group", [2, 3, 4, 5, 7])
def test_no_float_is_left_with_a_last_row(per_group: int) -> None:
    for count in range(2, 120):
        plain = numbered(3, rows=count)
        rows = tuple(replace(row, group=str(n // per_group)) for n, row in enumerate(plain.rows))
        sizes = [
            one.count("\\scriptsize")
            for one in latex.latex(replace(plain, rows=rows)).split("\\begin{table*}")[1:]
        ]
        assert min(sizes) > max(sizes) / 2, (count, sizes)


def test_a_long_text_is_broken_in_the_line_of_the_intervals() -> None:
    words = "no gain shown (0.46 would have been) over the mix"
    table = ResultTable(
        "T", "t", "suite", (METHOD, Column("a", "A"), Column("v", "V", text=True)),
        (Row(("tve[strength=0.5,steps=50], common cells", Estimate(0.5, 0.4, 0.6), words)),),
    )  # fmt: skip
    text = latex.latex(table)
    ((_, row),) = tabulars(text)
    assert row[1:] == ["0.50 [0.40, 0.60]", words]
    assert row[0].replace(" ", "") == "tve[strength=0.5,steps=50],commoncells"
    assert r"tve{[}strength=0.5, &" in text


def test_a_title_is_broken_at_words_and_keeps_its_arrow() -> None:
    column = Column("sf", "SF-MusicNN margin (held-out) ↑")
    table = ResultTable("T", "t", "s", (METHOD, column), (Row(("a", 0.5)),))
    assert r"\shortstack[r]{SF-MusicNN\\margin\\(held-out) $\uparrow$}" in latex.latex(table)
    assert tabulars(latex.latex(table))[0][0][1] == column.title


def test_at_most_four_notes_stand_beneath(run: Run) -> None:
    for one in (golden_run(), run):
        table = table2(one)
        shown = printed.beneath(one, table)
        assert len(table.notes) > len(shown) == latex.MOST_NOTES
        assert shown[0].startswith("bold: the competitors") == (notes.BEST in table.notes)
        assert any(note.startswith("mean [95 % interval]") for note in shown)
        assert not any(DIGEST.search(note) for note in shown)
        known = {*printed.once(one), *printed.elsewhere(one, table, shown), *shown}
        assert [note for note in table.notes if note not in known] in ([], [notes.BEST])


def test_a_control_out_of_order_is_told_of_beneath_the_table() -> None:
    shown = printed.beneath(golden_run(), table2(golden_run()))
    assert shown[-1].startswith("control out of order: CP: copy-content = 1 expected")


def test_one_column_has_the_methods_by_three_measures(run: Run) -> None:
    table = printed.in_one_column(run, table2(run))
    assert [column.key for column in table.columns] == ["method", "cp", "sf.heldout", "notes"]
    asked = printed.in_one_column(run, table2(run), "chroma")
    assert [column.key for column in asked.columns] == ["method", "cp", "sf.heldout", "chroma"]
    assert len(tabulars(latex.latex(table, Dress(narrow=True)))) == 1
    with pytest.raises(
        UnknownNameError, match=r"metric 'croma' is not in this run; it has cp.*chroma"
    ):
        printed.in_one_column(run, table2(run), "croma")


def test_rows_of_unlike_cells_stand_apart_from_those_that_may_be_compared() -> None:
    run = golden_run()
    for content in ("c1", "c2"):
        cell = f"musicgen/harp/{content}/0"
        run = replace(run, cells={k: v for k, v in run.cells.items() if k != cell})
        run = replace(run, scores={k: v for k, v in run.scores.items() if k[0] != cell})
        run = replace(run, plan=tuple(c for c in run.plan if not c.cell_id.startswith(cell[:-1])))
    table = table2(run)
    assert any(row.kind == "common" for row in table.rows)
    main, own = printed.comparable(table)
    assert own is not None
    assert {row.kind for row in own.rows} == {"measured", "imputed"}
    assert [row.cells[0] for row in main.rows] == ["tve[strength=0.5]", "musicgen", "copy-content"]
    assert "coverage" not in [column.key for column in main.columns]
    assert len(main.rows) + len(own.rows) == len(table.rows)


def test_a_table_in_the_report_keeps_every_note_as_a_comment(tmp_path: Path) -> None:
    run = replace(golden_run(), folder=tmp_path / "run")
    save(run, run.folder)
    write_report(run.folder)
    text = (run.folder / "report" / "table2.tex").read_text(encoding="utf-8")
    said = [note for note in table2(run).notes if note.startswith(("sees", "provenance"))]
    assert said
    assert all(f"\n% {note}" in text for note in said)


@pytest.mark.parametrize("option", ["--style=ieee", "--column=cp"])
def test_what_is_about_a_paper_asks_for_one(option: str) -> None:
    done = CliRunner().invoke(cli, ["report", "run", option])
    assert done.exit_code == 2
    assert f"{option.partition('=')[0]} is about the paper; add --paper." in done.stderr

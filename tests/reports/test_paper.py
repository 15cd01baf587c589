"""LaTeX for a paper: what the check accepts, what it refuses, and that TeX takes it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import METRICS, golden_run, header, method, run_of
from sounding import CONTENTS, HOSTILE, STYLES, save, sounding_run

from bench.api import ConfigError, RecordError
from bench.cli.main import cli
from bench.records.store import Run
from reports.paper.check import check_paper, parse_rows
from reports.paper.write import write_paper
from reports.text.formats import unescape
from reports.text.result_table import Estimate, ResultTable
from reports.write import read_report


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper") / "run"
    save(replace(golden_run(), folder=folder))
    return write_paper(read_report(folder))


@pytest.fixture(scope="module")
def table(paper: Path) -> ResultTable:
    """The table that the paper begins with, as the records of its run give it."""
    return read_report(paper.parents[2]).tables[0]


def complaints(path: Path) -> list[str]:
    return [line for found in check_paper(path) for line in found.complaints]


def edited(paper: Path, old: str, new: str) -> Path:
    """The paper with one piece of text changed, beside the original."""
    text = paper.read_text(encoding="utf-8")
    assert old in text
    path = paper.with_name("edited.tex")
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_an_untouched_paper_agrees(paper: Path) -> None:
    findings = check_paper(paper)
    assert [found.table for found in findings][:1] == ["table2"]
    assert {"table2", "table1", "timing"} <= {found.table for found in findings}
    assert all(found.rows and not found.complaints for found in findings), findings


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("& 0.57 ", "& \\textbf{0.57} "),
        ("& 0.57 {[}0.52, 0.61{]} ", "& $0.57$ "),
        ("& 0.57 {[}0.52, 0.61{]} ", "& .57 [0.52, 0.61] "),
    ],
)
def test_dress_and_rounding_are_free(paper: Path, table: ResultTable, old: str, new: str) -> None:
    row = next(x for x in paper.read_text().splitlines() if x.startswith("tve{[}strength=0.5{]} &"))
    value = next(v for v in table.column("cp") if isinstance(v, Estimate))
    old, new = (_with_numbers(text, value) for text in (old, new))
    assert old in row
    assert complaints(edited(paper, old, new)) == []


def _with_numbers(text: str, value: Estimate) -> str:
    """The pattern of a case with the numbers of the run in place of those written there."""
    numbers = {
        "0.57": f"{value.value:.2f}", "0.52,": f"{value.low:.2f},", "0.61{": f"{value.high:.2f}{{",
        "0.61]": f"{value.high:.2f}]", " .57": f" {value.value:.2f}".replace("0.", ".", 1),
    }  # fmt: skip
    for written, own in sorted(numbers.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(written, own)
    return text


def test_a_changed_number_is_told_with_both_values(paper: Path, table: ResultTable) -> None:
    value = table.column("cp")[0]
    assert isinstance(value, Estimate)
    known = f"style audio + content audio & \\textbf{{{value.value:.2f} "
    wrong = edited(paper, known, "style audio + content audio & \\textbf{0.999 ")
    (line,) = complaints(wrong)
    assert "CP ↑ is '0.999" in line
    assert f"{value.value:.2f}" in line


def test_a_changed_name_and_an_unknown_column_are_told(paper: Path) -> None:
    assert any("Method is" in x for x in complaints(edited(paper, "musicgen & ", "musicgem & ")))
    found = complaints(edited(paper, "& Coverage", "& Kappa"))
    assert found == ["column 'Kappa' is not in table table2"]


def test_rows_may_be_left_out(paper: Path) -> None:
    text = paper.read_text(encoding="utf-8")
    row = next(line for line in text.splitlines(keepends=True) if line.startswith("musicgen &"))
    assert complaints(edited(paper, row, "")) == []


def test_another_run_is_not_compared(paper: Path) -> None:
    assert any("names run r9" in x for x in complaints(edited(paper, '"run": "r1"', '"run": "r9"')))
    digest = '"digest": "0123456789abcdef"'
    assert any("digest" in x for x in complaints(edited(paper, digest, '"digest": "f"')))
    with pytest.raises(RecordError, match=r"holds no run\.json"):
        check_paper(edited(paper, '"../.."', '"../../nowhere"'))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no mark", "has no line that begins with"),
        ("% bench-table {]\n", "the mark is broken"),
        ('% bench-table {"run": "r", "paths": [], "table": "t", "digest": "d"}\n', "no tabular"),
    ],
)
def test_a_paper_without_marked_tables_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.tex"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        check_paper(path)


def test_the_command_ends_with_4_where_numbers_differ(
    paper: Path, table: ResultTable, capsys: pytest.CaptureFixture[str]
) -> None:
    value = table.column("cp")[0]
    assert isinstance(value, Estimate)
    wrong = edited(paper, f"& {value.value:.2f} ", "& 0.999 ")
    for path, code in ((paper, 0), (wrong, 4)):
        with pytest.raises(SystemExit, match=str(code)):
            cli.main(["report", "--check", str(path)], standalone_mode=False)
    assert "table2 differs" in capsys.readouterr().out


def test_cells_are_read_through_their_dress() -> None:
    rows = parse_rows(
        "{lr}\n\\toprule\nA & B \\\\\n\\cmidrule(lr){1-2} a\\&b & {[}$-1${]} \\\\[2pt]"
    )
    assert rows == [["A", "B"], ["a&b", "[-1]"]]
    assert unescape(r"\textbf{x\_y} $\uparrow$ \% 5") == "x_y ↑ % 5"


def hostile_run(folder: Path) -> Run:
    """A run with names of markup, quotes, Arabic and emoji."""
    entries = [method("tve[strength=0.5]"), method(HOSTILE), method("copy-content", control=True)]
    values = {entry.label: dict.fromkeys(METRICS, 0.4) for entry in entries}
    return save(replace(run_of(header(entries, STYLES, CONTENTS), values), folder=folder))


def test_every_figure_of_the_paper_has_its_picture_and_its_numbers(tmp_path: Path) -> None:
    paper = write_paper(read_report(sounding_run(tmp_path / "run").folder))
    figures = re.findall(r"\\includegraphics\[.*?\]\{(.*?)\}", paper.read_text(encoding="utf-8"))
    assert {"figures/example-cp.pdf", "figures/example-sf-heldout.pdf"} < set(figures)
    for name in figures:
        picture = paper.parent / name
        width = float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", picture.read_bytes())[1])  # type: ignore[index] # fails if None
        assert width == pytest.approx(3.4 * 72, abs=1)  # a column
        assert picture.with_suffix(".csv").stat().st_size > 0


@pytest.mark.latex
@pytest.mark.parametrize("kind", ["golden", "hostile", "sounding", "empty"])
def test_tex_compiles_it_as_it_stands(tmp_path: Path, kind: str) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex; install Debian's texlive-latex-recommended")
    folder = tmp_path / "run"
    if kind == "hostile":
        hostile_run(folder)
    elif kind == "sounding":
        sounding_run(folder)
    elif kind == "golden":
        save(replace(golden_run(), folder=folder))
    else:
        save(Run(folder, header([method("tve")]), (), {}, {}))
    paper = write_paper(read_report(folder))
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", paper.name],  # noqa: S607 - skipped where it is missing
        cwd=paper.parent, capture_output=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert paper.with_suffix(".pdf").read_bytes().startswith(b"%PDF")

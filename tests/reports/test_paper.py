"""LaTeX for a paper: what the check accepts, what it refuses, and that TeX takes it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import JUDGED, METRICS, golden_run, header, method, run_of
from sounding import CONTENTS, HOSTILE, STYLES, save, sounding_run

from bench.api import ConfigError, RecordError
from bench.cli.main import cli
from bench.records.store import Run
from reports.paper.check import check_paper, compare, parse_rows
from reports.paper.styles import STYLES as STYLES_OF_PAPERS
from reports.paper.write import write_paper
from reports.text.latex import unescape
from reports.text.marks import marked_tables
from reports.text.result_table import Estimate, ResultTable
from reports.write import Report, read_report


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper") / "run"
    save(replace(golden_run(), folder=folder))
    return write_paper(read_report(folder))


@pytest.fixture(scope="module")
def report(paper: Path) -> Report:
    """What the records of its run give."""
    return read_report(paper.parents[2])


@pytest.fixture(scope="module")
def table(report: Report) -> ResultTable:
    """The table that the paper begins with, as the records of its run give it."""
    return report.tables[0]


Complaints = Callable[[Path], list[str]]


@pytest.fixture(scope="module")
def complaints(report: Report) -> Complaints:
    """What is wrong with a paper of that run, whose records need not be read for each."""

    def found_in(path: Path) -> list[str]:
        marked = marked_tables(path.read_text(encoding="utf-8"), path.name)
        return [line for found in marked for line in compare(found, report)[0]]

    return found_in


def row_lines(paper: Path, name: str) -> list[str]:
    """The lines of the row that has this name in the paper's first table: means and intervals."""
    lines = paper.read_text(encoding="utf-8").splitlines(keepends=True)
    first = next(place for place, line in enumerate(lines) if line.startswith(f"{name} &"))
    return lines[first : first + 2]


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
        ("& 0.57 ", "& $0.57$ "),
        ("& 0.57 ", "& .57 "),
    ],
)
def test_dress_and_rounding_are_free(
    complaints: Complaints, paper: Path, table: ResultTable, old: str, new: str
) -> None:
    row = row_lines(paper, "tve{[}strength=0.5{]}")[0]
    value = next(v for v in table.column("cp") if isinstance(v, Estimate))
    old, new = (_with_numbers(text, value) for text in (old, new))
    assert old in row
    assert complaints(edited(paper, old, new)) == []


def _with_numbers(text: str, value: Estimate) -> str:
    """The pattern of a case with the numbers of the run in place of those written there."""
    number = f"{value.value:.2f}"
    return text.replace("0.57", number).replace(" .57", f" {number}".replace("0.", ".", 1))


def test_an_interval_may_stand_beside_its_mean(complaints: Complaints, paper: Path) -> None:
    means, ends = row_lines(paper, "musicgen")
    cells = zip(means.split(r" \\*")[0].split("&"), ends.split(r" \\[")[0].split("&"), strict=True)
    beside = " & ".join(f"{mean.strip()} {end.strip()}" for mean, end in cells)
    assert complaints(edited(paper, means + ends, f"{beside} \\\\\n")) == []


def test_a_changed_number_is_told_with_both_values(
    complaints: Complaints, paper: Path, table: ResultTable
) -> None:
    value = table.column("cp")[0]
    assert isinstance(value, Estimate)
    known = f"tve{{[}}strength=0.5{{]}} & \\textbf{{{value.value:.2f}"
    wrong = edited(paper, known, "tve{[}strength=0.5{]} & \\textbf{0.999")
    (line,) = complaints(wrong)
    assert "CP ↑ is '0.999" in line
    assert f"{value.value:.2f}" in line


def test_a_changed_name_and_an_unknown_column_are_told(complaints: Complaints, paper: Path) -> None:
    assert any("Method is" in x for x in complaints(edited(paper, "musicgen & ", "musicgem & ")))
    found = complaints(edited(paper, "& Coverage", "& Kappa"))
    assert found == ["column 'Kappa' is not in table table2"]


def test_captions_have_no_digest_and_the_appendix_says_once_where_it_is_from(paper: Path) -> None:
    text = paper.read_text(encoding="utf-8")
    captions = re.findall(r"\\caption\{(.*)\}", text)
    assert captions
    assert not [one for one in captions if re.search("digest|[0-9a-f]{10}", one)]
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("%"))
    assert body.count("numpy: 2.0") == 1
    assert body.count("fingerprint chroma-fp") == 1
    assert body.index("\\appendix") < body.index("numpy: 2.0")


def test_figures_stand_behind_the_tables_whose_numbers_they_show(paper: Path) -> None:
    order = re.findall(r"\\label\{((?:tab|fig):[^}]*)\}", paper.read_text(encoding="utf-8"))
    assert order[:3] == ["tab:table2", "tab:table2-column", "fig:cp-sf-heldout"]
    assert order.index("fig:time") == order.index("tab:timing") + 1
    later = [place for place, label in enumerate(order) if label.startswith("fig:cp-")]
    assert max(later) < order.index("tab:table1")


def test_rows_and_intervals_may_be_left_out(complaints: Complaints, paper: Path) -> None:
    means, ends = row_lines(paper, "musicgen")
    assert complaints(edited(paper, means + ends, "")) == []
    assert complaints(edited(paper, means + ends, means)) == []
    assert any("Method is ''" in line for line in complaints(edited(paper, means + ends, ends)))


def test_a_changed_end_of_an_interval_is_told(complaints: Complaints, paper: Path) -> None:
    _, ends = row_lines(paper, "musicgen")
    wrong = edited(paper, ends, ends.replace("0.3", "0.4", 1))
    (line,) = complaints(wrong)
    assert "row 'musicgen': CP" in line


def test_another_run_is_not_compared(complaints: Complaints, paper: Path) -> None:
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


CLASSES = {"plain": "article.cls", "ieee": "IEEEtran.cls", "acm": "acmart.cls"}
TOLERATED_PT = 6.0  # between two columns; a name that has no place to be broken may reach into it


def require_latex(style: str) -> None:
    """Skip where LaTeX, or the class of a style, is not installed."""
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex; install Debian's texlive-latex-recommended")
    found = subprocess.run(["kpsewhich", CLASSES[style]], capture_output=True, check=False)  # noqa: S607 - comes with pdflatex
    if found.returncode:
        pytest.skip(f"no {CLASSES[style]}; Debian's texlive-publishers and -latex-extra have it")


def compiled(paper: Path) -> str:
    """Compile a paper twice, for its references, and return what LaTeX noted."""
    for _ in range(2):
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", paper.name],  # noqa: S607 - skipped where it is missing
            cwd=paper.parent, capture_output=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert paper.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    return paper.with_suffix(".log").read_text(encoding="utf-8", errors="replace")


def crowded_run(folder: Path) -> Run:
    """Ten methods with long names and a control, by nine measures."""
    levels = {f"m{number}[strength=0.{number},steps=50]": number / 20 for number in range(3, 13)}
    entries = [*map(method, levels), method("mix", control=True)]
    values = {
        label: dict.fromkeys(JUDGED, level) for label, level in (levels | {"mix": 0.7}).items()
    }
    return save(replace(run_of(header(entries, metrics=tuple(JUDGED)), values), folder=folder))


@pytest.mark.latex
@pytest.mark.parametrize("style", list(STYLES_OF_PAPERS))
@pytest.mark.parametrize("kind", ["golden", "crowded", "hostile", "sounding", "empty"])
def test_tex_compiles_it_as_it_stands_and_nothing_sticks_out(
    tmp_path: Path, kind: str, style: str
) -> None:
    require_latex(style)
    folder = tmp_path / "run"
    runs = {"hostile": hostile_run, "sounding": sounding_run, "crowded": crowded_run}
    if kind in runs:
        runs[kind](folder)
    elif kind == "golden":
        save(replace(golden_run(), folder=folder))
    else:
        save(Run(folder, header([method("tve")]), (), {}, {}))
    paper = write_paper(read_report(folder), style)
    noted = compiled(paper)
    wide = [float(found) for found in re.findall(r"Overfull \\hbox \(([\d.]+)pt", noted)]
    assert max(wide, default=0.0) <= TOLERATED_PT
    assert "Float too large" not in noted
    assert "undefined" not in noted


@pytest.mark.latex
@pytest.mark.parametrize("style", list(STYLES_OF_PAPERS))
def test_the_printed_table_has_every_head_and_number(tmp_path: Path, style: str) -> None:
    require_latex(style)
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext to read the PDF with; install Debian's poppler-utils")
    run = crowded_run(tmp_path / "run")
    paper = write_paper(read_report(run.folder), style)
    compiled(paper)
    done = subprocess.run(
        ["pdftotext", "-raw", str(paper.with_suffix(".pdf")), "-"],  # noqa: S607 - skipped where it is missing
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    words = re.sub(r"\s", "", done.stdout.decode().replace("\u2212", "-").replace("\ufb01", "fi"))
    table = read_report(run.folder).tables[0]
    for column in table.columns:
        assert column.wide or re.sub(r"\s", "", column.title) in words, column.title
    for cell in (cell for row in table.rows for cell in row.cells if isinstance(cell, Estimate)):
        ends = f"[{cell.low:.2f},{cell.high:.2f}]"
        assert ends in words, cell

"""Write the tables and figures of a run as a LaTeX document that compiles without changes.

Table II comes first, across both columns and in one; behind each table stand the figures that show
its numbers. An appendix says once where all of it comes from, and what the tables leave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.files import renewed_folder, replace_file
from bench.records.store import Run
from reports.figures import draw
from reports.figures.examples import examples
from reports.figures.plates import Plate, plates
from reports.paper.styles import STYLES, Style
from reports.tables import notes, printed, reading
from reports.text.latex import Dress, escape, float_count, latex
from reports.text.result_table import ResultTable
from reports.write import Report, mark_of

MOST_FLOATS = 3  # that a paper has of one table
LONGEST_WORD = 24  # letters that stay on one line
LAST_LETTER = 0x17F  # of those that LaTeX's T1 fonts have
LATEX_SIGNS = frozenset("\u2013\u2014\u2018\u2019\u201c\u201d\u2026")
COMMON = "Means are over the cells that all judged methods have."


@dataclass(frozen=True, slots=True)
class Printed:
    """A table as the paper has it: its float, and its notes that stand in the appendix."""

    label: str
    text: str
    apart: tuple[str, ...]
    narrow: bool


def write_paper(report: Report, style: str = "plain", column: str | None = None) -> Path:
    """Write `report/paper/` with paper.tex and a PDF and a CSV per figure, and return paper.tex.

    Tables that take more than `MOST_FLOATS` floats are left out, but for table II; their files are
    in `report/`.

    Args:
        report: The finished report.
        style: A name of `reports.paper.styles.STYLES`.
        column: The third measure of table II in one column, see `printed.in_one_column`.

    Raises:
        UnknownNameError: The run has no such metric.
        LinkError: A symbolic link stands where a file of the paper should be.
    """
    run, dressed, out = report.run, STYLES[style], report.out / "paper"
    drawn = [*plates(run, {table.label: table for table in report.tables})]
    drawn += [example.plate for example in examples(run, report.folders)]
    left = list(drawn)
    parts: list[str] = []
    tables: list[Printed] = []
    for table in report.tables:
        found = _printed(report, table, out, column)
        beside = [plate for plate in left if plate.beside == table.label]
        left = [plate for plate in left if plate not in beside]
        tables += found
        parts += _in_order(found, [_figure(plate, dressed) for plate in beside])
    parts += _in_order([], [_figure(plate, dressed) for plate in left])
    body = "\n".join(parts) if parts else "No cell of this run has finished.\n"
    text = f"{dressed.preamble}\\begin{{document}}\n{body}\\clearpage\n{_appendix(report, tables)}"
    with renewed_folder(out, run.folder) as fresh:
        for plate in drawn:
            place = fresh / "figures" / plate.label
            replace_file(place.with_name(f"{plate.label}.pdf"), draw.encoded(plate.draw(), "pdf"))
            replace_file(place.with_name(f"{plate.label}.csv"), plate.csv)
        replace_file(fresh / "paper.tex", printable(f"{text}\\end{{document}}\n"))
    return out / "paper.tex"


def _printed(report: Report, table: ResultTable, out: Path, column: str | None) -> list[Printed]:
    """A table in the forms that the paper has of it; none where it is empty or too long."""
    if not table.rows:
        return []
    run, mark = report.run, mark_of(report, table, out).line()
    forms = [(table, "", False)]
    if table.label == "table2":
        wide, own = printed.comparable(table)
        said = COMMON if own else ""
        forms = [(wide, said, False), *([(own, "", False)] if own else [])]
        forms += [(printed.in_one_column(run, table, column), said, True)]
    elif float_count(table, Dress()) > MOST_FLOATS:
        return []
    found = []
    for form, more, narrow in forms:
        shown = printed.beneath(run, form)
        dress = Dress(printed.caption(run, form, more), shown, mark, narrow)
        apart = printed.elsewhere(run, form, shown)
        found.append(Printed(form.label, latex(form, dress), apart, narrow))
    return found


def _in_order(tables: Sequence[Printed], figures: Sequence[str]) -> list[str]:
    """Tables before what is a column wide, and the next table behind it.

    LaTeX would set whatever there is room for first.
    """
    narrow = [*(one.text for one in tables if one.narrow), *figures]
    wide = [one.text for one in tables if not one.narrow]
    return [*wide, "\\clearpage\n", *narrow, "\\clearpage\n"] if narrow else wide


def _figure(plate: Plate, style: Style) -> str:
    described = [rf"\Description{{{escape(plate.alt)}}}"] if style.described else []
    return "\n".join([
        r"\begin{figure}[t]",
        r"\centering",
        rf"\includegraphics[width=\columnwidth]{{figures/{plate.label}.pdf}}",
        *described,
        rf"\caption{{{escape(plate.caption)}}}",
        rf"\label{{fig:{plate.label}}}",
        r"\end{figure}",
        "",
    ])  # fmt: skip


def _appendix(report: Report, tables: Sequence[Printed]) -> str:
    """Where the numbers come from, how they were measured, and the notes that tables leave out."""
    run = report.run
    facts = [("suite", reading.identity(run)), *_data(run), *notes.provenance(run)]
    general = [*notes.identity_notes(run)[1:], *printed.methods_notes(run)]
    seen: set[str] = set()
    lines = [
        r"\appendix",
        r"\section{Provenance and notes}",
        r"{\small\raggedright\sloppy",
        r"\paragraph{Provenance}",
        "; ".join(f"{escape(name)}: {_broken(value)}" for name, value in facts) + ".",
        *_paragraph("Run", general),
        *_paragraph("Measures", notes.fingerprint_notes(run)),
    ]
    for one in tables:
        fresh = [note for note in one.apart if note not in seen]
        seen |= set(fresh)
        lines += _paragraph(rf"Table~\ref{{tab:{one.label}}}", fresh)
    return "\n".join([*lines, "}", ""])


def _data(run: Run) -> list[tuple[str, str]]:
    """What the clips are: dataset, licence and digest, as far as they are known."""
    facts = [(key, str(run.header.dataset.get(key) or "")) for key in ("name", "licence", "digest")]
    return [(f"dataset {key}", value) for key, value in facts if value]


def _paragraph(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    return [rf"\paragraph{{{title}}}", ". ".join(map(_broken, lines)) + "."]


def _broken(text: str) -> str:
    """A text whose longest words, such as digests, may be broken after every eighth letter."""
    words = (
        r"\allowbreak{}".join(escape(word[at : at + 8]) for at in range(0, len(word), 8))
        if len(word) > LONGEST_WORD
        else escape(word)
        for word in text.split()
    )
    return " ".join(words)


def printable(text: str) -> str:
    """Text in which letters that LaTeX's own fonts lack are written as their numbers.

    Example:
        >>> printable("f\u00fcr \U0001f3b8")
        'f\u00fcr [U+1F3B8]'
    """
    return "".join(
        letter if ord(letter) <= LAST_LETTER or letter in LATEX_SIGNS else f"[U+{ord(letter):04X}]"
        for letter in text
    )

"""Write the tables and figures of a run as a LaTeX document that compiles without changes."""

from __future__ import annotations

from pathlib import Path

from bench.files import renewed_folder, replace_file
from reports.figures import draw
from reports.figures.examples import examples
from reports.figures.plates import Plate, plates
from reports.text import formats
from reports.text.result_table import ResultTable
from reports.write import Report, mark_of

LONGEST = 60  # rows that a page holds
LAST_LETTER = 0x17F  # of those that LaTeX's T1 fonts have
LATEX_SIGNS = frozenset("\u2013\u2014\u2018\u2019\u201c\u201d\u2026")
_PREAMBLE = r"""\documentclass[twocolumn]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
"""
# A table that is wider than the page is made narrower, others are left alone.
_FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


def write_paper(report: Report) -> Path:
    """Write `report/paper/` with paper.tex and a PDF and a CSV per figure, and return paper.tex.

    Tables that are too long for a page are left out; their files are in `report/`.

    Raises:
        LinkError: A symbolic link stands where a file of the paper should be.
    """
    out = report.out / "paper"
    tables = [table for table in report.tables if 0 < len(table.rows) <= LONGEST]
    parts = [_table(report, table, out) for table in tables]
    drawn = [*plates(report.run, {table.label: table for table in report.tables})]
    drawn += [example.plate for example in examples(report.run, report.folders)]
    parts += [_figure(plate) for plate in drawn]
    text = "\n".join(parts or ["No cell of this run has finished.\n"])
    with renewed_folder(out, report.run.folder) as fresh:
        for plate in drawn:
            place = fresh / "figures" / plate.label
            replace_file(place.with_name(f"{plate.label}.pdf"), draw.encoded(plate.draw(), "pdf"))
            replace_file(place.with_name(f"{plate.label}.csv"), plate.csv)
        replace_file(fresh / "paper.tex", f"{_PREAMBLE}{text}\\clearpage\n\\end{{document}}\n")
    return out / "paper.tex"


def _table(report: Report, table: ResultTable, out: Path) -> str:
    text = formats.latex(table)
    text = text.replace(r"\begin{tabular}", f"{_FIT}\n\\begin{{tabular}}", 1)
    text = text.replace(r"\end{tabular}", "\\end{tabular}}", 1)
    return mark_of(report, table, out).line() + printable(text)


def _figure(plate: Plate) -> str:
    return printable("\n".join([
        r"\begin{figure}[t]",
        r"\centering",
        rf"\includegraphics[width=\columnwidth]{{figures/{plate.label}.pdf}}",
        rf"\caption{{{formats.escape(plate.caption)}}}",
        rf"\label{{fig:{plate.label}}}",
        r"\end{figure}",
        "",
    ]))  # fmt: skip


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

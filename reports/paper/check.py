"""Compare the numbers in the marked tables of a paper with the records that they came from.

A paper may leave out rows, columns, intervals and digits, and set numbers in bold or as math; it
may not change a number or a name. Each row of the paper must be a row of the recomputed table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import ConfigError
from reports.text.formats import BLANK, show
from reports.text.latex import escape, unescape
from reports.text.marks import Mark, MarkedTable, marked_tables
from reports.text.result_table import (
    Column,
    Estimate,
    Missing,
    PValue,
    ResultTable,
    Row,
    Value,
)
from reports.write import Report, read_report

_RULES = re.compile(
    r"\\(?:toprule|midrule|bottomrule|hline|addlinespace|cmidrule(?:\(.*?\))?\{.*?\})"
)
_BRACES = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"  # two levels of others within
_SPEC = re.compile(rf"^\s*(?:\[.\])?\s*{_BRACES}")  # the columns of a tabular
_STACK = re.compile(rf"\\shortstack(?:\[[lcr]\])?({_BRACES})")  # the lines of a title
_LINE = re.compile(r"(?P<cells>.*?)(?:(?<!\\)\\\\(?P<star>\*)?(?:\[[^\]]*\])?|\Z)", re.DOTALL)
_ENDS = re.compile(r"\\scriptsize\s*\{?\[")  # an interval beneath its mean
_NUMBER = re.compile(r"[-\u2212]?\d+(?:\.\d+)?")
_CELLS = re.compile(r"\(n\s*=\s*(\d+)\)")
ROUNDING = 0.5 + 1e-6  # of the last digit shown


@dataclass(frozen=True, slots=True)
class Finding:
    """What the check of one marked table found; without complaints it agrees with the records."""

    place: str
    table: str
    rows: int
    complaints: tuple[str, ...]


def check_paper(paper: Path, runs: Sequence[Path] = ()) -> list[Finding]:
    """Recompute every marked table of a LaTeX file and compare.

    Args:
        paper: The file.
        runs: The run folders; by default those that the marks name, relative to the file.

    Raises:
        ConfigError: The file is missing or has no marked table.
        RecordError: A run that a mark names cannot be read.
    """
    try:
        text = paper.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{paper} cannot be read ({error}); give a LaTeX file.") from error
    reports: dict[tuple[Path, ...], Report] = {}
    findings = []
    for found in marked_tables(text, paper.name):
        folders = tuple(runs) or tuple(paper.parent / path for path in found.mark.paths)
        if folders not in reports:
            reports[folders] = read_report(folders)
        complaints, rows = compare(found, reports[folders])
        findings.append(
            Finding(f"{paper.name}:{found.line}", found.mark.table, rows, tuple(complaints))
        )
    return findings


def compare(found: MarkedTable, report: Report) -> tuple[list[str], int]:
    """Compare one marked table: what is wrong with it, and how many rows were compared."""
    strange = _other_run(found.mark, report)
    if strange:
        return [strange], 0
    table = next((t for t in report.tables if t.label == found.mark.table), None)
    if table is None:
        return [f"the run has no table {found.mark.table!r}"], 0
    header, *rows = parse_rows(found.body)
    columns, unknown = _columns(header, table)
    complaints = [f"column {title!r} is not in table {table.label}" for title in unknown]
    for row in rows:
        complaints += _row_complaints(row, columns, table)
    return complaints, len(rows)


def _other_run(mark: Mark, report: Report) -> str:
    header = report.run.header
    if mark.run != header.run_id:
        return f"the mark names run {mark.run}, the records are of run {header.run_id}"
    if mark.digest != header.suite_digest:
        return (
            f"the mark names suite digest {mark.digest[:12]}, the run now has "
            f"{header.suite_digest[:12]}"
        )
    return ""


def parse_rows(body: str) -> list[list[str]]:
    r"""The rows of a tabular as plain texts, the header first.

    The line of the intervals, which follows a `\\*`, belongs to the row above it.

    Example:
        >>> parse_rows(r"{lr} \toprule A & B \\ \midrule x\_y & \textbf{0.5} \\ \bottomrule")
        [['A', 'B'], ['x_y', '0.5']]
        >>> parse_rows(r"{lr} A & B \\ \midrule x & 0.5 \\*[-1pt] & {\scriptsize [0.4, 0.6]} \\")
        [['A', 'B'], ['x', '0.5 [0.4, 0.6]']]
    """
    body = re.sub(r"(?<!\\)%.*", "", body)
    body = _RULES.sub(" ", _SPEC.sub("", body))
    body = _STACK.sub(lambda stack: re.sub(r"\\\\", " ", stack[1]), body)
    rows: list[list[str]] = []
    goes_on = False
    for found in _LINE.finditer(body):
        cells = [unescape(cell) for cell in re.split(r"(?<!\\)&", found["cells"])]
        below = not cells[0] or _ENDS.search(found["cells"])
        if goes_on and below and len(cells) == len(rows[-1]):
            both = zip(rows[-1], cells, strict=True)
            rows[-1] = [f"{above} {cell}".strip() for above, cell in both]
        elif found["cells"].strip():
            rows.append(cells)
        goes_on = bool(rows) and bool(found["star"])
    return rows


def _columns(header: Sequence[str], table: ResultTable) -> tuple[list[int | None], list[str]]:
    """The place of each column of the paper in the table, and the titles it does not have."""
    titles = [unescape(escape(column.title)) for column in table.columns]
    places = [titles.index(title) if title in titles else None for title in header]
    return places, [t for t, place in zip(header, places, strict=True) if place is None]


def _row_complaints(
    row: Sequence[str], columns: Sequence[int | None], table: ResultTable
) -> list[str]:
    """How the most similar row of the table differs; nothing if one agrees in every cell."""
    if len(row) != len(columns):
        return [f"row {row[0]!r} has {len(row)} cells for {len(columns)} columns"]
    differences = [_differences(row, columns, candidate, table.columns) for candidate in table.rows]
    if not differences:
        return [f"row {row[0]!r}: the table has no rows"]
    nearest = min(differences, key=len)
    return [f"row {row[0]!r}: {difference}" for difference in nearest]


def _differences(
    row: Sequence[str], places: Sequence[int | None], candidate: Row, columns: Sequence[Column]
) -> list[str]:
    found = []
    for text, place in zip(row, places, strict=True):
        if place is None:
            continue
        value, column = candidate.cells[place], columns[place]
        if not agrees(text, value) and not (place == 0 and _names(text, candidate)):
            shown = unescape(escape(show(value, column.decimals)))
            found.append(f"{column.title} is {text!r} in the paper, {shown!r} in the records")
    return found


def _names(text: str, row: Row) -> bool:
    """Whether a text names a row, wherever its lines are broken, or the method of the row."""
    known = (unescape(escape(name)) for name in (str(row.cells[0]), row.method) if name)
    return text.replace(" ", "") in [name.replace(" ", "") for name in known]


def agrees(text: str, value: Value) -> bool:
    """Whether a cell of a paper agrees with a value, to as many digits as it shows.

    Example:
        >>> agrees("0.41 [0.38, 0.45]", Estimate(0.4123, 0.38, 0.45)), agrees(".42", 0.4123)
        (True, False)
    """
    if isinstance(value, Estimate | float | int):
        known = [value.value, value.low, value.high] if isinstance(value, Estimate) else [value]
        known = [number for number in known if math.isfinite(number)]
        cells = _CELLS.search(text)
        if cells and not (isinstance(value, Estimate) and value.n == int(cells[1])):
            return False
        shown = _NUMBER.findall(re.sub(r"(?<!\d)\.", "0.", _CELLS.sub("", text)))
        return 0 < len(shown) <= len(known) and all(
            _rounds_to(number, shown_one) for number, shown_one in zip(known, shown, strict=False)
        )
    if isinstance(value, PValue):
        bound = re.fullmatch(r"<\s*(0?\.\d+)", text)
        return value.value < float(bound[1]) if bound else agrees(text, value.value)
    words = value.mark if isinstance(value, Missing) else BLANK if value is None else value
    return unescape(escape(words)) == text or (value is None and text == "")


def _rounds_to(number: float, shown: str) -> bool:
    shown = shown.replace("\u2212", "-")
    decimals = len(shown.partition(".")[2])
    return abs(float(shown) - number) <= ROUNDING * 10.0**-decimals

"""A `ResultTable` as text: Markdown, CSV, and plain text that fits a terminal; LaTeX is beside it.

Numbers are rounded to the decimals of their column and shown as `mean [low, high]`. A number whose
interval is wide, or not known, has two decimals at most: more would be noise. CSV keeps ten
decimals.
"""

from __future__ import annotations

import csv as csv_module
import io
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby

from bench.outside.wording import visible
from reports.text.result_table import (
    Column,
    Estimate,
    Missing,
    PValue,
    ResultTable,
    Row,
    Value,
)

BLANK = "-"
STAR = "*"  # in place of bold
TERMINAL_DECIMALS = 2
WIDE, WIDE_DECIMALS = 0.02, 2  # an interval wider than this makes further decimals noise
P_DECIMALS, SMALLEST_P = 3, 0.01  # p-values below it are shown as smaller than it
SETTLED_DECIMALS = 10
GAP = "  "
NARROWEST = 9
LONGEST_TEXT = 26


def show(value: Value, decimals: int) -> str:
    """One value as words.

    Example:
        >>> show(Estimate(0.41234, 0.38, 0.45), 3), show(Estimate(0.41234, 0.41, 0.415), 3)
        ('0.41 [0.38, 0.45]', '0.412 [0.410, 0.415]')
        >>> show(PValue(0.00001), 2), show(PValue(0.0481), 2)
        ('<0.01', '0.048')
    """
    if isinstance(value, Estimate):
        return " ".join(estimate_parts(value, decimals))
    if isinstance(value, PValue):
        return _p_value(value.value)
    if isinstance(value, Missing):
        return value.mark
    number = _number(value, decimals) if isinstance(value, float) else value
    return BLANK if number is None else visible(str(number))


def estimate_parts(value: Estimate, decimals: int) -> list[str]:
    """A mean, its interval if it has one, and how many cells it rests on where that is said.

    Example:
        >>> estimate_parts(Estimate(0.41234, 0.38, 0.45, n=8, says_n=True), 3)
        ['0.41', '[0.38, 0.45]', '(n=8)']
    """
    settled = _settled(value.high) - _settled(value.low) <= WIDE  # False where an end is NaN
    shown = decimals if settled else min(decimals, WIDE_DECIMALS)
    parts = [_number(value.value, shown)]
    if math.isfinite(value.low) and math.isfinite(value.high):
        parts.append(f"[{_number(value.low, shown)}, {_number(value.high, shown)}]")
    return [*parts, f"(n={value.n})"] if value.says_n else parts


def _p_value(p: float) -> str:
    if not math.isfinite(p):
        return BLANK
    return f"<{SMALLEST_P:g}" if _settled(p) < SMALLEST_P else _number(p, P_DECIMALS)


def _number(value: float, decimals: int) -> str:
    if not math.isfinite(value):
        return BLANK
    rounded = round(_settled(value), decimals)
    return f"{rounded + 0.0:.{decimals}f}"  # adding 0 turns -0.0 into 0.0


def _settled(value: float) -> float:
    """Drop the digits that depend on the order of a sum, so that texts are the same everywhere."""
    return round(float(value), SETTLED_DECIMALS)


def markdown(table: ResultTable) -> str:
    """GitHub Markdown: a heading, the table with a bold line per group, and the notes as a list."""
    from tabulate import tabulate

    lines: list[list[str]] = []
    for group, rows in groupby(table.rows, key=lambda row: row.group):
        if group and not _names_itself(group, table):
            lines.append([f"**{_pipe(group)}**", *([""] * (len(table.columns) - 1))])
        lines += [_bold(row, [_pipe(text) for text in _texts(row, table.columns)]) for row in rows]
    body = tabulate(
        lines,
        headers=[_pipe(column.title) for column in table.columns],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["left" if c.text else "right" for c in table.columns] if lines else None,
    )
    notes = "".join(f"* {plain(note)}\n" for note in table.notes)
    why = f"{plain(table.empty)}\n\n" if table.empty and not table.rows else ""
    return f"## {plain(table.title)}\n\n{plain(table.identity)}\n\n{why}{body}\n\n{notes}"


def _bold(row: Row, texts: list[str]) -> list[str]:
    """The texts of a row, with the best ones in bold."""
    return [
        f"**{text}**" if isinstance(cell, Estimate) and cell.best else text
        for cell, text in zip(row.cells, texts, strict=True)
    ]


def _names_itself(group: str, table: ResultTable) -> bool:
    """A group that only repeats the first column needs no heading."""
    return all(row.cells[0] == group for row in table.rows if row.group == group)


def _pipe(text: str) -> str:
    return plain(text).replace("|", "\\|")


def plain(text: str) -> str:
    """A text on one line that no format takes for more than words."""
    return visible(" ".join(text.split()))


def _texts(row: Row, columns: Sequence[Column]) -> list[str]:
    return [show(cell, column.decimals) for cell, column in zip(row.cells, columns, strict=True)]


def csv(table: ResultTable) -> str:
    """CSV with unrounded numbers, for programs.

    An estimate fills `key`, `key.low`, `key.high` and `key.n`; a column with missing values has
    `key.missing` with mark and reason. Each line begins with suite, group and kind.
    """
    columns = range(len(table.columns))
    estimated = {
        i
        for i in columns
        if any(isinstance(row.cells[i], Estimate | Missing) for row in table.rows)
    }
    header = ["suite", "group", "kind"]
    for position, column in enumerate(table.columns):
        ends = (".low", ".high", ".n", ".missing") if position in estimated else ()
        header += [column.key, *(f"{column.key}{end}" for end in ends)]
    lines = [header]
    for row in table.rows:
        fields = [table.identity, row.group, row.kind]
        for position, cell in enumerate(row.cells):
            fields += _fields(cell, wide=position in estimated)
        lines.append(fields)
    return csv_text(lines)


def csv_text(lines: Iterable[Sequence[str]]) -> str:
    """Lines of fields as CSV, quoted where it is needed."""
    out = io.StringIO()
    shown = ([visible(field) for field in line] for line in lines)
    csv_module.writer(out, lineterminator="\n").writerows(shown)
    return out.getvalue()


def _fields(cell: Value, *, wide: bool) -> list[str]:
    if isinstance(cell, Estimate):
        return [*(_whole(x) for x in (cell.value, cell.low, cell.high)), str(cell.n), ""]
    if isinstance(cell, Missing):
        return ["", "", "", "", f"{cell.mark}: {cell.reason}" if cell.reason else cell.mark]
    number = cell.value if isinstance(cell, PValue) else cell
    text = _whole(number) if isinstance(number, float) else "" if number is None else str(number)
    return [text, "", "", "", ""] if wide else [text]


def _whole(value: float) -> str:
    return repr(_settled(value)) if math.isfinite(value) else ""


Block = list[str]  # the lines of one cell


def terminal(table: ResultTable, width: int = 100) -> str:
    """Plain text at most `width` characters wide, with intervals under their means.

    Columns that do not fit follow in further blocks, which repeat the columns that name a row;
    `wide` columns are left out.
    """
    kept = [position for position, column in enumerate(table.columns) if not column.wide]
    cells = {p: [_block(row.cells[p], table.columns[p]) for row in table.rows] for p in kept}
    widths = {p: _width(table.columns[p], cells[p]) for p in kept}
    parts = [_draw(table, chosen, cells, widths) for chosen in _pack(table, kept, widths, width)]
    notes = [
        textwrap.fill(plain(note), width, initial_indent="  ", subsequent_indent="    ")
        for note in table.notes
    ]
    title = textwrap.fill(plain(f"{table.title} ({table.identity})"), width)
    return "\n\n".join([title, *parts, "\n".join(notes)]).rstrip() + "\n"


def _block(value: Value, column: Column) -> Block:
    decimals = min(column.decimals, TERMINAL_DECIMALS)
    if isinstance(value, Estimate):
        number, *rest = estimate_parts(value, decimals)
        return [number + (STAR if value.best else ""), *rest]
    return _wrapped(show(value, decimals)) or [""]


def _wrapped(text: str) -> list[str]:
    """The lines of a long text; the name of a method with many parameters breaks after a comma."""
    if len(text) <= LONGEST_TEXT:
        return [text] if text else []
    return textwrap.wrap(re.sub(r",(?=\S)", ", ", text), LONGEST_TEXT)


def _width(column: Column, blocks: list[Block]) -> int:
    longest = max((len(line) for block in blocks for line in block), default=0)
    limit = max(longest, NARROWEST)
    return max(longest, *(len(line) for line in textwrap.wrap(plain(column.title), limit)))


def _pack(
    table: ResultTable, kept: list[int], widths: dict[int, int], width: int
) -> list[list[int]]:
    """Split the columns into blocks that fit, each starting with the columns that name a row."""
    named = next((n for n, p in enumerate(kept) if not table.columns[p].text), len(kept))
    names, blocks = kept[: max(named, 1)], [list(kept[: max(named, 1)])]
    for position in kept[len(names) :]:
        wider = [*blocks[-1], position]
        fits = sum(widths[p] for p in wider) + len(GAP) * (len(wider) - 1) <= width
        if not fits and len(blocks[-1]) > len(names):
            blocks.append(list(names))
        blocks[-1].append(position)
    return blocks


def _draw(
    table: ResultTable, chosen: list[int], cells: dict[int, list[Block]], widths: dict[int, int]
) -> str:
    heads = [textwrap.wrap(plain(table.columns[p].title), widths[p]) for p in chosen]
    rule = "-" * (sum(widths[p] for p in chosen) + len(GAP) * (len(chosen) - 1))
    lines = [*_lines(table, chosen, heads, widths), rule.replace("-", "=")]
    for number, row in enumerate(table.rows):
        if number and row.group != table.rows[number - 1].group:
            lines.append(rule)
        lines += _lines(table, chosen, [cells[p][number] for p in chosen], widths)
    return "\n".join(lines)


def _lines(
    table: ResultTable, chosen: list[int], blocks: list[Block], widths: dict[int, int]
) -> list[str]:
    height = max(len(block) for block in blocks)
    lines = []
    for level in range(height):
        fields = [
            _aligned(block[level] if level < len(block) else "", table.columns[p], widths[p])
            for p, block in zip(chosen, blocks, strict=True)
        ]
        lines.append(GAP.join(fields).rstrip())
    return lines


def _aligned(text: str, column: Column, width: int) -> str:
    return text.ljust(width) if column.text else text.rjust(width)

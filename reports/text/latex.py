r"""A `ResultTable` as LaTeX, the way a paper prints it.

Rules are those of booktabs; the caption is above, a sentence without digests; numbers have two
decimals at most, the best ones are bold, and an interval stands beneath its mean in smaller type.
At most four notes stand beneath a table. What a terminal leaves out for its width, print does too.

Nothing is scaled. A table that is wider than its place, the page or one column of it, goes on in
further blocks beneath the first, which name the rows again; one that is higher than a page goes on
in further floats. How wide it will be is estimated from its letters in Computer Modern, which is
wider than the type of IEEEtran and acmart, for the narrowest page among these and `article`.

**Conventions**: lengths are points (1/72.27 inch).
"""

from __future__ import annotations

import itertools
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from reports.text.formats import estimate_parts, plain, show
from reports.text.result_table import Column, Estimate, ResultTable, Row, Value

DECIMALS = 2
MOST_NOTES = 4
ONE_COLUMN, TWO_COLUMNS = 236.0, 496.0  # of the page, or of a column of it
TALLEST = 540.0  # of the rows of a float, beside caption and notes
BROKEN_GROUP = 0.15  # the share of a float by which one that breaks a group is worse placed
TYPE, SMALL_TYPE = 8.0, 7.0  # \footnotesize and \scriptsize beside text of ten points
GAP = 6.0  # between two columns
LINE, SMALL_LINE = 9.6, 9.0  # from one line to the next; an interval has some room beneath it
LONGEST_NAME, LONGEST_TEXT = 92.0, 120.0  # of a column of words before its lines are broken
_SHRINK = r"\footnotesize\setlength{\tabcolsep}{3pt}"
_EMS = {  # of a letter
    letter: width
    for letters, width in (("il.,:;|!'I", 0.31), ("ftrj[]()-/ ", 0.4), ("mwMW@%+=<>", 0.86))
    for letter in letters
}
_CAPITAL, _LETTER, _BOLD = 0.74, 0.56, 1.12

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "\u2013": "--", "\u2014": "---",
    "\u00d7": r"$\times$", "\u2212": "$-$",
    "≥": r"$\geq$", "≤": r"$\leq$", "\n": " ",
}  # fmt: skip
# What a paper may write in place of a sign; a tie and a thin space are spaces.
_SIGNS = {
    code.strip("$"): sign for sign, code in _LATEX.items() if code.startswith((r"\text", "$\\"))
} | {"---": "\u2014", r"\,": " ", "~": " "}
_DRESS = re.compile(
    r"\\(?:textbf|textit|emph|mathbf|mathrm|underline|num|scriptsize|footnotesize|allowbreak)"
    r"(?![a-z])\s*"
)


@dataclass(frozen=True, slots=True)
class Dress:
    """How one table is printed.

    Args:
        caption: A sentence or more; by default the title.
        notes: What stands beneath it; by default the first four notes of the table.
        mark: A line of comment above each tabular, see `reports.text.marks`.
        narrow: It stands in one column of the page rather than across both.
    """

    caption: str = ""
    notes: Sequence[str] | None = None
    mark: str = ""
    narrow: bool = False

    @property
    def width(self) -> float:
        """The room that its rows have."""
        return ONE_COLUMN if self.narrow else TWO_COLUMNS


def escape(text: str) -> str:
    r"""Text written so that LaTeX prints it unchanged, a percent sign never alone on a line.

    Example:
        >>> escape("tve[strength=0.5] 100 %")
        'tve{[}strength=0.5{]} 100~\\%'
        >>> escape("run --quiet")
        'run -{}-quiet'
    """
    apart = re.sub("-(?=-)", "-\0", plain(text))  # TeX would join two hyphens to a dash
    text = "".join(_LATEX.get(character, character) for character in apart).replace("\0", "{}")
    return text.replace(r" \%", r"~\%")


def unescape(text: str) -> str:
    r"""LaTeX as plain text, without bold, sizes, math signs, braces and escapes.

    Example:
        >>> unescape(r"\textbf{x\_y} $\uparrow$ 5\,\%")
        'x_y ↑ 5 %'
    """
    text = re.sub(r"\\shortstack(?:\[[lcr]\])?", "", text)
    for code, sign in _SIGNS.items():
        text = text.replace(code, sign)
    text = re.sub(r"(?<!\\)[{}$]", "", _DRESS.sub("", text))
    return plain(re.sub(r"\\([#$%&_{}])", r"\1", text))


def comments(lines: Sequence[str]) -> str:
    """Lines that LaTeX does not print."""
    return "".join(f"% {plain(line)}\n" for line in lines)


def float_count(table: ResultTable, dress: Dress) -> int:
    """How many floats a table takes."""
    return len(_pieces(table, len(_planned(table, dress).blocks)))


def latex(table: ResultTable, dress: Dress | None = None) -> str:
    """A LaTeX float with the table; several where it is higher than a page."""
    plan = _planned(table, dress or Dress())
    pieces = _pieces(table, len(plan.blocks))
    floats = [_float(plan, rows, first=place == 0) for place, rows in enumerate(pieces)]
    return f"% needs \\usepackage{{array,booktabs}}\n{comments([table.identity])}{''.join(floats)}"


@dataclass(frozen=True, slots=True)
class _Plan:
    """A table before it is written: how wide its columns are, and which stand side by side."""

    table: ResultTable
    dress: Dress
    widths: Mapping[int, float]
    blocks: Sequence[Sequence[int]]


def _planned(table: ResultTable, dress: Dress) -> _Plan:
    kept = [place for place, column in enumerate(table.columns) if not column.wide]
    widths = {place: _width(table, place) for place in kept}
    return _Plan(table, dress, widths, _blocks(table, kept, widths, dress.width))


def _float(plan: _Plan, rows: Sequence[Row], *, first: bool) -> str:
    table, dress = plan.table, plan.dress
    kind = "table" if dress.narrow else "table*"
    caption = escape(dress.caption or f"{table.title}.")
    named = [rf"\caption{{{caption}}}", rf"\label{{tab:{table.label}}}"]
    again = [r"\addtocounter{table}{-1}", rf"\caption{{{escape(table.title)} (continued).}}"]
    said = table.notes[:MOST_NOTES] if dress.notes is None else dress.notes[:MOST_NOTES]
    notes = [
        r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize\raggedright",
        rf"{escape(' '.join(map(_sentence, said)))}\end{{minipage}}",
    ]
    bodies = [_tabular(plan, block, rows) for block in plan.blocks]
    return "\n".join([
        rf"\begin{{{kind}}}[t]",
        rf"\centering{_SHRINK}",
        *(named if first else again),
        "\\par\\medskip\n".join(bodies),
        *(notes if said and first else []),
        rf"\end{{{kind}}}",
        "",
    ])  # fmt: skip


def _sentence(note: str) -> str:
    """A note as a sentence among others; a word that is no plain one keeps its first letter."""
    first = note.split(maxsplit=1)[0] if note.strip() else ""
    begin = note[:1].upper() if re.fullmatch(r"a|[a-z]{2,}[:,]?", first) else note[:1]
    return f"{begin}{note[1:]}" + ("" if note.endswith((".", "!", "?")) else ".")


def _tabular(plan: _Plan, block: Sequence[int], rows: Sequence[Row]) -> str:
    columns = [plan.table.columns[place] for place in block]
    sized = [(plan.table.columns[place], plan.widths[place]) for place in block]
    align = "".join(_alignment(column, width) for column, width in sized)
    heads = " & ".join(_head(column, width) for column, width in sized)
    lines: list[str] = []
    for number, row in enumerate(rows):
        if number and row.group != rows[number - 1].group:
            lines.append(r"\midrule")
        lines += _row_lines([row.cells[place] for place in block], columns)
    return "\n".join([
        rf"{plan.dress.mark}\begin{{tabular}}{{@{{}}{align}@{{}}}}",
        r"\toprule",
        rf"{heads} \\",
        r"\midrule",
        *lines,
        r"\bottomrule",
        r"\end{tabular}",
    ])  # fmt: skip


def _row_lines(cells: Sequence[Value], columns: Sequence[Column]) -> list[str]:
    """The line of the means and, where there is any, that of their intervals.

    A star says that the second belongs to the first; so does the rest of a text that is broken.
    """
    parts = [_parts(cell, column) for cell, column in zip(cells, columns, strict=True)]
    broken = any(ends for *_, ends in parts)
    pairs = [
        _cell(part, column, bold=isinstance(cell, Estimate) and cell.best, broken=broken)
        for cell, part, column in zip(cells, parts, columns, strict=True)
    ]
    first = " & ".join(above for above, _ in pairs)
    if not broken:
        return [rf"{first} \\"]
    return [rf"{first} \\*[-1.5pt]", rf"{' & '.join(below for _, below in pairs)} \\[1pt]"]


def _cell(
    parts: tuple[str, str, str], column: Column, *, bold: bool, broken: bool
) -> tuple[str, str]:
    """What stands in the first line of a row, and what stands beneath it.

    Args:
        parts: Mean, count and interval.
        column: Its column.
        bold: It is one of the best.
        broken: There is a second line, so a long text goes on in it.
    """
    mean, count, ends = parts
    if column.text:
        above, below = _line_and_rest(mean, _longest(column)) if broken else (mean, "")
        return _breakable(above, column), _breakable(below, column)
    counted, between = (
        rf"{{\scriptsize {_typed(text)}}}" if text else "" for text in (count, ends)
    )
    number = rf"\textbf{{{_typed(mean)}}}" if bold else _typed(mean)
    return f"{number} {counted}".strip(), between


def _line_and_rest(text: str, longest: float) -> tuple[str, str]:
    """A text as its first line and what follows, broken after a blank or comma or at a bracket."""
    line = ""
    if _ems(text) * TYPE > longest:
        for part in re.split(r"(?<=[ ,])|(?=\[)", text):
            if line and _ems(line + part) * TYPE > longest:
                return line.rstrip(), text[len(line) :]
            line += part
    return text, ""


def _breakable(text: str, column: Column) -> str:
    """A text that, if it is too long, may be broken behind its signs and before a bracket."""
    if _ems(text) * TYPE <= _longest(column):
        return escape(text)
    parts = re.split(r"(?<=[],_/=;:>)-])(?=\S)|(?<=\S)(?=\[)", text)
    return r"\allowbreak ".join(map(escape, parts))


def _parts(value: Value, column: Column) -> tuple[str, str, str]:
    """A cell as mean, count and interval, the last two empty where there are none."""
    decimals = min(column.decimals, DECIMALS)
    if not isinstance(value, Estimate):
        return show(value, decimals), "", ""
    mean, *rest = estimate_parts(value, decimals)
    ends = next((part for part in rest if part.startswith("[")), "")
    return mean, next((part for part in rest if part.startswith("(")), ""), ends


def _typed(text: str) -> str:
    """A number with minus signs rather than hyphens."""
    return escape(re.sub(r"(?<![\w.])-(?=[\d.])", "\u2212", text))


def _alignment(column: Column, width: float) -> str:
    if not column.text:
        return "r"
    longest = _longest(column)
    return "l" if width < longest else rf">{{\raggedright\arraybackslash}}p{{{longest:g}pt}}"


def _head(column: Column, width: float) -> str:
    """The title of a column, in as many lines as its width asks for."""
    lines = _head_lines(column, width)
    if len(lines) == 1:
        return escape(lines[0])
    side = "l" if column.text else "r"
    return rf"\shortstack[{side}]{{" + r"\\".join(map(escape, lines)) + "}"


def _head_lines(column: Column, width: float) -> list[str]:
    """The words of a title in lines; an arrow stays with the word before it."""
    longest = max([int(width / TYPE / _LETTER), *map(len, column.title.split())], default=1) + 2
    title = re.sub(r" (?=[↑↓])", "\u00a0", plain(column.title))
    lines = textwrap.wrap(title, longest, break_on_hyphens=False, break_long_words=False)
    return [line.replace("\u00a0", " ") for line in lines] or [""]


def _ems(text: str) -> float:
    """About how wide a text is, in units of its type's size."""
    return sum([_EMS.get(one) or (_CAPITAL if one.isupper() else _LETTER) for one in text])


def _width(table: ResultTable, place: int) -> float:
    """About how wide a column is: by its cells, and by the longest word of its head."""
    column = table.columns[place]
    cells = [0.0]
    for row in table.rows:
        mean, count, ends = _parts(row.cells[place], column)
        first = _ems(mean) * TYPE * _BOLD + _ems(count) * SMALL_TYPE
        cells.append(max(first, _ems(ends) * SMALL_TYPE))
    words = [_ems(word) * TYPE for word in column.title.replace(" ↑", "↑").split()]
    return max(min(max(cells), _longest(column)) if column.text else max(cells), *words)


def _blocks(
    table: ResultTable, kept: Sequence[int], widths: Mapping[int, float], room: float
) -> list[list[int]]:
    """The columns in as few blocks as fit, of about equal length; each begins with the names."""
    named = next((n for n, place in enumerate(kept) if not table.columns[place].text), 0)
    names, rest = kept[: max(named, 1)], kept[max(named, 1) :]
    for count in range(1, len(rest) + 1):
        ends = [round(len(rest) * part / count) for part in range(count + 1)]
        blocks = [[*names, *rest[begin:end]] for begin, end in pairwise(ends)]
        if all(sum(widths[p] for p in b) + GAP * (len(b) - 1) <= room for b in blocks):
            return blocks
    return [[*names, place] for place in rest] or [list(names)]


def _pieces(table: ResultTable, blocks: int) -> list[Sequence[Row]]:
    """The rows in few floats of about one height, which begin at a new group where they can."""
    rows, heights = table.rows, [_height(table, row) * blocks for row in table.rows]
    if not rows:
        return [()]
    above = list(itertools.accumulate(heights, initial=0.0))
    fewest = min(len(rows), math.ceil(above[-1] / TALLEST))
    tried = ([*_starts(rows, above, n), len(rows)] for n in range(fewest, len(rows)))

    def fit(ends: Sequence[int]) -> bool:
        return all(above[end] - above[start] <= TALLEST for start, end in itertools.pairwise(ends))

    ends = next(filter(fit, tried), range(len(rows) + 1))
    return [rows[start:end] for start, end in itertools.pairwise(ends)]


def _starts(rows: Sequence[Row], above: Sequence[float], count: int) -> list[int]:
    """The first row of each of `count` pieces, near where pieces of one height would begin."""
    each, starts = above[-1] / count, [0]

    def far(place: int) -> float:
        penalty = each * BROKEN_GROUP if rows[place].group == rows[place - 1].group else 0.0
        return abs(above[place] - len(starts) * each) + penalty

    while len(starts) < count:
        starts.append(min(range(starts[-1] + 1, len(rows) - count + len(starts) + 1), key=far))
    return starts


def _height(table: ResultTable, row: Row) -> float:
    """About how high a row is: its longest text, and its intervals."""
    lines, ends = 1, False
    for cell, column in zip(row.cells, table.columns, strict=True):
        if column.text and not column.wide:
            wide = _ems(show(cell, DECIMALS)) * TYPE * _BOLD
            lines = max(lines, math.ceil(wide / _longest(column)))
        ends = ends or bool(_parts(cell, column)[2])
    return LINE * max(lines - ends, 1) + (SMALL_LINE if ends else 0.0)


def _longest(column: Column) -> float:
    """How wide a column of words is at most."""
    return LONGEST_NAME if column.key == "method" else LONGEST_TEXT

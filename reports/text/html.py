"""A `ResultTable` as the cells of an HTML table, and the templates that show it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.outside.wording import visible
from reports.text import formats
from reports.text.result_table import Column, Estimate, Missing, PValue, ResultTable, Value

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


LONGEST_WHOLE = 12  # characters of a text that stays on one line
NO_ROWS = "Nothing to show: no cell of this run has what this table needs."


@dataclass(frozen=True, slots=True)
class HtmlCell:
    """One table cell: its number, its interval if it has one, and `why` a number is missing.

    `key` is what a number is sorted by; `whole` marks a short text that is not to be broken.
    """

    text: str
    ends: str = ""
    number: bool = False
    best: bool = False
    why: str = ""
    key: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class HtmlRow:
    """One table row; `method` is the label in the grid of sounds that its name links to."""

    cells: tuple[HtmlCell, ...]
    kind: str
    new_group: bool
    method: str


@dataclass(frozen=True, slots=True)
class HtmlTable:
    """A table as a template reads it."""

    title: str
    label: str
    identity: str
    columns: tuple[Column, ...]
    rows: tuple[HtmlRow, ...]
    notes: tuple[str, ...]
    empty: str


def html_table(table: ResultTable, methods: Collection[str] = ()) -> HtmlTable:
    """A finished table as cells of text, with the numbers unchanged.

    Args:
        table: The table.
        methods: Labels of the methods that the page has in its grid of sounds.
    """
    rows = []
    for place, row in enumerate(table.rows):
        cells = tuple(
            html_cell(value, column) for value, column in zip(row.cells, table.columns, strict=True)
        )
        label = row.method or str(row.cells[0])
        ruled = place > 0 and row.group != table.rows[place - 1].group
        rows.append(HtmlRow(cells, row.kind, ruled, label if label in methods else ""))
    return HtmlTable(
        table.title, table.label, table.identity, table.columns, tuple(rows), table.notes,
        table.empty or NO_ROWS,
    )  # fmt: skip


def html_cell(value: Value, column: Column) -> HtmlCell:
    """One value as a cell, with the same words as in all other formats.

    Example:
        >>> html_cell(Estimate(0.4123, 0.38, 0.45), Column("cp", "CP", decimals=2))
        HtmlCell(text='0.41', ends='[0.38, 0.45]', number=True, best=False, why='', key='0.4123', \
whole=False)
    """
    key = "" if column.text else sort_key(value)
    if isinstance(value, Estimate):
        text, *rest = formats.estimate_parts(value, column.decimals)
        return HtmlCell(text, " ".join(rest), True, value.best, key=key)
    why = value.reason if isinstance(value, Missing) else ""
    text = formats.show(value, column.decimals)
    whole = len(text) <= LONGEST_WHOLE
    return HtmlCell(text, number=not column.text, why=why, key=key, whole=whole)


def sort_key(value: Value) -> str:
    """What a cell is sorted by: digits of a number, or the text; empty for nothing, which is last.

    Example:
        >>> sort_key(Estimate(0.25)), sort_key(PValue(0.03)), sort_key("abc"), sort_key(None)
        ('0.25', '0.03', 'abc', '')
    """
    number = value.value if isinstance(value, Estimate | PValue) else value
    if isinstance(number, float):
        return f"{number:.10g}" if math.isfinite(number) else ""
    return str(number) if isinstance(number, str | int) else ""


def render(template: Path, values: Mapping[str, object]) -> str:
    """Fill a Jinja template; words from records are escaped, and a missing value is an error."""
    return _environment(template.parent).get_template(template.name).render(values)


@cache
def _environment(folder: Path) -> Environment:
    """What reads the templates of a folder: each is compiled once."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_seen,
    )  # fmt: skip


def _seen(value: object) -> object:
    """What a template prints: words with each character visible, markup of ours unchanged."""
    return visible(value) if type(value) is str else value


def unchanged(text: str) -> Markup:
    """Markup that a template prints as it is.

    Args:
        text: Our own style or script, or a drawing whose writer has escaped the names in it.
    """
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - no word of a record, or an escaped one

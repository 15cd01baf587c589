"""Put the page of a run together: model, template, sounds and pictures."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.files import replace_file
from bench.records.schema import FAILED
from bench.records.store import Run
from reports import formats, inputs, notes, reading
from reports.figures import draw
from reports.figures.examples import examples
from reports.figures.plates import Plate, plates
from reports.loudness import TARGET_LUFS
from reports.page import grid as grids
from reports.page.media import link_inputs, without, write_media
from reports.result_table import Column, Estimate, Missing, ResultTable, Value
from reports.write import Report

ASSETS = Path(__file__).with_name("assets")
LEFT_OUT = "not in this page, which was asked for without sounds"
SHOWN_FAILURES = 200
LONG = 48  # rows from which on a table is folded
COSTS = ("timing",)  # tables that stand under "Time and memory"


@dataclass(frozen=True, slots=True)
class HtmlCell:
    """One table cell: its number and, smaller, its interval; `why` explains a missing number."""

    text: str
    ends: str = ""
    number: bool = False
    best: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class HtmlRow:
    """One table row; `method` is the label that its name leads to in the grid."""

    cells: tuple[HtmlCell, ...]
    kind: str
    new_group: bool
    method: str


@dataclass(frozen=True, slots=True)
class HtmlTable:
    """A table as the template reads it."""

    title: str
    label: str
    identity: str
    columns: tuple[Column, ...]
    rows: tuple[HtmlRow, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HtmlFigure:
    """A figure with its drawing as SVG markup of our own making."""

    label: str
    beside: str
    caption: str
    alt: str
    csv: str
    svg: str


@dataclass(frozen=True, slots=True)
class HtmlExample:
    """A cell shown large, and where it stands in the grid."""

    title: str
    row: str
    clip: int
    figure: HtmlFigure


def write_page(
    report: Report, *, without_inputs: bool = False, without_sounds: bool = False
) -> Path:
    """Write `report/page/` and return its `index.html`.

    Sounds and pictures that are there from before are kept, so that a second time is quick.

    Args:
        report: The finished report.
        without_inputs: Leave out content and style audio, see `reports.inputs`.
        without_sounds: Leave out all audio and its pictures.
    """
    run, page = report.run, report.out / "page"
    page.mkdir(parents=True, exist_ok=True)
    withheld = inputs.withheld_methods(run, asked_without=without_inputs)
    grid, needed = grids.build_grid(run, withheld)
    if without_sounds:
        grid, needed = without(grid, {item.name: LEFT_OUT for item in needed}), ()
    missing = write_media(page, report.folders, needed)
    linked = link_inputs(page, () if without_inputs or without_sounds else report.folders, grid)
    by_label = {table.label: table for table in report.tables}
    figures = [_figure(page, plate) for plate in plates(run, by_label)]
    names = {entry.label for entry in run.header.methods}
    tables = [html_table(table, names) for table in report.tables]
    text = render("page.html.j2", {
        **_words(run, without_inputs=without_inputs),
        "tables": [table for table in tables if table.label not in COSTS],
        "costs": [table for table in tables if table.label in COSTS],
        "figures": figures,
        "examples": [] if without_sounds else _examples(page, report),
        "grid": without(linked, missing),
    })  # fmt: skip
    for name in ("page.css", "page.js"):
        shutil.copyfile(ASSETS / name, page / name)
    return _write(page / "index.html", text)


def render(template: str, values: Mapping[str, object]) -> str:
    """Fill one of the templates beside this file; names from records are escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(ASSETS), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(template).render(values)


def _words(run: Run, *, without_inputs: bool) -> dict[str, object]:
    """What the page says of the run beside its tables."""
    header = run.header
    return {
        "title": f"{header.suite_name}: {header.run_id}",
        "subtitle": reading.identity(run),
        "facts": _facts(run),
        "warnings": _warnings(run),
        "inputs": inputs.notice(run, asked_without=without_inputs).strip(),
        "lufs": f"{TARGET_LUFS:g}",
        "failures": _failures(run),
        "shown_failures": SHOWN_FAILURES,
        "long": LONG,
        "methods": reading.ordered_methods(run),
        "metrics": reading.ordered_metrics(run),
        "provenance": _provenance(run),
        "suite": header.suite,
    }


def _facts(run: Run) -> list[tuple[str, object]]:
    header, counts = run.header, grids.facts(run)
    ended = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "none"
    return [
        ("Dataset", f"{header.dataset.get('name', 'unnamed')} ({header.dataset.get('licence')})"),
        ("Styles", ", ".join(header.styles)),
        ("Contents", len(header.contents)),
        ("Cells", f"{len(run.plan)} planned: {ended}"),
        ("Profile and device", f"{header.profile} on {header.device}"),
        ("Suite digest", header.suite_digest[:12]),
        ("Created", header.created_at),
    ]


def _warnings(run: Run) -> list[str]:
    lines = []
    if not any(record.status == "ok" for record in run.cells.values()):
        lines.append(f"No cell of this run has finished: {_why_empty(run)}")
    if run.header.profile == "mini":
        lines.append("Mini models: never compare these numbers with published ones.")
    return lines


def _failures(run: Run) -> list[str]:
    """Every failed cell as a line; the frames that this takes are only built if there is one."""
    cells = any(record.status in FAILED for record in run.cells.values())
    scores = any(score.status == "invalid_output" for score in run.scores.values())
    return notes.failure_lines(run, reading.by_method(run)) if cells or scores else []


def _why_empty(run: Run) -> str:
    if not run.plan:
        return "none is planned."
    reasons = notes.missing_notes(run, reading.by_method(run))
    return "; ".join(reasons[: notes.SHOWN_FAILURES]) + "."


def _provenance(run: Run) -> list[tuple[str, str]]:
    """One pair per fact of the note under the tables, the whole digest, and the command."""
    words = notes.provenance_note(run).removeprefix("provenance: ").split(", ")
    pairs = [word.rpartition(" ")[::2] for word in words]
    facts = [("suite digest", run.header.suite_digest), ("command", _command(run))]
    return [*[(name, value) for name, value in pairs if name], *facts]


def _command(run: Run) -> str:
    return " ".join(["bench", *run.header.argv])


def html_table(table: ResultTable, methods: set[str]) -> HtmlTable:
    """A finished table as cells of text; no number changes here.

    Args:
        table: The table.
        methods: Labels that the grid knows.
    """
    rows = []
    for place, row in enumerate(table.rows):
        cells = tuple(
            html_cell(value, column) for value, column in zip(row.cells, table.columns, strict=True)
        )
        label = str(row.cells[0])
        ruled = place > 0 and row.group != table.rows[place - 1].group
        rows.append(HtmlRow(cells, row.kind, ruled, label if label in methods else ""))
    return HtmlTable(
        table.title, table.label, table.identity, table.columns, tuple(rows), table.notes
    )


def html_cell(value: Value, column: Column) -> HtmlCell:
    """One value as a cell, with the words that all formats print.

    Example:
        >>> html_cell(Estimate(0.4123, 0.38, 0.45), Column("cp", "CP", decimals=2))
        HtmlCell(text='0.41', ends='[0.38, 0.45]', number=True, best=False, why='')
    """
    shown = formats.show(value, column.decimals)
    if isinstance(value, Estimate):
        text, gap, ends = shown.partition(" [")
        return HtmlCell(text, f"[{ends}" if gap else "", True, value.best)
    why = value.reason if isinstance(value, Missing) else ""
    return HtmlCell(shown, number=not column.text, why=why)


def _figure(page: Path, plate: Plate) -> HtmlFigure:
    _write(page / f"{plate.label}.csv", plate.csv)
    svg = inline_svg(draw.encoded(plate.draw(), "svg").decode(), plate.label)
    return HtmlFigure(
        plate.label, plate.beside, plate.caption, plate.alt, f"{plate.label}.csv", _markup(svg)
    )


def _markup(svg: str) -> str:
    """Markup that the template prints as it stands: it comes from matplotlib, which escapes."""
    from markupsafe import Markup

    return Markup(svg)  # noqa: S704 - our own drawing; names in it were escaped by the SVG writer


def inline_svg(text: str, label: str) -> str:
    """An SVG file as a part of a page: names of its own, and ink in the colour of the text.

    Example:
        >>> inline_svg('<?xml?><svg width="9pt"><g id="a" fill="#010203"/></svg>', "x")
        '<svg aria-hidden="true" width="9pt"><g id="x-a" fill="currentColor"/></svg>'
    """
    body = text[text.index("<svg") :].replace("<svg", '<svg aria-hidden="true"', 1)
    body = re.sub(r'\bid="', f'id="{label}-', body)
    body = re.sub(r'((?:xlink:)?href="|url\()#', rf"\1#{label}-", body)
    return body.replace(draw.INK, "currentColor")


def _examples(page: Path, report: Report) -> list[HtmlExample]:
    """The cells shown large; the grid numbers clips from 0: content, style, then the methods."""
    places = [entry.label for entry in reading.ordered_methods(report.run)]
    return [
        HtmlExample(
            example.title,
            grids.row_id(example.cell.style, example.cell.content, example.cell.repetition),
            places.index(example.cell.method) + 2,
            _figure(page, example.plate),
        )
        for example in examples(report.run, report.folders)
    ]


def _write(path: Path, text: str) -> Path:
    """Replace a file whole, so that a reader never sees half a page."""
    replace_file(path, text)
    return path

"""Write the page of a run: its tables, figures, sounds and pictures in one folder."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote

from bench.files import renewed_folder, replace_file
from bench.loudness import TARGET_LUFS
from bench.records.parts import log_file, parts_of
from bench.records.schema import PlannedCell
from bench.records.store import Run, without_garbage_collection
from reports import sounds
from reports.figures import data, draw
from reports.figures.looks import LIGHT
from reports.figures.plates import Plate, Scatter, cells_shown, looks_of, plates, scatters
from reports.page import finding
from reports.page import grid as grids
from reports.page.chart import NARROW, WIDE, Chart, chart
from reports.page.examples import first_heard
from reports.page.media import keeps, link_inputs, without, write_media
from reports.tables import notes, reading
from reports.text.html import html_table, render, unchanged
from reports.write import FORMATS, Report, rendered

ASSETS = Path(__file__).with_name("assets")
LEFT_OUT = "not in this page, which was asked for without sounds"
SHOWN_FAILURES = 200
OPEN_TABLES = 2  # the first ones that have rows; the others are folded
SHEETS = ("page.css", "player.css", "print.css")
PLAYING = ("deck.js", "elements.js", "axes.js", "address.js", "player.js", "page.js")
SCRIPTS = (*PLAYING, "tables.js", "chart.js", "print.js")


@dataclass(frozen=True, slots=True)
class HtmlFigure:
    """A figure as a template reads it; `svg` is markup that matplotlib wrote."""

    label: str
    beside: str
    caption: str
    alt: str
    csv: str
    svg: str


@dataclass(frozen=True, slots=True)
class HtmlFailure:
    """A failed cell: what happened, the address of its row, and of its method's log if any."""

    words: str
    cell: str
    log: str


@dataclass(frozen=True, slots=True)
class HtmlScatter:
    """A scatter in two sizes, of which a page shows the one that fits."""

    label: str
    titles: tuple[str, str]
    caption: str
    csv: str
    wide: Chart
    narrow: Chart


@without_garbage_collection()  # it would walk through every record again and again
def write_page(
    report: Report, *, without_inputs: bool = False, without_sounds: bool = False
) -> Path:
    """Write `report/page/` and return its `index.html`.

    Sounds and pictures that are there from before are kept, so that a second time is quick; others
    that a page made are removed, and what else lies in the folder stays.

    Args:
        report: The finished report.
        without_inputs: Leave out content and style audio, see `reports.sounds`.
        without_sounds: Leave out all audio and its pictures.

    Raises:
        LinkError: A symbolic link stands where a file of the page should be.
    """
    run, page = report.run, report.out / "page"
    withheld = sounds.withheld_methods(run, asked_without=without_inputs)
    grid, needed = grids.build_grid(run, withheld)
    if without_sounds:
        grid, needed = without(grid, {item.name: LEFT_OUT for item in needed}), ()
    linked = link_inputs(page, () if without_inputs or without_sounds else report.folders, grid)
    with renewed_folder(page, run.folder, keeps(needed)) as fresh:
        with ThreadPoolExecutor(1) as beside:  # sounds take as long as figures
            media = beside.submit(write_media, fresh, page, report.folders, needed)
            words = _words(report, without_inputs=without_inputs) | _findings(fresh, report)
            _write_tables(fresh, report)
            missing = media.result()
        whole = without(linked, missing)
        shown = [] if without_sounds else first_heard(run, whole)
        held = grids.packed(whole)
        text = render(ASSETS / "page.html.j2", {**words, "examples": shown, "grid": held})
        replace_file(fresh / "index.html", text)
        for name in (*SHEETS, *SCRIPTS):
            replace_file(fresh / name, (ASSETS / name).read_bytes())
    return page / "index.html"


def _write_tables(page: Path, report: Report) -> None:
    """The tables as files beside the page, so that a copy of it elsewhere has them too."""
    for table in report.tables:
        for suffix in FORMATS:
            text = rendered(report, table, suffix, report.out / "page" / "tables")
            replace_file(page / "tables" / f"{table.label}.{suffix}", text)


def _findings(page: Path, report: Report) -> dict[str, object]:
    """What the page says, draws and tabulates of the results; writes the figures' numbers."""
    run, by_label = report.run, {table.label: table for table in report.tables}
    planes = scatters(run, by_label["table2"]) if _finished(run) else []
    drawn = plates(run, by_label) if _finished(run) else ()
    apart = {plane.label for plane in planes}
    names = {entry.label for entry in run.header.methods}
    return {
        "sentences": finding.sentences(run, planes),
        "scatters": [_scatter(page, report, plane) for plane in planes],
        "tables": [html_table(table, names) for table in report.tables],
        "figures": [_figure(page, p) for p in drawn if p.label not in apart],
    }


def _finished(run: Run) -> bool:
    return any(record.status == "ok" for record in run.cells.values())


def _words(report: Report, *, without_inputs: bool) -> dict[str, object]:
    """What the page says about the run, apart from its tables."""
    run, header = report.run, report.run.header
    invalid = notes.invalid_note(run)
    return {
        "title": finding.title(run),
        "subtitle": finding.subtitle(run),
        "alarms": finding.alarms(run, report.tables[0]),
        "finished": _finished(run),
        "sheets": SHEETS,
        "scripts": SCRIPTS,
        "facts": _facts(run, invalid),
        "warnings": _warnings(run, invalid),
        "inputs": sounds.notice(run, asked_without=without_inputs).strip(),
        "lufs": f"{TARGET_LUFS:g}",
        "failures": _failures(report),
        "shown_failures": SHOWN_FAILURES,
        "opened": [table.label for table in report.tables if table.rows][:OPEN_TABLES],
        "methods": reading.ordered_methods(run),
        "metrics": reading.ordered_metrics(run),
        "provenance": _provenance(run),
        "suite": header.suite,
    }


def _facts(run: Run, invalid: str) -> list[tuple[str, object]]:
    header, counts = run.header, grids.facts(run)
    ended = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "none"
    return [
        ("Dataset", f"{header.dataset.get('name', 'unnamed')} ({header.dataset.get('licence')})"),
        ("Styles", ", ".join(header.styles)),
        ("Contents", len(header.contents)),
        ("Cells", f"{len(run.plan)} planned: {ended}"),
        *([("Scores", invalid)] if invalid else []),
        ("Profile and device", f"{header.profile} on {header.device}"),
        ("Suite digest", header.suite_digest[:12]),
        ("Created", header.created_at),
    ]


def _warnings(run: Run, invalid: str) -> list[str]:
    lines = []
    if not _finished(run):
        lines.append(f"No cell of this run has finished: {_why_empty(run)}")
    if run.header.profile == "mini":
        lines.append("Mini models: never compare these numbers with published ones.")
    if invalid:
        lines.append(f"{invalid}: their metrics broke a rule; the reasons are under Failed cells.")
    return lines


def _failures(report: Report) -> list[HtmlFailure]:
    """Every failed cell with its log and its row."""
    run, lines = report.run, notes.failures(report.run)
    places = [entry.label for entry in reading.ordered_methods(run)]
    return [
        HtmlFailure(lines[cell.cell_id], address(cell, places), _log(report, cell))
        for cell in run.plan
        if cell.cell_id in lines
    ]


def address(cell: PlannedCell, places: Sequence[str]) -> str:
    """Where a cell stands in the grid, which counts clips from 0: content, style, the methods.

    Args:
        cell: The cell.
        places: The labels of the methods in the order of the grid.
    """
    row = grids.row_id(cell.style, cell.content, cell.repetition)
    return f"#cell={row}&clip={places.index(cell.method) + 2}"


def _log(report: Report, cell: PlannedCell) -> str:
    """The log of a cell's method as seen from the page; empty where the run has kept none."""
    names = dict.fromkeys((cell.method_name, PurePath(cell.method_name).name))
    parts = [part for folder in report.folders for part in parts_of(folder)]
    files = (log_file(part, name) for name in names for part in parts)
    found = next((file for file in files if file.is_file()), None)
    return (
        "" if found is None else quote(Path(os.path.relpath(found, report.out / "page")).as_posix())
    )


def _why_empty(run: Run) -> str:
    if not run.plan:
        return "none is planned."
    reasons = notes.missing_notes(run, reading.by_method(run))
    return "; ".join(reasons[: notes.SHOWN_FAILURES]) + "."


def _provenance(run: Run) -> list[tuple[str, str]]:
    """The facts of the note under the tables, with the whole digest and the command."""
    facts = [("suite digest", run.header.suite_digest), ("command", _command(run))]
    return [*notes.provenance(run), *facts]


def _command(run: Run) -> str:
    return " ".join(["bench", *run.header.argv])


def _scatter(page: Path, report: Report, plane: Scatter) -> HtmlScatter:
    """Lay a scatter out in two sizes, and write its numbers."""
    table = next(table for table in report.tables if table.label == "table2")
    drawn_as, csv = looks_of(report.run, table), f"{plane.label}.csv"
    replace_file(page / csv, data.scatter_csv(plane.points, plane.pair))
    caption = f"{plane.titles[1]} against {plane.titles[0]} with 95 % intervals."
    wide, narrow = (chart(plane.points, plane.titles, drawn_as, size) for size in (WIDE, NARROW))
    return HtmlScatter(
        plane.label, plane.titles, caption + cells_shown(plane, table), csv, wide, narrow
    )


def _figure(page: Path, plate: Plate) -> HtmlFigure:
    replace_file(page / f"{plate.label}.csv", plate.csv)
    svg = inline_svg(draw.encoded(plate.draw(), "svg").decode(), plate.label)
    return HtmlFigure(
        plate.label, plate.beside, plate.caption, plate.alt, f"{plate.label}.csv", unchanged(svg)
    )


def inline_svg(text: str, label: str) -> str:
    """An SVG file as part of a page, with ids that nothing else has and ink in the text's colour.

    Example:
        >>> inline_svg('<?xml?><svg width="9pt"><g id="a" fill="#010203"/></svg>', "x")
        '<svg aria-hidden="true" width="9pt"><g id="x-a" fill="currentColor"/></svg>'
    """
    body = text[text.index("<svg") :].replace("<svg", '<svg aria-hidden="true"', 1)
    body = re.sub(r'\bid="', f'id="{label}-', body)
    body = re.sub(r'((?:xlink:)?href="|url\()#', rf"\1#{label}-", body)
    for place, hue in enumerate(LIGHT):
        body = body.replace(hue, f"var(--hue{place})")
    return body.replace(draw.INK, "currentColor")

"""Write a leaderboard: one page that opens without a network, and its numbers as CSV.

Style and script are part of the page, and its policy allows these two alone, by their digests.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from bench.files import renewed_folder, replace_file
from bench.records.sameness import setting, setting_digest
from reports.board.rows import Board, BoardRow, Entrant, day
from reports.tables import notes, reading
from reports.tables.table2 import metric_column
from reports.text import formats
from reports.text.html import HtmlCell, html_cell, render, sort_key, unchanged
from reports.text.result_table import Column, ResultTable, Row, Value

ASSETS = Path(__file__).with_name("assets")
# The look of the page of a run; the leaderboard adds what only it has.
STYLES = (ASSETS.parents[1] / "page" / "assets" / "page.css", ASSETS / "board.css")
SCRIPT = ASSETS / "board.js"
APART = (
    "each row is one method of one run; a method that was run twice has two rows, and both count "
    "as competitors"
)
FAILED = (
    "where cells failed the number counts each as the worst score, as the second line of such a "
    "method in Table II does"
)


@dataclass(frozen=True, slots=True)
class Sorted:
    """A cell of the board: what it shows, and the number or text that it is sorted by."""

    cell: HtmlCell
    key: str


@dataclass(frozen=True, slots=True)
class HtmlBoardRow:
    """A row as the template reads it."""

    cells: tuple[Sorted, ...]
    beneath: tuple[str, ...]  # the name: the run of a method that was run twice, and its failures


def write_board(board: Board, out: Path) -> tuple[Path, Path]:
    """Write `index.html` and `board.csv` into a folder; what else lies there stays.

    Raises:
        LinkError: A symbolic link stands where a file should be.
    """
    with renewed_folder(out) as fresh:
        replace_file(fresh / "index.html", page(board))
        replace_file(fresh / "board.csv", formats.csv(plain_board(board)))
    return out / "index.html", out / "board.csv"


def plain_board(board: Board) -> ResultTable:
    """The board as a table, each number with its interval."""
    columns = _columns(board)
    rows = [
        Row(tuple(_values(board, row)), reading.CONTROLS if row.placed.control else "")
        for row in board.rows
    ]
    return ResultTable("Leaderboard", "board", board.table.identity, columns, tuple(rows))


def _columns(board: Board) -> tuple[Column, ...]:
    return (
        Column("method", "Method", text=True),
        *(metric_column(metric) for metric in reading.ordered_metrics(board.run)),
        Column("n", "n", decimals=0),
        Column("coverage", "Coverage", text=True),
        Column("by", "By", text=True),
        Column("when", "When", text=True),
        Column("run", "Run", text=True, wide=True),
        Column("code", "Code and weights", text=True, wide=True),
    )


def _values(board: Board, row: BoardRow, *, common: bool = False) -> list[Value]:
    numbers = row.placed.common if common else row.placed.values
    header = row.entrant.run.header
    return [
        row.name,
        *(numbers[metric.name] for metric in reading.ordered_metrics(board.run)),
        row.placed.common_n if common else row.placed.n,
        row.placed.coverage,
        row.entrant.by,
        day(header.created_at),
        header.run_id,
        row.code,
    ]


def page(board: Board) -> str:
    """The page as text."""
    style = "\n".join(path.read_text(encoding="utf-8") for path in STYLES)
    script = SCRIPT.read_text(encoding="utf-8")
    header = board.run.header
    columns = _columns(board)
    return render(ASSETS / "board.html.j2", {
        "style": unchanged(style),
        "script": unchanged(script),
        "style_digest": _digest(style),
        "script_digest": _digest(script),
        "title": f"Leaderboard: {header.suite_name}",
        "identity": f"profile {header.profile}, setting {setting_digest(header)[:12]}",
        "mini": header.profile == "mini",
        "columns": columns,
        "directions": {m.name: m.direction for m in reading.ordered_metrics(board.run)},
        "tables": _tables(board, columns),
        "notes": [APART, FAILED, *board.table.notes],
        "entrants": [_about(one) for one in board.entrants],
        "setting": setting(header.suite),
    })  # fmt: skip


def _tables(board: Board, columns: tuple[Column, ...]) -> list[dict[str, object]]:
    """The table of all cells and, where methods have unlike ones, that of the common cells."""
    shown = [("all", "All cells of each method", False)]
    if any(row.placed.common for row in board.rows):
        shown.append(("common", "On the cells that all judged methods have", True))
    return [
        {
            "label": label,
            "title": title,
            "groups": [
                (name, rows)
                for name, control in (("Methods", False), ("Controls", True))
                if (rows := _html_rows(board, columns, control=control, common=common))
            ],
        }
        for label, title, common in shown
    ]


def _html_rows(
    board: Board, columns: tuple[Column, ...], *, control: bool, common: bool
) -> list[HtmlBoardRow]:
    chosen = [row for row in board.rows if row.placed.control is control]
    return [
        HtmlBoardRow(
            tuple(
                Sorted(html_cell(value, column), sort_key(value))
                for value, column in zip(_values(board, row, common=common), columns, strict=True)
            ),
            _beneath(row, common=common),
        )
        for row in chosen
        if not common or row.placed.common
    ]


def _beneath(row: BoardRow, *, common: bool) -> tuple[str, ...]:
    run = f"run {row.entrant.run.header.run_id}" if row.rerun else ""
    return tuple(words for words in (run, "" if common else row.placed.failed) if words)


def _about(one: Entrant) -> dict[str, object]:
    header = one.run.header
    ended = sum(cell.status == "ok" for cell in one.run.cells.values())
    return {
        "run_id": header.run_id,
        "facts": [
            ("Read from", one.source),
            ("By", one.by),
            ("Created", header.created_at),
            ("Methods", ", ".join(entry.label for entry in header.methods)),
            ("Cells", f"{notes.counted(len(one.run.plan), 'cell')} planned, {ended} ended well"),
            ("Device", header.device),
            ("Clips", f"{header.dataset.get('name', 'unnamed')} ({header.dataset.get('licence')})"),
            ("Where", notes.provenance_note(one.run).removeprefix("provenance: ")),
        ],
    }


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

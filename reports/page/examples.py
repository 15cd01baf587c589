"""The cells of `reports.page.picks` as a page plays them: content, style and output of each."""

from __future__ import annotations

from dataclasses import dataclass

from bench.records.store import Run
from reports.figures.data import short_labels
from reports.page.grid import Grid, Input, Output, Sound, row_id
from reports.page.picks import Pick, picks
from reports.tables import reading

CONTENT, STYLE, FIRST = 0, 1, 2  # places of the clips of a row, methods from the last one on


@dataclass(frozen=True, slots=True)
class HtmlClip:
    """A clip: what it is, its place in its row of the grid, its picture, or why it is silent.

    `seconds` and `hertz` are for the axes of the picture, see `reports.page.grid.Sound`.
    """

    kind: str
    name: str
    place: int
    picture: str
    audible: bool
    why: str
    seconds: float
    hertz: int


@dataclass(frozen=True, slots=True)
class HtmlExample:
    """A cell to listen to, with the row that it stands in."""

    title: str
    row: str
    scores: str
    clips: tuple[HtmlClip, ...]


def first_heard(run: Run, grid: Grid) -> list[HtmlExample]:
    """The cells to listen to first, in the measures that the grid shows.

    Args:
        run: The run.
        grid: Its grid, with the reasons in place of sounds that are missing.
    """
    if not grid["plane"]:
        return []
    content, fit = grid["plane"]
    rows = {row["id"]: row["outputs"] for row in grid["rows"]}
    return [_example(run, grid, pick, rows) for pick in picks(run, (content, fit))]


def _example(run: Run, grid: Grid, pick: Pick, rows: dict[str, list[Output | None]]) -> HtmlExample:
    cell = pick.cell
    row = row_id(cell.style, cell.content, cell.repetition)
    place = [method["label"] for method in grid["methods"]].index(cell.method)
    short = short_labels(entry.label for entry in reading.ordered_methods(run))[cell.method]
    output = rows[row][place]
    titles = [reading.metric_of(run, name).title for name in grid["plane"]]
    clips = [
        _input("content", cell.content, CONTENT, grid["contents"][cell.content]),
        _input("style", cell.style, STYLE, grid["styles"][cell.style]),
    ]
    if output is not None:
        heard = bool(output["audio"])
        clips.append(_clip(("output", short), place + FIRST, output, audible=heard))
    scores = ", ".join(f"{t} {s:.2f}" for t, s in zip(titles, pick.scores, strict=True))
    return HtmlExample(f"{pick.title}: {short}", row, scores, tuple(clips))


def _input(kind: str, name: str, place: int, sound: Input) -> HtmlClip:
    return _clip((kind, name), place, sound, audible=bool(sound["audio"] or sound["link"]))


def _clip(named: tuple[str, str], place: int, sound: Sound, *, audible: bool) -> HtmlClip:
    picture, why = sound["audio"], sound["why"]
    return HtmlClip(*named, place, picture, audible, why, sound["seconds"], sound["hertz"])

"""The rows of the listening grid: content, style and what each method made of them.

Its functions are pure and turn the records of a run into plain values that become JSON. Sounds are
named by their digest, so that the same sound is stored once; `Needed` says which file of the run
each name stands for.

**Conventions**: a row is one (style, content, repetition). Its clips stand in the order of
`Grid.methods` and its scores in that of `Grid.metrics`, with None where there is no score.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from bench.records.schema import CellRecord, PlannedCell, ScoreRecord
from bench.records.store import Run
from reports.figures.data import short_labels
from reports.figures.examples import CONTENT, STYLE
from reports.tables import reading

NAME_LENGTH = 16
DECIMALS = 4


class Measure(TypedDict):
    """A metric of the grid; `sign` is 1 where more is better, else -1."""

    key: str
    title: str
    sign: int


class Method(TypedDict):
    """A column of the grid."""

    label: str
    short: str
    control: bool


class Sound(TypedDict):
    """One sound; `audio` is empty where there is none, and `why` then gives the reason."""

    audio: str
    why: str


class Input(Sound):
    """A content or style.

    One that the page may not carry is played from the run folder, if it is there: `link` is its
    file, and `gain` (at most 1) brings it to the level of the copies.
    """

    link: str
    gain: float


class Output(Sound):
    """The output of a method, with its scores."""

    scores: list[float | None]


class Row(TypedDict):
    """One content in one style."""

    id: str
    style: str
    content: str
    category: str
    repetition: int
    outputs: list[Output | None]


class Grid(TypedDict):
    """Everything that the page needs for listening."""

    metrics: list[Measure]
    methods: list[Method]
    contents: dict[str, Input]
    styles: dict[str, Input]
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Needed:
    """A sound of the page: its name, and the file in a run folder that it comes from."""

    name: str
    path: str


def build_grid(run: Run, withheld: frozenset[str] = frozenset()) -> tuple[Grid, tuple[Needed, ...]]:
    """The grid of a run and the sounds that it plays.

    Args:
        run: The run.
        withheld: Labels of methods whose sound the page may not carry.
    """
    methods = reading.ordered_methods(run)
    metrics = reading.ordered_metrics(run)
    places = {entry.label: place for place, entry in enumerate(methods)}
    short = short_labels(places)
    rows: dict[tuple[str, str, int], Row] = {}
    needed: dict[str, Needed] = {}
    names = [metric.name for metric in metrics]
    for cell in run.plan:
        if cell.method not in places:
            continue
        key = (cell.style, cell.content, cell.repetition)
        row = rows.get(key)
        if row is None:
            row = rows[key] = _row(cell, len(methods))
        record = run.cells.get(cell.cell_id)
        sound = _sound(record, withheld=cell.method in withheld)
        if sound["audio"] and record is not None and record.audio is not None:
            needed.setdefault(sound["audio"], Needed(sound["audio"], record.audio))
        scores = [_rounded(run.scores.get((cell.cell_id, name))) for name in names]
        row["outputs"][places[cell.method]] = Output(**sound, scores=scores)
    grid = Grid(
        metrics=[
            Measure(key=m.name, title=m.title, sign=1 if m.direction == "maximize" else -1)
            for m in metrics
        ],
        methods=[Method(label=m.label, short=short[m.label], control=m.control) for m in methods],
        contents=_inputs(run, CONTENT, list(run.header.contents), withheld),
        styles=_inputs(run, STYLE, list(run.header.styles), withheld),
        rows=list(rows.values()),
    )
    return grid, tuple(needed.values())


def row_id(style: str, content: str, repetition: int) -> str:
    """A name for a row that is the same in every run and safe in an address.

    Example:
        >>> row_id("harp", "ode", 0) == row_id("harp", "ode", 0) != row_id("harp", "ode", 1)
        True
    """
    joined = "\n".join([style, content, str(repetition)])
    return hashlib.sha256(joined.encode()).hexdigest()[:10]


def _row(cell: PlannedCell, width: int) -> Row:
    return Row(
        id=row_id(cell.style, cell.content, cell.repetition),
        style=cell.style,
        content=cell.content,
        category=cell.category,
        repetition=cell.repetition,
        outputs=[None] * width,
    )


def _rounded(score: ScoreRecord | None) -> float | None:
    return None if score is None or score.value is None else round(score.value, DECIMALS)


def _sound(record: CellRecord | None, *, withheld: bool) -> Sound:
    """The name of a cell's sound, or why there is none."""
    if record is None:
        return Sound(audio="", why="not run")
    if record.status != "ok" or record.audio is None:
        return Sound(audio="", why=f"{record.status}: {record.reason or 'no reason recorded'}")
    if withheld:
        return Sound(audio="", why="not in this report, since it is input audio; see above")
    name = (record.audio_digest or hashlib.sha256(record.audio.encode()).hexdigest())[:NAME_LENGTH]
    return Sound(audio=name, why="")


def _inputs(run: Run, control: str, names: list[str], withheld: frozenset[str]) -> dict[str, Input]:
    """The sound of each content or style, as the control that copies it recorded it."""
    absent = Input(audio="", why=f"this run has no output of {control}", link="", gain=1.0)
    found: dict[str, Input] = {}
    for cell in run.plan:
        key = cell.content if control == CONTENT else cell.style
        known = found.get(key, absent)
        if cell.method_name == control and not (known["audio"] or known["link"]):
            record = run.cells.get(cell.cell_id)
            sound = _sound(record, withheld=cell.method in withheld)
            path = record.audio if record and cell.method in withheld else None
            found[key] = Input(**sound, link=path or "", gain=1.0)
    return {name: found.get(name, absent) for name in names}


def facts(run: Run) -> Mapping[str, int]:
    """How many cells have each status; those without a record count as `not run`."""
    counts: dict[str, int] = {}
    for cell in run.plan:
        record = run.cells.get(cell.cell_id)
        status = "not run" if record is None or record.status == "cancelled" else record.status
        counts[status] = counts.get(status, 0) + 1
    return counts

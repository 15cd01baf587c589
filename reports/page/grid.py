"""The rows of the listening grid: content, style and what each method made of them.

Its functions are pure and turn the records of a run into plain values that become JSON. Sounds are
named by their digest, so that the same sound is stored once; `Needed` says which file of the run
each name stands for.

**Conventions**: a row is one (style, content, repetition). Its clips stand in the order of
`Grid.methods` and its scores in that of `Grid.metrics`, with None where there is no score.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from bench.records.schema import CellRecord, MetricEntry, PlannedCell, ScoreRecord
from bench.records.store import Run
from reports.figures.data import short_labels
from reports.figures.examples import CONTENT, STYLE
from reports.tables import reading

NAME_LENGTH = 16
DECIMALS = 4
STEPS = 2**16 - 2  # of a packed score


class Measure(TypedDict):
    """A metric of the grid; `sign` is 1 where more is better, else -1.

    `low` and `high` are the ends of its scores, between which a packed one is counted.
    """

    key: str
    title: str
    sign: int
    low: float
    high: float


class Method(TypedDict):
    """A column of the grid."""

    label: str
    short: str
    control: bool


class Sound(TypedDict):
    """One sound; `audio` is empty where there is none, and `why` then gives the reason.

    `seconds` and `hertz` are its length and sample rate, 0 where no record says them.
    """

    audio: str
    why: str
    seconds: float
    hertz: int


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
    """All that the page needs for listening; `plane` are the measures that it shows first."""

    plane: list[str]
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
    plane = next(iter(reading.planes(run)), None)
    grid = Grid(
        plane=[] if plane is None else [plane.content.name, plane.fit.name],
        metrics=[
            _measure(m, [row["outputs"] for row in rows.values()], place)
            for place, m in enumerate(metrics)
        ],
        methods=[Method(label=m.label, short=short[m.label], control=m.control) for m in methods],
        contents=_inputs(run, CONTENT, list(run.header.contents), withheld),
        styles=_inputs(run, STYLE, list(run.header.styles), withheld),
        rows=list(rows.values()),
    )
    return grid, tuple(needed.values())


def _measure(
    metric: MetricEntry, outputs: Sequence[Sequence[Output | None]], place: int
) -> Measure:
    scores = [o["scores"][place] for row in outputs for o in row if o is not None]
    known = [score for score in scores if score is not None]
    sign = 1 if metric.direction == "maximize" else -1
    low, high = min(known, default=0.0), max(known, default=1.0)
    return Measure(key=metric.name, title=metric.title, sign=sign, low=low, high=high)


class Packed(TypedDict):
    """A grid as the page holds it, many times shorter; page.js unpacks it.

    Args:
        plane: As in `Grid`, and so are metrics, methods, contents and styles.
        names: The names of the styles and those of the contents, in the order of the run, which
            the keys of an object do not keep.
        rows: Id, number of the style, number of the content, category and repetition of each.
        sounds: Base64 of 8 bytes for each row and method: the name of a sound, or 6 bytes that are
            0 and a little-endian number: that of a reason, from 1, or 0 where nothing was planned.
        shapes: The lengths in seconds and sample rates in Hz that sounds have, each pair once.
        shape_of: Base64 of a little-endian number of 16 bits for each row and method: its shape.
        reasons: Why sounds are missing, each once.
        scores: Base64 of little-endian numbers of 16 bits, for each row, method and metric: 0 for
            none, else 1 to 65,535 for a score between the ends of its metric.
    """

    plane: list[str]
    metrics: list[Measure]
    methods: list[Method]
    contents: dict[str, Input]
    styles: dict[str, Input]
    names: tuple[list[str], list[str]]
    rows: list[tuple[str, int, int, str, int]]
    sounds: str
    shapes: list[tuple[float, int]]
    shape_of: str
    reasons: list[str]
    scores: str


def packed(grid: Grid) -> Packed:
    """The grid without what repeats itself; scores keep four digits of their range."""
    styles = {name: place for place, name in enumerate(grid["styles"])}
    contents = {name: place for place, name in enumerate(grid["contents"])}
    outputs = [output for row in grid["rows"] for output in row["outputs"]]
    reasons = {o["why"]: 0 for o in outputs if o is not None and not o["audio"]}
    numbers = {why: number for number, why in enumerate(reasons, start=1)}
    sounds = b"".join(_packed_sound(output, numbers) for output in outputs)
    shapes = [(0.0, 0) if o is None else (o["seconds"], o["hertz"]) for o in outputs]
    known = {shape: number for number, shape in enumerate(dict.fromkeys(shapes))}
    return Packed(
        plane=grid["plane"],
        metrics=grid["metrics"],
        methods=grid["methods"],
        contents=grid["contents"],
        styles=grid["styles"],
        names=(list(styles), list(contents)),
        rows=[
            (r["id"], styles[r["style"]], contents[r["content"]], r["category"], r["repetition"])
            for r in grid["rows"]
        ],
        sounds=base64.b64encode(sounds).decode(),
        shapes=list(known),
        shape_of=_encoded(np.array([known[shape] for shape in shapes])),
        reasons=list(reasons),
        scores=_packed_scores(grid),
    )


def _packed_sound(output: Output | None, numbers: Mapping[str, int]) -> bytes:
    """The 8 bytes of an output, see `Packed`."""
    if output is not None and output["audio"]:
        return bytes.fromhex(output["audio"])
    number = 0 if output is None else numbers[output["why"]]
    return bytes(NAME_LENGTH // 2 - 2) + number.to_bytes(2, "little")


def _packed_scores(grid: Grid) -> str:
    """All scores in the order of rows, methods and metrics, see `Packed`."""
    none = [math.nan] * len(grid["metrics"])
    numbers = np.array(
        [none if o is None else o["scores"] for row in grid["rows"] for o in row["outputs"]],
        dtype=np.float64,
    ).reshape(-1, len(none))
    low = np.array([measure["low"] for measure in grid["metrics"]])
    high = np.array([measure["high"] for measure in grid["metrics"]])
    span = np.where(high > low, high - low, 1.0)
    counted = 1 + np.round((numbers - low) / span * STEPS)
    return _encoded(np.where(np.isfinite(counted), counted, 0))


def _encoded(numbers: np.ndarray) -> str:
    """Base64 of numbers of 16 bits, the low byte first."""
    return base64.b64encode(numbers.astype("<u2").tobytes()).decode()


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
        return _silent("not run")
    if record.status != "ok" or record.audio is None:
        unsaid = "its record names no sound" if record.status == "ok" else "no reason recorded"
        return _silent(f"{record.status}: {record.reason or unsaid}")
    seconds, hertz = round(record.duration_s or 0.0, 2), record.sample_rate or 0
    if withheld:
        why = "not in this report, since it is input audio; see above"
        return Sound(audio="", why=why, seconds=seconds, hertz=hertz)
    name = (record.audio_digest or hashlib.sha256(record.audio.encode()).hexdigest())[:NAME_LENGTH]
    return Sound(audio=name, why="", seconds=seconds, hertz=hertz)


def _silent(why: str) -> Sound:
    return Sound(audio="", why=why, seconds=0.0, hertz=0)


def _inputs(run: Run, control: str, names: list[str], withheld: frozenset[str]) -> dict[str, Input]:
    """The sound of each content or style, as the control that copies it recorded it."""
    absent = Input(**_silent(f"this run has no output of {control}"), link="", gain=1.0)
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

"""The numbers behind the figures, read from the finished tables so that both say the same.

**Conventions**: CP and SF as in table II; times in seconds. A figure leaves out what has no number;
the tables say why.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.records.store import Run
from bench.statistics import tradeoff
from reports.figures.looks import Kind
from reports.tables.reading import CONTROLS, STYLE_FITS
from reports.text.formats import csv_text
from reports.text.result_table import Estimate, ResultTable, Row, Value

LIKE_CELLS = ("measured", "imputed", "common")  # kinds of row, the one that is compared last
LONGEST_LABEL = 40  # characters; a longer one leaves no room for the axes of a column
SHOWN_CLIPS = (1, 3, 10, 30, 100, 300, 1000)


@dataclass(frozen=True, slots=True)
class Point:
    """A method in a plane of two measures, one of content and one of style fit.

    `family` is its catalog name, which all settings of one method share; `pareto` marks a
    competitor whose means no other one beats in both.
    """

    label: str
    family: str
    kind: Kind
    content: Estimate
    fit: Estimate
    pareto: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """A method of table II, whether or not it has numbers."""

    label: str
    family: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Curve:
    """CP and SF of one method on one style, in the order of `strength`."""

    family: str
    style: str
    guidance_scale: float
    strengths: tuple[float, ...]
    cp: tuple[float, ...]
    sf: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """Median seconds of one method to load, to fit a style and to render a clip."""

    label: str
    family: str
    control: bool
    load_s: float
    fit_s: float
    transfer_s: float

    def per_clip(self, clips: int) -> float:
        """Seconds per clip if one loading and one fit serve this many clips of a style."""
        return (self.load_s + self.fit_s) / clips + self.transfer_s


def style_fits(table2: ResultTable) -> tuple[str, ...]:
    """The metrics of style fit that have a number, the preferred one first."""
    keys = [column.key for column in table2.columns]
    return tuple(
        key
        for key in STYLE_FITS
        if key in keys and any(isinstance(value, Estimate) for value in table2.column(key))
    )


def scatter(
    table2: ResultTable,
    plane: tuple[str, str],
    families: Mapping[str, str],
    unjudged: Collection[str] = (),
) -> tuple[Point, ...]:
    """The methods of table II that have both numbers, with the Pareto set of competitors marked.

    Only means over like cells can be compared: where the table has a method on the common cells,
    that is its point, else the one with its failed cells as the worst score, if any failed. A
    method of which nothing was measured has no point: the worst score would be its only number.

    Args:
        table2: The table of methods.
        plane: The columns of the horizontal and of the vertical axis: content, style fit.
        families: Catalog name of each method label.
        unjudged: Labels of competitors that finished too few cells to be in the set.
    """
    if not set(plane) <= {column.key for column in table2.columns}:
        return ()
    kinds: dict[str, Kind] = {}
    chosen: dict[str, tuple[int, tuple[Estimate, Estimate]]] = {}
    for row, *values in zip(table2.rows, *map(table2.column, plane), strict=True):
        if row.kind == "card":
            continue
        label, pair = row.method or str(row.cells[0]), _pair(*values)
        rank = LIKE_CELLS.index(row.kind) if row.kind in LIKE_CELLS else 0
        kinds.setdefault(label, _kind(row))
        if row.kind == "imputed" and label not in chosen:
            continue
        if pair is not None and rank >= chosen.get(label, (0, pair))[0]:
            chosen[label] = rank, pair
    points = [
        Point(label, families.get(label, ""), kinds[label], *pair)
        for label, (_, pair) in chosen.items()
    ]
    front = pareto([p for p in points if p.kind == "method" and p.label not in unjudged])
    return tuple(replace(point, pareto=point.label in front) for point in points)


def named(table2: ResultTable, families: Mapping[str, str]) -> tuple[Named, ...]:
    """The methods of table II in the order of its rows, each once."""
    found: dict[str, Named] = {}
    for row in table2.rows:
        label = row.method or str(row.cells[0])
        if row.kind != "card":
            found.setdefault(label, Named(label, families.get(label, ""), _kind(row)))
    return tuple(found.values())


def _pair(cp: Value, sf: Value) -> tuple[Estimate, Estimate] | None:
    first, second = _number(cp), _number(sf)
    return None if first is None or second is None else (first, second)


def _number(value: Value) -> Estimate | None:
    if isinstance(value, Estimate):
        return value if math.isfinite(value.value) else None
    return Estimate(value) if isinstance(value, float) else None


def _kind(row: Row) -> Kind:
    if row.kind == "published":
        return "published"
    return "control" if row.group == CONTROLS else "method"


def pareto(points: Sequence[Point]) -> frozenset[str]:
    """Labels of the points that no other point beats in one score without losing in the other."""
    content = np.array([point.content.value for point in points])
    fit = np.array([point.fit.value for point in points])
    front = tradeoff.pareto(content, fit).tolist()
    return frozenset(p.label for p, best in zip(points, front, strict=True) if best)


def families(run: Run) -> dict[str, str]:
    """Catalog name of each method label."""
    return {entry.label: entry.name for entry in run.header.methods}


def curves(table1: ResultTable, style_fit: str, names: Mapping[str, str]) -> tuple[Curve, ...]:
    """The rows of table I as one curve per method, style and guidance_scale.

    Args:
        table1: The table of settings.
        style_fit: The column of the vertical axis.
        names: Catalog name of each method label.
    """
    keys = [column.key for column in table1.columns]
    if not {"cp", style_fit} <= set(keys):
        return ()
    found: dict[tuple[str, str, float], list[tuple[float, float, float]]] = defaultdict(list)
    for row in table1.rows:
        cells = dict(zip(keys, row.cells, strict=True))
        pair = _pair(cells["cp"], cells[style_fit])
        scale, strength = cells["guidance_scale"], cells["strength"]
        if pair is None or row.kind != "measured" or not isinstance(scale, float):
            continue
        family = names.get(str(cells["method"]), str(cells["method"]))
        if isinstance(strength, float):
            place = (strength, pair[0].value, pair[1].value)
            found[family, str(cells["style"]), scale].append(place)
    return tuple(_curve(key, sorted(places)) for key, places in sorted(found.items()))


def _curve(key: tuple[str, str, float], places: list[tuple[float, float, float]]) -> Curve:
    strengths, cp, sf = zip(*places, strict=True)
    return Curve(*key, tuple(strengths), tuple(cp), tuple(sf))


def costs(timing: ResultTable, names: Mapping[str, str]) -> tuple[Cost, ...]:
    """The methods of the table "timing" that rendered something."""
    keys = [column.key for column in timing.columns]
    found = []
    for row in timing.rows:
        cells = dict(zip(keys, row.cells, strict=True))
        transfer = _number(cells["transfer_s"])
        if transfer is None or row.kind == "total":
            continue
        label = str(cells["method"])
        load, fit = _seconds(cells["load_s"]), _seconds(cells["fit_s"])
        control = row.group == CONTROLS
        found.append(Cost(label, names.get(label, label), control, load, fit, transfer.value))
    return tuple(found)


def _seconds(value: Value) -> float:
    number = _number(value)
    return 0.0 if number is None else number.value


def short_labels(labels: Iterable[str]) -> dict[str, str]:
    """Labels short enough to draw, without the parameters that all settings of a method share.

    Example:
        >>> short_labels(["tve[strength=0.5,steps=9]", "tve[strength=0.7,steps=9]", "noise"])
        {'tve[strength=0.5,steps=9]': 'tve 0.5', 'tve[strength=0.7,steps=9]': 'tve 0.7', \
'noise': 'noise'}
    """
    parts = {label: _parts(label) for label in labels}
    siblings: dict[str, list[dict[str, str]]] = defaultdict(list)
    for name, settings in parts.values():
        siblings[name].append(settings)
    short = {label: _short(label, *part, siblings[part[0]]) for label, part in parts.items()}
    return {label: _fitting(text) for label, text in short.items()}


def _fitting(text: str) -> str:
    """A label without the folders of a method's file, and without its middle if still too long."""
    text = re.sub(r"^[^\[:]*/(?=[^/]*\.py:)", "", text)
    head = LONGEST_LABEL // 4  # what tells settings apart stands at the end
    return text if len(text) <= LONGEST_LABEL else f"{text[:head]}…{text[head - LONGEST_LABEL :]}"


def _parts(label: str) -> tuple[str, dict[str, str]]:
    match = re.fullmatch(r"(.+?)\[(.*)\]", label)
    if match is None:
        return label, {}
    return match[1], dict(piece.partition("=")[::2] for piece in match[2].split(","))


def _short(
    label: str, name: str, settings: dict[str, str], siblings: Sequence[dict[str, str]]
) -> str:
    """The name with the parameters in which it differs, or with the value alone if that is one."""
    if not settings or len(siblings) == 1:
        return name if settings else label
    own = {k: v for k, v in settings.items() if any(s.get(k) != v for s in siblings)}
    if len(own) == 1:
        return f"{name} {next(iter(own.values()))}"
    return f"{name} {', '.join(f'{key}={value}' for key, value in own.items())}" if own else label


def scatter_csv(points: Sequence[Point], plane: tuple[str, str]) -> str:
    """The points with the ends of their intervals, in columns named after the two measures."""
    rows = [
        (p.label, p.kind, *_with_ends(p.content), *_with_ends(p.fit), int(p.pareto)) for p in points
    ]
    ends = [f"{name}{end}" for name in plane for end in ("", ".low", ".high")]
    return numbers_csv(("label", "kind", *ends, "pareto"), rows)


def _with_ends(value: Estimate) -> tuple[float, float, float]:
    return value.value, value.low, value.high


def curves_csv(drawn: Sequence[Curve]) -> str:
    """One line per setting of each curve."""
    rows = [
        (c.family, c.style, c.guidance_scale, strength, cp, sf)
        for c in drawn
        for strength, cp, sf in zip(c.strengths, c.cp, c.sf, strict=True)
    ]
    return numbers_csv(("method", "style", "guidance_scale", "strength", "cp", "sf"), rows)


def costs_csv(drawn: Sequence[Cost]) -> str:
    """The stages of each method and its seconds per clip as one fit serves more clips."""
    rows: list[tuple[str | float, ...]] = [
        (c.label, c.load_s, c.fit_s, c.transfer_s, *(c.per_clip(n) for n in SHOWN_CLIPS))
        for c in drawn
    ]
    return numbers_csv(("method", "load_s", "fit_s", "transfer_s", *map(str, SHOWN_CLIPS)), rows)


def numbers_csv(head: Sequence[str], rows: Iterable[Sequence[str | float]]) -> str:
    """The numbers of a figure with ten digits; what is not finite is left blank."""
    return csv_text([head, *([_whole(value) for value in row] for row in rows)])


def _whole(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.10g}" if math.isfinite(value) else ""

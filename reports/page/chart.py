"""A scatter of methods as the parts of an SVG that a page draws, points and names in their places.

Its functions are pure. A page shows each chart twice, wide and narrow, since letters that shrink
with a picture cannot be read on a phone.

**Conventions**: lengths are pixels of the chart's own frame, y downwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.figures.data import Point, short_labels
from reports.figures.looks import OUTLINES, Look
from reports.text.formats import estimate_parts
from reports.text.result_table import Estimate

DECIMALS = 2
LETTER, LINE = (
    7.3,
    15.0,
)  # pixels: the mean width of a letter at 12 pixels in a wide font, and a line
NEAR = 9.0  # from a point to its name
RADIUS = 6.0  # of a marker
TICKS = 5  # about so many
MARGIN = 0.05  # of the range that is shown, beyond the outermost interval
STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a chart and the space around its axes."""

    width: float
    height: float
    left: float = 52.0
    right: float = 14.0
    top: float = 12.0
    bottom: float = 46.0


WIDE, NARROW = Frame(640, 390), Frame(360, 330)


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis, with its number."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A method in the chart: where it stands, how it looks, its words, and its name if drawn.

    `whiskers` are the lines of its intervals, and `anchor` says on which side of `name_at` the
    name lies.
    """

    label: str
    short: str
    x: float
    y: float
    look: Look
    outline: str
    whiskers: str
    words: str
    name_at: tuple[float, float] | None
    anchor: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A scatter in one size."""

    frame: Frame
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    front: str


Axis = tuple[float, float]  # the first and last value that is shown
Box = tuple[float, float, float, float]  # left, top, right, bottom


def chart(
    points: Sequence[Point], titles: tuple[str, str], looks: Mapping[str, Look], frame: Frame
) -> Chart:
    """Lay a scatter out; a name is drawn beside its point wherever it covers nothing else.

    Args:
        points: The methods, at least one.
        titles: Of the horizontal and of the vertical axis.
        looks: The look of each method by its label.
        frame: Its size.
    """
    x_axis, y_axis = (_axis(values) for values in _values(points))
    places = {
        p.label: (_across(p.content.value, x_axis, frame), _down(p.fit.value, y_axis, frame))
        for p in points
    }
    short = short_labels(point.label for point in points)
    names = _names(points, places, short, frame)
    marks = []
    for point in points:
        x, y = places[point.label]
        at, anchor = names.get(point.label, (None, "start"))
        look = looks[point.label]
        marks.append(Mark(
            point.label, short[point.label], round(x, 1), round(y, 1), look, OUTLINES[look.marker],
            _whiskers(point, (x_axis, y_axis), frame), words(point, titles), at, anchor,
        ))  # fmt: skip
    front = sorted(places[p.label] for p in points if p.pareto)
    line = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in front) if len(front) > 1 else ""
    x_ticks = tuple(Tick(round(_across(v, x_axis, frame), 1), t) for v, t in _ticks(x_axis))
    y_ticks = tuple(Tick(round(_down(v, y_axis, frame), 1), t) for v, t in _ticks(y_axis))
    return Chart(frame, x_ticks, y_ticks, tuple(marks), line)


def words(point: Point, titles: tuple[str, str]) -> str:
    """A method's numbers with their intervals.

    Example:
        >>> from reports.text.result_table import Estimate
        >>> words(Point("a", "a", "method", Estimate(.5, .4, .6), Estimate(.2)), ("CP", "SF"))
        'CP 0.50 [0.40, 0.60], SF 0.20'
    """
    pairs = zip(titles, (point.content, point.fit), strict=True)
    return ", ".join(f"{title} {' '.join(estimate_parts(v, DECIMALS))}" for title, v in pairs)


def _values(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """All numbers along each axis, the ends of intervals too."""
    found: tuple[list[float], list[float]] = ([], [])
    for point in points:
        for values, estimate in zip(found, (point.content, point.fit), strict=True):
            values += [v for v in (estimate.value, *_ends(estimate)) if math.isfinite(v)]
    return found


def _ends(estimate: Estimate) -> tuple[float, float]:
    return estimate.low, estimate.high


def _axis(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    space = MARGIN * (high - low) or 0.5  # a single value stands in the middle
    return low - space, high + space


def _across(value: float, axis: Axis, frame: Frame) -> float:
    share = (value - axis[0]) / (axis[1] - axis[0])
    return frame.left + share * (frame.width - frame.left - frame.right)


def _down(value: float, axis: Axis, frame: Frame) -> float:
    share = (value - axis[0]) / (axis[1] - axis[0])
    return frame.height - frame.bottom - share * (frame.height - frame.top - frame.bottom)


def _ticks(axis: Axis) -> list[tuple[float, str]]:
    """Round numbers on an axis, with as many decimals as their distance needs."""
    rough = (axis[1] - axis[0]) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in STEPS if factor * power >= rough)
    decimals = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(axis[0] / step), math.floor(axis[1] / step)
    return [(n * step, f"{n * step + 0.0:.{decimals}f}") for n in range(first, last + 1)]


def _whiskers(point: Point, axes: tuple[Axis, Axis], frame: Frame) -> str:
    """The lines of the two intervals, where a number has one."""
    x = _across(point.content.value, axes[0], frame)
    y = _down(point.fit.value, axes[1], frame)
    lines = []
    if all(map(math.isfinite, _ends(point.content))):
        start, end = (_across(v, axes[0], frame) for v in _ends(point.content))
        lines.append(f"M{start:.1f},{y:.1f}H{end:.1f}")
    if all(map(math.isfinite, _ends(point.fit))):
        start, end = (_down(v, axes[1], frame) for v in _ends(point.fit))
        lines.append(f"M{x:.1f},{start:.1f}V{end:.1f}")
    return "".join(lines)


Named = tuple[tuple[float, float], str]  # where a name begins or ends, and which of the two


def _names(
    points: Sequence[Point],
    places: Mapping[str, tuple[float, float]],
    short: Mapping[str, str],
    frame: Frame,
) -> dict[str, Named]:
    """Where names have room: the Pareto set chooses first, controls last."""
    rank = {"method": 1, "published": 2, "control": 3}
    taken = [_around(*place) for place in places.values()]
    found: dict[str, Named] = {}
    for point in sorted(points, key=lambda p: 0 if p.pareto else rank[p.kind]):
        for at, anchor in _candidates(*places[point.label]):
            box = _box(at, anchor, short[point.label])
            if _inside(box, frame) and not any(_overlap(box, other) for other in taken):
                found[point.label] = (round(at[0], 1), round(at[1], 1)), anchor
                taken.append(box)
                break
    return found


def _candidates(x: float, y: float) -> list[Named]:
    """Right, left, above, below, then the corners; y is the baseline of the letters."""
    middle, above, below = y + 4, y - NEAR, y + NEAR + 9
    return [
        ((x + NEAR, middle), "start"), ((x - NEAR, middle), "end"),
        ((x, above), "middle"), ((x, below), "middle"),
        ((x + NEAR, above), "start"), ((x + NEAR, below), "start"),
        ((x - NEAR, above), "end"), ((x - NEAR, below), "end"),
    ]  # fmt: skip


def _around(x: float, y: float) -> Box:
    return x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS


def _box(at: tuple[float, float], anchor: str, text: str) -> Box:
    width = LETTER * len(text)
    left = at[0] - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return left, at[1] - LINE + 4, left + width, at[1] + 4


def _inside(box: Box, frame: Frame) -> bool:
    return (
        box[0] >= frame.left
        and box[1] >= 0
        and box[2] <= frame.width
        and box[3] <= frame.height - frame.bottom
    )


def _overlap(one: Box, other: Box) -> bool:
    return all(a < d and c < b for a, b, c, d in _sides(one, other))


def _sides(one: Box, other: Box) -> list[tuple[float, float, float, float]]:
    return [(one[i], one[i + 2], other[i], other[i + 2]) for i in (0, 1)]


def name_box(mark: Mark) -> Box | None:
    """The space that a mark's name takes, None where it has none."""
    return None if mark.name_at is None else _box(mark.name_at, mark.anchor, mark.short)

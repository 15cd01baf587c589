"""The figures of a run as plates, which hold numbers, words and picture for a page or a paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.records.store import Run
from reports.figures import data, draw
from reports.figures.looks import Look, looks
from reports.tables import reading, standing
from reports.text.result_table import ResultTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORDS = {"CP": "content preservation (CP)"}  # of a title that is only letters


@dataclass(frozen=True, slots=True)
class Plate:
    """A figure before it is drawn.

    Args:
        label: Its file name.
        beside: Label of the table whose numbers it shows.
        caption: What it shows, and what the reader needs to know.
        alt: The same in words, for those who cannot see it.
        csv: Its numbers.
        draw: Makes the picture.
    """

    label: str
    beside: str
    caption: str
    alt: str
    csv: str
    draw: Callable[[], Figure]


def plates(run: Run, tables: Mapping[str, ResultTable]) -> tuple[Plate, ...]:
    """The figures for which a run has numbers.

    Args:
        run: The run, for the names of methods and measures.
        tables: The tables by label. Table "table2" is there; "table1" or "timing" may be absent,
            and has no figure then.
    """
    names = data.families(run)
    titles = {metric.name: metric.title for metric in run.header.metrics}
    table, drawn_as = tables["table2"], looks_of(run, tables["table2"])
    found = [_scatter(one, table, drawn_as) for one in scatters(run, table)]
    if "table1" in tables:
        for measure in data.style_fits(table)[:1]:
            found += _curves(tables["table1"], (measure, titles[measure]), names, drawn_as)
    if "timing" in tables:
        found += _costs(tables["timing"], names, drawn_as)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Scatter:
    """The methods of a run in one plane, before a page or a paper draws them.

    Args:
        pair: The names of the two measures: content, style fit.
        titles: Of the horizontal and of the vertical axis.
        points: The methods.
        front: The Pareto set, in words.
        absent: The competitors without a number of their own in one of the two, in short.
        common: Whether the means are over the cells that all have.
    """

    pair: tuple[str, str]
    titles: tuple[str, str]
    points: tuple[data.Point, ...]
    front: str
    absent: tuple[str, ...] = ()
    common: bool = False

    @property
    def label(self) -> str:
        """Its file name."""
        return "-".join(self.pair).replace(".", "-")

    @property
    def alt(self) -> str:
        """Its numbers in words."""
        content, fit = self.titles
        words = "; ".join(
            f"{p.label}: {content} {p.content.value:.2f}, {fit} {p.fit.value:.2f}"
            for p in self.points
        )
        return f"Scatter of {fit} against {content}. {words}."


def scatters(run: Run, table: ResultTable) -> list[Scatter]:
    """The planes for which table II has numbers: those of the run, then CP and each style fit."""
    pairs = [(plane.content.name, plane.fit.name) for plane in reading.planes(run)]
    found = dict.fromkeys([*pairs, *(("cp", fit) for fit in data.style_fits(table))])
    return [one for pair in found for one in _scatters(run, table, pair)]


def looks_of(run: Run, table: ResultTable) -> dict[str, Look]:
    """How each method of table II is drawn, the same in every figure of the run."""
    names = data.families(run)
    return looks((p.label, p.family, p.kind) for p in data.named(table, names))


def _scatters(run: Run, table: ResultTable, pair: tuple[str, str]) -> list[Scatter]:
    known = {metric.name: metric for metric in run.header.metrics}
    unjudged = {
        label for name in pair if name in known for label in standing.unjudged(run, known[name])
    }
    points = data.scatter(table, pair, data.families(run), unjudged)
    if not points:
        return []
    content, fit = (known[name].title for name in pair)
    named = [one.label for one in data.named(table, {}) if one.kind == "method"]
    short = data.short_labels(dict.fromkeys([*(point.label for point in points), *named]))
    front = ", ".join(short[p.label] for p in points if p.pareto) or "none"
    absent = set(named) - {point.label for point in points}
    return [
        Scatter(
            pair, (WORDS.get(content, content), fit), points, front,
            tuple(short[label] for label in named if label in absent),
            any(row.kind == "common" for row in table.rows),
        )
    ]  # fmt: skip


def _scatter(scatter: Scatter, table: ResultTable, drawn_as: Mapping[str, Look]) -> Plate:
    content, fit = scatter.titles
    published = any(p.kind == "published" for p in scatter.points)
    printed = "black and hollow: as published; " if published else ""
    caption = (
        f"{fit} against {content} with 95 % intervals. Grey and hollow: controls; {printed}dashed: "
        f"competitors whose means no other beats in both (Pareto set: {scatter.front})."
        f"{cells_shown(scatter, table)}"
    )
    return Plate(
        scatter.label, table.label, caption, scatter.alt,
        data.scatter_csv(scatter.points, scatter.pair),
        partial(draw.scatter, scatter.points, scatter.titles, drawn_as),
    )  # fmt: skip


def cells_shown(scatter: Scatter, table: ResultTable) -> str:
    """Which cells the points are means of, and which methods have none, where that needs saying."""
    words = " Means are over the common cells." if scatter.common else ""
    if any(row.kind == "imputed" for row in table.rows):
        words += " Failed cells count as the worst score."
    return words + (
        f" Without both numbers: {', '.join(scatter.absent)}." if scatter.absent else ""
    )


def _curves(
    table: ResultTable,
    fit: tuple[str, str],
    names: Mapping[str, str],
    drawn_as: Mapping[str, Look],
) -> list[Plate]:
    """The trade-off by style, or nothing; `fit` is the measure of style and its title."""
    measure, title = fit
    drawn = data.curves(table, measure, names)
    if not drawn:
        return []
    swept = any(len(curve.strengths) > 1 for curve in drawn)
    each = "each line is a method at one guidance_scale, each point a strength"
    caption = (
        f"Trade-off of {title} and content preservation per style: "
        f"{each if swept else 'each point is a method at its one strength'}."
    )
    words = "; ".join(
        f"{c.family} on {c.style}, strength {c.strengths[0]:g} to {c.strengths[-1]:g}: CP "
        f"{c.cp[0]:.2f} to {c.cp[-1]:.2f}, SF {c.sf[0]:.2f} to {c.sf[-1]:.2f}"
        for c in drawn
    )
    of_family: dict[str, Look] = {}  # that of its first setting
    for label, look in drawn_as.items():
        of_family.setdefault(names.get(label, label), look)
    return [
        Plate("trade-off", table.label, caption, f"Trade-off curves. {words}.",
              data.curves_csv(drawn), partial(draw.curves, drawn, title, of_family))
    ]  # fmt: skip


def _costs(
    table: ResultTable, names: Mapping[str, str], drawn_as: Mapping[str, Look]
) -> list[Plate]:
    drawn = data.costs(table, names)
    if not drawn:
        return []
    caption = (
        "Median seconds of each stage (above), and seconds per clip as one fitted style serves "
        "more clips (below)."
    )
    words = "; ".join(
        f"{c.label}: load {c.load_s:.2f}, fit {c.fit_s:.2f}, transfer {c.transfer_s:.2f} s"
        for c in drawn
    )
    return [
        Plate("time", table.label, caption, f"Bars of seconds per stage. {words}.",
              data.costs_csv(drawn), partial(draw.costs, drawn, drawn_as))
    ]  # fmt: skip

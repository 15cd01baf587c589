"""The figures of a run as plates, which hold numbers, words and picture for a page or a paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.records.store import Run
from reports.figures import data, draw
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
        tables: The tables "table2", "table1" and "timing" by label; an absent one has no figure.
    """
    names = data.families(run)
    titles = {metric.name: metric.title for metric in run.header.metrics}
    found: list[Plate] = []
    if "table2" in tables:
        fits = data.style_fits(tables["table2"])
        pairs = [(plane.content.name, plane.fit.name) for plane in reading.planes(run)]
        for pair in dict.fromkeys([*pairs, *(("cp", fit) for fit in fits)]):
            found += _scatter(run, tables["table2"], pair)
    if "table1" in tables and "table2" in tables:
        for measure in data.style_fits(tables["table2"])[:1]:
            found += _curves(tables["table1"], measure, titles[measure], names)
    if "timing" in tables:
        found += _costs(tables["timing"], names)
    return tuple(found)


def _scatter(run: Run, table: ResultTable, pair: tuple[str, str]) -> list[Plate]:
    known = {metric.name: metric for metric in run.header.metrics}
    unjudged = {
        label for name in pair if name in known for label in standing.unjudged(run, known[name])
    }
    points = data.scatter(table, pair, data.families(run), unjudged)
    if not points:
        return []
    content, fit = (known[name].title for name in pair)
    short = data.short_labels(point.label for point in points)
    front = ", ".join(short[p.label] for p in points if p.pareto) or "none"
    printed = (
        "black and hollow: as published; " if any(p.kind == "published" for p in points) else ""
    )
    caption = (
        f"{fit} against {WORDS.get(content, content)} with 95 % intervals. Grey and hollow: "
        f"controls; {printed}dashed: competitors whose means no other beats in both (Pareto set: "
        f"{front}).{_cells_shown(table)}"
    )
    words = "; ".join(
        f"{p.label}: {content} {p.content.value:.2f}, {fit} {p.fit.value:.2f}" for p in points
    )
    titles = (WORDS.get(content, content), fit)
    return [
        Plate("-".join(pair).replace(".", "-"), table.label, caption,
              f"Scatter of {fit} against {content}. {words}.",
              data.scatter_csv(points, pair), partial(draw.scatter, points, titles))
    ]  # fmt: skip


def _cells_shown(table: ResultTable) -> str:
    """Which cells the points are means of, where that needs saying."""
    kinds = {row.kind for row in table.rows}
    where = " Means are over the common cells." if "common" in kinds else ""
    return where + (" Failed cells count as the worst score." if "imputed" in kinds else "")


def _curves(table: ResultTable, measure: str, title: str, names: Mapping[str, str]) -> list[Plate]:
    drawn = data.curves(table, measure, names)
    if not drawn:
        return []
    caption = (
        f"Trade-off of {title} and content preservation per style: each line is a method at one "
        "guidance_scale, each point a strength."
    )
    words = "; ".join(
        f"{c.family} on {c.style}, strength {c.strengths[0]:g} to {c.strengths[-1]:g}: CP "
        f"{c.cp[0]:.2f} to {c.cp[-1]:.2f}, SF {c.sf[0]:.2f} to {c.sf[-1]:.2f}"
        for c in drawn
    )
    return [
        Plate("trade-off", table.label, caption, f"Trade-off curves. {words}.",
              data.curves_csv(drawn), partial(draw.curves, drawn, title))
    ]  # fmt: skip


def _costs(table: ResultTable, names: Mapping[str, str]) -> list[Plate]:
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
              data.costs_csv(drawn), partial(draw.costs, drawn))
    ]  # fmt: skip

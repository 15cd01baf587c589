"""Trends of the main branch as a figure, and the numbers behind it.

**Conventions**: there is one panel per quantity (a metric or a stage), with one line per method;
runs are counted from 0, oldest first; a level is drawn as a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import RecordError
from bench.files import replace_file
from bench.gate.history import Trend
from reports.figures import draw
from reports.figures.data import numbers_csv
from reports.figures.draw import canvas
from reports.figures.looks import MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_INCHES = 1.5
KINDS = {".svg": "svg", ".pdf": "pdf"}
UNITS = {"metric": "mean", "time": "kernels"}


@dataclass(frozen=True, slots=True)
class Line:
    """One method in one panel: its points and its levels.

    Each level is its first run, the run after its last, and its value. `worse` marks a method whose
    newest level is worse than its best.
    """

    method: str
    values: tuple[float, ...]
    levels: tuple[tuple[int, int, float], ...]
    worse: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """One quantity with the methods that have it."""

    subject: str
    unit: str
    lines: tuple[Line, ...]


def panels(found: Sequence[Trend]) -> tuple[Panel, ...]:
    """The panels of a history, in the order of its series."""
    subjects = dict.fromkeys((one.series.subject, one.series.kind) for one in found)
    return tuple(
        Panel(
            subject,
            UNITS[kind],
            tuple(
                _line(one)
                for one in found
                if (one.series.subject, one.series.kind) == (subject, kind)
            ),
        )
        for subject, kind in subjects
    )


def _line(one: Trend) -> Line:
    size = len(one.series.values)
    ends = (*one.starts[1:], size)
    levels = tuple(zip(one.starts, ends, one.levels, strict=True))
    return Line(one.series.method, one.series.values, levels, one.word == "worse")


def panels_csv(shown: Sequence[Panel]) -> str:
    """The numbers of the figure: one row per point, with its level."""
    rows = [
        (panel.subject, line.method, run, line.values[run], level)
        for panel in shown
        for line in panel.lines
        for start, end, level in line.levels
        for run in range(start, end)
    ]
    return numbers_csv(("subject", "method", "run", "value", "level"), rows)


def write(path: Path, found: Sequence[Trend]) -> None:
    """Draw a history, and write its numbers to a .csv of the same name beside it.

    Raises:
        RecordError: The path does not end in .svg or .pdf.
    """
    if path.suffix not in KINDS:
        raise RecordError(
            f"figure {path} ends in {path.suffix or 'nothing'}; figures are .svg or .pdf. Name one."
        )
    shown = panels(found)
    replace_file(path.with_suffix(".csv"), panels_csv(shown))
    replace_file(path, draw.encoded(picture(shown), "pdf" if path.suffix == ".pdf" else "svg"))


def picture(shown: Sequence[Panel]) -> Figure:
    """Draw one panel below the other, with thick lines for what became worse."""
    methods = list(dict.fromkeys(line.method for panel in shown for line in panel.lines))
    with canvas(0.6 + PANEL_INCHES * len(shown) + 0.1 * len(methods)) as figure:
        grid = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
        for axes, panel in zip(grid, shown, strict=True):
            for line in panel.lines:
                _draw(axes, line, methods.index(line.method))
            axes.set_ylabel(f"{panel.subject} ({panel.unit})")
        grid[-1].set_xlabel("runs of the main branch, oldest first")
        known = {
            label: handle
            for axes in grid
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=2)
        return figure


def _draw(axes: Axes, line: Line, number: int) -> None:
    hue = draw.COLOURS[number % len(draw.COLOURS)]
    marker = MARKERS[number % len(MARKERS)]
    axes.plot(line.values, color=hue, marker=marker, ls="none", ms=2, label=line.method)
    for start, end, level in line.levels:
        axes.plot((start, end - 1), (level, level), color=hue, lw=2.0 if line.worse else 0.8)

"""Draw the numbers of `reports.figures.data`; nothing is computed here.

Colours are those of `reports.figures.looks`, which people with any colour vision can tell apart;
markers and dashes show the same difference again. Ink is `INK`, which a page replaces by the colour
of its text.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol

from reports.figures.data import SHOWN_CLIPS, Cost, Curve, Point, short_labels
from reports.figures.looks import LIGHT, Look

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_WIDTH = 3.4  # inches, a column of a two-column paper
INK = "#010203"
COLOURS = LIGHT
GREY = "#808080"
DASHES = ("-", "--", ":", "-.")
STYLE_COLUMNS, MANY_STYLES = 3, 9  # with more styles than that a column more, and lower panels
SHOWN_HZ = (250, 1000, 4000, 16_000)
TITLE_LENGTH = 22  # characters

_RC = {
    "font.size": 7, "axes.linewidth": 0.6, "lines.linewidth": 1.0, "lines.markersize": 4,
    "text.parse_math": False, "svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "bench",
    "font.family": "sans-serif", "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
    "figure.labelsize": 7, "legend.frameon": False, "legend.fontsize": 6, "axes.titlesize": 7,
}  # fmt: skip


class Spectrogram(Protocol):
    """What `spectrograms` needs to know about each panel."""

    @property
    def words(self) -> str:
        """Its title."""

    @property
    def seconds(self) -> float:
        """Its length."""

    @property
    def levels(self) -> np.ndarray:
        """Levels in [0, 1], shape (mel, frame)."""


@contextmanager
def canvas(height: float, width: float = COLUMN_WIDTH) -> Iterator[Figure]:
    """A figure with our settings, whatever the user's own settings are."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)  # type: ignore[arg-type] # a literal of mixed values
        yield Figure(figsize=(width, height), layout="constrained")


def scatter(
    points: Sequence[Point], titles: tuple[str, str], drawn_as: Mapping[str, Look]
) -> Figure:
    """Draw content against style fit with intervals; a dashed line joins the Pareto set.

    Args:
        points: The methods.
        titles: Of the horizontal and of the vertical axis.
        drawn_as: The look of each by its label.
    """
    with canvas(2.6 + 0.09 * len(points)) as figure:
        axes = figure.subplots()
        names = short_labels(point.label for point in points)
        marks = []  # for the legend without their intervals, which would cross out hollow ones
        for point in points:
            mark, *_ = axes.errorbar(
                point.content.value, point.fit.value, **_whiskers(point),
                **_drawn(point, drawn_as[point.label]),
            )  # fmt: skip
            marks.append((mark, names[point.label] + (" (Pareto)" if point.pareto else "")))
        front = sorted((p.content.value, p.fit.value) for p in points if p.pareto)
        if front:
            axes.plot(*zip(*front, strict=True), color=INK, lw=0.7, ls="--", zorder=1)
        axes.set(xlabel=titles[0], ylabel=titles[1])
        figure.legend(
            *zip(*marks, strict=True), loc="outside lower center", ncols=2, handletextpad=0.2
        )
        return figure


def _drawn(point: Point, look: Look) -> dict[str, Any]:
    """A look as matplotlib takes it; controls are grey, published numbers as dark as ink."""
    marked = _marked(look, GREY if point.kind == "control" else INK)
    inside = marked["mfc"] if look.filled else "white"  # covers the intervals behind it
    return {**marked, "mfc": inside, "ecolor": marked["color"], "ls": "none", "elinewidth": 0.4}


def _marked(look: Look, otherwise: str = GREY) -> dict[str, Any]:
    """The colour and marker of a look; `otherwise` is the colour of one that has none."""
    hue = COLOURS[look.hue] if look.hue >= 0 else otherwise
    return {"color": hue, "mfc": hue if look.filled else "none", "marker": look.marker}


def _whiskers(point: Point) -> dict[str, Any]:
    """Distances to the ends of the intervals; none where there are no ends."""
    ends = {}
    for name, value in (("xerr", point.content), ("yerr", point.fit)):
        below, above = value.value - value.low, value.high - value.value
        if below >= 0 and above >= 0:
            ends[name] = [[below], [above]]
    return dict(ends)


def curves(drawn: Sequence[Curve], style_fit_title: str, drawn_as: Mapping[str, Look]) -> Figure:
    """Draw a panel per style with a curve per method and guidance_scale, over its strengths.

    Args:
        drawn: The curves.
        style_fit_title: Of the vertical axis.
        drawn_as: The look of each family, that of its points in the other figures.
    """
    styles = list(dict.fromkeys(curve.style for curve in drawn))
    many = len(styles) > MANY_STYLES
    columns = min(STYLE_COLUMNS + many, len(styles))
    lines = -(-len(styles) // columns)
    with canvas(1.0 + (1.0 if many else 1.3) * lines) as figure:
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        panels = dict(zip(styles, grid.flat, strict=False))
        scales = list(dict.fromkeys(curve.guidance_scale for curve in drawn))
        for curve in drawn:
            dash = DASHES[scales.index(curve.guidance_scale) % len(DASHES)]
            axes = panels[curve.style]
            axes.plot(
                curve.cp, curve.sf, **_marked(drawn_as[curve.family]), ms=3,
                ls=dash if len(curve.strengths) > 1 else "none",
                label=f"{curve.family}, guidance_scale {curve.guidance_scale:g}",
            )  # fmt: skip
            if len(curve.strengths) > 1:
                _mark_ends(axes, curve)
        swept = any(len(curve.strengths) > 1 for curve in drawn)
        across = "content preservation (CP)" + ("; strength at the ends" if swept else "")
        _finish_panels(figure, panels, grid, (across, style_fit_title))
        return figure


def _mark_ends(axes: Axes, curve: Curve) -> None:
    for end in (0, -1):
        axes.annotate(
            f"{curve.strengths[end]:g}", (curve.cp[end], curve.sf[end]), (2, 2),
            textcoords="offset points", fontsize=5,
        )  # fmt: skip


def _finish_panels(
    figure: Figure, panels: dict[str, Axes], grid: np.ndarray, titles: tuple[str, str]
) -> None:
    """Name panels, axes and curves; `titles` are those of the horizontal and vertical axis."""
    for style, axes in panels.items():
        axes.set_title(_shortened(style))
        axes.locator_params(nbins=3)
        axes.tick_params(labelsize=5)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for column in grid.T:  # the lowest panel of a column has the numbers
        [axes for axes in column if axes.get_visible()][-1].tick_params(labelbottom=True)
    figure.supxlabel(titles[0])
    figure.supylabel(titles[1])
    named = {
        name: handle
        for axes in panels.values()
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(named.values(), named.keys(), loc="outside upper center", ncols=1)


def costs(drawn: Sequence[Cost], drawn_as: Mapping[str, Look]) -> Figure:
    """Draw the seconds of each stage as bars and, below, the seconds per clip over n clips.

    Args:
        drawn: The methods.
        drawn_as: The look of each by its label, that of its point in the other figures.
    """
    names = short_labels(cost.label for cost in drawn)
    with canvas(1.8 + 0.16 * len(drawn) + 1.6) as figure:
        bars, lines = figure.subplots(
            2, 1, gridspec_kw={"height_ratios": [0.16 * len(drawn) + 0.5, 1.6]}
        )
        _stage_bars(bars, drawn, names)
        competitors = [cost for cost in drawn if not cost.control] or list(drawn)
        for number, cost in enumerate(competitors):
            lines.plot(
                SHOWN_CLIPS, [cost.per_clip(clips) for clips in SHOWN_CLIPS],
                **_marked(drawn_as[cost.label]), ls=DASHES[number % len(DASHES)], ms=3,
                label=names[cost.label],
            )  # fmt: skip
        lines.set(xscale="log", yscale="log", xlabel="clips per fitted style", ylabel="s per clip")
        _plain_ticks(lines)
        figure.legend(*lines.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        return figure


def _plain_ticks(axes: Axes) -> None:
    """Label the axes with plain numbers, not powers of ten, and with several within a decade."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    for axis, steps in ((axes.xaxis, (1.0,)), (axes.yaxis, (1.0, 2.0, 5.0))):
        axis.set_major_locator(LogLocator(subs=steps, numticks=12))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_formatter(NullFormatter())


def _stage_bars(axes: Axes, drawn: Sequence[Cost], names: dict[str, str]) -> None:
    places = range(len(drawn))
    stages = (("load", "load_s", GREY), ("fit per style", "fit_s", COLOURS[4]),
              ("transfer per clip", "transfer_s", COLOURS[0]))  # fmt: skip
    start = [0.0] * len(drawn)
    for (title, field, colour), hatch in zip(stages, ("", "//", ".."), strict=True):
        widths = [float(getattr(cost, field)) for cost in drawn]
        axes.barh(
            places, widths, left=start, color=colour, label=title, hatch=hatch, height=0.7,
            edgecolor="white", linewidth=0.3,
        )  # fmt: skip
        start = [a + b for a, b in zip(start, widths, strict=True)]
    axes.set_yticks(list(places), [names[cost.label] for cost in drawn])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds for a first clip of a style")
    axes.legend(loc="lower right")


def spectrograms(panels: Sequence[Spectrogram], top_hz: float) -> Figure:
    """Draw mel spectrograms side by side on one scale of frequencies, up to `top_hz`."""
    import numpy as np

    from reports.figures.mel import band_centres

    with canvas(1.35) as figure:
        row = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, panel in zip(row, panels, strict=True):
            bands = len(panel.levels)
            axes.imshow(
                panel.levels, cmap="magma", vmin=0, vmax=1, aspect="auto", origin="lower",
                interpolation="nearest", extent=(0, panel.seconds, 0, bands),
            )  # fmt: skip
            axes.set_title(_folded(panel.words), fontsize=6)
            axes.locator_params(axis="x", nbins=3)
            axes.xaxis.set_major_formatter("{x:g}")
            shown = [hertz for hertz in SHOWN_HZ if hertz < top_hz]
            places = np.interp(shown, band_centres(bands, top_hz), np.arange(bands) + 0.5)
            axes.set_yticks(places.tolist(), [f"{hertz / 1000:g}" for hertz in shown])
        row[0].set_ylabel("kHz")
        figure.supxlabel("seconds", fontsize=7)
        return figure


def _folded(words: str) -> str:
    """A title on two lines, since three share the width of a column."""
    kind, _, name = words.partition(" ")
    if name.startswith("of "):
        kind, name = f"{kind} of", name.removeprefix("of ")
    return f"{kind}\n{_shortened(name)}"


def _shortened(name: str) -> str:
    cut = f"{name[: TITLE_LENGTH - 1]}\N{HORIZONTAL ELLIPSIS}"
    return name if len(name) <= TITLE_LENGTH else cut


def encoded(figure: Figure, suffix: Literal["svg", "pdf"]) -> bytes:
    """A figure as a file without a date, so that it is the same each time.

    An SVG keeps letters as text, which the viewer draws; a PDF shows boxes for letters that its
    font lacks.
    """
    import matplotlib as mpl

    buffer = io.BytesIO()
    dateless = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}[suffix]
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        mpl.rcParams.update(_RC)  # type: ignore[arg-type] # a literal of mixed values
        figure.savefig(buffer, format=suffix, transparent=True, metadata=dateless)
    return buffer.getvalue()

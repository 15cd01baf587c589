"""Two cells shown large, those with the best CP and the best style fit: style, content and output.

They are chosen by their scores among the outputs of competitors that have a sound. A picture of a
sound is not a copy of it, so inputs that may not be redistributed are shown as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench.api import Audio, DatasetError
from bench.audio import read_audio
from bench.records.schema import PlannedCell
from bench.records.store import Run
from reports.figures import draw
from reports.figures.data import numbers_csv, short_labels
from reports.figures.mel import RANGE_DB, band_centres, mel_levels
from reports.figures.plates import Plate
from reports.sounds import sound_file
from reports.tables import reading, standing

COLUMNS, BANDS = 160, 64
CONTENT, STYLE = "copy-content", "copy-style"  # controls that play the inputs themselves
BESIDE = "examples"


@dataclass(frozen=True, slots=True)
class Panel:
    """The spectrogram of one clip, with levels as in `reports.figures.mel`, and its length."""

    words: str
    seconds: float
    levels: np.ndarray


@dataclass(frozen=True, slots=True)
class Example:
    """A cell shown large, with its picture."""

    title: str
    cell: PlannedCell
    plate: Plate


def examples(run: Run, folders: Sequence[Path]) -> tuple[Example, ...]:
    """The best cell by CP and the best by style fit, where they exist and have a sound.

    Args:
        run: The run.
        folders: The run folders, where the sounds lie.
    """
    names = {metric.name for metric in run.header.metrics}
    chosen = [("Best content preservation", "cp")]
    chosen += [("Best style fit", name) for name in reading.STYLE_FITS if name in names]
    found: dict[str, Example] = {}
    for title, metric in chosen:
        cell = best_cell(run, metric) if title not in found else None
        drawn = None if cell is None else _example(run, folders, title, metric, cell)
        if drawn is not None:
            found[title] = drawn
    return tuple(found.values())


def best_cell(run: Run, metric: str) -> PlannedCell | None:
    """The cell of a judged competitor with the best score among those that have a sound."""
    measure = next((m for m in run.header.metrics if m.name == metric), None)
    if measure is None:
        return None
    entries = set(standing.competitors(run)) - set(standing.unjudged(run, measure))
    sign = -1 if measure.direction == "minimize" else 1
    best: tuple[float, PlannedCell] | None = None
    for cell in run.plan:
        score = run.scores.get((cell.cell_id, metric))
        if score is None or score.value is None or cell.method not in entries:
            continue
        if (best is None or sign * score.value > best[0]) and _sound(run, cell):
            best = (sign * score.value, cell)
    return None if best is None else best[1]


def _sound(run: Run, cell: PlannedCell) -> str | None:
    record = run.cells.get(cell.cell_id)
    return record.audio if record is not None and record.status == "ok" else None


def _input(run: Run, control: str, matches: Callable[[PlannedCell], bool]) -> str | None:
    """The sound of a content or style, as the control that copies it recorded it."""
    paths = (_sound(run, c) for c in run.plan if c.method_name == control and matches(c))
    return next((path for path in paths if path), None)


def _example(
    run: Run, folders: Sequence[Path], title: str, metric: str, cell: PlannedCell
) -> Example | None:
    short = short_labels(entry.label for entry in run.header.methods)[cell.method]
    sources = {
        f"style {cell.style}": _input(run, STYLE, lambda c: c.style == cell.style),
        f"content {cell.content}": _input(run, CONTENT, lambda c: c.content == cell.content),
        f"output of {short}": _sound(run, cell),
    }
    heard = {words: _read(folders, path) for words, path in sources.items() if path}
    sounds = {words: audio for words, audio in heard.items() if audio is not None}
    if f"output of {short}" not in sounds:
        return None
    top_hz = min(audio.sample_rate for audio in sounds.values()) / 2
    panels = tuple(
        Panel(words, audio.duration_s, mel_levels(audio, COLUMNS, BANDS, top_hz))
        for words, audio in sounds.items()
    )
    scores = ", ".join(_scores(run, cell))
    words = "; ".join(panel.words for panel in panels)
    caption = (
        f"{title}: {words} ({scores}). Mel spectrograms, down to {RANGE_DB:g} dB below the loudest "
        "point of each clip."
    )
    plate = Plate(
        f"example-{metric.replace('.', '-')}", BESIDE, caption, f"Mel spectrograms: {words}.",
        panels_csv(panels, top_hz), partial(draw.spectrograms, panels, top_hz),
    )  # fmt: skip
    return Example(title, cell, plate)


def _read(folders: Sequence[Path], path: str) -> Audio | None:
    try:
        return read_audio(sound_file(folders, path))
    except DatasetError:
        return None


def _scores(run: Run, cell: PlannedCell) -> list[str]:
    shown = []
    for metric in reading.ordered_metrics(run):
        score = run.scores.get((cell.cell_id, metric.name))
        if score is not None and score.value is not None:
            shown.append(f"{metric.title} {score.value:.2f}")
    return shown


def panels_csv(panels: Sequence[Panel], top_hz: float) -> str:
    """Levels in dB below the loudest point of a clip: a line per time, a column per frequency."""
    centres = band_centres(BANDS, top_hz).tolist()
    rows: list[list[str]] = []
    for panel in panels:
        times = np.linspace(0, panel.seconds, panel.levels.shape[1]).tolist()
        levels = ((panel.levels - 1) * RANGE_DB).T.tolist()
        for time, frame in zip(times, levels, strict=True):
            rows.append([panel.words, f"{time:.3f}", *(f"{level:.1f}" for level in frame)])
    return numbers_csv(("clip", "time_s", *(f"{hertz:.1f} Hz" for hertz in centres)), rows)

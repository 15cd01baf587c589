"""A run written by hand that also has sounds, and names that try to break a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import building
import numpy as np
from building import header, method, run_of

from bench.api import Audio
from bench.audio import read_audio, write_audio
from bench.records.store import Run

HOSTILE = '<b onclick="alert(1)">b&amp;</b>'
STYLES = ("harp", HOSTILE, "\u0639\u0648\u062f \U0001f3b8")  # an oud in Arabic, and a guitar
CONTENTS = ("ode/to 'joy'", "</script><script>alert(2)</script>", "c\\3")
RATE, SECONDS = 16_000, 2.0
VALUES = {
    "tve[strength=0.5]": {"cp": 0.5, "sf.heldout": 0.4},
    "rti": {"cp": 0.3, "sf.heldout": 0.5},
    "copy-content": {"cp": 1.0, "sf.heldout": 0.1},
    "copy-style": {"cp": 0.1, "sf.heldout": 0.9},
}


def sounding_run(
    folder: Path,
    styles: Sequence[str] = STYLES,
    contents: Sequence[str] = CONTENTS,
    seconds: float = SECONDS,
    *,
    figures: bool = True,
) -> Run:
    """Write a finished run of two methods and two controls with a tone per cell.

    Without figures it has one measure and no times: pictures of sounds are then all that its
    reports draw, which is quick.
    """
    entries = [method(label, control=label.startswith("copy")) for label in VALUES]
    dataset = {"name": "by hand", "licence": "CC0", "redistributable": True}
    metrics = ("cp", "sf.heldout") if figures else ("cp",)
    head = header(entries, styles, contents, metrics, dataset=dataset)
    values = {label: {name: by[name] for name in metrics} for label, by in VALUES.items()}
    run = run_of(head, values)
    cells = {}
    for place, cell in enumerate(run.plan):
        path = f"audio/{place:04d}.flac"
        write_audio(folder / path, _tone(220.0 + 20 * (place % 40), seconds))
        record = run.cells[cell.cell_id]
        facts = {"audio": path, "audio_digest": read_audio(folder / path).digest}
        facts |= {"sample_rate": RATE, "duration_s": seconds}
        facts |= {} if figures else dict.fromkeys(("load_s", "fit_s", "transfer_s"))
        cells[cell.cell_id] = record.model_copy(update=facts)
    return save(replace(run, folder=folder, cells=cells))


def _tone(hertz: float, seconds: float) -> Audio:
    time = np.arange(round(seconds * RATE)) / RATE
    return Audio((0.2 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[None], RATE)


def save(run: Run) -> Run:
    """Write a run into its own folder as the runner does."""
    building.save(run, run.folder)
    return run

"""Whether a fit taught the frozen model anything about recordings of the style it did not see."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from mini_full import GROUPS, Evidence, Say

from bench.api import Clip, StyleState
from bench.audio import resample, to_mono
from bench.cache import Cache
from bench.data.cards import load_dataset
from bench.plugins.parameters import make_parameters
from bench.records.schema import PlannedCell
from bench.seeds import derive_seed
from bench.statistics.intervals import observe, paired_interval
from methods.riffusion.backbone import Backbone
from methods.riffusion.conditioning import (
    Conditioning,
    Learner,
    LearntConditioning,
    PromptConditioning,
)
from methods.riffusion.embedding import StaticVector, build_learner
from methods.riffusion.fitting.inversion import ValidationGrid, validation_loss
from methods.riffusion.fitting.learning import FitParameters, build_seeded
from methods.riffusion.parameters.rti import RtiParameters
from methods.riffusion.parameters.tve import TveParameters
from methods.riffusion.rendering import Riffusion, StyleImages, load_riffusion, read_style
from methods.riffusion.transferring import load_arrays

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

PARAMETERS = {"tve": TveParameters, "rti": RtiParameters}
GRID = ValidationGrid(timesteps=tuple(range(50, 1000, 100)), draws=2)


@dataclass(frozen=True, slots=True)
class Row:
    """Losses on one held-out clip under one fit."""

    style: str
    clip: str
    start: float
    fitted: float
    null: float


def rebuilt(backbone: Backbone, method: str, state: StyleState) -> Learner:
    """The learner that a state of the run holds."""
    start = torch.zeros(backbone.context_dim)
    if method == "rti":
        return load_arrays(StaticVector(start), state, backbone)
    empty = build_seeded(lambda: build_learner("musicti", start, "live"), 0)
    return load_arrays(empty, state, backbone)


def fits(evidence: Evidence, method: str) -> Iterator[tuple[PlannedCell, StyleState]]:
    """One cell per (style, repetition) with the state that the run fitted for it."""
    kept = Cache(evidence.cache)
    label = f"{method}[strength=0.65]"
    first: dict[tuple[str, int], PlannedCell] = {}
    for cell in evidence.run.plan:
        if cell.method == label:
            first.setdefault((cell.style, cell.repetition), cell)
    for cell in first.values():
        state = kept.load_state(str(evidence.run.cells[cell.cell_id].fit_key))
        assert state is not None
        yield cell, state


def heldout_images(model: Riffusion, evidence: Evidence, style: str) -> dict[str, StyleImages]:
    """The style's held-out clips, each as the model sees it."""
    names = evidence.run.header.styles[style]["heldout_clips"]
    source = next(s for s in load_dataset("mini").styles if s.id == style)
    clips = {clip.id: clip.read(None) for clip in source.clips if clip.id in names}
    return {
        name: read_style(model, [_at_rate(clip, model.sample_rate)], "resize")
        for name, clip in clips.items()
    }


def _at_rate(clip: Clip, sample_rate: int) -> Clip:
    return Clip(clip.id, clip.category, resample(to_mono(clip.audio), sample_rate))


@cache
def losses(evidence: Evidence, method: str) -> list[Row]:
    """Every held-out clip of every style under every fit of a method."""
    model = load_riffusion("mini", "cpu")
    backbone, rows = model.backbone, list[Row]()
    images = {s: heldout_images(model, evidence, s) for s in evidence.run.header.styles}
    for cell, state in fits(evidence, method):
        parameters: FitParameters = make_parameters(PARAMETERS[method], cell.parameters)
        begun = build_seeded(
            partial(parameters.build, backbone, cell.style), derive_seed("init", cell.fit_seed)
        )
        told: dict[str, Conditioning] = {
            "start": LearntConditioning(backbone, begun),
            "fitted": LearntConditioning(backbone, rebuilt(backbone, method, state)),
            "null": PromptConditioning(backbone),
        }
        for name, image in images[cell.style].items():
            found = {k: validation_loss(backbone, c, image, GRID) for k, c in told.items()}
            rows.append(Row(cell.style, name, **found))
    return rows


@pytest.mark.parametrize("against", ["start", "null"])
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("method", ["tve", "rti"])
def test_heldout_loss_falls(
    evidence: Evidence, say: Say, method: str, group: str, against: str
) -> None:
    rows = [row for row in losses(evidence, method) if row.style in GROUPS[group]]
    shared = ([r.style for r in rows], [r.clip for r in rows], [r.style for r in rows])
    fitted = observe([row.fitted for row in rows], *shared)
    other = observe([getattr(row, against) for row in rows], *shared)
    x = paired_interval(fitted, other)
    say(
        f"{method}, held-out loss on {group} styles: {fitted.values.mean():.4f} against {against} "
        f"{other.values.mean():.4f}, difference {x.mean:+.5f} [{x.low:+.5f}, {x.high:+.5f}] "
        f"(clips {x.n}, seeds 3)"
    )
    assert x.high < 0

"""Learning styles: what TVE and R+TI share, from requests to states.

A method of this family is its parameters: they say how to fit, what to learn, and how to stylise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch

from bench.api import FitRequest, Json, Progress, StyleState, UnsupportedError
from bench.seeds import derive_seed
from methods.riffusion.backbone import PLACEHOLDER, Backbone
from methods.riffusion.conditioning import Learner, LearntConditioning
from methods.riffusion.embedding import build_learner
from methods.riffusion.fitting.inversion import Fit, begin_fit, validation_loss
from methods.riffusion.fitting.training import run_fits
from methods.riffusion.parameters.settings import (
    INIT_WORD,
    STYLE_TEXT,
    FittingPlan,
    LearnerChoice,
)
from methods.riffusion.released.styles import import_style
from methods.riffusion.rendering import Riffusion, StyleImages, read_style
from methods.riffusion.width import WidthMode

# Fitting clips on which a fit reports its loss before and after, on a fixed grid.
_CLIPS_CHECKED = 4
# Methods whose fits are learners for one frozen U-Net, and so can share its passes.
FAMILY = "riffusion"


class FitParameters(Protocol):
    """Parameters that say how to fit; those of every method of the family."""

    @property
    def fit_width_mode(self) -> WidthMode:
        """How style clips are brought to the window."""

    def plan(self) -> FittingPlan:
        """Steps, rate and so on."""

    def learner(self) -> LearnerChoice:
        """What to learn, and from where."""

    def describe_fit(self) -> dict[str, Json]:
        """What a state must say so that its learner can be built again."""

    def released_file(self, style: str) -> Path | None:
        """A file that the style is read from instead of being learnt, if one is named."""


def initial_embedding(backbone: Backbone, e0: str, text: str | None = None) -> torch.Tensor:
    """The vector (dim,) that a fit starts from.

    Args:
        backbone: Whose words are meant.
        e0: See `methods.riffusion.parameters.settings.LearnerChoice`.
        text: Of the style.

    Raises:
        UnsupportedError: It starts from the style's text, and there is none.
        CheckpointError: The word is not one token of this model.
    """
    if e0 == "zeros":
        return torch.zeros(backbone.context_dim, device=backbone.device)
    if e0 in ("letter_n", "placeholder"):
        word = "n" if e0 == "letter_n" else PLACEHOLDER
        return backbone.word_embedding(word, with_position=True)
    if e0 != STYLE_TEXT:
        return backbone.word_embedding(e0.removeprefix(INIT_WORD))
    if not text:
        raise UnsupportedError(
            f"the style has no text, and e0={STYLE_TEXT} starts from it. Give it one in its "
            "dataset card, or start from a word: e0=init_word:music."
        )
    return backbone.word_embedding(text)


def fit_styles(
    model: Riffusion, requests: Sequence[FitRequest[FitParameters]], progress: Progress
) -> list[StyleState]:
    """Learn every style, or read it from the file that its parameters name.

    All styles go through the frozen networks together, whatever their plans. A style's result
    depends on its clips, parameters and seed alone, up to rounding.

    Raises:
        CheckpointError: A named file does not hold a style of the released code.
    """
    read = [_read(model, request) for request in requests]
    learnt = [request for request, state in zip(requests, read, strict=True) if state is None]
    states = iter(_learn(model, learnt, progress) if learnt else ())
    return [next(states) if state is None else state for state in read]


def _read(model: Riffusion, request: FitRequest[FitParameters]) -> StyleState | None:
    path = request.parameters.released_file(request.style.id)
    if path is None:
        return None
    return import_style(path, model.backbone.context_dim, request.style.id)


def _learn(
    model: Riffusion, requests: Sequence[FitRequest[FitParameters]], progress: Progress
) -> list[StyleState]:
    fits = [_begin(model, request) for request in requests]
    starts = [_checked_loss(model, fit) for fit in fits]
    run_fits(model.backbone, fits, progress)
    return [
        _state(model, fit, request, start)
        for fit, request, start in zip(fits, requests, starts, strict=True)
    ]


def _begin(model: Riffusion, request: FitRequest[FitParameters]) -> Fit:
    parameters = request.parameters
    images = read_style(model, request.style.clips, parameters.fit_width_mode)
    choice = parameters.learner()
    start = initial_embedding(model.backbone, choice.e0, request.style.text)
    learner = build_seeded(
        lambda: build_learner(choice.form, start, choice.parameter_set),
        derive_seed("init", request.seed),
    ).to(model.backbone.device)
    return begin_fit(
        images, learner, parameters.plan(), seed=request.seed, checkpoint=request.checkpoint
    )


def build_seeded(build: Callable[[], Learner], seed: int) -> Learner:
    """Build a module under a seed, leaving torch's global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()


def _checked_loss(model: Riffusion, fit: Fit) -> float:
    """Loss on the fixed grid over some of the clips that are fitted."""
    images = StyleImages(fit.images.moments[:_CLIPS_CHECKED], fit.images.weights[:_CLIPS_CHECKED])
    return validation_loss(model.backbone, LearntConditioning(model.backbone, fit.learner), images)


def _state(
    model: Riffusion, fit: Fit, request: FitRequest[FitParameters], start: float
) -> StyleState:
    tail = fit.losses[-50:]
    return StyleState(
        arrays={
            name: value.detach().cpu().numpy().copy()
            for name, value in fit.learner.state_dict().items()
        },
        meta={
            **request.parameters.describe_fit(),
            "style": request.style.id,
            "text": request.style.text,
            "clips": len(fit.images),
            "steps": fit.step,
            "seed": request.seed,
            "seen_loss_before": start,
            "seen_loss_after": _checked_loss(model, fit),
            "minibatch_loss_last": sum(tail) / len(tail),
        },
    )

"""Fitting: learn what the placeholder must be for a frozen model to know a style.

One loop serves every learner and several styles at once. Styles share the frozen networks' passes
and nothing else: each has its own parameters, optimiser and random numbers, and the loss is the
sum over styles, so each style's gradient is what it would be alone.

**Conventions**: latents float32 (batch, channel, row, column); everything in float32; random
    numbers come from one CPU generator per style.

References:
    Gal et al. (2022), arXiv 2208.01618, equation 2; Li et al. (AAAI 2024), arXiv 2402.13763.
    Departure: padded columns, which only clips far shorter than the window have, do not enter the
        loss.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from bench.api import ConfigError
from bench.seeds import derive_seed, generator
from methods.riffusion.backbone import Backbone, Moments, VaeSample, draw_latents
from methods.riffusion.conditioning import Conditioning, Learner, encode_learners
from methods.riffusion.schedule import add_noise

# Styles that share one pass; bounds the memory of the activations.
_STYLES_AT_ONCE = 8
_PROGRESS_FILE = "progress.pt"
Advance = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class FittingPlan:
    """How to fit.

    Args:
        steps: Optimiser steps (per clip of the style where `steps_per_clip`).
        batch_size: Draws (clip, t, noise) per step.
        learning_rate: Constant.
        weight_decay: Decoupled with adamw, an L2 penalty with adam.
        optimiser: betas .9 and .999 either way.
        steps_per_clip: True counts `steps` as epochs without repeats.
        vae_sample: Draw style latents from the posterior, or take its mode.
        checkpoint_every: Steps between checkpoints of a fit that has a folder for them.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    optimiser: Literal["adamw", "adam"] = "adamw"
    steps_per_clip: bool = False
    vae_sample: VaeSample = "sample"
    checkpoint_every: int = 250

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.steps < 1 or self.batch_size < 1 or self.learning_rate <= 0:
            raise ConfigError(
                f"steps {self.steps}, batch_size {self.batch_size}, learning_rate "
                f"{self.learning_rate}; "
                "all must be positive. Leave them out to take the preset's."
            )

    def count_steps(self, num_clips: int) -> int:
        """Steps for a style of so many clips."""
        return self.steps * (num_clips if self.steps_per_clip else 1)


@dataclass(frozen=True, slots=True, eq=False)
class StyleImages:
    """A style as the model sees it.

    Args:
        moments: Posteriors of its images.
        weights: 1 where a latent column shows sound, 0 where it is padding; (image, 1, 1, column).
    """

    moments: Moments
    weights: torch.Tensor

    def __len__(self) -> int:
        """How many images."""
        return len(self.moments)


@dataclass(slots=True, eq=False)
class Fit:
    """One style being fitted: its learner and all that must be kept to continue.

    Args:
        images: What to learn from.
        learner: What is trained.
        optimiser: Of the learner's parameters.
        generator: Every draw of this fit.
        steps: How many in all.
        checkpoint: Folder for progress, or None.
        fingerprint: What this fit is of; a checkpoint with another one is not continued.
    """

    images: StyleImages
    learner: Learner
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    steps: int
    checkpoint: Path | None = None
    fingerprint: str = ""
    losses: list[float] = field(default_factory=list)

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.losses)


def begin_fit(
    images: StyleImages,
    learner: Learner,
    plan: FittingPlan,
    *,
    seed: int,
    checkpoint: Path | None = None,
) -> Fit:
    """A fit at its start, or where its checkpoint left it."""
    fit = Fit(
        images=images,
        learner=learner,
        optimiser=_make_optimiser(learner, plan),
        generator=generator(derive_seed("fit", seed)),
        steps=plan.count_steps(len(images)),
        checkpoint=checkpoint,
        fingerprint=_fingerprint(images, plan, seed),
    )
    _resume(fit)
    return fit


def _make_optimiser(learner: Learner, plan: FittingPlan) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if plan.optimiser == "adamw" else torch.optim.Adam
    return kind(learner.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)


def _fingerprint(images: StyleImages, plan: FittingPlan, seed: int) -> str:
    """Tell fits apart by plan, seed and data."""
    data = float(images.moments.mean.double().abs().sum())
    return f"{plan!r} seed {seed} images {len(images)} {data!r}"


# ---------------------------------------------------------------------------- the loop


def run_fits(backbone: Backbone, fits: Sequence[Fit], plan: FittingPlan, advance: Advance) -> None:
    """Take every fit to its last step, several styles per pass of the frozen networks.

    Args:
        backbone: Frozen.
        fits: Changed in place.
        plan: Shared by all of them.
        advance: Told the share done, in [0, 1], and a text.
    """
    total = sum(fit.steps for fit in fits)
    for first in range(0, len(fits), _STYLES_AT_ONCE):
        together = fits[first : first + _STYLES_AT_ONCE]
        while active := [fit for fit in together if fit.step < fit.steps]:
            train_step(backbone, active, plan)
            _save_when_due(active, plan)
            done = sum(fit.step for fit in fits)
            advance(done / total, f"step {active[0].step}/{active[0].steps}")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingBatch:
    """One style's share of a step."""

    noisy: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    weights: torch.Tensor


def draw_batch(backbone: Backbone, fit: Fit, plan: FittingPlan) -> TrainingBatch:
    """Draw clips, posterior samples, timesteps and noise, in this order."""
    size, device = plan.batch_size, backbone.device
    picks = torch.randint(len(fit.images), (size,), generator=fit.generator)
    chosen = fit.images.moments[picks.to(device)]
    latents = draw_latents(chosen, [fit.generator] * size, plan.vae_sample)
    last = backbone.schedule.num_train_timesteps
    timesteps = torch.randint(last, (size,), generator=fit.generator).to(device)
    noise = torch.randn(latents.shape, generator=fit.generator).to(device)
    noisy = add_noise(backbone.schedule, latents, noise, timesteps)
    return TrainingBatch(noisy, noise, timesteps, fit.images.weights[picks.to(device)])


def train_step(backbone: Backbone, fits: Sequence[Fit], plan: FittingPlan) -> None:
    """One optimiser step of each fit; all rows pass the text encoder and the U-Net together."""
    batches = [draw_batch(backbone, fit, plan) for fit in fits]
    contexts = encode_learners(
        backbone,
        [fit.learner for fit in fits],
        [batch.timesteps for batch in batches],
        [fit.generator for fit in fits],
    )
    predicted = backbone.predict_noise(
        torch.cat([batch.noisy for batch in batches]),
        torch.cat([batch.timesteps for batch in batches]),
        contexts,
    )
    shares = predicted.unflatten(0, (len(fits), plan.batch_size))
    losses = torch.stack(
        [
            weighted_error(share, batch.noise, batch.weights)
            for share, batch in zip(shares, batches, strict=True)
        ]
    )
    for fit in fits:
        fit.optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(losses.sum())
    for fit, loss in zip(fits, losses.tolist(), strict=True):
        fit.optimiser.step()
        fit.losses.append(loss)


def weighted_error(
    predicted: torch.Tensor, noise: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Mean squared error over the cells that show sound; the plain mean where all do."""
    weighted = weights.expand_as(noise)
    return (weighted * (predicted - noise) ** 2).sum() / weighted.sum()


# ---------------------------------------------------------------------------- checkpoints


def _save_when_due(fits: Sequence[Fit], plan: FittingPlan) -> None:
    for fit in fits:
        if fit.checkpoint and fit.step % plan.checkpoint_every == 0 and fit.step < fit.steps:
            save_progress(fit, fit.checkpoint)


def save_progress(fit: Fit, folder: Path) -> None:
    """Write all that continuing needs; the file is replaced as a whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {
        "fingerprint": fit.fingerprint,
        "learner": fit.learner.state_dict(),
        "optimiser": fit.optimiser.state_dict(),
        "generator": fit.generator.get_state(),
        "losses": fit.losses,
    }
    partial = folder / f"{_PROGRESS_FILE}.{os.getpid()}"
    torch.save(kept, partial)
    partial.replace(folder / _PROGRESS_FILE)


def _resume(fit: Fit) -> None:
    """Continue from a checkpoint of this very fit; any other is left alone."""
    if fit.checkpoint is None or not (fit.checkpoint / _PROGRESS_FILE).is_file():
        return
    device = fit.images.weights.device
    kept = torch.load(fit.checkpoint / _PROGRESS_FILE, map_location="cpu", weights_only=True)
    if kept["fingerprint"] != fit.fingerprint:
        return
    fit.learner.load_state_dict(kept["learner"])
    fit.learner.to(device)
    fit.optimiser.load_state_dict(kept["optimiser"])
    fit.generator.set_state(kept["generator"])
    fit.losses = list(kept["losses"])


# ---------------------------------------------------------------------------- evidence


@dataclass(frozen=True, slots=True)
class ValidationGrid:
    """Timesteps and noises on which conditionings are compared.

    Minibatch losses are far too noisy for that.

    Args:
        timesteps: Each is applied to each image.
        draws: Noises per image and timestep.
        seed: Decides the noises, and nothing else does.
    """

    timesteps: tuple[int, ...] = (100, 300, 500, 700, 900)
    draws: int = 1
    seed: int = 0


@torch.no_grad()
def validation_loss(
    backbone: Backbone,
    conditioning: Conditioning,
    images: StyleImages,
    grid: ValidationGrid | None = None,
) -> float:
    """Mean squared error of the predicted noise over a fixed grid, from posterior modes.

    Lower means that the conditioning tells the model more about these images; range [0, inf),
    about 1 for a model that knows nothing.
    """
    chosen = grid or ValidationGrid()
    errors = [
        _grid_error(backbone, conditioning, images, timestep, chosen.seed + draw)
        for timestep in chosen.timesteps
        for draw in range(chosen.draws)
    ]
    return sum(errors) / len(errors)


def _grid_error(
    backbone: Backbone, conditioning: Conditioning, images: StyleImages, timestep: int, seed: int
) -> float:
    latents = images.moments.mean
    drawn = torch.randn(
        latents.shape, generator=generator(derive_seed("validation", timestep, seed))
    )
    noise = drawn.to(latents.device)
    t = torch.full((len(images),), timestep, device=latents.device)
    noisy = add_noise(backbone.schedule, latents, noise, t)
    predicted = backbone.predict_noise(noisy, t, conditioning.cond(t))
    return float(weighted_error(predicted, noise, images.weights))

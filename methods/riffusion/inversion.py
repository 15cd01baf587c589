"""Fitting: learn what the placeholder must be for a frozen model to know a style.

One loop serves every learner and several styles at once. Styles share the frozen networks' passes
and nothing else: each has its own parameters, optimiser and random numbers, and the loss is the
sum over styles, so each style's gradient is what it would be alone.

**Conventions**: latents are (batch, channel, row, column); everything is float32; random numbers
come from one CPU generator per style.

References:
    Gal et al. (2022), arXiv 2208.01618, equation 2; Li et al. (AAAI 2024), arXiv 2402.13763.
    Departure: padded columns, which only clips far shorter than the window have, do not enter the
    loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import torch

from bench.batching import Batcher, affordable
from bench.files import replace_file
from bench.seeds import derive_seed, generator
from methods.acceleration import place
from methods.riffusion.backbone import Backbone, Moments, draw_latents
from methods.riffusion.conditioning import Conditioning, Learner, encode_learners
from methods.riffusion.schedule import add_noise
from methods.riffusion.settings import FittingPlan

# Styles that share one pass, where memory allows.
_STYLES_AT_ONCE = 8
_PROGRESS_FILE = "progress.pt"
Advance = Callable[[float, str], None]


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
        plan: How to fit.
        checkpoint: Folder for progress, or None.
        fingerprint: What this fit is of; a checkpoint with another one is not continued.
    """

    images: StyleImages
    learner: Learner
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    plan: FittingPlan
    checkpoint: Path | None = None
    fingerprint: str = ""
    _losses: list[float] = field(default_factory=list)
    _unread: list[torch.Tensor] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many in all."""
        return self.plan.count_steps(len(self.images))

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self._losses) + len(self._unread)

    @property
    def losses(self) -> list[float]:
        """The loss of each step; asking makes the device catch up, so the loop does not."""
        if self._unread:
            self._losses += torch.stack(self._unread).tolist()
            self._unread = []
        return self._losses

    def advance(self, loss: torch.Tensor) -> None:
        """Take the optimiser's step, whose gradients are there, and note the loss ()."""
        self.optimiser.step()
        self._unread.append(loss)

    def restore(self, losses: Sequence[float]) -> None:
        """Put the losses of an earlier session in place."""
        self._losses, self._unread = list(losses), []


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
        plan=plan,
        checkpoint=checkpoint,
        fingerprint=_fingerprint(images, plan, seed),
    )
    _resume(fit)
    return fit


def _make_optimiser(learner: Learner, plan: FittingPlan) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if plan.optimiser == "adamw" else torch.optim.Adam
    on_gpu = any(weight.is_cuda for weight in learner.parameters())
    return kind(
        learner.parameters(),
        lr=plan.learning_rate,
        weight_decay=plan.weight_decay,
        fused=on_gpu or None,  # one kernel for all weights
    )


def _fingerprint(images: StyleImages, plan: FittingPlan, seed: int) -> str:
    """Tell fits apart by plan, seed and data."""
    data = float(images.moments.mean.double().abs().sum())
    return f"{plan!r} seed {seed} images {len(images)} {data!r}"


def run_fits(backbone: Backbone, fits: Sequence[Fit], advance: Advance) -> None:
    """Take every fit to its last step, several per pass of the frozen networks.

    Args:
        backbone: Frozen.
        fits: Changed in place; of any styles, learners and plans.
        advance: Told the share done, in [0, 1], and a text.
    """
    total = sum(fit.steps for fit in fits)
    at_once = affordable(str(backbone.device), _bytes_per_fit(backbone, fits), _STYLES_AT_ONCE)
    batcher = Batcher(at_once)
    for first in range(0, len(fits), at_once):
        together = fits[first : first + at_once]
        while active := [fit for fit in together if fit.step < fit.steps]:
            train_step(backbone, active, batcher)
            _save_when_due(active)
            done = sum(fit.step for fit in fits)
            advance(done / total, f"step {active[0].step}/{active[0].steps}")


def _bytes_per_fit(backbone: Backbone, fits: Sequence[Fit]) -> int:
    rows = max((fit.plan.batch_size for fit in fits), default=1)
    shape = fits[0].images.moments.mean.shape if fits else torch.Size()
    return rows * backbone.bytes_per_row(shape, learning=True)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingBatch:
    """One style's share of a step, and its generator's state after drawing it."""

    noisy: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    weights: torch.Tensor
    state: torch.Tensor


def draw_batch(backbone: Backbone, fit: Fit) -> TrainingBatch:
    """Draw clips, posterior samples, timesteps and noise, in this order."""
    size, device = fit.plan.batch_size, backbone.device
    drawn = torch.randint(len(fit.images), (size,), generator=fit.generator)
    picks = place(drawn, device)
    chosen = fit.images.moments[picks]
    latents = draw_latents(chosen, [fit.generator] * size, fit.plan.vae_sample)
    last = backbone.schedule.num_train_timesteps
    timesteps = place(torch.randint(last, (size,), generator=fit.generator), device)
    noise = place(torch.randn(latents.shape, generator=fit.generator), device)
    noisy = add_noise(backbone.schedule, latents, noise, timesteps)
    weights = fit.images.weights[picks]
    return TrainingBatch(noisy, noise, timesteps, weights, fit.generator.get_state())


def train_step(backbone: Backbone, fits: Sequence[Fit], batcher: Batcher | None = None) -> None:
    """One optimiser step of each fit; their rows pass text encoder and U-Net together.

    Args:
        backbone: Frozen.
        fits: Changed in place.
        batcher: How many fits share a pass; all, where it is left out.
    """
    batches = [draw_batch(backbone, fit) for fit in fits]
    pairs = list(zip(fits, batches, strict=True))
    losses = (batcher or Batcher(len(fits))).run(pairs, lambda part: _backward(backbone, part))
    for fit, loss in zip(fits, losses, strict=True):
        fit.advance(loss)


def _backward(
    backbone: Backbone, pairs: Sequence[tuple[Fit, TrainingBatch]]
) -> Sequence[torch.Tensor]:
    """Gradients of some fits, in place of older ones, and their losses; may be called again."""
    for fit, batch in pairs:
        fit.optimiser.zero_grad(set_to_none=True)
        fit.generator.set_state(batch.state)
    contexts = encode_learners(
        backbone,
        [fit.learner for fit, _ in pairs],
        [batch.timesteps for _, batch in pairs],
        [fit.generator for fit, _ in pairs],
    )
    predicted = backbone.predict_noise(
        torch.cat([batch.noisy for _, batch in pairs]),
        torch.cat([batch.timesteps for _, batch in pairs]),
        contexts,
    )
    shares = predicted.split([len(batch.noisy) for _, batch in pairs])
    losses = torch.stack(
        [
            weighted_error(share, batch.noise, batch.weights)
            for share, (_, batch) in zip(shares, pairs, strict=True)
        ]
    )
    torch.autograd.backward(losses.sum())
    return losses.detach().unbind()


def weighted_error(
    predicted: torch.Tensor, noise: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Mean squared error over the cells that show sound; the plain mean where all do."""
    weighted = weights.expand_as(noise)
    return (weighted * (predicted - noise) ** 2).sum() / weighted.sum()


def _save_when_due(fits: Sequence[Fit]) -> None:
    for fit in fits:
        due = fit.step % fit.plan.checkpoint_every == 0 and fit.step < fit.steps
        if fit.checkpoint and due:
            save_progress(fit, fit.checkpoint)


def save_progress(fit: Fit, folder: Path) -> None:
    """Write everything that a continued fit needs; the file is replaced wholly or not at all."""
    kept = {
        "fingerprint": fit.fingerprint,
        "learner": fit.learner.state_dict(),
        "optimiser": fit.optimiser.state_dict(),
        "generator": fit.generator.get_state(),
        "losses": fit.losses,
    }
    buffer = BytesIO()
    torch.save(kept, buffer)
    replace_file(folder / _PROGRESS_FILE, buffer.getvalue())


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
    fit.restore(kept["losses"])


@dataclass(frozen=True, slots=True)
class ValidationGrid:
    """Timesteps and noises on which conditionings are compared; minibatch losses are too noisy.

    Args:
        timesteps: Each is applied to each image.
        draws: Noises per image and timestep.
        seed: Decides the noises alone.
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

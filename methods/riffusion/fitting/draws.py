"""What is random in a fit, drawn a block of steps at a time.

A block's numbers come from a generator of its own, seeded by the fit's seed and the block's number:
a fit that is continued needs no generator's state, and what it draws does not depend on the fits
beside it. A block is brought to the device as a whole, noised and weighted there, so that a step
takes slices and waits for nothing.

**Conventions**: axis 0 is the step within the block, axis 1 the row of the step (a clip, its
timestep and its noise); latents are (channel, row, column).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bench.device import place
from bench.seeds import derive_seed, generator
from methods.riffusion.backbone import PLACEHOLDER, Backbone, place_latents
from methods.riffusion.dropout import Places, draw_kept
from methods.riffusion.fitting.inversion import Fit
from methods.riffusion.rendering import StyleImages
from methods.riffusion.schedule import add_noise

# Divides the lengths and the checkpoints of all presets, so that no draw of theirs is left over.
STEPS_AHEAD = 50
# Of one style's block with what making it takes: noises, latents, noised latents, dropout.
MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The numbers of a block as they are drawn, on the CPU.

    Args:
        picks: Images, (step, row).
        posterior: Unit noise that picks a latent from an image's posterior, (step, row, *latents).
        timesteps: (step, row), from 0 to one below the schedule's length.
        noise: Unit noise of the diffusion, (step, row, *latents).
        kept: Factors of dropout, (step, ...), one tensor per place.
    """

    picks: torch.Tensor
    posterior: torch.Tensor
    timesteps: torch.Tensor
    noise: torch.Tensor
    kept: tuple[torch.Tensor, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """Steps of one fit, or of several side by side, on the device.

    Args:
        noisy: Noised latents, (step, row, *latents).
        noise: What is to be predicted, likewise.
        timesteps: (step, row).
        shares: What a cell counts in its style's loss, (step, row, 1, 1, column); over all cells of
            a style they sum to 1.
    """

    noisy: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    shares: torch.Tensor

    def __getitem__(self, steps: int | slice) -> Batches:
        """Some of the steps, or one without its axis."""
        return Batches(
            self.noisy[steps], self.noise[steps], self.timesteps[steps], self.shares[steps]
        )


def join_batches(parts: Sequence[Batches]) -> Batches:
    """Fits side by side: their rows one after the other."""
    return Batches(
        torch.cat([part.noisy for part in parts], dim=1),
        torch.cat([part.noise for part in parts], dim=1),
        torch.cat([part.timesteps for part in parts], dim=1),
        torch.cat([part.shares for part in parts], dim=1),
    )


def steps_per_block(backbone: Backbone, fit: Fit) -> int:
    """How many steps of a fit are drawn at once; the same on every device."""
    latents = fit.images.moments.mean
    values = fit.plan.batch_size * 4 * latents[0].numel()
    values += sum(2 * math.prod(shape) for shape in _places(backbone, fit))
    return max(1, min(STEPS_AHEAD, MOST_BYTES // (values * latents.element_size())))


def draw(backbone: Backbone, fit: Fit, number: int) -> Drawn:
    """Draw a block: clips, posterior samples, timesteps, noise, dropout, in this order."""
    stream = generator(derive_seed("fit", fit.seed, number))
    rows = (steps_per_block(backbone, fit), fit.plan.batch_size)
    latents = fit.images.moments.mean.shape[1:]
    last = backbone.schedule.num_train_timesteps
    return Drawn(
        picks=torch.randint(len(fit.images), rows, generator=stream),
        posterior=torch.randn((*rows, *latents), generator=stream),
        timesteps=torch.randint(last, rows, generator=stream),
        noise=torch.randn((*rows, *latents), generator=stream),
        kept=draw_kept(_places(backbone, fit), stream, steps=rows[:1]),
    )


def _places(backbone: Backbone, fit: Fit) -> Places:
    tokens = backbone.encode_prompt(PLACEHOLDER).shape[1]
    return fit.learner.dropouts(fit.plan.batch_size, tokens)


@torch.no_grad()
def make_batches(backbone: Backbone, fit: Fit, drawn: Drawn) -> Batches:
    """What the networks are given in the steps of a block."""
    device, rows = backbone.device, drawn.picks.shape
    picks, timesteps = place(drawn.picks.flatten(), device), place(drawn.timesteps, device)
    noise, posterior = place(drawn.noise, device), place(drawn.posterior, device)
    latents = place_latents(fit.images.moments[picks], posterior.flatten(0, 1), fit.plan.vae_sample)
    noisy = add_noise(backbone.schedule, latents, noise.flatten(0, 1), timesteps.flatten())
    return Batches(
        noisy=noisy.unflatten(0, rows),
        noise=noise,
        timesteps=timesteps,
        shares=_shares(fit.images, picks.view(rows)),
    )


def _shares(images: StyleImages, picks: torch.Tensor) -> torch.Tensor:
    """Weights of cells, (step, row, 1, 1, column), as parts of the sum over all cells of a step."""
    weights = images.weights[picks]
    alike = math.prod(images.moments.mean.shape[1:]) // weights.shape[-1]  # cells of a column
    return weights / (alike * weights.sum(dim=(1, 2, 3, 4), keepdim=True))


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """A block on the device: the steps of a fit from `first` on."""

    first: int
    batches: Batches
    kept: tuple[torch.Tensor, ...]


class Ahead:
    """The draws of fits, ahead of their steps; the block that a fit has come to is kept."""

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self._blocks: dict[Fit, _Block] = {}

    def left(self, fit: Fit) -> int:
        """Steps from where a fit stands to the end of a block."""
        length = steps_per_block(self.backbone, fit)
        return length - fit.step % length

    def next(self, fit: Fit, steps: int) -> tuple[Batches, tuple[torch.Tensor, ...]]:
        """The next steps of a fit, not past the end of the block, and their factors of dropout."""
        number, offset = divmod(fit.step, steps_per_block(self.backbone, fit))
        block = self._blocks.get(fit)
        if block is None or block.first != fit.step - offset:
            drawn = draw(self.backbone, fit, number)
            kept = tuple(place(each, self.backbone.device) for each in drawn.kept)
            block = _Block(fit.step - offset, make_batches(self.backbone, fit, drawn), kept)
            self._blocks[fit] = block
        chosen = slice(offset, offset + steps)
        return block.batches[chosen], tuple(each[chosen] for each in block.kept)

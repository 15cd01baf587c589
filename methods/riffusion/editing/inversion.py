"""Inversion: from a clean latent to the noise that a sampler would make it of.

Two kinds. **DDIM inversion** takes the deterministic step upwards, from level to level; what it
visits is a trajectory. The **edit-friendly** inversion noises the latent to each level on its own
and keeps, for each step of the stochastic sampler, the noise that leads from one of these states
to the next (its noise maps): the sampler that is given them goes that very way.

**Conventions**: latents are (batch, channel, row, column), at least float32 outside the network;
g_1 < .. < g_k is the rising grid of timesteps, g_0 = 0 the level where sampling ends; a prediction
is asked for with latents and the one timestep of all of them, or one of each.

References:
    Song, Meng, Ermon (2021), Denoising diffusion implicit models, section 4.3.
    Huberman-Spiegelglas, Kulikov, Michaeli (2024), An Edit Friendly DDPM Noise Space, arXiv
    2304.06140, section 3; Manor and Michaeli (2024), arXiv 2402.10009, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch

from methods.riffusion.parameters.itinerary import Climb
from methods.riffusion.schedule import (
    Schedule,
    add_noise,
    ddim_step,
    ddpm_deviation,
    ddpm_mean,
)

Prediction = Callable[[torch.Tensor, int], torch.Tensor]
EachPrediction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@torch.no_grad()
def climb(
    predict: Prediction, schedule: Schedule, moves: Sequence[Climb], latents: torch.Tensor
) -> torch.Tensor:
    """DDIM inversion: the latents after each move, behind those it starts from.

    Args:
        predict: The noise in latents at a timestep; one call per move.
        schedule: The model's.
        moves: See `parameters.itinerary.plan_climb`, which knows three conventions.
        latents: z_0.

    Returns:
        The trajectory (move + 1, batch, channel, row, column); z_0 is its first entry.
    """
    visited = [latents]
    for move in moves:
        noise = predict(visited[-1], move.label)
        visited.append(
            ddim_step(schedule, visited[-1], noise, timestep=move.start, previous=move.end)
        )
    return torch.stack(visited)


@torch.no_grad()
def descend(
    predict: Prediction, schedule: Schedule, grid: Sequence[int], latents: torch.Tensor
) -> torch.Tensor:
    """Deterministic DDIM sampling from the top of a rising grid down to level 0."""
    for timestep, previous in steps_down(grid):
        noise = predict(latents, timestep)
        latents = ddim_step(schedule, latents, noise, timestep=timestep, previous=previous)
    return latents


def steps_down(grid: Sequence[int]) -> list[tuple[int, int]]:
    """The steps of sampling, each from a timestep to the next lower one, the last to 0.

    Example:
        >>> steps_down((1, 21, 41))
        [(41, 21), (21, 1), (1, 0)]
    """
    return list(zip(grid, (0, *grid[:-1]), strict=True))[::-1]


@dataclass(frozen=True, slots=True, eq=False)
class NoiseMaps:
    """The way of a latent through the stochastic sampler.

    Args:
        start: X_k, (batch, channel, row, column).
        maps: Z_1, .., Z_k, (step, batch, channel, row, column).
    """

    start: torch.Tensor
    maps: torch.Tensor

    def without_last(self) -> NoiseMaps:
        """The same with Z_1 = 0, as in the released code: the sampler's last step adds no noise."""
        return NoiseMaps(self.start, torch.cat([torch.zeros_like(self.maps[:1]), self.maps[1:]]))


def noised_states(
    schedule: Schedule, grid: Sequence[int], latents: torch.Tensor, noises: torch.Tensor
) -> torch.Tensor:
    """A latent at every level on its own: X_0 = z_0, X_1, .., X_k.

    Args:
        schedule: The model's.
        grid: g_1, .., g_k.
        latents: z_0.
        noises: n_1, .., n_k, unit normal and independent, (step, batch, channel, row, column).

    Returns:
        (state, batch, channel, row, column).
    """
    levels = [torch.full((len(latents),), level, device=latents.device) for level in grid]
    states = map(partial(add_noise, schedule, latents), noises, levels)
    return torch.stack([latents, *states])


@torch.no_grad()
def record_maps(
    predict: EachPrediction, schedule: Schedule, levels: Sequence[int], states: torch.Tensor
) -> torch.Tensor:
    """Edit-friendly inversion: the noise maps that lead the sampler from state to state.

    A map depends on the two states that it lies between and on nothing else, so that all are made
    in one pass, and a lower start takes the first of the same maps.

    Args:
        predict: The noise in latents at a timestep each; called once.
        schedule: The model's.
        levels: Neighbours of the rising grid 0, g_1, .., g_k.
        states: The latent at these levels, as `noised_states` gives them.

    Returns:
        A map for each level but the first, (step, batch, channel, row, column).

    References:
        Huberman-Spiegelglas et al. (2024), algorithm 1; `inversion_forward_process` in
        code/ddm_inversion/inversion_utils.py of HilaManor/AudioEditingCode. Its `numerical_fix`
        replaces each state by what the sampler makes of its map, which ties all maps to the start
        and spares a rounding: 7e-6 of a latent after 100 steps in float32, against 2e-8.
    """
    upper = states[1:]
    timesteps = torch.tensor(levels[1:], device=states.device).repeat_interleave(upper.shape[1])
    noises = predict(upper.flatten(0, 1), timesteps).unflatten(0, upper.shape[:2])
    maps = []
    for number, (previous, timestep) in enumerate(pairwise(levels)):
        step = {"timestep": timestep, "previous": previous}
        mean = ddpm_mean(schedule, upper[number], noises[number], **step)
        maps.append((states[number] - mean) / ddpm_deviation(schedule, **step))
    return torch.stack(maps)


@torch.no_grad()
def follow_maps(
    predict: Prediction, schedule: Schedule, grid: Sequence[int], way: NoiseMaps
) -> torch.Tensor:
    """Stochastic sampling (eta 1) with given noises: from X_k down to level 0.

    Under the prediction that recorded the maps it ends at z_0. With fresh unit normal maps it is
    the DDPM sampler.
    """
    latents = way.start
    for (timestep, previous), noises in zip(steps_down(grid), way.maps.flip(0), strict=True):
        noise = predict(latents, timestep)
        mean = ddpm_mean(schedule, latents, noise, timestep=timestep, previous=previous)
        deviation = ddpm_deviation(schedule, timestep=timestep, previous=previous)
        latents = mean + deviation * noises
    return latents

"""Denoising contents beside their own and a style's inversions, in joint passes.

**Conventions**: trajectories are (row of the batch, level, channel, row, column), as an inversion
visited them; layouts of joint passes as in `editing.injection`.

References:
    Chung, Hyun, Heo (2024), arXiv 2312.09008, section 3; Stylus, arXiv 2411.15913. Features are
    taken at level g_j under the label g_j, as in the released code of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from methods.riffusion.backbone import Backbone
from methods.riffusion.conditioning import EMPTY_PROMPT
from methods.riffusion.editing.injection import (
    Injection,
    JointAttention,
    choose_layers,
    heard_tokens,
    injected,
)
from methods.riffusion.editing.inversion import steps_down
from methods.riffusion.editing.samplers import climbed
from methods.riffusion.parameters.edits import InjectionSettings, SourceSettings
from methods.riffusion.parameters.itinerary import Climb
from methods.riffusion.schedule import ddim_step


@dataclass(frozen=True, slots=True, eq=False)
class InvertedStyle:
    """The clips of a style, inverted.

    Args:
        states: Their trajectories, (clip, level, channel, row, column).
        weights: (clip, column), 1 where a latent column shows sound, else 0.
        mix: Where the clips are of two styles, how many are of the first, and the share of the
            second.
    """

    states: torch.Tensor
    weights: torch.Tensor
    mix: tuple[int, float] | None = None


def between(first: InvertedStyle, second: InvertedStyle, amount: float) -> InvertedStyle:
    """What lies between two styles: the clips of both, and how much the second counts.

    References:
        Stylus, `main_interpolation.py`, whose README gives the share of each style.
    """
    if amount in (0, 1):
        return second if amount else first
    return InvertedStyle(
        torch.cat([first.states, second.states]),
        torch.cat([first.weights, second.weights]),
        (len(first.states), amount),
    )


def trajectories(
    backbone: Backbone, moves: tuple[Climb, ...], latents: torch.Tensor
) -> torch.Tensor:
    """Trajectories of contents under the empty prompt; kept, as no style decides them."""
    return climbed(backbone, SourceSettings(), moves, latents).transpose(0, 1)


def level_of(settings: InjectionSettings, number: int) -> int:
    """Where a trajectory holds the state of the grid's timestep with a number, counted from 1.

    The conventions that count the clean latent as level g_1 have no entry before it.
    """
    return number if settings.inversion == "label" else number - 1


@torch.no_grad()
def inject(
    backbone: Backbone,
    settings: InjectionSettings,
    style: InvertedStyle,
    contents: torch.Tensor,
    starts: torch.Tensor,
) -> torch.Tensor:
    """Latents of contents, denoised while their attention looks up the style's keys and values.

    Args:
        backbone: Frozen.
        settings: Layers, gamma, alpha, temperature.
        style: One style, whose clips count as one, or what lies between two.
        contents: Trajectories of the contents.
        starts: Where each content's denoising starts, (batch, channel, row, column).
    """
    unet, clips, count = backbone.parts.unet, len(style.states), len(starts)
    names = choose_layers(list(unet.attn_processors), settings.layers)
    processor = _processor(
        Injection(settings.gamma, settings.alpha, settings.temperature),
        (clips, count),
        (_padding(style.weights), style.mix),
        tuple(starts.shape[-2:]),
        backbone.device,
    )
    contexts = backbone.encode_prompt(EMPTY_PROMPT).expand(clips + 2 * count, -1, -1)
    running = starts
    grid = settings.sampled(backbone.schedule.num_train_timesteps)
    with injected(unet, names, processor):
        for number, (timestep, previous) in zip(
            range(len(grid), 0, -1), steps_down(grid), strict=True
        ):
            level = level_of(settings, number)
            rows = torch.cat([style.states[:, level], contents[:, level], running])
            t = torch.full((len(rows),), timestep, device=rows.device)
            noise = backbone.predict_jointly((processor, names), rows, t, contexts)[-count:]
            running = ddim_step(
                backbone.schedule, running, noise, timestep=timestep, previous=previous
            )
    return running


def _padding(weights: torch.Tensor) -> tuple[tuple[bool, ...], ...] | None:
    """What of the clips shows sound; None where all does."""
    if bool(weights.all()):
        return None
    return tuple(tuple(map(bool, row)) for row in weights.tolist())


# A recorded pass reads the processor's tensors, so that equal layouts have to share one.
@lru_cache(maxsize=64)
def _processor(
    injection: Injection,
    rows: tuple[int, int],
    clips: tuple[tuple[tuple[bool, ...], ...] | None, tuple[int, float] | None],
    shape: tuple[int, ...],
    device: torch.device,
) -> JointAttention:
    padding, mix = clips
    if padding is None:
        return JointAttention(injection, *rows, mix=mix)
    weights = torch.tensor(padding, dtype=torch.float32, device=device)
    heard = heard_tokens(weights, shape, min(shape).bit_length())
    return JointAttention(injection, *rows, heard, mix)

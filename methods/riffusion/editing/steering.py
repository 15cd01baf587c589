"""Steering: a content's latent is moved along the difference of two predictions of the noise.

Both predictions share timestep and noise; one is of the moving latent under the style, the other of
the content as it is. What they agree on cancels, so that what the style does not concern tends to
stay. No inversion, no sampling, and no gradient: the difference is the step.

**Conventions**: latents are (batch, channel, row, column), noises (update, batch, channel, row,
column), timesteps (update, batch).

References:
    Hertz, Aberman, Cohen-Or (2023), Delta Denoising Score, arXiv 2304.07090, equation 3; Niu et al.
    (2025), SteerMusic, arXiv 2504.10826, section 3, and its code in sony/steermusic, of which
    nothing is copied. The code takes one update after the last one that is heard. Of its
    personalised variant both further terms are here, while a learnt word leads the network itself,
    where the source trains another network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench.seeds import derive_seed, generator
from methods.riffusion.conditioning import Conditioning, Denoiser, PromptConditioning
from methods.riffusion.editing.contrast import pull
from methods.riffusion.editing.kept import recall
from methods.riffusion.parameters.edits import BLOCK, SteeringSettings
from methods.riffusion.schedule import Schedule, add_noise
from methods.riffusion.stylisation import predict_guided

_WEIGHT = 2.0  # omega(t) = 2 (1 - abar_t), the flag `weight_aug` of the released code


def draw_times(
    settings: SteeringSettings, seeds: Sequence[int], num_train_timesteps: int = 1000
) -> torch.Tensor:
    """Timesteps (update, batch), uniform over those that may be drawn; a row per seed.

    They come from a stream of their own, so that fewer updates take the first of the same
    timesteps and noises.
    """
    grid = torch.tensor(settings.visited(num_train_timesteps))
    count = settings.drawn()
    streams = [generator(derive_seed("steering", seed)) for seed in seeds]
    rows = [torch.randint(len(grid), (count,), generator=stream) for stream in streams]
    return grid[torch.stack(rows, dim=1)]


@torch.no_grad()
def steer(
    backbone: Denoiser,
    conditioning: Conditioning,
    settings: SteeringSettings,
    *,
    latents: torch.Tensor,
    noises: torch.Tensor,
    times: torch.Tensor,
) -> torch.Tensor:
    """Move contents into their styles.

    z <- z - rate (omega(t) [guide(z + noise, style) - guide(z_s + noise, content) + l D] + c P),
    where what is not finite counts as 0. D = guide(z + noise, style) - guide(z + noise, its words)
    is what a learnt style knows beyond its words, P the contrastive pull (`editing.contrast`); both
    weights are 0 unless they are set.

    Args:
        backbone: Frozen.
        conditioning: Contexts of the styles.
        settings: Rates and guidance.
        latents: z_s, which is also where z begins.
        noises: One per drawn update, unit normal.
        times: One per drawn update, of each row its own.
    """
    source = PromptConditioning(backbone, settings.source.prompt)
    resting = _of_contents(backbone, settings, latents, noises, times)
    moved = latents
    # Draws come in whole blocks, of which the last may be longer than the way.
    for rate, noise, t, rested in zip(settings.rates(), noises, times, resting, strict=False):
        noised = add_noise(backbone.schedule, moved, noise, t)
        ahead = _ahead(backbone, conditioning, settings, noised, t) - rested
        step = rate * _weight(backbone.schedule, t, latents.dtype) * ahead
        if settings.contrast_weight:
            told = source.cond(t), conditioning.cond(t)
            held = pull(backbone, latents, moved, (noise, t), told)
            step = step + rate * settings.contrast_weight * held
        moved = moved - torch.where(torch.isfinite(step), step, 0)
    return moved


def _ahead(
    backbone: Denoiser,
    conditioning: Conditioning,
    settings: SteeringSettings,
    latents: torch.Tensor,
    t: torch.Tensor,
) -> torch.Tensor:
    """The prediction under the style, and with its weight what it says beyond the plain words."""
    scale, weight = settings.guidance_scale, settings.plain_weight
    if not weight:
        return predict_guided(backbone.predict_noise, conditioning, latents, t, scale)
    # Both are guided from the same empty prompt, so that it is asked for once.
    told = [conditioning.cond(t), conditioning.plain(t)]
    told += [conditioning.uncond(t)] if scale > 1 else []
    rows = len(told)
    noise = backbone.predict_noise(latents.repeat(rows, 1, 1, 1), t.repeat(rows), torch.cat(told))
    styled, plain, *empty = noise.chunk(rows)
    guided = empty[0] + scale * (styled - empty[0]) if empty else styled
    return guided + weight * scale * (styled - plain)


def _weight(schedule: Schedule, t: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The weight of the noise levels, (batch, 1, 1, 1)."""
    return _WEIGHT * (1 - schedule.alphas_cumprod[t].to(dtype))[:, None, None, None]


def _of_contents(
    backbone: Denoiser,
    settings: SteeringSettings,
    latents: torch.Tensor,
    noises: torch.Tensor,
    times: torch.Tensor,
) -> torch.Tensor:
    """Predictions of the noise in contents as they are, for every update; kept per content."""
    source = PromptConditioning(backbone, settings.source.prompt)

    def of_block(here: slice) -> torch.Tensor:
        def predict(rows: list[int]) -> torch.Tensor:
            noise, t = noises[here, rows], times[here, rows]
            content = latents[rows].expand_as(noise)
            found = predict_guided(
                backbone.predict_noise,
                source,
                add_noise(backbone.schedule, *(x.flatten(0, 1) for x in (content, noise, t))),
                t.flatten(),
                settings.source.guidance_scale,
            )
            each = torch.unflatten(found, 0, t.shape)
            return each.transpose(0, 1)

        decisive = (latents, noises[here].transpose(0, 1), times[here].transpose(0, 1))
        facts = f"resting {settings.source}"
        return recall(backbone, facts, decisive, predict, rows_each=BLOCK).transpose(0, 1)

    blocks = [slice(first, first + BLOCK) for first in range(0, len(times), BLOCK)]
    return torch.cat([of_block(here) for here in blocks])

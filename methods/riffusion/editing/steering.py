"""Steering: a content's latent is moved along the difference of two predictions of the noise.

Both predictions share timestep and noise; one is of the moving latent under the style, the other of
the content as it is. What they agree on cancels, so that what the style does not concern tends to
stay. No inversion, no sampling, and no gradient: the difference is the step.

**Conventions**: latents are (batch, channel, row, column), noises (update, batch, channel, row,
column), timesteps (update, batch).

References:
    Hertz, Aberman, Cohen-Or (2023), Delta Denoising Score, arXiv 2304.07090, equation 3; Niu et al.
    (2025), SteerMusic, arXiv 2504.10826, section 3.1, and its code in sony/steermusic, of which
    nothing is copied. The code takes one update after the last one that is heard.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench.batching import Batcher
from bench.seeds import derive_seed, generator
from methods.riffusion.conditioning import Conditioning, Denoiser, PromptConditioning
from methods.riffusion.editing.kept import recall
from methods.riffusion.parameters.edits import SteeringSettings
from methods.riffusion.schedule import Schedule, add_noise
from methods.riffusion.stylisation import predict_guided

_TOGETHER = 16  # updates whose predictions of the content as it is are made in one pass
_WEIGHT = 2.0  # omega(t) = 2 (1 - abar_t), the flag `weight_aug` of the released code


def draw_times(
    settings: SteeringSettings, seeds: Sequence[int], num_train_timesteps: int = 1000
) -> torch.Tensor:
    """Timesteps (update, batch), uniform over those that may be drawn; a row per seed.

    They come from a stream of their own, so that fewer updates take the first of the same
    timesteps and noises.
    """
    grid = torch.tensor(settings.visited(num_train_timesteps))
    count = len(settings.rates())
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

    z <- z - rate omega(t) [guide(z + noise, style) - guide(z_s + noise, content)], where what is
    not finite counts as 0.

    Args:
        backbone: Frozen.
        conditioning: Contexts of the styles.
        settings: Rates and guidance.
        latents: z_s, which is also where z begins.
        noises: One per update, unit normal.
        times: One per update, of each row its own.
    """
    scale = settings.guidance_scale
    resting = _of_contents(backbone, settings, latents, noises, times)
    moved = latents
    for rate, noise, t, rested in zip(settings.rates(), noises, times, resting, strict=True):
        noised = add_noise(backbone.schedule, moved, noise, t)
        styled = predict_guided(backbone.predict_noise, conditioning, noised, t, scale)
        step = rate * _weight(backbone.schedule, t, latents.dtype) * (styled - rested)
        moved = moved - torch.where(torch.isfinite(step), step, 0)
    return moved


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

    def predict(content: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        noised = add_noise(backbone.schedule, content.expand_as(noise), noise, t)
        return predict_guided(
            backbone.predict_noise, source, noised, t, settings.source.guidance_scale
        )

    def rest(row: int) -> torch.Tensor:
        updates = Batcher(_TOGETHER).run(
            range(len(times)),
            lambda part: list(
                predict(
                    latents[row],
                    noises[part[0] : part[-1] + 1, row],
                    times[part[0] : part[-1] + 1, row],
                )
            ),
        )
        return torch.stack(updates)

    decisive = (latents, noises.transpose(0, 1), times.transpose(0, 1))
    kept = recall(
        backbone,
        f"resting {settings.source}",
        decisive,
        lambda rows: torch.stack([rest(row) for row in rows]),
    )
    return kept.transpose(0, 1)

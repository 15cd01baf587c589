"""Stylisation: noise the content, reduce the bias of that noise, and denoise it under the style.

One function, `stylise`, that reads like the algorithm; what the model is, where contexts come
from and how audio becomes latents is left to its arguments.

References:
    Li et al. (AAAI 2024), arXiv 2402.13763, "bias-reduced stylization", and its released
    scripts/txt2img.py.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from methods.riffusion.conditioning import Conditioning
from methods.riffusion.parameters.settings import StylisationSettings
from methods.riffusion.schedule import Schedule, add_noise, ddim_step

NoisePredictor = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@torch.no_grad()
def stylise(
    predict_noise: NoisePredictor,
    schedule: Schedule,
    conditioning: Conditioning,
    settings: StylisationSettings,
    *,
    latents: torch.Tensor,
    noise: torch.Tensor,
) -> torch.Tensor:
    """Move contents into a style.

    Args:
        predict_noise: The U-Net, (latents, timesteps, contexts) -> noise.
        schedule: The model's noise schedule.
        conditioning: Contexts of the style and of the empty prompt by timestep.
        settings: Strength, guidance, steps.
        latents: z_0 of the contents, (batch, channel, row, column).
        noise: n, unit normal, same shape.

    Returns:
        Latents of the outputs, same shape. A row does not depend on the others beyond rounding.

    References:
        MusicTI, section "bias-reduced stylization". Step numbers below: 2 noising, 3 bias
        reduction, 4 guided DDIM with eta 0. The released sampler also draws a noise that it
        multiplies by 0; it is not drawn here.
    """
    itinerary = settings.itinerary(schedule.num_train_timesteps)
    start = torch.full((len(latents),), itinerary.start, device=latents.device)
    # 2. Partially noised content.
    current = add_noise(schedule, latents, noise, start)
    # 3. Bias reduction: the noise the model sees there, in place of the one drawn. Never guided.
    if settings.brs == "on":
        predicted = predict_noise(current, start, conditioning.cond(start))
        current = add_noise(schedule, latents, predicted, start)
    # 4. Denoise under the style.
    for timestep, previous in zip(itinerary.timesteps, itinerary.previous, strict=True):
        t = torch.full_like(start, timestep)
        guided = predict_guided(predict_noise, conditioning, current, t, settings.guidance_scale)
        current = ddim_step(schedule, current, guided, timestep=timestep, previous=previous)
    return current


def predict_guided(
    predict_noise: NoisePredictor,
    conditioning: Conditioning,
    latents: torch.Tensor,
    timesteps: torch.Tensor,
    guidance_scale: float,
) -> torch.Tensor:
    """Classifier-free guidance e_u + w (e_c - e_u), in one batch ordered [u, c].

    At w = 1 only e_c is asked for.
    """
    styled = conditioning.cond(timesteps)
    if guidance_scale == 1:
        return predict_noise(latents, timesteps, styled)
    contexts = torch.cat([conditioning.uncond(timesteps), styled])
    both = predict_noise(torch.cat([latents, latents]), torch.cat([timesteps, timesteps]), contexts)
    without, with_style = both.chunk(2)
    return without + guidance_scale * (with_style - without)

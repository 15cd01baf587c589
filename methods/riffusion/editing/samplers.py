"""The ways of moving a content's latent into a style: one function per way, and the choice.

Stylisation itself is in `methods.riffusion.stylisation`; the others need no more of a style than it
does, contexts by timestep, so that texts, learnt words and time-varying embeddings can all lead
them.

**Conventions**: latents are (batch, channel, row, column), noises (step, batch, channel, row,
column), both as the contents' requests drew them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from methods.riffusion.conditioning import Conditioning, Denoiser, PromptConditioning
from methods.riffusion.editing.inversion import (
    NoiseMaps,
    Prediction,
    climb,
    descend,
    follow_maps,
    record_maps,
)
from methods.riffusion.editing.kept import recall
from methods.riffusion.editing.steering import draw_times, steer
from methods.riffusion.parameters.edits import (
    AnySampling,
    InversionSettings,
    NoiseMapSettings,
    SourceSettings,
    SteeringSettings,
    StochasticSettings,
)
from methods.riffusion.parameters.itinerary import plan_climb
from methods.riffusion.parameters.settings import StylisationSettings
from methods.riffusion.schedule import add_noise
from methods.riffusion.stylisation import predict_guided, stylise


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What is drawn of a batch of contents.

    Args:
        latents: z_0.
        noises: As many as `count_noises` says.
        seeds: One per content, for what else is drawn.
    """

    latents: torch.Tensor
    noises: torch.Tensor
    seeds: tuple[int, ...]


def count_noises(settings: AnySampling) -> int:
    """Unit normal noises that a sampler takes of each content."""
    if isinstance(settings, StylisationSettings):
        return 1
    if isinstance(settings, InversionSettings):
        return 0
    if isinstance(settings, SteeringSettings):
        return len(settings.rates())
    return len(settings.visited()) + isinstance(settings, StochasticSettings)


def sample(
    backbone: Denoiser, conditioning: Conditioning, settings: AnySampling, material: Material
) -> torch.Tensor:
    """Latents of contents in their styles, whose contexts the conditioning holds."""
    match settings:
        case NoiseMapSettings():
            edited = edit_with_maps(backbone, conditioning, settings, material)
        case InversionSettings():
            edited = edit_by_inversion(backbone, conditioning, settings, material)
        case StochasticSettings():
            edited = edit_by_noise(backbone, conditioning, settings, material)
        case SteeringSettings():
            times = draw_times(settings, material.seeds, backbone.schedule.num_train_timesteps)
            edited = steer(
                backbone,
                conditioning,
                settings,
                latents=material.latents,
                noises=material.noises,
                times=times.to(backbone.device),
            )
        case _:
            edited = stylise(
                backbone.predict_noise,
                backbone.schedule,
                conditioning,
                settings,
                latents=material.latents,
                noise=material.noises[0],
            )
    return edited


def guided(backbone: Denoiser, conditioning: Conditioning, guidance_scale: float) -> Prediction:
    """Predictions of the noise under a conditioning, all rows at one timestep."""

    def predict(latents: torch.Tensor, timestep: int) -> torch.Tensor:
        t = torch.full((len(latents),), timestep, device=latents.device)
        return predict_guided(backbone.predict_noise, conditioning, latents, t, guidance_scale)

    return predict


def of_source(backbone: Denoiser, source: SourceSettings) -> Prediction:
    """Predictions while a content is inverted: under its words, or the plain empty prompt.

    The empty prompt is that of the text encoder even where a learnt style has one of its own, so
    that an inversion does not depend on the style.
    """
    return guided(backbone, PromptConditioning(backbone, source.prompt), source.guidance_scale)


def edit_with_maps(
    backbone: Denoiser, conditioning: Conditioning, settings: NoiseMapSettings, material: Material
) -> torch.Tensor:
    """Edit-friendly inversion: sample under the style with the noises that make the content.

    References:
        Manor and Michaeli (2024), arXiv 2402.10009, section 3.1; `inversion_reverse_process` of
        their code.
    """
    grid = settings.visited(backbone.schedule.num_train_timesteps)

    def record(rows: list[int]) -> torch.Tensor:
        way = record_maps(
            of_source(backbone, settings.source),
            backbone.schedule,
            grid,
            latents=material.latents[rows],
            noises=material.noises[:, rows],
        )
        return torch.cat([way.start[None], way.maps]).transpose(0, 1)

    decisive = (material.latents, material.noises.transpose(0, 1))
    kept = recall(backbone, f"maps {grid} {settings.source}", decisive, record).transpose(0, 1)
    way = NoiseMaps(kept[0], kept[1:])
    return follow_maps(
        guided(backbone, conditioning, settings.guidance_scale),
        backbone.schedule,
        grid,
        way if settings.last_map == "keep" else way.without_last(),
    )


def edit_by_inversion(
    backbone: Denoiser, conditioning: Conditioning, settings: InversionSettings, material: Material
) -> torch.Tensor:
    """DDIM inversion: climb without the style, descend with it.

    References:
        Song, Meng, Ermon (2021), section 4.3; `ddim_inversion` and `text2image_ldm_stable` in
        code/ddm_inversion/ddim_inversion.py of HilaManor/AudioEditingCode.
    """
    grid = settings.visited(backbone.schedule.num_train_timesteps)
    moves = plan_climb(grid)

    def top(rows: list[int]) -> torch.Tensor:
        source = of_source(backbone, settings.source)
        return climb(source, backbone.schedule, moves, material.latents[rows])[-1]

    start = recall(backbone, f"top {moves} {settings.source}", (material.latents,), top)
    styled = guided(backbone, conditioning, settings.guidance_scale)
    return descend(styled, backbone.schedule, grid, start)


def edit_by_noise(
    backbone: Denoiser, conditioning: Conditioning, settings: StochasticSettings, material: Material
) -> torch.Tensor:
    """SDEdit: noise the content, and sample under the style with fresh noise at every step.

    The last step adds noise too, as in the code that it is compared in.

    References:
        Meng et al. (2022), arXiv 2108.01073, algorithm 1; `main_run_sdedit.py` of
        HilaManor/AudioEditingCode.
    """
    grid = settings.visited(backbone.schedule.num_train_timesteps)
    latents = material.latents
    top = torch.full((len(latents),), grid[-1], device=latents.device)
    start = add_noise(backbone.schedule, latents, material.noises[0], top)
    styled = guided(backbone, conditioning, settings.guidance_scale)
    return follow_maps(styled, backbone.schedule, grid, NoiseMaps(start, material.noises[1:]))

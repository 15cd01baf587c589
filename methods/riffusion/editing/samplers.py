"""The ways of moving a content's latent into a style: one function per way, and the choice.

Stylisation itself is in `methods.riffusion.stylisation`; the others need no more of a style than it
does, contexts by timestep, so that texts, learnt words and time-varying embeddings can all lead
them.

**Conventions**: latents are (batch, channel, row, column), noises (step, batch, channel, row,
column), both as the contents' requests drew them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from methods.riffusion.conditioning import Conditioning, Denoiser, PromptConditioning
from methods.riffusion.editing.inversion import (
    NoiseMaps,
    climb,
    descend,
    follow_maps,
    noised_states,
    record_maps,
)
from methods.riffusion.editing.kept import recall
from methods.riffusion.editing.steering import draw_times, steer
from methods.riffusion.parameters.edits import (
    BLOCK,
    AnySampling,
    InversionSettings,
    NoiseMapSettings,
    SourceSettings,
    SteeringSettings,
    StochasticSettings,
)
from methods.riffusion.parameters.itinerary import Climb, plan_climb
from methods.riffusion.schedule import add_noise
from methods.riffusion.stylisation import predict_guided, stylise

Predictor = Callable[[torch.Tensor, int | torch.Tensor], torch.Tensor]


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
    match settings:
        case NoiseMapSettings():
            count = len(settings.recorded())
        case InversionSettings():
            count = 0
        case StochasticSettings():
            count = 1 + len(settings.visited())
        case SteeringSettings():
            count = settings.drawn()
        case _:
            count = 1
    return count


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


def guided(backbone: Denoiser, conditioning: Conditioning, guidance_scale: float) -> Predictor:
    """Predictions of the noise under a conditioning, at one timestep of all rows or one of each."""

    def predict(latents: torch.Tensor, timestep: int | torch.Tensor) -> torch.Tensor:
        given = torch.as_tensor(timestep, device=latents.device)
        t = given.expand(len(latents)).contiguous()
        return predict_guided(backbone.predict_noise, conditioning, latents, t, guidance_scale)

    return predict


def of_source(backbone: Denoiser, source: SourceSettings) -> Predictor:
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
    states, maps = _maps(backbone, settings, material)
    way = NoiseMaps(states[len(grid)], maps[: len(grid)])
    return follow_maps(
        guided(backbone, conditioning, settings.guidance_scale),
        backbone.schedule,
        grid,
        way if settings.last_map == "keep" else way.without_last(),
    )


def _maps(
    backbone: Denoiser, settings: NoiseMapSettings, material: Material
) -> tuple[torch.Tensor, torch.Tensor]:
    """States X_0, X_1, .. and maps Z_1, .. of contents; the maps are kept block by block."""
    levels = (0, *settings.recorded(backbone.schedule.num_train_timesteps))
    states = noised_states(backbone.schedule, levels[1:], material.latents, material.noises)
    predict = of_source(backbone, settings.source)

    def of_block(first: int) -> torch.Tensor:
        here = slice(first, first + BLOCK + 1)

        def record(rows: list[int]) -> torch.Tensor:
            made = record_maps(predict, backbone.schedule, levels[here], states[here, rows])
            return made.transpose(0, 1)

        facts, between = f"maps {levels[here]} {settings.source}", states[here].transpose(0, 1)
        return recall(backbone, facts, (between,), record, rows_each=BLOCK).transpose(0, 1)

    return states, torch.cat([of_block(first) for first in range(0, len(levels) - 1, BLOCK)])


def edit_by_inversion(
    backbone: Denoiser, conditioning: Conditioning, settings: InversionSettings, material: Material
) -> torch.Tensor:
    """DDIM inversion: climb without the style, descend with it.

    References:
        Song, Meng, Ermon (2021), section 4.3; `ddim_inversion` and `text2image_ldm_stable` in
        code/ddm_inversion/ddim_inversion.py of HilaManor/AudioEditingCode.
    """
    grid = settings.visited(backbone.schedule.num_train_timesteps)
    way = climbed(backbone, settings.source, plan_climb(grid), material.latents)
    styled = guided(backbone, conditioning, settings.guidance_scale)
    return descend(styled, backbone.schedule, grid, way[-1])


def climbed(
    backbone: Denoiser, source: SourceSettings, moves: Sequence[Climb], latents: torch.Tensor
) -> torch.Tensor:
    """The trajectory of `inversion.climb`, of which some moves at a time are kept."""
    predict = of_source(backbone, source)

    def leg(moves: Sequence[Climb], start: torch.Tensor) -> torch.Tensor:
        def visit(rows: list[int]) -> torch.Tensor:
            return climb(predict, backbone.schedule, moves, start[rows])[1:].transpose(0, 1)

        return recall(backbone, f"climb {moves} {source}", (start,), visit).transpose(0, 1)

    visited = [latents[None]]
    for first in range(0, len(moves), BLOCK):
        visited.append(leg(moves[first : first + BLOCK], visited[-1][-1]))
    return torch.cat(visited)


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

"""Stylus: a content is denoised while its attention looks up keys and values of a style's sound.

Nothing is learnt and no text is read. Clips of the style and the content are inverted under the
empty prompt; the content's noise takes the statistics of the style's, and is denoised in joint
passes with both.

Where this departs from its source is said in the catalog and by `Stylus.departures`.

References:
    Stylus (2024), arXiv 2411.15913, and Sooyyoungg/Stylus at commit e7dff25, which lacks the files
    of its attention; StyleID: Chung, Hyun, Heo (CVPR 2024), arXiv 2312.09008, which it builds on,
    and jiwoogit/StyleID at commit d4ea655. Nothing is copied from either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain
from typing import cast, final

import numpy as np
import torch

from bench.api import (
    Audio,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)
from bench.batching import Batcher
from bench.seeds import derive_seed, generator
from methods.riffusion.backbone import draw_latents
from methods.riffusion.editing.inversion import climb
from methods.riffusion.editing.joint import InvertedStyle, between, inject, trajectories
from methods.riffusion.editing.matching import match_start
from methods.riffusion.editing.samplers import of_source
from methods.riffusion.longform import cut_windows, join_windows
from methods.riffusion.parameters.edits import InjectionSettings, SourceSettings
from methods.riffusion.parameters.itinerary import Convention, ddim_grid, plan_climb
from methods.riffusion.parameters.stylus import StylusParameters
from methods.riffusion.rendering import (
    Riffusion,
    content_seed,
    draw_image,
    load_riffusion,
    paint_over,
    read_pictures,
    read_style,
    sound_images,
    windows_at_once,
)
from methods.riffusion.transition import amounts, join_states, split_state
from methods.riffusion.width import GreyImage, to_window

Request = TransferRequest[StylusParameters]
_CLIMB = ("num_inference_steps", "inversion")  # what two styles have to share


@final
class Stylus(StyleTransferMethod[StylusParameters]):
    """Style injection into self-attention on Riffusion.

    References:
        Stylus (2024), arXiv 2411.15913; see `departures`.
    """

    def load(self, profile: Profile, device: str) -> None:
        """Load the frozen model, shared with the other methods of this family."""
        self._model = load_riffusion(profile, device)

    def fit(
        self, requests: Sequence[FitRequest[StylusParameters]], progress: Progress
    ) -> list[StyleState]:
        """Invert the clips of each style; nothing is learnt."""
        states = []
        for number, request in enumerate(requests, start=1):
            states.append(_invert(self._model, request))
            progress(number / len(requests), f"{number} of {len(requests)} styles inverted")
        return states

    def transfer(self, requests: Sequence[Request]) -> list[Audio]:
        """Render each content in its style; contents of one style and settings go together.

        Raises:
            ContentError: A content is too short.
        """
        groups: dict[tuple[object, ...], list[int]] = {}
        for number, request in enumerate(requests):
            key = (id(request.state), _settings(request), request.parameters.canvas())
            groups.setdefault(key, []).append(number)
        outputs: dict[int, Audio] = {}
        for numbers in groups.values():
            audios = _render(self._model, [requests[number] for number in numbers])
            outputs |= dict(zip(numbers, audios, strict=True))
        return [outputs[number] for number in range(len(requests))]

    @classmethod
    def transition(cls, first: StyleState, second: StyleState) -> StyleState:
        """One state for the way from one style to another, window by window.

        Raises:
            UnsupportedError: The two were inverted in other steps, or by other conventions.
        """
        unlike = [name for name in _CLIMB if first.meta[name] != second.meta[name]]
        if unlike:
            raise UnsupportedError(
                f"two styles that differ in {', '.join(unlike)} of their inversion cannot be seen "
                "at once. Fit both alike."
            )
        return join_states(first, second)

    @classmethod
    def departures(cls, parameters: StylusParameters, profile: Profile) -> tuple[str, ...]:
        """Where these settings leave the paper and its code."""
        return tuple(parameters.departures(profile))


def _invert(model: Riffusion, request: FitRequest[StylusParameters]) -> StyleState:
    parameters, backbone = request.parameters, model.backbone
    clips = request.style.clips[: 1 if parameters.style_clips == "first" else None]
    images = read_style(model, clips, parameters.fit_width_mode)
    streams = [
        generator(derive_seed("stylus", request.seed, number)) for number in range(len(clips))
    ]
    latents = draw_latents(images.moments, streams, parameters.fit_vae_sample)
    grid = ddim_grid(parameters.num_inference_steps, backbone.schedule.num_train_timesteps)
    moves = plan_climb(grid, parameters.inversion)
    predict = of_source(backbone, SourceSettings())

    def visit(part: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        states = climb(predict, backbone.schedule, moves, torch.stack(list(part)))
        return list(states.transpose(0, 1).cpu())

    states = Batcher(windows_at_once(model)).run(list(latents), visit)
    return StyleState(
        arrays={
            "states": torch.stack(states).numpy(),
            "weights": images.weights[:, 0, 0].cpu().contiguous().numpy(),
        },
        meta={
            "style": request.style.id,
            "clips": [clip.id for clip in clips],
            "num_inference_steps": parameters.num_inference_steps,
            "inversion": parameters.inversion,
        },
    )


def _settings(request: Request) -> InjectionSettings:
    """The settings of a request, in the steps and the convention that its style was inverted in."""
    way = split_state(request.state)
    meta = way.first.meta if way else request.state.meta
    return replace(
        request.parameters.injection(),
        num_inference_steps=int(str(meta["num_inference_steps"])),
        inversion=cast("Convention", meta["inversion"]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """A window of a content: its image, its trajectory, its style, and where denoising starts."""

    image: GreyImage
    states: torch.Tensor
    style: InvertedStyle
    start: torch.Tensor


Styles = Callable[[int], list[InvertedStyle]]  # those of the windows of a piece, by their number


def _styles(model: Riffusion, state: StyleState) -> Styles:
    """One style for every window, or those between the two of a transition."""
    way = split_state(state)
    ends = [
        _of_state(end, model.backbone.device)
        for end in ((way.first, way.second) if way else (state,))
    ]
    if way is None:
        return lambda count: ends * count
    curve, kept = way.settings.curve, cache(partial(between, ends[0], ends[1]))
    return lambda count: [kept(amount) for amount in amounts(count, curve)]


def _of_state(state: StyleState, device: torch.device) -> InvertedStyle:
    states, weights = (
        torch.from_numpy(state.arrays[name].copy()).to(device) for name in ("states", "weights")
    )
    return InvertedStyle(states, weights)


def _render(model: Riffusion, requests: Sequence[Request]) -> list[Audio]:
    """Contents in one style, with equal settings."""
    pieces = _read(model, requests, _styles(model, requests[0].state))
    painted = iter(_paint(model, requests[0], list(chain(*pieces))))
    paintings = []
    for request, piece in zip(requests, pieces, strict=True):
        width = draw_image(model, request.content).shape[1]
        whole = join_windows([next(painted) for _ in piece], width)
        phase = request.parameters.phase
        paintings.append(paint_over(request.content, whole, request.seed, phase))
    return sound_images(model, paintings)


def _read(model: Riffusion, requests: Sequence[Request], styles: Styles) -> list[list[_Window]]:
    """Invert the windows of contents, and bring each content's noise to the style's statistics."""
    parameters, backbone = requests[0].parameters, model.backbone
    settings, window = _settings(requests[0]), model.codec.num_frames
    cut = [cut_windows(draw_image(model, request.content), window) for request in requests]
    laid = [to_window(image, window, parameters.width_mode) for image in chain(*cut)]
    moments = backbone.encode(torch.from_numpy(np.stack(laid)))
    # Windows of a piece share their draw, as in the rest of the family.
    streams = [
        generator(derive_seed("stylisation", content_seed(request)))
        for request, images in zip(requests, cut, strict=True)
        for _ in images
    ]
    latents = draw_latents(moments, streams, parameters.vae_sample)
    moves = plan_climb(settings.grid(backbone.schedule.num_train_timesteps), settings.inversion)
    states = trajectories(backbone, moves, latents).split([len(images) for images in cut])
    top = len(moves)
    return [
        list(map(_Window, images, own, shown, _starts(own[:, top], shown, top, settings)))
        for images, own in zip(cut, states, strict=True)
        for shown in [styles(len(images))]
    ]


def _starts(
    noises: torch.Tensor, styles: Sequence[InvertedStyle], top: int, settings: InjectionSettings
) -> Sequence[torch.Tensor]:
    """Where the windows of a piece start: with the statistics of their styles' noise."""
    matched: dict[int, torch.Tensor] = {}
    for style in styles:
        if id(style) not in matched:
            matched[id(style)] = _matched(noises, style, top, settings)
    return [matched[id(style)][number] for number, style in enumerate(styles)]


def _matched(
    noises: torch.Tensor, style: InvertedStyle, top: int, settings: InjectionSettings
) -> torch.Tensor:
    first, share = style.mix or (len(style.states), 0.0)
    ends = [
        match_start(noises, style.states[part, top], style.weights[part], settings.start)
        for part in (slice(0, first), slice(first, None))
        if len(style.states[part])
    ]
    return ends[0] if len(ends) == 1 else torch.lerp(ends[0], ends[1], share)


def _paint(model: Riffusion, request: Request, windows: Sequence[_Window]) -> list[GreyImage]:
    """Pictures of all windows, in order, through the model in batches of equal styles.

    All windows are of requests like the one given.
    """
    settings, canvas = _settings(request), request.parameters.canvas()

    def paint(part: Sequence[_Window]) -> list[GreyImage]:
        latents = inject(
            model.backbone,
            settings,
            part[0].style,
            torch.stack([one.states for one in part]),
            torch.stack([one.start for one in part]),
        )
        return read_pictures(model, latents, [one.image for one in part], canvas)

    batcher = Batcher(windows_at_once(model, alone_on_cpu=True))
    painted: dict[int, GreyImage] = {}
    for style in {id(one.style) for one in windows}:
        alike = [number for number, one in enumerate(windows) if id(one.style) == style]
        images = batcher.run([windows[number] for number in alike], paint)
        painted |= dict(zip(alike, images, strict=True))
    return [painted[number] for number in range(len(windows))]

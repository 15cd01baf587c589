"""From audio to latents and back: what the methods share around stylisation.

**Conventions**: audio is mono at the profile's rate; images uint8 (mel, frame); a request's noise
    depends on its seed alone, and all methods
draw it in the same order (posterior, noise), so methods share noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bench.api import Audio, Clip, ContentError, Profile
from bench.audio import fit_length
from bench.seeds import derive_seed, generator
from methods.riffusion.backbone import (
    Backbone,
    VaeSample,
    draw_latents,
    draw_noise,
    join_moments,
    load_backbone,
)
from methods.riffusion.checkpoints import WINDOW_S, describe
from methods.riffusion.conditioning import ContextTable, RowsOfTables
from methods.riffusion.inversion import StyleImages
from methods.riffusion.longform import cut_windows, join_windows
from methods.riffusion.spectrogram import (
    MINI_PARAMETERS,
    SpectrogramParameters,
    decode,
    encode,
)
from methods.riffusion.stylisation import StylisationSettings, stylise
from methods.riffusion.width import GreyImage, WidthMode, choose_mode, from_window, to_window

# Windows per pass of the U-Net; with guidance twice as many rows.
_WINDOWS_AT_ONCE = 16
# Riffusion normalises its output with this headroom.
_PEAK = 10 ** (-0.1 / 20)


@dataclass(frozen=True, slots=True, eq=False)
class Riffusion:
    """A loaded profile: the frozen model and its codec; the window lasts `window_s`."""

    backbone: Backbone
    codec: SpectrogramParameters
    sample_rate: int
    window_s: float


def load_riffusion(profile: Profile, device: str) -> Riffusion:
    """Load a profile; its backbone is shared by all methods of this process.

    Raises:
        CheckpointError: Weights are missing; the message names the file and the way out.
    """
    info = describe(profile)
    rate = info.sample_rate or 44_100
    codec = MINI_PARAMETERS if profile == "mini" else SpectrogramParameters(sample_rate=rate)
    return Riffusion(load_backbone(profile, device), codec, rate, WINDOW_S)


@dataclass(frozen=True, slots=True)
class CanvasSettings:
    """How a clip is laid onto the model's window.

    Args:
        width_mode: See `width.to_window`.
        unstretch: Undo the stretching of `resize`, so that tempo and length are the content's.
        vae_sample: Draw the content's latents from the posterior (the released code) or take its
            mode.
    """

    width_mode: WidthMode = "resize"
    unstretch: bool = True
    vae_sample: VaeSample = "sample"


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """One content to be rendered: its seed and the contexts of its style."""

    content: Clip
    seed: int
    contexts: ContextTable


# ---------------------------------------------------------------------------- audio and images


def draw_image(model: Riffusion, clip: Clip) -> GreyImage:
    """The spectrogram of a clip, as wide as it has frames; computed on the CPU for every device.

    Raises:
        ContentError: The clip is too short for one frame.
    """
    shortest = model.codec.geometry(model.sample_rate).n_fft // 2 + 1
    if clip.audio.num_samples < shortest:
        raise ContentError(
            f"clip {clip.id!r} lasts {clip.audio.duration_s:.3f} s, one frame needs "
            f"{shortest / model.sample_rate:.3f} s; shorter clips are not taken. Leave it out."
        )
    waveform = torch.from_numpy(clip.audio.mono.copy())[None]
    image: GreyImage = encode(waveform, model.codec, clip.audio.sample_rate)[0].numpy()
    return image


def sound_image(model: Riffusion, image: GreyImage, seed: int, num_samples: int) -> Audio:
    """Audio of a spectrogram, cut or filled to a length; peak at -0.1 dBFS as in Riffusion."""
    grey = torch.from_numpy(image.copy())[None].to(model.backbone.device)
    start = [generator(derive_seed("griffin-lim", seed))]
    waveform = decode(grey, model.codec, model.sample_rate, start)[0].cpu()
    peak = float(waveform.abs().max())
    levelled = waveform * (_PEAK / peak) if peak > 0 else waveform
    return fit_length(Audio(levelled[None].numpy(), model.sample_rate), num_samples)


def read_style(model: Riffusion, clips: Sequence[Clip], mode: WidthMode) -> StyleImages:
    """Posteriors of a style's clips.

    They are stretched with the bicubic kernel, as in the released training code.

    A style's recording may be longer than the window: its first window is used.
    """
    images = [draw_image(model, _first_window(model, clip)) for clip in clips]
    window = model.codec.num_frames
    canvases = np.stack([to_window(image, window, mode, "bicubic") for image in images])
    moments = model.backbone.encode(torch.from_numpy(canvases))
    weights = torch.ones(len(images), 1, 1, moments.mean.shape[-1])
    for row, image in enumerate(images):
        if choose_mode(image.shape[1], window, mode) != "resize":
            weights[row, ..., -(-image.shape[1] // model.backbone.latent_reduction) :] = 0
    return StyleImages(moments, weights.to(model.backbone.device))


def _first_window(model: Riffusion, clip: Clip) -> Clip:
    longest = round(model.window_s * clip.audio.sample_rate)
    if clip.audio.num_samples <= longest:
        return clip
    return Clip(clip.id, clip.category, fit_length(clip.audio, longest))


# ---------------------------------------------------------------------------- rendering


def render(
    model: Riffusion,
    renderings: Sequence[Rendering],
    settings: StylisationSettings,
    canvas: CanvasSettings,
) -> list[Audio]:
    """Stylise contents in batches and return their audio, in order.

    A content longer than the window is rendered window by window, each with the same noise.

    Raises:
        ContentError: A content is too short.
    """
    images = [draw_image(model, one.content) for one in renderings]
    cut = [cut_windows(image, model.codec.num_frames) for image in images]
    each = [one for one, windows in zip(renderings, cut, strict=True) for _ in windows]
    flat = [window for windows in cut for window in windows]
    painted: list[GreyImage] = []
    for first in range(0, len(flat), _WINDOWS_AT_ONCE):
        chosen = slice(first, first + _WINDOWS_AT_ONCE)
        painted += _paint_batch(model, each[chosen], flat[chosen], settings, canvas)
    outputs = iter(painted)
    return [
        _sound(model, one, [next(outputs) for _ in windows], image.shape[1])
        for one, windows, image in zip(renderings, cut, images, strict=True)
    ]


def _paint_batch(
    model: Riffusion,
    renderings: Sequence[Rendering],
    images: Sequence[GreyImage],
    settings: StylisationSettings,
    canvas: CanvasSettings,
) -> list[GreyImage]:
    windows = [to_window(image, model.codec.num_frames, canvas.width_mode) for image in images]
    if len({window.shape for window in windows}) > 1:  # only the report's mode leaves them unlike
        pairs = zip(renderings, images, strict=True)
        return [_paint_batch(model, [r], [i], settings, canvas)[0] for r, i in pairs]
    latents = stylise_windows(model.backbone, renderings, np.stack(windows), settings, canvas)
    painted = model.backbone.decode(latents).numpy()
    return [
        from_window(output, image.shape[1], canvas.width_mode, unstretch=canvas.unstretch)
        for output, image in zip(painted, images, strict=True)
    ]


def _sound(model: Riffusion, one: Rendering, windows: Sequence[GreyImage], columns: int) -> Audio:
    image = join_windows(windows, columns)
    return sound_image(model, image, one.seed, one.content.audio.num_samples)


def stylise_windows(
    backbone: Backbone,
    renderings: Sequence[Rendering],
    windows: GreyImage,
    settings: StylisationSettings,
    canvas: CanvasSettings,
) -> torch.Tensor:
    """Latents of the outputs, (batch, channel, row, column).

    Each row draws from its own request's generator.
    """
    generators = [generator(derive_seed("stylisation", one.seed)) for one in renderings]
    moments = join_moments(
        [backbone.encode(torch.from_numpy(window.copy())[None]) for window in windows]
    )
    latents = draw_latents(moments, generators, canvas.vae_sample)
    return stylise(
        backbone.predict_noise,
        backbone.schedule,
        RowsOfTables([one.contexts for one in renderings]),
        settings,
        latents=latents,
        noise=draw_noise(latents.shape[1:], generators, backbone.device),
    )

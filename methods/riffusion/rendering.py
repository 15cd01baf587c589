"""From audio to latents and back: what the methods share around stylisation.

**Conventions**: audio is mono at the profile's rate; images are uint8 (mel, frame). A request's
noise depends on one seed alone, and all methods draw it in the same order (posterior, noise), so
that methods share noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from bench.api import Audio, Clip, ContentError, Profile, TransferRequest
from bench.audio import fit_length
from bench.batching import Batcher, affordable, in_parallel
from bench.memo import Recent
from bench.seeds import derive_seed, generator
from methods.riffusion.backbone import Backbone, Moments, load_backbone, place_latents
from methods.riffusion.checkpoints import WINDOW_S, describe
from methods.riffusion.conditioning import ContextTable, Denoiser, RowsOfTables
from methods.riffusion.editing.samplers import Material, count_noises, sample
from methods.riffusion.longform import cut_windows, join_windows, place_windows
from methods.riffusion.parameters.edits import AnySampling
from methods.riffusion.parameters.settings import (
    CanvasSettings,
    Phase,
    StylisationSettings,
    VaeSample,
)
from methods.riffusion.spectrogram import (
    MINI_PARAMETERS,
    SpectrogramParameters,
    decode,
    decode_with_phases,
    encode,
)
from methods.riffusion.transition import amounts, blend_settings, blend_tables, slerp
from methods.riffusion.width import GreyImage, WidthMode, choose_mode, from_window, to_window

# Windows per pass of the U-Net where memory allows; with guidance twice as many rows.
_WINDOWS_AT_ONCE = 16
# Outputs whose phases are sought together. On a CPU one alone stays in its cache.
_SOUNDS_AT_ONCE = 8
# A window of the full profile takes 256 KB; methods and styles share their contents' images.
_IMAGES_KEPT = 512
# Riffusion normalises its output with this headroom.
PEAK = 10 ** (-0.1 / 20)


@dataclass(frozen=True, slots=True, eq=False)
class Riffusion:
    """A loaded profile: the frozen model and its codec; the window lasts `window_s`."""

    backbone: Backbone
    codec: SpectrogramParameters
    sample_rate: int
    window_s: float

    def count_windows(self, content: Clip) -> int:
        """Windows that a content is cut into."""
        geometry = self.codec.geometry(self.sample_rate)
        columns = geometry.count_frames(content.audio.num_samples)
        return len(place_windows(columns, self.codec.num_frames))

    def render(
        self, renderings: Sequence[Rendering], settings: AnySampling, canvas: CanvasSettings
    ) -> list[Audio]:
        """Stylise contents, see the function of this name."""
        return render(self, renderings, settings, canvas)


def content_seed(request: TransferRequest[Any]) -> int:
    """The seed of what is drawn for a content whatever the style, so that inversions can be kept.

    Stylisation does not draw from it: there methods share the noise of a content and a style.
    """
    return request.seed if request.content_seed is None else request.content_seed


def load_riffusion(profile: Profile, device: str) -> Riffusion:
    """Load a profile; its backbone is shared by all methods of this process.

    Raises:
        CheckpointError: Weights are missing; the message names the file and the way out.
    """
    info = describe(profile)
    rate = info.sample_rate or 44_100
    codec = MINI_PARAMETERS if profile == "mini" else SpectrogramParameters(sample_rate=rate)
    return Riffusion(load_backbone(profile, device), codec, rate, WINDOW_S)


@dataclass(frozen=True, slots=True, eq=False)
class Ending:
    """Where a transition ends: contexts, settings, seed and the curve of the way there."""

    contexts: ContextTable
    settings: AnySampling
    seed: int
    curve: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """One content to be rendered: its seed, and the contexts of its style.

    `ending` is given where the content goes to another style; both tables then hold the same
    timesteps. `noise_seed` is the seed of all noises where it is not that of the phases.
    """

    content: Clip
    seed: int
    contexts: ContextTable
    ending: Ending | None = None
    noise_seed: int | None = None


PictureT = TypeVar("PictureT")


@dataclass(frozen=True, slots=True, eq=False)
class Passage(Generic[PictureT]):
    """One window on its way through the model; what its picture is, the model knows."""

    image: PictureT
    contexts: ContextTable
    settings: AnySampling
    seeds: tuple[int, int]
    amount: float = 0.0


_images: Recent[GreyImage] = Recent(_IMAGES_KEPT)


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
    return _images.get((clip.audio.digest, model.codec), lambda: _draw_anew(model, clip.audio))


def _draw_anew(model: Riffusion, audio: Audio) -> GreyImage:
    waveform = torch.from_numpy(audio.mono.copy())[None]
    image: GreyImage = encode(waveform, model.codec, audio.sample_rate)[0].numpy()
    image.flags.writeable = False
    return image


@dataclass(frozen=True, slots=True, eq=False)
class Painting:
    """A spectrogram to be made heard: the seed of its phases, and its length as audio.

    With `phases_of` its phases are those of that sound, and nothing is sought.
    """

    image: GreyImage
    seed: int
    num_samples: int
    phases_of: Audio | None = None


def paint_over(content: Clip, image: GreyImage, seed: int, phase: Phase) -> Painting:
    """The painting of a content: as long as it, with its phases if they are asked for."""
    own = content.audio if phase == "content" else None
    return Painting(image, seed, content.audio.num_samples, own)


def sound_images(model: Riffusion, paintings: Sequence[Painting]) -> list[Audio]:
    """Audio of spectrograms, in order, cut or filled to length; peaks at -0.1 dBFS as in Riffusion.

    Images of equal width are decoded together, except on the CPU.
    """
    on_cpu = model.backbone.device.type == "cpu"
    batcher = Batcher(1 if on_cpu else _SOUNDS_AT_ONCE)
    widths: dict[tuple[int, bool], list[int]] = {}
    for number, painting in enumerate(paintings):
        kind = (painting.image.shape[1], painting.phases_of is None)
        widths.setdefault(kind, []).append(number)
    sounds: dict[int, Audio] = {}
    for numbers in widths.values():
        alike = [paintings[number] for number in numbers]
        made = batcher.run(alike, lambda part: _sound_together(model, part))
        sounds |= dict(zip(numbers, made, strict=True))
    return [sounds[number] for number in range(len(paintings))]


def _sound_together(model: Riffusion, paintings: Sequence[Painting]) -> list[Audio]:
    device = model.backbone.device
    grey = torch.from_numpy(np.stack([one.image for one in paintings])).to(device)
    if all(one.phases_of for one in paintings):
        waveforms = _with_given_phases(model, grey, paintings)
    else:
        starts = [generator(derive_seed("griffin-lim", one.seed), device) for one in paintings]
        waveforms = decode(grey, model.codec, model.sample_rate, starts).cpu()
    return [
        fit_length(Audio(_level(waveform)[None].numpy(), model.sample_rate), one.num_samples)
        for waveform, one in zip(waveforms, paintings, strict=True)
    ]


def _with_given_phases(
    model: Riffusion, grey: torch.Tensor, paintings: Sequence[Painting]
) -> torch.Tensor:
    given = [one.phases_of.mono.copy() for one in paintings if one.phases_of]
    sounds = [torch.from_numpy(waveform).to(grey.device) for waveform in given]
    made = [
        decode_with_phases(image[None], model.codec, model.sample_rate, sound[None])[0]
        for image, sound in zip(grey, sounds, strict=True)
    ]
    return torch.stack(made).cpu()


def _level(waveform: torch.Tensor) -> torch.Tensor:
    peak = float(waveform.abs().max())
    return waveform * (PEAK / peak) if peak > 0 else waveform


@dataclass(frozen=True, slots=True, eq=False)
class StyleImages:
    """A style as the model sees it.

    Args:
        moments: Posteriors of its images.
        weights: 1 where a latent column shows sound, 0 where it is padding; (image, 1, 1, column).
    """

    moments: Moments
    weights: torch.Tensor

    def __len__(self) -> int:
        """How many images."""
        return len(self.moments)


def read_style(model: Riffusion, clips: Sequence[Clip], mode: WidthMode) -> StyleImages:
    """Posteriors of a style's clips.

    Clips are stretched with the bicubic kernel, as in the released training code. Of a recording
    longer than the window, the first window is used.
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


def render(
    model: Riffusion,
    renderings: Sequence[Rendering],
    settings: AnySampling,
    canvas: CanvasSettings,
) -> list[Audio]:
    """Stylise contents in batches and return their audio, in order.

    A content longer than the window is rendered window by window, each with the same noise.

    Raises:
        ContentError: A content is too short.
    """
    device = str(model.backbone.device)
    images = in_parallel(lambda one: draw_image(model, one.content), renderings, device)
    passages = [
        lay_passages(one, cut_windows(image, model.codec.num_frames), settings)
        for one, image in zip(renderings, images, strict=True)
    ]
    painted = iter(_paint(model, [one for each in passages for one in each], canvas))
    paintings = []
    for one, image, each in zip(renderings, images, passages, strict=True):
        whole = join_windows([next(painted) for _ in each], image.shape[1])
        paintings.append(paint_over(one.content, whole, one.seed, canvas.phase))
    return sound_images(model, paintings)


def lay_passages(
    one: Rendering, windows: Sequence[PictureT], settings: AnySampling
) -> list[Passage[PictureT]]:
    """The windows of a content with what leads them: its style, or what lies between two."""
    end = one.ending
    seed = one.seed if one.noise_seed is None else one.noise_seed
    if end is None:
        return [Passage(w, one.contexts, settings, (seed, seed)) for w in windows]
    return [
        Passage(
            window,
            blend_tables(one.contexts, end.contexts, amount),
            blend_settings(settings, end.settings, amount),
            (seed, end.seed),
            amount,
        )
        for window, amount in zip(windows, amounts(len(windows), end.curve), strict=True)
    ]


def _paint(
    model: Riffusion, passages: Sequence[Passage[GreyImage]], canvas: CanvasSettings
) -> list[GreyImage]:
    """Images of all windows, in order; those with equal settings go through the model together."""
    groups: dict[AnySampling, list[int]] = {}
    for number, one in enumerate(passages):
        groups.setdefault(one.settings, []).append(number)
    edits = not all(isinstance(settings, StylisationSettings) for settings in groups)
    batcher = Batcher(windows_at_once(model, alone_on_cpu=edits))
    painted: dict[int, GreyImage] = {}
    for numbers in groups.values():
        chosen = [passages[number] for number in numbers]
        images = batcher.run(chosen, lambda part: _paint_batch(model, part, canvas))
        painted |= dict(zip(numbers, images, strict=True))
    return [painted[number] for number in range(len(passages))]


def windows_at_once(model: Riffusion, *, alone_on_cpu: bool = False) -> int:
    """Windows per pass of the U-Net, of two rows each, as memory allows.

    Args:
        model: Loaded.
        alone_on_cpu: One on the CPU. For edits, which come from high noise levels: their steps
            divide by small roots, so that what batches round otherwise grows until it turns a grey
            level, and one level of a loud pixel is 1.6 % of its amplitude.
    """
    if alone_on_cpu and model.backbone.device.type == "cpu":
        return 1
    backbone, codec = model.backbone, model.codec
    shape = (codec.num_mels, codec.num_frames)
    latent = [side // backbone.latent_reduction for side in shape]
    two_rows = 2 * backbone.bytes_per_row(latent, learning=False)
    return affordable(str(backbone.device), two_rows, _WINDOWS_AT_ONCE)


def _paint_batch(
    model: Riffusion, passages: Sequence[Passage[GreyImage]], canvas: CanvasSettings
) -> list[GreyImage]:
    width = model.codec.num_frames
    windows = [to_window(one.image, width, canvas.width_mode) for one in passages]
    if len({window.shape for window in windows}) > 1:  # only the report's mode leaves them unlike
        return [_paint_batch(model, [one], canvas)[0] for one in passages]
    latents = stylise_windows(model.backbone, passages, np.stack(windows), canvas)
    return read_pictures(model, latents, [one.image for one in passages], canvas)


def read_pictures(
    model: Riffusion, latents: torch.Tensor, images: Sequence[GreyImage], canvas: CanvasSettings
) -> list[GreyImage]:
    """Pictures of latents, each as wide as the image that it was made of."""
    painted = model.backbone.decode(latents, canvas.picture).numpy()
    return [
        from_window(output, image.shape[1], canvas.width_mode, unstretch=canvas.unstretch)
        for output, image in zip(painted, images, strict=True)
    ]


def stylise_windows(
    backbone: Backbone,
    passages: Sequence[Passage[GreyImage]],
    windows: GreyImage,
    canvas: CanvasSettings,
) -> torch.Tensor:
    """Latents of the outputs, (batch, channel, row, column); all passages have equal settings."""
    moments = backbone.encode(torch.from_numpy(windows))
    return move_latents(backbone, passages, moments, canvas.vae_sample)


def move_latents(
    backbone: Denoiser,
    passages: Sequence[Passage[PictureT]],
    moments: Moments,
    vae_sample: VaeSample,
) -> torch.Tensor:
    """The latents of windows in their styles; all passages have equal settings.

    Each row draws from its own request's generator.
    """
    settings, shape = passages[0].settings, moments.mean.shape[1:]
    draws = [_draw(one, shape, 1 + count_noises(settings)) for one in passages]
    drawn = torch.stack(draws, dim=1).to(backbone.device)
    material = Material(
        latents=place_latents(moments, drawn[0], vae_sample),
        noises=drawn[1:],
        seeds=tuple(one.seeds[0] for one in passages),
    )
    tables = RowsOfTables([one.contexts for one in passages])
    return sample(backbone, tables, settings, material)


def _draw(one: Passage[PictureT], shape: Sequence[int], count: int) -> torch.Tensor:
    """Noises (count, *shape), that of the posterior first, between those of the two seeds."""
    streams = [generator(derive_seed("stylisation", seed)) for seed in dict.fromkeys(one.seeds)]
    drawn = [
        [torch.randn(tuple(shape), generator=stream) for stream in streams] for _ in range(count)
    ]
    return torch.stack([slerp(each[0], each[-1], one.amount) for each in drawn])

"""From audio to compressed spectra and back, and the way of a request through the optimisation.

**Conventions**: a clip is brought to a fixed level first; its spectrum is log(1 + magnitude / mean
magnitude), (bin, frame), which makes loud and quiet clips alike. Outputs have the content's level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bench.api import (
    Audio,
    Clip,
    ContentError,
    FitRequest,
    StyleState,
    TransferRequest,
    UnsupportedError,
)
from bench.audio import fit_length
from bench.seeds import derive_seed, generator
from methods.gatys.matching import (
    Features,
    Network,
    Optimised,
    Target,
    content_loss,
    mean_grams,
    optimise,
    style_loss,
)
from methods.gatys.parameters import MatchSettings
from methods.phase import Geometry, retrieve_phase, stft

_LEVEL = 0.1
# The relative loss is flat at silence, where the source starts (its noise is 0.001 strong): nothing
# would tell the optimiser where to go. This is the mean of ordinary spectra.
_NOISE = 0.5
_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Spectrogram:
    """A clip as it is optimised.

    Args:
        spectrum: log(1 + magnitude / scale), (bin, frame).
        scale: The mean magnitude.
        phase: Unit complex numbers, (bin, frame).
    """

    spectrum: torch.Tensor
    scale: float
    phase: torch.Tensor


def read(clip: Clip, geometry: Geometry, shortest: int, device: str) -> Spectrogram:
    """The spectrogram of a clip.

    Args:
        clip: Mono at the geometry's rate.
        geometry: Lengths of the transform.
        shortest: Frames that the network needs.
        device: Where it is computed.

    Raises:
        ContentError: The clip has too few frames.
    """
    waveform = clip.audio.mono
    frames = geometry.count_frames(len(waveform))
    if frames < shortest or len(waveform) <= geometry.n_fft // 2:
        seconds = max(shortest * geometry.hop_length, geometry.n_fft) / geometry.sample_rate
        raise ContentError(
            f"clip {clip.id!r} lasts {clip.audio.duration_s:.2f} s; this network needs "
            f"{seconds:.2f} s. Leave it out."
        )
    levelled = waveform * (_LEVEL / max(_root_mean_square(waveform), _TINY))
    # Whole hops: what comes back from the frames would otherwise lack the last samples.
    levelled = np.pad(levelled, (0, -len(waveform) % geometry.hop_length))
    spectra = stft(torch.from_numpy(levelled)[None].to(device), geometry)[0]
    magnitude = spectra.abs()
    scale = float(magnitude.mean()) or 1.0
    phase = spectra / magnitude.clamp_min(_TINY)
    return Spectrogram(torch.log1p(magnitude / scale).contiguous(), scale, phase)


def magnitudes(spectrum: torch.Tensor, scale: float) -> torch.Tensor:
    """The way back from a compressed spectrum to magnitudes."""
    return torch.expm1(spectrum) * scale


def sound(
    magnitude: torch.Tensor, like: Clip, geometry: Geometry, start: torch.Tensor, iterations: int
) -> Audio:
    """Audio of magnitudes (bin, frame), with the length and the level of a clip.

    Where that level would exceed full scale, the peak is put there.
    """
    waveform = retrieve_phase(magnitude[None], geometry, start[None], iterations)
    samples = waveform[0, : like.audio.num_samples].cpu().numpy().astype(np.float32)
    gain = _root_mean_square(like.audio.mono) / max(_root_mean_square(samples), _TINY)
    peak = float(np.abs(samples).max()) * gain
    levelled = (samples * (gain / max(peak, 1.0))).astype(np.float32)
    return fit_length(Audio(levelled[None], geometry.sample_rate), like.audio.num_samples)


def _root_mean_square(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) if waveform.size else 0.0


def store_styles(
    requests: Sequence[FitRequest[object]], geometry: Geometry, shortest: int
) -> list[StyleState]:
    """Keep the spectra of each style's clips; their Gram matrices would be larger by far.

    Raises:
        UnsupportedError: A style has no clip that is long enough.
    """
    return [_store(request, geometry, shortest) for request in requests]


def _store(request: FitRequest[object], geometry: Geometry, shortest: int) -> StyleState:
    style = request.style
    long_enough = [
        clip for clip in style.clips if geometry.count_frames(clip.audio.num_samples) >= shortest
    ]
    if not long_enough:
        raise UnsupportedError(
            f"style {style.id!r} has {len(style.clips)} clips, none of them with {shortest} frames "
            f"of {geometry.hop_length / geometry.sample_rate:.3f} s. Add a longer clip."
        )
    read_clips = [read(clip, geometry, shortest, "cpu") for clip in long_enough]
    return StyleState(
        arrays={f"spectrum_{n:03d}": one.spectrum.numpy() for n, one in enumerate(read_clips)},
        meta={
            "style": style.id,
            "seed": request.seed,
            "scales": [one.scale for one in read_clips],
        },
    )


def style_features(state: StyleState, network: Network, device: str) -> tuple[torch.Tensor, ...]:
    """Gram matrices of a stored style, by layer."""
    scales = state.meta["scales"]
    if not isinstance(scales, list):
        raise TypeError(f"the state's scales are {scales!r}, not a list.")
    clips: list[Features] = []
    with torch.no_grad():
        for name, scale in zip(sorted(state.arrays), scales, strict=True):
            spectrum = torch.from_numpy(np.array(state.arrays[name])).to(device)
            clips.append(network(spectrum, float(str(scale))))
    return mean_grams(clips)


@dataclass(frozen=True, slots=True)
class Way:
    """What is the same for all contents of a method: the transform, the network's reach, settings.

    Args:
        geometry: Lengths of the transform.
        shortest: Frames that the network needs.
        settings: How a spectrogram is looked for.
    """

    geometry: Geometry
    shortest: int
    settings: MatchSettings


def render(
    request: TransferRequest[object], network: Network, grams: tuple[torch.Tensor, ...], way: Way
) -> Audio:
    """Optimise one content's spectrogram and make it audible.

    Raises:
        ContentError: The content is too short for the network.
    """
    content, settings = request.content, way.settings
    seen = read(content, way.geometry, way.shortest, str(grams[0].device))
    if not content.audio.waveform.any():
        return Audio(np.zeros_like(content.audio.mono[None]), way.geometry.sample_rate)
    found = match(seen, network, grams, settings, request.seed)
    phase = seen.phase if settings.phase == "content" else draw_phases(seen.phase, request.seed)
    magnitude = magnitudes(found.spectrum, seen.scale)
    return sound(magnitude, content, way.geometry, phase, settings.griffin_lim_iterations)


def match(
    content: Spectrogram,
    network: Network,
    grams: tuple[torch.Tensor, ...],
    settings: MatchSettings,
    seed: int,
) -> Optimised:
    """The spectrogram between a content and a style."""
    with torch.no_grad():
        target = Target(network(content.spectrum, content.scale).content, grams)

    def loss_of(spectrum: torch.Tensor) -> torch.Tensor:
        features = network(spectrum, content.scale)
        loss = style_loss(features, target)
        if settings.content_weight:
            loss = loss + settings.content_weight * content_loss(features, target)
        return loss

    start = content.spectrum if settings.init == "content" else _noise(content.spectrum, seed)
    return optimise(loss_of, start, settings.steps)


def _noise(like: torch.Tensor, seed: int) -> torch.Tensor:
    draw = torch.randn(like.shape, generator=generator(derive_seed("start", seed)))
    return (_NOISE * draw).abs().to(like.device)


def draw_phases(like: torch.Tensor, seed: int) -> torch.Tensor:
    """Unit complex numbers of random angles."""
    draw = torch.rand(like.shape, generator=generator(derive_seed("griffin-lim", seed)))
    return torch.polar(torch.ones_like(draw), 2 * torch.pi * draw).to(like.device)

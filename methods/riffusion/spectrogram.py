"""The spectrogram codec of Riffusion: a clip as a grey image of mel magnitudes, and back.

Riffusion (Forsgren and Martiros, 2022) draws a mel spectrogram as an image that an image diffusion
model can paint; MusicTI (Li et al., AAAI 2024, arXiv 2402.13763) uses the same codec. The encoder
is a short-time Fourier transform, a bank of HTK mel triangles and a fourth-root curve in 8 bits;
the decoder is a least-squares inverse of the bank and the Griffin-Lim iteration with momentum
(Perraudin et al., 2013).

Departures: the bank is computed in float64 and torchaudio is not needed (images agree with the
original's to one grey level); the decoder returns the waveform without levelling; random phases
are drawn per clip, so that a clip's sound does not depend on the batch it is in.

**Conventions**: waveforms are float32 (batch, sample); mel magnitudes float32 (batch, mel, frame),
band 0 lowest, any scale; images uint8 (batch, mel, frame) with row 0 the highest band, 0 loudest
and 255 silence; pixels are what the image model sees, float32 (batch, 3, mel, frame) in [-1, 1].
Rates and frequencies in Hz.

**Contents**: `encode` and `decode` (or `decode_with_phases`) do the whole way; between them
`mel_magnitude`, `mel_to_image`, `image_to_mel`, `invert_mel`, `griffin_lim` from a `random_start`;
`image_to_pixels` and `pixels_to_image` border on the image model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from bench.api import ConfigError
from methods.phase import Geometry, retrieve_phase, stft
from methods.riffusion.parameters.settings import Picture


@dataclass(frozen=True, slots=True)
class SpectrogramParameters:
    """What the codec needs to know; the defaults are Riffusion's.

    They are those of riffusion/spectrogram_params.py in riffusion/riffusion-hobby at commit
    94c29abbdc1de60b3e03131715ea8c3da12bd933.

    Args:
        sample_rate: Hz, or None to work at each clip's own rate (as MusicTI does).
        window_ms: Length of the Hann window.
        padded_ms: Length of the Fourier transform; the window is centred in it.
        step_ms: From one frame to the next.
        num_mels: Bands, the image's height.
        f_min_hz: Lower edge of the lowest band.
        f_max_hz: Upper edge of the highest band.
        power: Exponent of the grey curve, in (0, 1].
        num_frames: Columns the image model expects, the image's width.
        max_iterations: Griffin-Lim iterations.
    """

    sample_rate: int | None = None
    window_ms: float = 100.0
    padded_ms: float = 400.0
    step_ms: float = 10.0
    num_mels: int = 512
    f_min_hz: float = 0.0
    f_max_hz: float = 10_000.0
    power: float = 0.25
    num_frames: int = 512
    max_iterations: int = 32

    def geometry(self, sample_rate: int) -> Geometry:
        """Lengths in samples at a rate, truncated to whole samples as Riffusion truncates them.

        Raises:
            ConfigError: The rate is not the codec's, or is too low for its highest band.
        """
        if self.sample_rate is not None and sample_rate != self.sample_rate:
            raise ConfigError(
                f"audio is {sample_rate} Hz, the spectrogram codec works at {self.sample_rate} Hz; "
                "both must agree. Resample the audio first."
            )
        if sample_rate < 2 * self.f_max_hz:
            raise ConfigError(
                f"audio is {sample_rate} Hz, the highest mel band ends at {self.f_max_hz:g} Hz; "
                f"the rate must be at least {2 * self.f_max_hz:g} Hz. Resample the audio first."
            )
        lengths = (self.padded_ms, self.window_ms, self.step_ms)
        n_fft, win_length, hop_length = (int(ms / 1000 * sample_rate) for ms in lengths)
        return Geometry(sample_rate, n_fft, win_length, hop_length)


# The window and the step of the mini profile: 128 bands and 256 frames of 20 ms, so an eighth of
# the pixels.
MINI_PARAMETERS = SpectrogramParameters(
    sample_rate=22_050, padded_ms=200.0, step_ms=20.0, num_mels=128, f_min_hz=30.0, num_frames=256
)


@cache
def mel_bank(parameters: SpectrogramParameters, sample_rate: int) -> torch.Tensor:
    """Triangles on the HTK mel scale with peak 1, float32 (mel, bin), computed in float64."""
    ends = np.array([parameters.f_min_hz, parameters.f_max_hz])
    lowest, highest = 2595.0 * np.log10(1.0 + ends / 700.0)
    mels = np.linspace(lowest, highest, parameters.num_mels + 2)
    edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins = np.fft.rfftfreq(parameters.geometry(sample_rate).n_fft, 1.0 / sample_rate)
    widths, distance = np.diff(edges)[:, None], edges[:, None] - bins
    rising, falling = -distance[:-2] / widths[:-1], distance[2:] / widths[1:]
    bank = np.maximum(0.0, np.minimum(rising, falling))
    return torch.from_numpy(bank).float()


@cache
def inverse_mel_bank(parameters: SpectrogramParameters, sample_rate: int) -> torch.Tensor:
    """Pseudo-inverse of the bank, float32 (bin, mel): the minimum-norm least-squares solution."""
    inverse: torch.Tensor = torch.linalg.pinv(mel_bank(parameters, sample_rate).double())
    return inverse.float()


def mel_magnitude(
    waveform: torch.Tensor, parameters: SpectrogramParameters, sample_rate: int
) -> torch.Tensor:
    """Mel magnitudes (batch, mel, frame) of waveforms (batch, sample).

    Raises:
        ConfigError: The rate is not the codec's.
    """
    magnitude = stft(waveform, parameters.geometry(sample_rate)).abs()
    return mel_bank(parameters, sample_rate).to(waveform.device) @ magnitude


def invert_mel(
    mel: torch.Tensor, parameters: SpectrogramParameters, sample_rate: int
) -> torch.Tensor:
    """Linear-frequency magnitudes (batch, bin, frame): least squares, negative values set to 0."""
    return torch.relu(inverse_mel_bank(parameters, sample_rate).to(mel.device) @ mel)


def mel_to_image(mel: torch.Tensor, power: float = 0.25) -> torch.Tensor:
    """Draw mel magnitudes as a grey image: 255 - 255 (m / max m) ** power, truncated, upside down.

    Silence gives a white image.
    """
    loudest = mel.amax(dim=(-2, -1), keepdim=True).clamp_min(torch.finfo(mel.dtype).tiny)
    grey = 255 - 255 * (mel / loudest) ** power
    return grey.to(torch.uint8).flip(-2)


def image_to_mel(image: torch.Tensor, power: float = 0.25) -> torch.Tensor:
    """Read mel magnitudes from a grey image; the darkest possible pixel is 1.

    This undoes `mel_to_image` up to scale and rounding.
    """
    return ((255 - image.flip(-2).float()) / 255) ** (1 / power)


def image_to_pixels(image: torch.Tensor) -> torch.Tensor:
    """Grey image (batch, mel, frame) as three equal channels in [-1, 1]."""
    return (image.float() / 127.5 - 1)[:, None].expand(-1, 3, -1, -1).contiguous()


def pixels_to_image(pixels: torch.Tensor, picture: Picture = "rounded") -> torch.Tensor:
    """Grey image from the first channel, as Riffusion reads it; clamped to [-1, 1], in 8 bits.

    Args:
        pixels: (batch, 3, mel, frame).
        picture: "rounded" to the nearest grey level, as Riffusion does; "truncated" to the next
            darker one, as scripts/txt2img.py of MusicTI does.
    """
    grey = (pixels[:, 0].float().clamp(-1, 1) + 1) * 127.5
    return (grey.round() if picture == "rounded" else grey).to(torch.uint8)


def random_start(magnitude: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """Complex numbers uniform in the unit square, shaped like magnitudes (batch, bin, frame).

    They are drawn where the magnitudes lie, by one generator of that device per clip. A device of
    another kind draws other numbers, and so may another model of CUDA device.
    """
    square = torch.empty(*magnitude.shape, 2, device=magnitude.device)
    for clip, generator in zip(square, generators, strict=True):
        clip.uniform_(generator=generator)
    return torch.view_as_complex(square)


def griffin_lim(
    magnitude: torch.Tensor,
    geometry: Geometry,
    generators: Sequence[torch.Generator],
    *,
    iterations: int = 32,
) -> torch.Tensor:
    """Find waveforms (batch, sample) whose spectrograms have the given magnitudes.

    Args:
        magnitude: (batch, bin, frame), not negative.
        geometry: Lengths of the transform.
        generators: One per clip, of the device of the magnitudes, for the random start. As in
            torchaudio the start is not of unit modulus.
        iterations: More is closer; the original uses 32.
    """
    return retrieve_phase(magnitude, geometry, random_start(magnitude, generators), iterations)


def encode(
    waveform: torch.Tensor, parameters: SpectrogramParameters, sample_rate: int
) -> torch.Tensor:
    """Grey images (batch, mel, frame) of waveforms (batch, sample), one column per frame.

    Raises:
        ConfigError: The rate is not the codec's.
    """
    return mel_to_image(mel_magnitude(waveform, parameters, sample_rate), parameters.power)


def decode(
    image: torch.Tensor,
    parameters: SpectrogramParameters,
    sample_rate: int,
    generators: Sequence[torch.Generator],
) -> torch.Tensor:
    """Waveforms (batch, sample) of grey images (batch, mel, frame), of arbitrary level.

    Args:
        image: uint8, as `encode` draws them.
        parameters: The codec's.
        sample_rate: Hz of the waveforms to make.
        generators: One per clip, of the device of the images, for Griffin-Lim's random start.

    Raises:
        ConfigError: The rate is not the codec's.
    """
    mel = image_to_mel(image, parameters.power)
    return griffin_lim(
        invert_mel(mel, parameters, sample_rate),
        parameters.geometry(sample_rate),
        generators,
        iterations=parameters.max_iterations,
    )


def decode_with_phases(
    image: torch.Tensor,
    parameters: SpectrogramParameters,
    sample_rate: int,
    waveform: torch.Tensor,
) -> torch.Tensor:
    """Waveforms of grey images with the phases of other waveforms, of arbitrary level.

    Nothing is sought: one inverse transform of these magnitudes and those phases.

    Args:
        image: uint8 (batch, mel, frame), as `encode` draws them.
        parameters: The codec's.
        sample_rate: Hz.
        waveform: (batch, sample), of as many frames as the images have columns.

    Raises:
        ValueError: The frames are not as many as the columns.
    """
    geometry = parameters.geometry(sample_rate)
    spectra = stft(waveform, geometry)
    if spectra.shape[-1] != image.shape[-1]:
        raise ValueError(
            f"images have {image.shape[-1]} columns and the waveforms {spectra.shape[-1]} frames; "
            "both must be as many. Bring the images to the width of what gives the phases."
        )
    magnitude = invert_mel(image_to_mel(image, parameters.power), parameters, sample_rate)
    return retrieve_phase(magnitude, geometry, spectra.sgn(), 0)

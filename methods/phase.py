"""Short-time Fourier transforms on tensors, and the phase that a spectrogram of magnitudes lacks.

**Conventions**: waveforms are float32 (batch, sample), spectra complex64 (batch, bin, frame);
frames are centred, the ends reflected. Every transform is counted (`bench.counts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch

from bench import counts

_MOMENTUM = 0.99


@dataclass(frozen=True, slots=True)
class Geometry:
    """The transform's lengths in samples at one sample rate."""

    sample_rate: int
    n_fft: int
    win_length: int
    hop_length: int

    def count_frames(self, num_samples: int) -> int:
        """Frames of a clip: centred frames, so one more than whole hops."""
        return 1 + num_samples // self.hop_length


@cache
def _window(win_length: int, device: torch.device) -> torch.Tensor:
    return torch.hann_window(win_length, device=device)


def stft(waveform: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """Complex spectra (batch, bin, frame): centred frames, reflected ends."""
    window = _window(geometry.win_length, waveform.device)
    lengths = (geometry.n_fft, geometry.hop_length, geometry.win_length)
    counts.count("stft")
    return torch.stft(waveform, *lengths, window, return_complex=True)


def istft(spectra: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """Waveforms (batch, sample) of spectra; (frame - 1) * hop_length samples."""
    window = _window(geometry.win_length, spectra.device)
    lengths = (geometry.n_fft, geometry.hop_length, geometry.win_length)
    counts.count("istft")
    return torch.istft(spectra, *lengths, window)


def retrieve_phase(
    magnitude: torch.Tensor, geometry: Geometry, start: torch.Tensor, iterations: int
) -> torch.Tensor:
    """Find waveforms whose spectrograms have the given magnitudes.

    Each iteration keeps the phase of the rebuilt spectrogram after a step back along the previous
    one, c = r_n - a r_(n-1) with a = 0.99 / 1.99; silent bins stay silent.

    Args:
        magnitude: (batch, bin, frame), not negative.
        geometry: Lengths of the transform.
        start: Complex numbers whose angles are tried first, like `magnitude`.
        iterations: More is closer.

    Returns:
        (batch, sample), (frame - 1) * hop_length samples.

    References:
        Perraudin, Balazs, Sondergaard (2013), A fast Griffin-Lim algorithm, Algorithm 2, in
        torchaudio's form: its momentum is divided by 1 + momentum.
    """
    step_back = _MOMENTUM / (1 + _MOMENTUM)
    direction = start
    previous = torch.zeros_like(direction)
    for _ in range(iterations):
        rebuilt = stft(istft(magnitude * direction, geometry), geometry)
        direction = torch.sgn(torch.sub(rebuilt, previous, alpha=step_back))
        previous = rebuilt
    return istft(magnitude * direction, geometry)

"""The spectra that SS VQ-VAE hears and makes: log(1 + magnitude), and the way back.

**Conventions**: waveforms (batch, sample) at the model's rate with full scale 1, which matters
because of the 1 in the logarithm; spectra (batch, bin, frame). Frame t is centred on sample
t * hop_length, with mirrored ends.

**Source**: Cifka et al. (2021), section 3.1, and its released configuration (16 kHz, windows of
2,000 samples in transforms of 2,048, every 500).
"""

from __future__ import annotations

import torch
from torch import Tensor

from methods.phase import Geometry, retrieve_phase, stft

RELEASED = Geometry(sample_rate=16_000, n_fft=2048, win_length=2000, hop_length=500)


def log_spectra(waveforms: Tensor, geometry: Geometry) -> Tensor:
    """Spectra (batch, bin, 1 + sample // hop_length) of waveforms (batch, sample)."""
    return torch.log1p(stft(waveforms, geometry).abs())


def waveforms_of(
    spectra: Tensor, geometry: Geometry, generator: torch.Generator, iterations: int
) -> Tensor:
    """Waveforms (batch, (frame - 1) * hop_length) whose magnitudes are those of the spectra.

    Args:
        spectra: Values below 0 count as 0.
        geometry: Of the model.
        generator: On the CPU; for the random phases of the start.
        iterations: Of the fast Griffin-Lim algorithm; the source takes 32.
    """
    magnitude = torch.expm1(spectra.clamp_min(0.0))
    start = torch.rand(magnitude.shape, dtype=torch.complex64, generator=generator)
    return retrieve_phase(magnitude, geometry, start.to(magnitude.device), iterations)

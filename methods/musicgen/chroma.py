"""One-hot chroma, the melody condition of MusicGen melody.

**Source**: Copet et al. (2023), "Simple and Controllable Music Generation", section 2.3: the
dominant pitch class of
each frame, so that timbre is removed and melody kept. The arithmetic is that of the published
checkpoint: power spectrogram with a periodic Hann window of `n_fft` samples, Ellis' Gaussian
chroma filter bank (as in librosa), argmax.

**Conventions**: mono waveforms, axes (..., sample); chroma axes (..., frame, pitch class); pitch
class 0 is C.

**Departure**: no source separation comes first (audiocraft removes drums and bass with htdemucs;
transformers does not unless it is given stems). Scaling steps that cannot change the argmax are
left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

PITCH_CLASSES = 12
_A0_HZ = 440.0 / 16  # octave numbers count from here, as in Ellis' chroma
_CENTRE_OCTAVE = 5.0
_OCTAVE_WIDTH = 2.0


@dataclass(frozen=True, slots=True)
class ChromaSettings:
    """What decides a chroma frame: rate in Hz, window `n_fft` and `hop_length` in samples."""

    sample_rate: int
    n_fft: int
    hop_length: int


def filter_bank(settings: ChromaSettings) -> NDArray[np.float32]:
    """Return weights (pitch class, frequency bin) that fold a power spectrum into pitch classes.

    Each column is a Gaussian bump around its pitch class, one frequency bin wide, of unit length,
    weighted by a Gaussian over octaves around octave 5.
    """
    hertz = np.arange(1, settings.n_fft) * settings.sample_rate / settings.n_fft
    semitone = PITCH_CLASSES * np.log2(hertz / _A0_HZ)
    # The DC bin has no pitch: it is put one and a half octaves below the first bin.
    semitone = np.concatenate([[semitone[0] - 1.5 * PITCH_CLASSES], semitone])
    width = np.concatenate([np.maximum(np.diff(semitone), 1.0), [1.0]])
    distance = semitone[None, :] - np.arange(PITCH_CLASSES)[:, None]
    half = PITCH_CLASSES / 2
    distance = np.remainder(distance + half, PITCH_CLASSES) - half
    weights = np.exp(-0.5 * (2.0 * distance / width) ** 2)
    weights /= np.linalg.norm(weights, axis=0, keepdims=True)
    octave = semitone / PITCH_CLASSES
    weights *= np.exp(-0.5 * ((octave - _CENTRE_OCTAVE) / _OCTAVE_WIDTH) ** 2)
    weights = np.roll(weights, -3, axis=0)  # from A to C
    folded: NDArray[np.float32] = weights[:, : settings.n_fft // 2 + 1].astype(np.float32)
    return folded


def pitch_class_energy(waveform: torch.Tensor, settings: ChromaSettings) -> torch.Tensor:
    """Return the energy of each pitch class, shape (..., frame, 12), not normalised.

    A waveform shorter than the window is padded with silence on both sides.
    """
    missing = settings.n_fft - waveform.shape[-1]
    if missing > 0:
        waveform = torch.nn.functional.pad(waveform, (missing // 2, missing - missing // 2))
    window = torch.hann_window(settings.n_fft, device=waveform.device)
    spectrum = torch.stft(
        waveform,
        settings.n_fft,
        settings.hop_length,
        window=window,
        center=True,
        return_complex=True,
    )
    bank = torch.from_numpy(filter_bank(settings)).to(waveform.device)
    return torch.einsum("pf,...ft->...tp", bank, spectrum.abs() ** 2)


def dominant_pitch_class(waveform: torch.Tensor, settings: ChromaSettings) -> torch.Tensor:
    """Return the strongest pitch class, 0 to 11, of each frame (..., frame); silence gives 0."""
    return pitch_class_energy(waveform, settings).argmax(dim=-1)


def one_hot(pitch_class: torch.Tensor) -> torch.Tensor:
    """Return (..., frame, 12), a single one per frame: the `input_features` of MusicGen melody."""
    return torch.nn.functional.one_hot(pitch_class, PITCH_CLASSES).float()


def tile_to(pitch_class: torch.Tensor, num_frames: int) -> torch.Tensor:
    """Repeat the frames (last axis) up to `num_frames`: the published rule for short clips.

    The repeats lie after the end of what is generated for the clip; both reference implementations
    do this.
    """
    repeats = -(-num_frames // pitch_class.shape[-1])
    return torch.cat([pitch_class] * repeats, dim=-1)[..., :num_frames]

"""The log-mel spectrogram that AudioLDM 2 was trained on.

**Conventions**: spectrograms are float32 (frame, mel), time on rows as the model has it; values are
natural logarithms of mel magnitudes, at least log(1e-5); mel 0 is the lowest.

References:
    Liu et al. (2023), AudioLDM, arXiv 2301.12503, section 4; `TacotronSTFT` and
    `get_mel_from_wav` of the released package audioldm, with the numbers that code/models.py of
    HilaManor/AudioEditingCode gives them. Nothing of either is copied.
"""

from __future__ import annotations

import math
from functools import cache

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from methods.riffusion.longform import fade_weights, place_windows

SAMPLE_RATE = 16_000
N_FFT, HOP_LENGTH, NUM_MELS = 1024, 160, 64
LOWEST_HZ, HIGHEST_HZ = 0.0, 8_000.0
_FLOOR = 1e-5
SILENCE = math.log(_FLOOR)
SHORTEST = N_FFT // 2 + 1  # samples, of which the ends are mirrored
_PEAK, _LEAST = 0.5, 1e-8

Mel = NDArray[np.float32]


@cache
def _bank() -> torch.Tensor:
    """Mel filters (mel, bin) on Slaney's scale, each of unit area."""
    bank = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=NUM_MELS, fmin=LOWEST_HZ, fmax=HIGHEST_HZ
    )
    return torch.from_numpy(bank)


def level(waveform: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """A waveform (sample,) without its mean at a peak of .5, and the factor that undoes the peak.

    Example:
        >>> found, factor = level(np.array([1.0, 3.0], np.float32))
        >>> found.tolist(), factor
        ([-0.5, 0.5], 2.00000002)
    """
    centred = waveform - waveform.mean()
    factor = (float(np.abs(centred).max()) + _LEAST) / _PEAK
    return centred / np.float32(factor), factor


def log_mel(waveform: NDArray[np.float32]) -> Mel:
    """The spectrogram (frame, mel) of at least `SHORTEST` samples, a frame every `HOP_LENGTH`.

    Frames are centred on their samples, beyond both ends the sound is mirrored.
    """
    spectrum = torch.stft(
        torch.from_numpy(waveform),
        N_FFT,
        HOP_LENGTH,
        window=torch.hann_window(N_FFT),
        pad_mode="reflect",
        return_complex=True,
    )
    mel = (_bank() @ spectrum.abs()).clamp_min(_FLOOR).log()
    drawn: Mel = mel.T.contiguous().numpy()
    return drawn


def count_frames(num_samples: int) -> int:
    """Frames of so many samples."""
    return num_samples // HOP_LENGTH + 1


def fill_up(mel: Mel, multiple: int) -> Mel:
    """A spectrogram with silence behind it, so that its frames are a multiple of a number."""
    return np.pad(mel, ((0, -len(mel) % multiple), (0, 0)), constant_values=SILENCE)


def cut_windows(mel: Mel, window: int) -> list[Mel]:
    """The windows of a spectrogram, as `longform.place_windows` places them."""
    starts = place_windows(len(mel), window)
    return [mel] if len(starts) == 1 else [mel[start : start + window] for start in starts]


def join_windows(windows: list[Mel], frames: int) -> Mel:
    """One spectrogram of the windows that `cut_windows` made of one with so many frames.

    Where two meet, their powers fade into each other. Equal windows give that spectrogram back.
    """
    if len(windows) == 1:
        return windows[0]
    width = len(windows[0])
    # Logarithms of summed powers and of summed weights: what strong guidance makes has no bounds.
    power = np.full((frames, windows[0].shape[1]), -np.inf)
    total = np.full((frames, 1), -np.inf)
    for start, window in zip(place_windows(frames, width), windows, strict=True):
        weights = fade_weights(width, at_start=start == 0, at_end=start + width == frames)
        share, place = np.log(weights)[:, None], slice(start, start + width)
        power[place] = np.logaddexp(power[place], share + 2 * window.astype(np.float64))
        total[place] = np.logaddexp(total[place], share)
    return np.asarray((power - total) / 2, dtype=np.float32)

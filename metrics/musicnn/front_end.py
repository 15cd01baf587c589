"""The front end of MusicNN: from a sound to windows of its log-mel spectrum.

The network hears how loud a sound is, so every sound is brought to one level first. Then come the
mel bands of its training: log10(10000 m + 1) of the power m in 96 bands of Slaney's scale up to 8
kHz, every 16 ms. The network was trained on windows of 187 such frames (3 s); of a longer sound the
first, the middle and the last window are heard, and a shorter one is repeated.

Spectra are float64 and rounded at the end, so that no number of threads changes a feature; in
float32 they would be those of `librosa.feature.melspectrogram`.

**Conventions**: waveforms are float32 (sample,) at `SAMPLE_RATE`; windows float32 (window, frame,
mel).

**Source**: musicnn 0.1.0, `extractor.py` and `configuration.py`, with the defaults of librosa.
Departures: the level; mel power is not rounded to float16; ends are padded with zeros, as librosa
does since 0.10, where its releases of that time mirrored them (cosine of the two embeddings above
.99999); at most three windows, where the package takes one after the other and drops the rest.
"""

from __future__ import annotations

from functools import lru_cache

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bench.api import Audio, Json, UnsupportedError
from bench.audio import resample_waveform
from metrics.level import LEVEL_RMS, QUIETEST_RMS, root_mean_square
from metrics.musicnn.checkpoints import SAMPLE_RATE

N_FFT, HOP_LENGTH, N_MELS = 512, 256, 96
COMPRESSION = 10_000.0
WINDOW_FRAMES = 187  # 3 s, as in its training

Mono = NDArray[np.float32]
Frames = NDArray[np.float32]
Windows = NDArray[np.float32]


def level(waveform: Mono) -> Mono:
    """Bring a waveform to an RMS of `LEVEL_RMS`; it may leave [-1, 1].

    Raises:
        UnsupportedError: It is silent.

    Example:
        >>> level(np.array([0.5, -0.5], np.float32)).round(6).tolist()
        [0.07000000029802322, -0.07000000029802322]
    """
    wide = waveform.astype(np.float64)
    rms = root_mean_square(wide)
    if not rms >= QUIETEST_RMS:
        raise UnsupportedError(
            f"sound has an RMS of {rms:.1e} at {SAMPLE_RATE} Hz; below {QUIETEST_RMS:g} MusicNN "
            "hears nothing"
        )
    return np.asarray(wide * (LEVEL_RMS / rms), np.float32)


@lru_cache(maxsize=1)
def _bank() -> torch.Tensor:
    """Weights of the bins of a spectrum in each band, (bin, mel) float64."""
    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, htk=False, norm="slaney")
    return torch.from_numpy(bank.T).double()


def log_mel(waveform: Mono) -> Frames:
    """The compressed mel bands of a waveform, (frame, mel): a frame per `HOP_LENGTH` and one more.

    Frames are centred; beyond the ends lies silence.
    """
    samples = torch.from_numpy(waveform).double()
    padded = functional.pad(samples, (N_FFT // 2, N_FFT // 2))  # with zeros
    frames = padded.unfold(0, N_FFT, HOP_LENGTH)
    spectra = torch.fft.rfft(frames * torch.hann_window(N_FFT, dtype=torch.float64))
    mel = (spectra.real.square() + spectra.imag.square()) @ _bank()
    return np.asarray(torch.log10(COMPRESSION * mel + 1).float().numpy())


def cut(frames: Frames) -> Windows:
    """The first, the middle and the last window of a spectrum, fewer where they coincide.

    Args:
        frames: (frame, mel), at least one; fewer than a window are repeated to fill it.

    Example:
        >>> long, short = np.zeros((313, 96), np.float32), np.zeros((20, 96), np.float32)
        >>> [cut(frames).shape for frames in (long, long[:188], short)]
        [(3, 187, 96), (2, 187, 96), (1, 187, 96)]
    """
    filled = np.resize(frames, (max(len(frames), WINDOW_FRAMES), frames.shape[1]))
    last = len(filled) - WINDOW_FRAMES
    starts = dict.fromkeys((0, last // 2, last))
    return np.stack([filled[start : start + WINDOW_FRAMES] for start in starts])


def prepare(audio: Audio) -> Windows:
    """The windows of a sound: averaged over channels, resampled, levelled, analysed, cut.

    Args:
        audio: Finite samples, at least one; any rate and length.

    Raises:
        UnsupportedError: It is silent.
    """
    mono = resample_waveform(audio.mono, audio.sample_rate, SAMPLE_RATE)
    return cut(log_mel(level(mono)))


def describe() -> dict[str, Json]:
    """The constants of the front end, for the fingerprint of a score."""
    return {
        "resampler": "soxr HQ",
        "sample_rate": SAMPLE_RATE,
        "level_rms": LEVEL_RMS,
        "n_fft": N_FFT,
        "hop_length": HOP_LENGTH,
        "n_mels": N_MELS,
        "padding": "zeros",
        "compression": COMPRESSION,
        "window_frames": WINDOW_FRAMES,
        "windows": "first, middle, last",
        "shorter": "repeated",
    }

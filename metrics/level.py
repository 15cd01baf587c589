"""The level at which judges hear a sound: the same for all, so that loudness decides nothing.

**Conventions**: levels are root mean squares over a whole clip, where full scale is 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio
from bench.audio import resample_waveform

LEVEL_RMS = 0.07  # -23 dBFS
QUIETEST_RMS = 1e-4  # below it nothing is heard: raised, it would be the resampler's own noise
Mono = NDArray[np.float32]


def root_mean_square(mono: NDArray[np.float64]) -> float:
    """The level of samples, at least one.

    Example:
        >>> root_mean_square(np.array([0.5, -0.5]))
        0.5
    """
    return float(np.sqrt(np.mean(mono**2)))


def levelled(audio: Audio, sample_rate: int) -> Mono:
    """The mean of the channels at another rate, brought to `LEVEL_RMS`; samples may pass 1.

    Args:
        audio: Finite samples at any rate.
        sample_rate: The wanted rate, Hz.

    Returns:
        float32 (sample,); zeros where the sound lies below `QUIETEST_RMS`, and no sample where
        nothing is left of a very short one at that rate.

    Example:
        >>> loud = Audio(np.full((2, 4), -0.5, np.float32), 8000)
        >>> [f"{sample:.3f}" for sample in levelled(loud, 8000)]
        ['-0.070', '-0.070', '-0.070', '-0.070']
    """
    mono = resample_waveform(audio.mono, audio.sample_rate, sample_rate).astype(np.float64)
    rms = root_mean_square(mono) if len(mono) else 0.0
    gain = LEVEL_RMS / rms if rms >= QUIETEST_RMS else 0.0
    return np.asarray(mono * gain, np.float32)

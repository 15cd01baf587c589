"""How loud audio is, its course, and copies of another loudness.

Listeners compare the music of equally loud copies; a transfer is as loud as its content.

**Conventions**: levels in LUFS (loudness units below full scale) as ITU-R BS.1770-4 defines them.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bench.api import Audio

TARGET_LUFS = -23.0  # EBU R 128
PEAK = 0.99  # a copy is never louder than an integer file can hold
OFFSET = -0.691  # BS.1770-4, equation 2: 997 Hz at full scale reads -3.01 LUFS
ABSOLUTE_GATE = -70.0
RELATIVE_GATE = -10.0
BLOCK_S, STEP_S = 0.4, 0.1
RINGING_S = 0.2  # after an impulse, what the filters of 38 Hz and above still say is below 1e-20

Coefficients = tuple[np.ndarray, np.ndarray]


def loudness(audio: Audio) -> float:
    """Integrated, gated loudness in LUFS; -inf for silence.

    Audio shorter than a block of 0.4 s is one block. All channels have weight 1.

    References:
        ITU-R BS.1770-4, annex 1: K weighting, then blocks gated at -70 LUFS and at 10 LU below the
        mean of what remains.
    """
    powers = _block_powers(audio)
    kept = powers[_level(powers) > ABSOLUTE_GATE]
    if not len(kept):
        return -math.inf
    kept = kept[_level(kept) > float(_level(kept.mean())) + RELATIVE_GATE]
    return float(_level(kept.mean()))


def matched(audio: Audio, target: float = TARGET_LUFS) -> Audio:
    """A copy at the target loudness that fits an integer file; silence stays silence.

    Where it would clip at the target, it is softer.

    Example:
        >>> tone = Audio(np.sin(np.arange(48_000) / 7, dtype=np.float32)[None] / 9, 48_000)
        >>> round(loudness(matched(tone)), 3)
        -23.0
    """
    gain = min(gain_to(audio, target), headroom(audio, PEAK))
    return Audio((audio.waveform * gain).astype(np.float32).clip(-1, 1), audio.sample_rate)


def gain_to(audio: Audio, target: float) -> float:
    """The factor, over 0, that takes audio to a loudness in LUFS; 1 where either is silence.

    Example:
        >>> tone = Audio(np.sin(np.arange(48_000) / 7, dtype=np.float32)[None] / 9, 48_000)
        >>> round(gain_to(tone, loudness(tone) - 20), 6)
        0.1
    """
    level = loudness(audio)
    audible = math.isfinite(level) and math.isfinite(target)
    return float(10 ** ((target - level) / 20)) if audible else 1.0


def headroom(audio: Audio, peak: float) -> float:
    """The factor that takes the largest magnitude of a sample to `peak`; infinite for zeros."""
    largest = float(np.abs(audio.waveform).max(initial=0.0))
    return peak / largest if largest else math.inf


def contour(audio: Audio, block_s: float) -> np.ndarray:
    """The course of the loudness: a level in LUFS every 0.1 s, each of a block that begins there.

    Args:
        audio: The sound; all its channels count, with weight 1.
        block_s: Length of a block, seconds; 3 is "short-term" in EBU Tech 3341, 0.4 "momentary".

    Returns:
        Shape (block,), floored at the absolute gate of -70 LUFS. Shorter audio is one block.
    """
    return np.asarray(np.maximum(_level(_block_powers(audio, block_s)), ABSOLUTE_GATE))


def _level(power: np.ndarray | np.floating) -> np.ndarray:
    return OFFSET + 10 * np.log10(np.maximum(power, 1e-20))


def _block_powers(audio: Audio, block_s: float = BLOCK_S) -> np.ndarray:
    """Mean square of the K-weighted signal per block, summed over the channels."""
    weighted = _k_weighted(audio.waveform, audio.sample_rate)
    size = min(round(block_s * audio.sample_rate), audio.num_samples)
    step = max(1, round(STEP_S * audio.sample_rate))
    sums = np.concatenate([[0.0], np.cumsum((weighted**2).sum(axis=0))])
    starts = np.arange(0, audio.num_samples - size + 1, step)
    return np.asarray((sums[starts + size] - sums[starts]) / size)


def _k_weighted(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """A waveform after both filters of the K weighting, shape (channel, sample).

    The spectrum of each block, with what came before it and still rings, is multiplied by that of
    the filters (overlap-save): to import scipy.signal would take longer than to level all sounds of
    a report.
    """
    gains, ringing = _k_gains(sample_rate), round(RINGING_S * sample_rate)
    length, size = waveform.shape[1], 2 * (len(gains) - 1)
    hop = size - ringing
    padded = np.pad(waveform.astype(np.float64), ((0, 0), (ringing, -length % hop)))
    blocks = sliding_window_view(padded, size, axis=1)[:, ::hop]
    filtered = np.fft.irfft(np.fft.rfft(blocks) * gains)[..., ringing:]
    return np.asarray(filtered.reshape(len(waveform), -1)[:, :length])


@lru_cache(maxsize=16)
def _k_gains(sample_rate: int) -> np.ndarray:
    """What the K weighting makes of each bin of a block's spectrum, complex, shape (bin,)."""
    size = 1 << (4 * round(RINGING_S * sample_rate)).bit_length()
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(size))
    gains = np.ones(len(delay), dtype=np.complex128)
    for numerator, denominator in _k_weighting(sample_rate):
        gains *= np.polyval(numerator[::-1], delay) / np.polyval(denominator[::-1], delay)
    return gains


def _k_weighting(sample_rate: int) -> tuple[Coefficients, Coefficients]:
    """The two filters of the K weighting at any rate.

    BS.1770 prints coefficients for 48 kHz; these analogue prototypes give them there and are
    transformed for other rates, as De Man (2014), Evaluation of Implementations of the EBU R128
    Loudness Measurement, describes.
    """
    return _shelf(sample_rate), _high_pass(sample_rate)


def _shelf(sample_rate: int) -> Coefficients:
    """The high shelf of 4 dB that stands for the head."""
    k, q = math.tan(math.pi * 1681.974450955533 / sample_rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    norm = 1 + k / q + k * k
    numerator = (high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k)
    return np.array(numerator) / norm, _poles(k, q)


def _high_pass(sample_rate: int) -> Coefficients:
    k, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    return np.array([1.0, -2.0, 1.0]), _poles(k, q)


def _poles(k: float, q: float) -> np.ndarray:
    norm = 1 + k / q + k * k
    return np.array([1.0, 2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm])

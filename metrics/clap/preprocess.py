"""CLAP preprocessing: what happens to a waveform before a CLAP model sees it.

Published CLAP scores depend on accidents of their front ends: a clip of 5.0001 s is followed by
five seconds of digital silence where one of 4.9999 s is repeated, and a louder copy of a clip
gets another embedding. Version 1 removes both. It is recorded with every score, so that scores of
unlike preprocessing never share a column.

**Version 1** averages the channels, resamples with soxr, brings the frames that sound to one RMS
level, clips, quantises to int16, and tiles or cuts to exactly the model's window. Longer audio
becomes consecutive windows; the last one ends where the audio ends and may overlap its
predecessor, so no window ever holds padding and no length is a cliff.

**as_published** follows laion-clap 1.1.7 (`get_audio_features` and
`int16_to_float32(float32_to_int16(x))`): it leaves the level as it is, repeats a short clip a whole
number of times and fills the rest with zeros.

**Conventions**: waveforms are float32, (channel, sample) on entry and (sample,) within; levels in
dBFS, where a full-scale square wave has 0; window lengths in samples at the model's rate.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Json
from bench.audio import resample_waveform
from bench.outputs import FRAME_S, SHORTEST_S, SILENCE_DBFS, SILENT_SHARE, frame_rms

Mono = NDArray[np.float32]
Windows = NDArray[np.float32]
Mode = Literal["version_1", "as_published"]

LEVEL_DBFS = -23.0  # design: the RMS to which every clip is brought
# A frame sounds if it is at most this far below the loudest one, so that a gain changes nothing.
ACTIVE_RANGE_DB = 40.0
_INT16_SCALE = 32767.0


def active_rms(waveform: Mono, sample_rate: int) -> float:
    """RMS over the frames within `ACTIVE_RANGE_DB` of the loudest; rests do not count."""
    levels = frame_rms(waveform, sample_rate)
    active = levels[levels >= levels.max() * 10 ** (-ACTIVE_RANGE_DB / 20)]
    return float(np.sqrt(np.mean(active**2)))


def level_gain(waveform: Mono, sample_rate: int) -> float:
    """Linear gain that brings the sounding frames to `LEVEL_DBFS`; 1 for digital silence."""
    rms = active_rms(waveform, sample_rate)
    return 10 ** (LEVEL_DBFS / 20) / rms if rms > 0 else 1.0


def quantise(waveform: NDArray[np.floating]) -> Mono:
    """Clip to [-1, 1] and round to the 65,535 levels of 16-bit audio; twice is the same as once."""
    clipped = np.clip(waveform, -1.0, 1.0)
    return np.asarray(np.rint(clipped * _INT16_SCALE) / _INT16_SCALE, np.float32)


def tile_windows(waveform: Mono, window_samples: int) -> Windows:
    """Cut a waveform into windows of exactly `window_samples`, repeating a shorter one; never pads.

    Args:
        waveform: At least one sample.
        window_samples: The model's length.

    Returns:
        float32 (window, sample): ceil(length / window) windows, the last one aligned with the end
        of the audio.

    Example:
        >>> tile_windows(np.arange(3, dtype=np.float32), 5).tolist()
        [[0.0, 1.0, 2.0, 0.0, 1.0]]
        >>> tile_windows(np.arange(5, dtype=np.float32), 3).tolist()
        [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]
    """
    if not len(waveform):
        raise ValueError(
            "waveform has no samples; an empty clip cannot be tiled. Check its length."
        )
    if len(waveform) <= window_samples:
        return np.resize(waveform, (1, window_samples))
    count = -(-len(waveform) // window_samples)
    starts = np.minimum(np.arange(count) * window_samples, len(waveform) - window_samples)
    return np.stack([waveform[start : start + window_samples] for start in starts])


def repeat_pad(waveform: Mono, window_samples: int) -> Windows:
    """Repeat a waveform a whole number of times and append zeros, as laion-clap's "repeatpad" does.

    Longer audio keeps its first window (a departure: laion-clap crops at random, so that no score
    could be reproduced).

    Args:
        waveform: At least one sample.
        window_samples: The model's length.

    Returns:
        float32 (1, sample).

    Example:
        >>> repeat_pad(np.arange(1, 3, dtype=np.float32), 5).tolist()
        [[1.0, 2.0, 1.0, 2.0, 0.0]]
        >>> repeat_pad(np.arange(1, 4, dtype=np.float32), 5).tolist()
        [[1.0, 2.0, 3.0, 0.0, 0.0]]
    """
    repeated = np.tile(waveform, max(1, window_samples // len(waveform)))[:window_samples]
    padded = np.zeros((1, window_samples), np.float32)
    padded[0, : len(repeated)] = repeated
    return padded


def prepare(audio: Audio, sample_rate: int, window_samples: int) -> Windows:
    """Prepare a clip by version 1: average, resample, level, clip and quantise, tile.

    Args:
        audio: Finite samples, at least one.
        sample_rate: The model's rate in Hz.
        window_samples: The model's window at that rate.

    Returns:
        float32 (window, sample), each window of exactly `window_samples`; the same, to one
        quantisation step, for every gain of the input.
    """
    mono = resample_waveform(audio.mono, audio.sample_rate, sample_rate)
    levelled = mono.astype(np.float64) * level_gain(mono, sample_rate)
    return tile_windows(quantise(levelled), window_samples)


def prepare_as_published(audio: Audio, sample_rate: int, window_samples: int) -> Windows:
    """Prepare a clip as laion-clap 1.1.7 does: average, resample, clip, truncate to int16, pad.

    Arguments and result are those of `prepare`, but there is always one window.
    """
    mono = resample_waveform(audio.mono, audio.sample_rate, sample_rate)
    clipped = np.clip(mono, -1.0, 1.0)
    whole = (clipped * _INT16_SCALE).astype(np.int16).astype(np.float32)
    return repeat_pad(whole / np.float32(_INT16_SCALE), window_samples)


def describe(mode: Mode) -> dict[str, Json]:
    """Collect the constants of a preprocessing, for the fingerprint of a score."""
    both: dict[str, Json] = {
        "mode": mode,
        "resampler": "soxr HQ",
        "frame_s": FRAME_S,
        "silence_dbfs": SILENCE_DBFS,
        "silent_share": SILENT_SHARE,
        "shortest_s": SHORTEST_S,
    }
    if mode == "as_published":
        return {**both, "longer": "first window"}
    return {**both, "level_dbfs": LEVEL_DBFS, "active_range_db": ACTIVE_RANGE_DB}

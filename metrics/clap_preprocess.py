"""CLAP preprocessing: what happens to a waveform before a CLAP model sees it.

Published CLAP scores depend on accidents of their front ends: a clip of 5.0001 s is followed by
five seconds of digital silence where one of 4.9999 s is repeated, and a louder copy of a clip
gets another embedding. Version 1 removes both. It is recorded with every score, so that scores of
unlike preprocessing never share a column.

**Version 1**: mean of the channels, soxr resampling, one level (RMS of the frames that sound),
clipping and int16 quantisation, then tiling and cutting to exactly the model's window. Longer
audio becomes consecutive windows; the last one ends where the audio ends and may overlap its
predecessor, so no window ever holds padding and no length is a cliff.

**as_published** follows laion-clap 1.1.7 (`get_audio_features` and
`int16_to_float32(float32_to_int16(x))`): no levelling, whole repetitions, then zeros.

**Conventions**: waveforms are float32, (channel, sample) on entry and (sample,) within; levels in
dBFS, where a full-scale square wave has 0; window lengths in samples at the model's rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import soxr
from numpy.typing import NDArray

from bench.api import Audio, Json

Mono = NDArray[np.float32]
Windows = NDArray[np.float32]
Mode = Literal["version_1", "as_published"]

LEVEL_DBFS = -23.0  # design: the RMS to which every clip is brought
FRAME_S = 0.05  # frames over which level and silence are judged
# A frame sounds if it is at most this far below the loudest one, so that a gain changes nothing.
ACTIVE_RANGE_DB = 40.0
SILENCE_DBFS = -60.0  # below it a frame, or a whole clip, is silence
SILENT_SHARE = 0.95  # more silent frames than this make the clip silent
SHORTEST_S = 0.5  # shorter audio has no score
_INT16_SCALE = 32767.0
_RESAMPLER = "HQ"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A clip ready for a CLAP model.

    Args:
        windows: float32 (window, sample), each of exactly the model's length.
        gain_db: Gain applied to reach the level; 0 in `as_published`.
        clipped_share: Share of samples beyond full scale after levelling, cut to it.
    """

    windows: Windows
    gain_db: float
    clipped_share: float


def to_dbfs(rms: float) -> float:
    """Level of an RMS amplitude in dBFS; minus infinity for 0."""
    return float(20 * np.log10(rms)) if rms > 0 else -np.inf


def frame_rms(waveform: Mono, sample_rate: int) -> NDArray[np.float64]:
    """RMS of consecutive frames of `FRAME_S`; samples left over form a shorter last frame."""
    frame_length = max(1, round(FRAME_S * sample_rate))
    starts = np.arange(0, len(waveform), frame_length)
    power = np.add.reduceat(waveform.astype(np.float64) ** 2, starts)
    counts = np.minimum(frame_length, len(waveform) - starts)
    return np.asarray(np.sqrt(power / counts))


def is_silent(audio: Audio) -> bool:
    """Whether the mean of the channels counts as silence.

    True where the whole clip lies below `SILENCE_DBFS`, or more than `SILENT_SHARE` of its frames
    do. Opposite channels cancel and count as silence, because the model hears their mean.
    """
    mono = audio.mono
    if (
        not len(mono)
        or to_dbfs(float(np.sqrt(np.mean(mono.astype(np.float64) ** 2)))) < SILENCE_DBFS
    ):
        return True
    threshold = 10 ** (SILENCE_DBFS / 20)
    return bool(np.mean(frame_rms(mono, audio.sample_rate) < threshold) > SILENT_SHARE)


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
    """Clip to [-1, 1] and round to the 65,535 levels of symmetric 16-bit audio. Idempotent."""
    clipped = np.clip(waveform, -1.0, 1.0)
    return np.asarray(np.rint(clipped * _INT16_SCALE) / _INT16_SCALE, np.float32)


def resample(waveform: Mono, original_rate: int, sample_rate: int) -> Mono:
    """Resample one channel with soxr at high quality; unchanged where the rates are equal."""
    if original_rate == sample_rate:
        return waveform
    resampled = soxr.resample(waveform, original_rate, sample_rate, quality=_RESAMPLER)
    return np.asarray(resampled, np.float32)


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
    """Repeat a waveform a whole number of times, then zeros, as laion-clap's "repeatpad".

    Longer audio keeps its first window: laion crops at random, which no score can be reproduced
    from (departure).
    """
    repeated = np.tile(waveform, max(1, window_samples // len(waveform)))[:window_samples]
    padded = np.zeros((1, window_samples), np.float32)
    padded[0, : len(repeated)] = repeated
    return padded


def prepare(audio: Audio, sample_rate: int, window_samples: int) -> Prepared:
    """Apply version 1: mono, resample, level, clip and quantise, tile.

    Args:
        audio: Finite samples, at least one.
        sample_rate: The model's rate in Hz.
        window_samples: The model's window at that rate.

    Returns:
        Windows of exactly `window_samples`, the same (to one quantisation step) for every gain of
        the input.
    """
    mono = resample(audio.mono, audio.sample_rate, sample_rate)
    gain = level_gain(mono, sample_rate)
    levelled = mono.astype(np.float64) * gain
    clipped_share = float(np.mean(np.abs(levelled) > 1))
    return Prepared(tile_windows(quantise(levelled), window_samples), to_dbfs(gain), clipped_share)


def prepare_as_published(audio: Audio, sample_rate: int, window_samples: int) -> Prepared:
    """Follow laion-clap 1.1.7: mono, resample, clip, truncate to int16, repeat, pad with zeros."""
    mono = resample(audio.mono, audio.sample_rate, sample_rate)
    clipped = np.clip(mono, -1.0, 1.0)
    whole = (clipped * _INT16_SCALE).astype(np.int16).astype(np.float32)
    truncated = whole / np.float32(_INT16_SCALE)
    clipped_share = float(np.mean(np.abs(mono) > 1))
    return Prepared(repeat_pad(truncated, window_samples), 0.0, clipped_share)


def describe(mode: Mode) -> dict[str, Json]:
    """The constants of a preprocessing, for the fingerprint of a score."""
    if mode == "as_published":
        return {"mode": mode, "resampler": f"soxr {_RESAMPLER}", "longer": "first window"}
    return {
        "mode": mode,
        "resampler": f"soxr {_RESAMPLER}",
        "level_dbfs": LEVEL_DBFS,
        "frame_s": FRAME_S,
        "active_range_db": ACTIVE_RANGE_DB,
        "silence_dbfs": SILENCE_DBFS,
        "silent_share": SILENT_SHARE,
        "shortest_s": SHORTEST_S,
    }

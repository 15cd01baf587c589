"""Changes of a sound that leave its notes alone: later, softer, noisy, coded.

Changes of the notes need other notes to be played and come with the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO

import numpy as np

from bench.api import Audio
from bench.audio import fit_length

LATE_S, SOFTER_DB, SNR_DB = 0.1, 20.0, 20.0


def late(audio: Audio, seed: int) -> Audio:
    """A tenth of a second later; the end is cut."""
    del seed
    delay = round(LATE_S * audio.sample_rate)
    moved = np.pad(audio.waveform, ((0, 0), (delay, 0)))[:, : audio.num_samples]
    return Audio(moved.copy(), audio.sample_rate)


def softer(audio: Audio, seed: int) -> Audio:
    """20 dB softer."""
    del seed
    return Audio(audio.waveform * np.float32(10 ** (-SOFTER_DB / 20)), audio.sample_rate)


def noisy(audio: Audio, seed: int) -> Audio:
    """With white noise 20 dB below its level."""
    level = float(np.sqrt(np.mean(audio.waveform.astype(np.float64) ** 2)))
    noise = np.random.default_rng(seed).normal(size=audio.waveform.shape)
    noise *= level * 10 ** (-SNR_DB / 20)
    return Audio((audio.waveform + noise).astype(np.float32), audio.sample_rate)


def coded(audio: Audio, seed: int) -> Audio:
    """Through Ogg Vorbis at the library's usual quality, and back."""
    import soundfile

    del seed
    file = BytesIO()
    soundfile.write(file, audio.waveform.T, audio.sample_rate, format="OGG", subtype="VORBIS")
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32", always_2d=True)
    back = Audio(np.ascontiguousarray(decoded.T), audio.sample_rate)
    return fit_length(back, audio.num_samples)


CHANGES: Mapping[str, Callable[[Audio, int], Audio]] = {
    "late_100_ms": late,
    "softer_20_db": softer,
    "noise_20_db": noisy,
    "ogg_vorbis": coded,
}

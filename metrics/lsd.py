"""Log-spectral distance, as papers on one-shot timbre transfer report it.

Papers that have a true result to compare with print how far the spectrogram of an output lies from
that of the true result. It stands here for such comparisons and is no judge of its own: it hears
notes and timbre alike, and every shift in time as another sound.

**Measure**: O_bt and T_bt are the levels in dB of band b and frame t of the output and of the
target, both brought to one power. LSD = mean_b sqrt(mean_t (O_bt - T_bt)^2), in dB, lower is
closer, 0 for the target itself. As in the source the root is taken over time in each band; most
other definitions take it over frequency in each frame, so only values of this kind compare.

**Spectrogram**: 16 kHz, mean of the channels, root mean square 1; frames of 2048 samples every 512,
Hann, centred, ends reflected; power in 128 mel bands (Slaney) up to 8 kHz, not below 1e-10 and not
more than 80 dB below the loudest of the clip.

A silent output has no power to be brought to 1: it is scored as digital silence, -100 dB
throughout, which is farther away than any sound.

References:
    Cífka, Ozerov, Şimşekli, Richard (2021), "Self-supervised VQ-VAE for one-shot music style
    transfer", ICASSP, arXiv 2102.05749, section 5 (LSD); its evaluation notebook, github.com/
    cifkao/ss-vq-vae at f890ad5, run with librosa 0.8. Departures: samples are brought to 16 kHz by
    soxr; sums are float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from typing import final

import librosa
import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Json, Metric, Output, Profile, Score, UnsupportedError
from bench.audio import fit_length, resample_waveform
from bench.batching import in_parallel
from bench.memo import Recent
from bench.outputs import judge, require_sound

VERSION = "1"
SAMPLE_RATE = 16_000
N_FFT, HOP_LENGTH, N_MELS = 2048, 512, 128
LEAST_POWER, RANGE_DB = 1e-10, 80.0
_CLIPS = 256  # whose spectrograms are remembered, 160 kB each for five seconds

Levels = NDArray[np.float64]


@lru_cache(maxsize=1)
def _filter_bank() -> Levels:
    return np.asarray(
        librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, dtype=np.float64)
    )


def levels(audio: Audio) -> Levels:
    """The level of each band in each frame, in dB.

    Args:
        audio: Any rate, at least 0.1 s; channels are averaged, and the level does not matter.

    Returns:
        (band, frame). Bands add up their bins one after the other: a matrix product of BLAS adds in
        an order that depends on the number of threads.
    """
    mono = resample_waveform(audio.mono, audio.sample_rate, SAMPLE_RATE).astype(np.float64)
    rms = np.sqrt(np.mean(mono**2))
    at_one_power = mono / (rms + np.finfo(np.float32).eps)
    spectrum = librosa.stft(at_one_power, n_fft=N_FFT, hop_length=HOP_LENGTH, pad_mode="reflect")
    power = np.einsum("mb,bt->mt", _filter_bank(), np.ascontiguousarray(np.abs(spectrum) ** 2))
    decibels = 10 * np.log10(np.maximum(power, LEAST_POWER))
    return np.asarray(np.maximum(decibels, decibels.max() - RANGE_DB))


def log_spectral_distance(output: Levels, target: Levels) -> float:
    """The mean over bands of the root mean square difference over time, in dB, lower is closer.

    Args:
        output: (band, frame), in dB.
        target: The same; of the longer one the frames that the other lacks are left out.

    Example:
        >>> log_spectral_distance(np.zeros((2, 2)), np.array([[3.0, 3.0], [0.0, 0.0]]))
        1.5
    """
    frames = min(output.shape[1], target.shape[1])
    apart = output[:, :frames] - target[:, :frames]
    return float(np.mean(np.sqrt(np.mean(apart**2, axis=1))))


@final
class LogSpectralDistance(Metric):
    """Log-spectral distance of output and target, in dB, 0 and above, lower is closer."""

    name = "lsd"

    def __init__(self) -> None:
        self._device = "cpu"
        self._levels: Recent[Levels] = Recent(_CLIPS)

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: there is no model. Beside an accelerator, outputs are heard in threads."""
        self._device = device

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """Score each output by itself, in order."""
        return in_parallel(self._score_one, outputs, self._device)

    def fingerprint(self) -> Mapping[str, Json]:
        """Version, parameters and libraries."""
        libraries: dict[str, Json] = {name: version(name) for name in ("librosa", "soxr", "numpy")}
        return {
            "metric": self.name,
            "version": VERSION,
            "sample_rate": SAMPLE_RATE,
            "n_fft": N_FFT,
            "hop_length": HOP_LENGTH,
            "n_mels": N_MELS,
            "least_power": LEAST_POWER,
            "range_db": RANGE_DB,
            "libraries": libraries,
        }

    def _score_one(self, output: Output) -> Score:
        try:
            target = _target_of(output)
        except UnsupportedError as refusal:
            return Score(self.name, None, status="unsupported", reason=str(refusal))
        verdict = judge(self.name, output)
        if verdict is None:
            distance = self._distance(output, target)
            return Score(self.name, distance, distance)
        if verdict.status != "silent":
            return verdict
        silence = np.full_like(self._levels_of(target), 10 * np.log10(LEAST_POWER))
        farthest = log_spectral_distance(silence, self._levels_of(target))
        return replace(verdict, value=farthest, raw=farthest)

    def _distance(self, output: Output, target: Audio) -> float:
        wanted = round(target.duration_s * output.audio.sample_rate)
        as_long = fit_length(output.audio, wanted)
        return log_spectral_distance(self._levels_of(as_long), self._levels_of(target))

    def _levels_of(self, audio: Audio) -> Levels:
        return self._levels.get(audio.digest, lambda: levels(audio))


def _target_of(output: Output) -> Audio:
    if output.target is None:
        raise UnsupportedError("the dataset has no true result to compare with")
    require_sound(output.target, "target")
    return output.target

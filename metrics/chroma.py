"""Chroma similarity: whether the notes of the content are still there, whatever plays them.

CLAP hears mostly timbre, so a perfect transfer lowers CP. This measure hears pitch classes over
time and hardly any timbre.

**Measure**: c_t and o_t are the chroma vectors (12 pitch classes) of content and output in frame
t, and e_t is the content's energy in that frame. Then similarity = sum_t w_t cos(c_t, o_t) /
sum_t w_t with w_t = sqrt(e_t): loud notes count more than their tails, and rests count nothing.
The result lies in [0, 1], higher is closer. Frames are compared in place, so a shift in time counts
as a difference. A note and the same note an octave higher are alike.

References:
    Fujishima (1999), "Realtime chord recognition of musical sound", ICMC (pitch class profile);
    Ellis (2007), "Chroma feature analysis and synthesis" (the filter bank, as in librosa). The
    weighting is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version

import librosa
import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Json, Metric, Output, Profile, Score, UnsupportedError
from bench.audio import resample_waveform
from bench.batching import in_parallel
from bench.memo import Recent
from bench.outputs import judge, require_sound

VERSION = "1"
SAMPLE_RATE = 22050
N_FFT = 8192  # 2.7 Hz between bins: neighbouring semitones are told apart from about 45 Hz up
WIN_LENGTH = 4096  # 186 ms: a quaver at 160 beats per minute
HOP_LENGTH = 1024
LOWEST_HZ = 55.0  # below it hum and rumble outweigh notes
TUNING = 0.0  # no estimate: content and output share one pitch standard

REMEMBERED = 256  # clips; of each a few kilobytes are kept

Chroma = NDArray[np.float64]
_known: Recent[Chroma] = Recent(REMEMBERED)


@lru_cache(maxsize=1)
def _filter_bank() -> Chroma:
    bank = librosa.filters.chroma(sr=SAMPLE_RATE, n_fft=N_FFT, tuning=TUNING)
    frequencies = librosa.fft_frequencies(sr=SAMPLE_RATE, n_fft=N_FFT)
    return np.asarray(bank * (frequencies >= LOWEST_HZ), np.float64)


def chroma(audio: Audio) -> Chroma:
    """Energy of the 12 pitch classes, C first, per frame; that of recent sounds is remembered.

    Args:
        audio: Any rate; channels are averaged.

    Returns:
        Non-negative (pitch class, frame), in energy, every `HOP_LENGTH` samples at `SAMPLE_RATE`.
        The bins are added up one after the other: a matrix product of BLAS adds in an order that
        depends on the number of threads, and so would the last digit.
    """
    return _known.get(audio.digest, lambda: _chroma(audio))


def _chroma(audio: Audio) -> Chroma:
    mono = resample_waveform(audio.mono, audio.sample_rate, SAMPLE_RATE)
    spectrum = librosa.stft(mono, n_fft=N_FFT, hop_length=HOP_LENGTH, win_length=WIN_LENGTH)
    energy = np.ascontiguousarray(np.abs(spectrum)).astype(np.float64) ** 2
    found = np.asarray(np.einsum("cb,bt->ct", _filter_bank(), energy))
    found.flags.writeable = False  # everybody gets the same one
    return found


def frame_cosines(first: Chroma, second: Chroma) -> NDArray[np.float64]:
    """Cosine of the chroma vectors per frame, over the frames both have; 0 where one is silent."""
    frames = min(first.shape[1], second.shape[1])
    first, second = first[:, :frames], second[:, :frames]
    norms = np.linalg.norm(first, axis=0) * np.linalg.norm(second, axis=0)
    dots = np.sum(first * second, axis=0)
    cosines: NDArray[np.float64] = np.divide(dots, norms, out=np.zeros(frames), where=norms > 0)
    return cosines


def chroma_similarity(content: Audio, output: Audio) -> float:
    """Energy-weighted mean cosine of chroma frames, in [0, 1], higher is closer.

    Args:
        content: Its frames set the weights.
        output: Compared from the first sample on; its level does not matter.

    Raises:
        UnsupportedError: The content has no energy above `LOWEST_HZ`.
    """
    wanted = chroma(content)
    cosines = frame_cosines(wanted, chroma(output))
    weights = np.sqrt(wanted.sum(axis=0))[: len(cosines)]
    if not weights.sum() > 0:
        raise UnsupportedError(f"content has no energy above {LOWEST_HZ:g} Hz")
    return float(np.clip(np.sum(weights * cosines) / weights.sum(), 0.0, 1.0))


class ChromaSimilarity(Metric):
    """Chroma similarity of content and output, in [0, 1], higher is closer. Needs no model."""

    name = "chroma"

    def __init__(self) -> None:
        self._device = "cpu"

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
            "win_length": WIN_LENGTH,
            "hop_length": HOP_LENGTH,
            "lowest_hz": LOWEST_HZ,
            "tuning": TUNING,
            "libraries": libraries,
        }

    def _score_one(self, output: Output) -> Score:
        try:
            require_sound(output.content.audio, "content")
            return judge(self.name, output) or self._compare(output)
        except UnsupportedError as refusal:
            return Score(self.name, None, status="unsupported", reason=str(refusal))

    def _compare(self, output: Output) -> Score:
        similarity = chroma_similarity(output.content.audio, output.audio)
        return Score(self.name, similarity, similarity)

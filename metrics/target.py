"""Closeness to the true result, on datasets that have it: what the output should have been.

A content played by a clarinet and to be turned into a violin has a true result where the same notes
were also played by a violin. Whatever is compared with that hears music and sound at once, and no
copy of the content or of the style does well. The true results of a dataset are named by its card
(`bench.data.targets`); without one a score is unsupported.

**Measures**: `target.mel` is the mean absolute difference of log-mel spectra in dB: both sounds are
brought to one level, cut into frames, and each frame into bands; below `FLOOR_DB` all is silence.
In [0, 80], lower is closer; 80 would be full scale against silence in every band. `target.chroma`
is the chroma similarity of `metrics.chroma` to the true result, in [0, 1], higher is closer, and
`target.notes` is the F1 of notes of `metrics.pitch.notes` against it, likewise.
Sounds are compared in place, so a shift in time counts as a difference.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from typing import ClassVar, final

import librosa
import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Json, Metric, Output, Profile, Score, UnsupportedError
from bench.audio import resample_waveform
from bench.batching import in_parallel
from bench.memo import Recent
from bench.outputs import judge, require_sound
from metrics.chroma import ChromaSimilarity, chroma_similarity
from metrics.pitch.notes import Notes

VERSION = "1"
SAMPLE_RATE = 22050
N_FFT, HOP_LENGTH, N_MELS = 2048, 512, 80
LEVEL = 0.07  # root mean square, -23 dBFS
FLOOR_DB, CEILING_DB = -80.0, 0.0  # of a band's power, where a full-scale sine has 0

NO_TRUE_RESULT = "the dataset has no true result of this content in this style"
REMEMBERED = 128  # clips; of one of five seconds 140 kB are kept

LogMel = NDArray[np.float64]
_known: Recent[LogMel] = Recent(REMEMBERED)


@lru_cache(maxsize=1)
def _filter_bank() -> LogMel:
    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, norm=None)
    return np.asarray(bank, np.float64)


def log_mel(audio: Audio) -> LogMel:
    """Power of mel bands per frame in dB, between `FLOOR_DB` and `CEILING_DB`, shape (band, frame).

    Args:
        audio: Any rate and level; channels are averaged. Silence lies at the floor. The bins are
            added up one after the other, as in `metrics.chroma`. What comes of recent sounds is
            remembered.
    """
    return _known.get(audio.digest, lambda: _log_mel(audio))


def _log_mel(audio: Audio) -> LogMel:
    mono = resample_waveform(audio.mono, audio.sample_rate, SAMPLE_RATE).astype(np.float64)
    level = float(np.sqrt(np.mean(mono**2)))
    levelled = mono * (LEVEL / level) if level > 0 else mono
    spectrum = librosa.stft(levelled, n_fft=N_FFT, hop_length=HOP_LENGTH)
    amplitude = np.ascontiguousarray(np.abs(spectrum)) * (4 / N_FFT)  # the Hann window sums to half
    power = np.einsum("mb,bt->mt", _filter_bank(), amplitude**2)
    with np.errstate(divide="ignore"):
        found = np.asarray(np.clip(10 * np.log10(power), FLOOR_DB, CEILING_DB))
    found.flags.writeable = False  # everybody gets the same one
    return found


def mel_distance_db(target: Audio, output: Audio) -> float:
    """Mean absolute difference of log-mel spectra in dB, over the frames that both have.

    In [0, 80], lower is closer; symmetric.
    """
    first, second = log_mel(target), log_mel(output)
    frames = min(first.shape[1], second.shape[1])
    return float(np.mean(np.abs(first[:, :frames] - second[:, :frames])))


class TargetMetric(Metric):
    """A measure of outputs against their true results.

    A final class has a `name` and says how two sounds are compared, and by what.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._device = "cpu"

    @abstractmethod
    def compare(self, target: Audio, output: Audio) -> float:
        """The reported number; neither sound is silent or broken."""

    @abstractmethod
    def compare_silent(self, target: Audio, output: Audio) -> float:
        """The number of a silent output."""

    @abstractmethod
    def measure(self) -> Mapping[str, Json]:
        """What decides the number beside the audio."""

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: there is no model."""
        self._device = device

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """Score each output by itself, in order."""
        return in_parallel(self._score_one, outputs, self._device)

    def fingerprint(self) -> Mapping[str, Json]:
        """Name, version, parameters and libraries."""
        return {"metric": self.name, "version": VERSION, **self.measure()}

    def _score_one(self, output: Output) -> Score:
        try:
            target = _true_result(output)
        except UnsupportedError as refusal:
            return Score(self.name, None, status="unsupported", reason=str(refusal))
        judged = judge(self.name, output)
        if judged is None:
            value = self.compare(target, output.audio)
            return Score(self.name, value, value)
        if judged.status != "silent":
            return judged
        value = self.compare_silent(target, output.audio)
        return Score(self.name, value, value, "silent", judged.reason)


def _true_result(output: Output) -> Audio:
    if output.target is None:
        raise UnsupportedError(NO_TRUE_RESULT)
    require_sound(output.target, "the true result")
    return output.target


@final
class TargetMel(TargetMetric):
    """Log-mel distance from the true result in dB, in [0, 80], lower is closer."""

    name = "target.mel"

    def compare(self, target: Audio, output: Audio) -> float:
        """The distance."""
        return mel_distance_db(target, output)

    def compare_silent(self, target: Audio, output: Audio) -> float:
        """The distance from silence at the floor: failing must not look better than trying."""
        return mel_distance_db(target, Audio(np.zeros_like(output.waveform), output.sample_rate))

    def measure(self) -> Mapping[str, Json]:
        """Parameters and libraries."""
        libraries: dict[str, Json] = {name: version(name) for name in ("librosa", "soxr", "numpy")}
        return {
            "sample_rate": SAMPLE_RATE,
            "n_fft": N_FFT,
            "hop_length": HOP_LENGTH,
            "n_mels": N_MELS,
            "level": LEVEL,
            "floor_db": FLOOR_DB,
            "libraries": libraries,
        }


@final
class TargetChroma(TargetMetric):
    """Chroma similarity to the true result, in [0, 1], higher is closer."""

    name = "target.chroma"

    def compare(self, target: Audio, output: Audio) -> float:
        """The similarity."""
        return chroma_similarity(target, output)

    def compare_silent(self, target: Audio, output: Audio) -> float:
        """None at all."""
        return 0.0

    def measure(self) -> Mapping[str, Json]:
        """What `metrics.chroma` says of itself."""
        return {"measure": dict(ChromaSimilarity().fingerprint())}


@final
class TargetNotes(Metric):
    """F1 of the pitch classes that sound in true result and output, in [0, 1], higher is closer."""

    name = "target.notes"

    def __init__(self) -> None:
        self._notes = Notes()

    def load(self, profile: Profile, device: str) -> None:
        """Load the model of `notes`."""
        self._notes.load(profile, device)

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """Score each output by itself, in order, with the true result in the content's place."""
        asked = [as_content(one, one.target) for one in outputs if one.target is not None]
        answers = iter(self._notes.score(asked))
        return [self._said(next(answers) if one.target is not None else None) for one in outputs]

    def fingerprint(self) -> Mapping[str, Json]:
        """What `notes` says of itself."""
        measure = dict(self._notes.fingerprint())
        return {"metric": self.name, "version": VERSION, "measure": measure}

    def _said(self, answer: Score | None) -> Score:
        """An answer of `notes` under this name; None where there is no true result."""
        if answer is None:
            return Score(self.name, None, status="unsupported", reason=NO_TRUE_RESULT)
        if answer.status == "unsupported":
            return replace(answer, name=self.name, reason=f"of the true result: {answer.reason}")
        return replace(answer, name=self.name)


def as_content(output: Output, target: Audio) -> Output:
    """The output as if its true result, brought to the content's length, were its content."""
    content = output.content.audio
    wanted = round(content.num_samples * target.sample_rate / content.sample_rate)
    lacking = max(0, wanted - target.num_samples)
    waveform = np.pad(target.waveform[:, :wanted], ((0, 0), (0, lacking)))
    return replace(
        output, content=replace(output.content, audio=Audio(waveform, target.sample_rate))
    )

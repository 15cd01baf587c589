"""CQT-1 PCC: whether the loudest pitch moves as in the content, as papers on music editing report.

Per frame the loudest bin of a constant-Q spectrum stands for the melody; the measure is the Pearson
correlation of these series. It stands here for comparison with such papers. As a judge it is weak:
octave slips of the maximum weigh most, and a rest yields an arbitrary bin (`notes` and `melody` ask
the same question better).

**Measure**: k_t and l_t are the numbers of the loudest bins of content and output in frame t. Then
CQT1-PCC = cov(k, l) / sqrt(var(k) var(l)), in [-1, 1], higher is closer. Frames are compared in
place, the shorter series decides. A series that never moves has no correlation: a content of one
pitch and an output of one pitch are unsupported, not 0.

**Spectrum**: 16 kHz, mean of the channels, the level as it is (it changes no maximum); 121 bins
from 65 Hz up, 24 per octave, Hann, filters of one L1 norm, every 512 samples.

References:
    Sony SteerMusic (2025), arXiv 2504.10826, metric CQT1-PCC; github.com/sony/steermusic at
    67df26f, eval/CQT1_PCC.py. Departures: the constant-Q transform is librosa's, not that of
    nnAudio, and samples are brought to 16 kHz by soxr: equal in kind, not in value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import final

import librosa
import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Json, Metric, Output, Profile, Score, UnsupportedError
from bench.audio import resample_waveform
from bench.batching import in_parallel
from bench.cache import Cache
from bench.files import json_digest
from bench.memo import Recent
from bench.outputs import judge, require_sound

VERSION = "1"
SAMPLE_RATE = 16_000
HOP_LENGTH = 512  # 32 ms
LOWEST_HZ, BINS_PER_OCTAVE, NUM_BINS = 65.0, 24, 121  # up to 2080 Hz
# The lowest octave is computed at a sixteenth of the rate, in frames of 1024 samples: what is
# shorter is followed by silence up to there, which is what centred frames hear beyond an end.
_SHORTEST = 16 * 1024
_SERIES = 1024  # remembered, 1 kB each

Bins = NDArray[np.int64]


def loudest_bins(audio: Audio) -> Bins:
    """The number of the loudest bin in each frame, (frame,); 0 in digital silence.

    Args:
        audio: Any rate; channels are averaged.
    """
    mono = resample_waveform(audio.mono, audio.sample_rate, SAMPLE_RATE)
    spectrum = librosa.cqt(
        librosa.util.fix_length(mono, size=max(len(mono), _SHORTEST)),
        sr=SAMPLE_RATE,
        hop_length=HOP_LENGTH,
        fmin=LOWEST_HZ,
        n_bins=NUM_BINS,
        bins_per_octave=BINS_PER_OCTAVE,
        tuning=0.0,
        norm=1,
        window="hann",
        pad_mode="constant",
    )
    frames = 1 + len(mono) // HOP_LENGTH
    return np.asarray(np.abs(spectrum[:, :frames]).argmax(axis=0), np.int64)


def correlation(content: Bins, output: Bins) -> float:
    """Pearson correlation of two series over the frames that both have, in [-1, 1].

    Raises:
        UnsupportedError: One of them never moves.

    Example:
        >>> correlation(np.array([1, 2, 3, 9]), np.array([4, 6, 8]))
        1.0
    """
    frames = min(len(content), len(output))
    moved = []
    for what, series in (("content", content[:frames]), ("output", output[:frames])):
        if np.ptp(series) == 0:
            raise UnsupportedError(
                f"{what} has its loudest bin in one place throughout, which correlates with nothing"
            )
        moved.append(series - series.mean())
    first, second = moved
    scale = np.sqrt(np.sum(first**2) * np.sum(second**2))
    return float(np.clip(np.sum(first * second) / scale, -1.0, 1.0))


@final
class LoudestBinCorrelation(Metric):
    """CQT1-PCC of content and output, in [-1, 1], higher is closer."""

    name = "cqt1-pcc"

    def __init__(self) -> None:
        self._device = "cpu"
        self._cache: Cache | None = None
        self._series: Recent[Bins] = Recent(_SERIES)
        self._kind = f"cqt1-{json_digest(dict(self.fingerprint()))[:16]}"

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: there is no model. Beside an accelerator, outputs are heard in threads."""
        self._device, self._cache = device, Cache.default()

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """Score each output by itself, in order."""
        return in_parallel(self._score_one, outputs, self._device)

    def fingerprint(self) -> Mapping[str, Json]:
        """Version, parameters and libraries."""
        names = ("librosa", "scipy", "soxr", "numpy")
        libraries: dict[str, Json] = {name: version(name) for name in names}
        return {
            "metric": self.name,
            "version": VERSION,
            "sample_rate": SAMPLE_RATE,
            "hop_length": HOP_LENGTH,
            "lowest_hz": LOWEST_HZ,
            "bins_per_octave": BINS_PER_OCTAVE,
            "num_bins": NUM_BINS,
            "libraries": libraries,
        }

    def _score_one(self, output: Output) -> Score:
        try:
            require_sound(output.content.audio, "content")
            return judge(self.name, output) or self._compare(output)
        except UnsupportedError as refusal:
            return Score(self.name, None, status="unsupported", reason=str(refusal))

    def _compare(self, output: Output) -> Score:
        found = correlation(self._bins_of(output.content.audio), self._bins_of(output.audio))
        return Score(self.name, found, found)

    def _bins_of(self, audio: Audio) -> Bins:
        return self._series.get(audio.digest, lambda: self._stored_bins(audio))

    def _stored_bins(self, audio: Audio) -> Bins:
        stored = self._cache.load_array(self._kind, audio.digest) if self._cache else None
        if stored is not None:
            return np.asarray(stored, np.int64)
        found = loudest_bins(audio)
        if self._cache:
            self._cache.save_array(self._kind, audio.digest, found)
        return found

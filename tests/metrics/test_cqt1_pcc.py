"""CQT1-PCC against scipy's correlation of librosa's loudest bins, and melodies that are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import librosa
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import pearsonr

from bench.api import Audio, Clip, Output, Score, Style, UnsupportedError
from bench.audio import resample_waveform
from bench.cache import Cache
from bench.doctor.reference import sounds
from metrics.cqt1_pcc import (
    BINS_PER_OCTAVE,
    LOWEST_HZ,
    SAMPLE_RATE,
    LoudestBinCorrelation,
    correlation,
    loudest_bins,
)
from tests import rounding

ClipReader = Callable[[str, float], Clip]
STYLE = Style("none", ())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    return tmp_path


def tones(pitches: list[int], rate: int = SAMPLE_RATE) -> Audio:
    """Half a second per number of the bin, with a weaker octave."""
    time = np.arange(rate // 2) / rate
    parts = []
    for pitch in pitches:
        hz = LOWEST_HZ * 2 ** (pitch / BINS_PER_OCTAVE)
        parts.append(np.sin(2 * np.pi * hz * time) + 0.2 * np.sin(4 * np.pi * hz * time))
    return Audio((0.1 * np.concatenate(parts)).astype(np.float32)[None], rate)


def scored(content: Audio, output: Audio) -> Score:
    metric = LoudestBinCorrelation()
    metric.load("mini", "cpu")
    (score,) = metric.score([Output(Clip("content", "tone", content), STYLE, output)])
    return score


def spectrum(audio: Audio) -> NDArray[np.float64]:
    mono = resample_waveform(audio.mono, audio.sample_rate, SAMPLE_RATE)
    settings = {"fmin": 65.0, "n_bins": 121, "bins_per_octave": 24, "norm": 1, "tuning": 0.0}
    return np.abs(librosa.cqt(mono, sr=SAMPLE_RATE, hop_length=512, **settings))


def test_it_is_scipys_correlation_of_librosas_loudest_bins(bundled: ClipReader) -> None:
    first = bundled("content/flute/flute_morning_mood", 3.0).audio
    second = bundled("content/violin/violin_greensleeves", 3.0).audio
    wanted = pearsonr(spectrum(first).argmax(axis=0), spectrum(second).argmax(axis=0)).statistic
    score = scored(first, second)
    assert score.value == pytest.approx(wanted, abs=1e-12)
    assert score.raw == score.value
    assert abs(wanted) < 0.9


def test_the_bin_of_a_tone_is_its_number() -> None:
    pitches = [24, 36, 53, 120]
    found = loudest_bins(tones(pitches))
    middles = [round((n + 0.5) * SAMPLE_RATE / 2 / 512) for n in range(4)]
    assert found[middles].tolist() == pitches


def test_frames_are_one_more_than_whole_hops_also_in_short_clips() -> None:
    """Half a second is shorter than what the lowest octave is computed from."""
    for seconds in (0.5, 1.0, 1.1):
        audio = Audio(tones([40, 50, 60]).waveform[:, : int(seconds * SAMPLE_RATE)], SAMPLE_RATE)
        found = loudest_bins(audio)
        assert len(found) == 1 + audio.num_samples // 512
        assert found[7] == 40


def test_what_follows_a_short_clip_is_what_centred_frames_hear_beyond_its_end() -> None:
    audio = tones([40, 50, 60])
    cut = Audio(audio.waveform[:, :16_200], SAMPLE_RATE)
    longer = Audio(np.pad(cut.waveform, ((0, 0), (0, 4000))), SAMPLE_RATE)
    assert loudest_bins(cut).tolist() == loudest_bins(longer)[: 1 + 16_200 // 512].tolist()


def test_the_content_itself_has_1_and_level_does_not_matter() -> None:
    content = tones([30, 40, 35, 50])
    assert scored(content, content).value == pytest.approx(1, abs=1e-12)
    quiet = Audio(content.waveform * np.float32(0.1), SAMPLE_RATE)
    assert scored(content, quiet).value == pytest.approx(1, abs=1e-12)


def test_a_melody_upside_down_has_less_than_0() -> None:
    score = scored(tones([30, 40, 50, 60]), tones([60, 50, 40, 30]))
    assert score.value is not None
    assert score.value < -0.9


def test_a_series_that_never_moves_is_declined_and_not_0() -> None:
    for which, series in (("content", (0, 1)), ("output", (1, 0))):
        pair = [np.full(9, 5), np.arange(9)]
        with pytest.raises(UnsupportedError, match=f"{which} has its loudest bin in one place"):
            correlation(pair[series[0]], pair[series[1]])
    time = np.arange(3 * SAMPLE_RATE // 2) / SAMPLE_RATE
    hz = LOWEST_HZ * 2 ** (40 / BINS_PER_OCTAVE)
    still = Audio((0.1 * np.sin(2 * np.pi * hz * time)).astype(np.float32)[None], SAMPLE_RATE)
    moving = tones([30, 40, 50])
    for content, output in ((still, moving), (moving, still)):
        assert scored(content, output).status == "unsupported"
        assert scored(content, output).value is None


def test_the_shorter_series_decides() -> None:
    assert correlation(np.array([1, 2, 3, 50]), np.array([2, 4, 6])) == pytest.approx(1)


def test_series_are_kept_on_disk_by_the_digest_of_the_sound(cache: Path) -> None:
    content, output = tones([30, 40, 50]), tones([31, 45, 50])
    first = scored(content, output)
    stored = {path.stem: path for path in cache.rglob("*.npz")}
    assert set(stored) == {content.digest, output.digest}
    kind = stored[content.digest].parent.parent.name
    Cache(cache).save_array(kind, output.digest, loudest_bins(content))
    assert first.value != scored(content, output).value == pytest.approx(1)


def test_no_loudest_bin_of_the_reference_sounds_is_a_matter_of_rounding() -> None:
    """So another machine finds the same bins, and the same score to the last digits."""
    for name, audio in sounds().items():
        ordered = np.sort(spectrum(audio), axis=0)
        margins = (ordered[-1] - ordered[-2]) / ordered[-1]
        assert margins.min() > 10 * rounding.of_fft(16384), name

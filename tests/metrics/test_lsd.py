"""Log-spectral distance against librosa's spectrograms, and sounds whose distance is known."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import pytest

from bench.api import Audio, Clip, Output, Score, Style
from bench.audio import resample_waveform
from metrics.lsd import SAMPLE_RATE, LogSpectralDistance, levels, log_spectral_distance

ClipReader = Callable[[str, float], Clip]
STYLE = Style("none", ())
RATE = 22050


def noise(seed: int, seconds: float = 1.0, rate: int = SAMPLE_RATE) -> Audio:
    samples = np.random.default_rng(seed).standard_normal((1, round(seconds * rate)))
    return Audio((0.05 * samples).astype(np.float32), rate)


def scored(output: Audio, target: Audio | None, content: Audio | None = None) -> Score:
    metric = LogSpectralDistance()
    metric.load("mini", "cpu")
    clip = Clip("content", "tone", content or output)
    (score,) = metric.score([Output(clip, STYLE, output, target=target)])
    return score


def as_published(audio: Audio) -> np.ndarray:
    """The spectrogram of the published notebook, with librosa's own functions."""
    mono = resample_waveform(audio.mono, audio.sample_rate, SAMPLE_RATE)
    mono = mono / (np.sqrt(np.mean(mono**2)) + np.finfo(mono.dtype).eps)
    power = librosa.feature.melspectrogram(y=mono, sr=SAMPLE_RATE, pad_mode="reflect")
    return np.asarray(librosa.power_to_db(power))


def test_it_is_the_published_one(bundled: ClipReader) -> None:
    """Theirs is float32: of what lies 80 dB below the loudest, a rounding is 10^4 times as much."""
    first = bundled("content/flute/flute_morning_mood", 3.0).audio
    second = bundled("content/violin/violin_greensleeves", 3.0).audio
    apart = as_published(first) - as_published(second)
    wanted = np.mean(np.sqrt(np.mean(apart**2, axis=1)))
    score = scored(first, second)
    assert score.value == pytest.approx(wanted, abs=8 * 2**-24 * 1e4)
    assert score.raw == score.value
    assert wanted > 5


def test_by_hand_from_levels() -> None:
    """Two bands, three frames: sqrt((9 + 0 + 0) / 3) and sqrt((16 + 16 + 16) / 3)."""
    output = np.array([[3.0, 1.0, 1.0], [5.0, 5.0, 5.0]])
    target = np.array([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    wanted = (math.sqrt(3) + 4) / 2
    assert log_spectral_distance(output, target) == pytest.approx(wanted, abs=1e-12)
    longer = np.hstack([target, [[77.0], [77.0]]])
    assert log_spectral_distance(output, longer) == pytest.approx(wanted, abs=1e-12)


def test_a_tone_stands_in_its_band_at_its_level() -> None:
    """A sine of power 1 has the amplitude sqrt(2), and a Hann window of 2048 sums up to 1024."""
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    bin_number = 128
    tone = np.sin(2 * np.pi * bin_number * SAMPLE_RATE / 2048 * time).astype(np.float32)[None]
    found = levels(Audio(0.1 * tone, SAMPLE_RATE))[:, 16]
    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=2048, n_mels=128)
    # The power of the bin is (1024 sqrt(2) / 2)^2 = 2^19, that of both neighbours a quarter of it.
    power = 2**19 * (bank[:, bin_number - 1 : bin_number + 2] @ [0.25, 1, 0.25])
    band = int(power.argmax())
    assert int(found.argmax()) == band
    assert found[band] == pytest.approx(10 * np.log10(power[band]), abs=0.01)
    assert found.min() == found.max() - 80


def test_the_target_itself_is_at_0_at_any_level() -> None:
    target = noise(0)
    assert scored(target, target).value == 0
    quiet = Audio(target.waveform * np.float32(0.5), SAMPLE_RATE)  # exact in float32
    assert scored(quiet, target, target).value == pytest.approx(0, abs=1e-3)


def test_without_a_target_there_is_no_number() -> None:
    score = scored(noise(0), None)
    assert (score.status, score.value) == ("unsupported", None)
    assert score.reason == "the dataset has no true result to compare with"
    silent = Audio(np.zeros((1, SAMPLE_RATE), np.float32), SAMPLE_RATE)
    assert scored(noise(0), silent).reason == "target is silent (below -60 dBFS)"


def test_a_silent_output_is_farther_than_any_sound() -> None:
    target = noise(0)
    silent = scored(Audio(np.zeros((1, SAMPLE_RATE), np.float32), SAMPLE_RATE), target)
    hushed = scored(Audio(target.waveform * np.float32(1e-3), SAMPLE_RATE), target)
    assert silent.status == hushed.status == "silent"
    assert silent.value == hushed.value
    # Every band of the target against -100 dB; noise of power 1 lies above 0 dB in each.
    assert silent.value is not None
    assert silent.value == pytest.approx(100 + levels(target).mean(), abs=2)
    assert silent.value > 3 * (scored(noise(1), target).value or 0)


def test_a_target_of_another_rate_and_length_is_compared_all_the_same() -> None:
    target = noise(0, 1.02, RATE)
    output = Audio(resample_waveform(target.mono, RATE, SAMPLE_RATE)[None, :SAMPLE_RATE], 16_000)
    score = scored(output, target, output)
    assert score.status == "ok"
    other = scored(noise(2), target)
    assert score.value is not None
    assert other.value is not None
    assert score.value < other.value / 2


THREADS = """
import sys
from pathlib import Path
from bench.audio import read_audio
from metrics.lsd import levels, log_spectral_distance
sounds = [levels(read_audio(path)) for path in sorted(Path(sys.argv[1]).rglob("*.flac"))[:4]]
print([log_spectral_distance(*pair).hex() for pair in zip(sounds, sounds[1:])])
"""


@pytest.mark.slow
def test_a_distance_does_not_depend_on_the_number_of_threads(checkout: Path) -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", THREADS, str(checkout / "datasets/mini/content")],
            env=os.environ | {"OPENBLAS_NUM_THREADS": str(number), "OMP_NUM_THREADS": str(number)},
            cwd=checkout, capture_output=True, text=True, check=True,
        ).stdout
        for number in (1, 2)
    ]  # fmt: skip
    assert said[0] == said[1]
    assert said[0].count("0x") == 3

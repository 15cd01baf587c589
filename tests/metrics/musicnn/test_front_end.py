"""The front end against librosa, golden values, levels, and what is heard of long and short."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.api import Audio, UnsupportedError
from metrics.musicnn.front_end import cut, level, log_mel, prepare
from tests import rounding

RATE = 16_000


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (0.05 * drawn).astype(np.float32)


def tone(seconds: float = 3.0) -> NDArray[np.float32]:
    place = np.arange(round(seconds * RATE))
    return (0.1 * np.sin(2 * np.pi * 440 * place / RATE)).astype(np.float32)


def impulse() -> NDArray[np.float32]:
    samples = np.zeros(RATE, np.float32)
    samples[5000] = 1.0
    return samples


def test_a_tone_has_the_golden_bands() -> None:
    bands = log_mel(tone())
    assert bands.shape == (188, 96)
    expected = [0.16452, 0.87583, 3.98086, 4.69287, 4.27690, 3.09179, 0.41594]
    assert bands[90, 10:17] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("samples", [noise(2.0), tone(), impulse(), noise(0.5)])
def test_bands_are_those_of_librosa(samples: NDArray[np.float32]) -> None:
    """Which computes in float32: a power is off by a few roundings, and so is its logarithm."""
    settings = {"sr": RATE, "n_fft": 512, "hop_length": 256, "n_mels": 96, "pad_mode": "constant"}
    power = librosa.feature.melspectrogram(y=samples, **settings)
    expected = np.log10(10_000 * power + 1).T
    found = log_mel(samples)
    assert found.dtype == np.float32
    bound = 10 * rounding.of_fft(512) + rounding.worst(8, scale=float(expected.max()))
    assert bound < 1e-4
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


def test_every_sound_is_brought_to_one_level() -> None:
    for gain in (1.0, 0.1, 30.0):
        levelled = level(noise(1.0) * np.float32(gain))
        assert np.sqrt(np.mean(levelled.astype(np.float64) ** 2)) == pytest.approx(0.07, rel=1e-6)


@pytest.mark.parametrize(("rms", "heard"), [(1.01e-4, True), (0.99e-4, False), (0.0, False)])
def test_silence_is_refused(rms: float, heard: bool) -> None:
    samples = np.full(1000, rms, np.float32)
    if heard:
        assert level(samples)[0] == pytest.approx(0.07)
    else:
        with pytest.raises(UnsupportedError, match=r"sound has an RMS of .* hears nothing"):
            level(samples)


def frames(count: int) -> NDArray[np.float32]:
    """Frames that hold their own number."""
    return np.repeat(np.arange(count, dtype=np.float32)[:, None], 96, axis=1)


@pytest.mark.parametrize(
    ("count", "starts"), [(187, [0]), (188, [0, 1]), (189, [0, 1, 2]), (313, [0, 63, 126])]
)
def test_the_first_the_middle_and_the_last_window_are_heard(count: int, starts: list[int]) -> None:
    windows = cut(frames(count))
    assert windows.shape == (len(starts), 187, 96)
    assert windows[:, 0, 0].tolist() == starts
    assert windows[-1, -1, 0] == count - 1


def test_a_short_sound_is_repeated() -> None:
    (window,) = cut(frames(80))
    assert window[:, 0].tolist() == [*range(80), *range(80), *range(27)]


def test_a_sound_of_any_rate_and_channels_is_prepared() -> None:
    for rate in (8000, 22_050, 44_100):
        mono = np.random.default_rng(0).standard_normal((1, 4 * rate)).astype(np.float32)
        assert prepare(Audio(np.concatenate([mono, mono]), rate)).shape == (3, 187, 96)

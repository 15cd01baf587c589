"""Preprocessing version 1: level, quantisation and tiling, and what laion-clap does instead."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.api import Audio
from bench.audio import resample_waveform
from metrics.clap import preprocess

RATE, WINDOW = 8000, 8000


def tone(seconds: float, *, level: float = 0.1, rate: int = RATE) -> Audio:
    time = np.arange(round(seconds * rate)) / rate
    return Audio((level * np.sin(2 * np.pi * 440 * time))[None].astype(np.float32), rate)


def decibel(waveform: NDArray[np.floating]) -> float:
    return float(10 * np.log10(np.mean(waveform.astype(np.float64) ** 2)))


def test_a_steady_tone_is_brought_to_the_level() -> None:
    prepared = preprocess.prepare(tone(1.0), RATE, WINDOW)
    assert decibel(prepared) == pytest.approx(-23.0, abs=0.01)


@pytest.mark.parametrize("gain", [0.003, 0.5, 7.0])
def test_a_gain_changes_nothing(gain: float) -> None:
    rng = np.random.default_rng(0)
    noise = (0.05 * rng.standard_normal((1, 6000))).astype(np.float32)
    louder = Audio(noise * np.float32(gain), RATE)
    first = preprocess.prepare(Audio(noise, RATE), RATE, WINDOW)
    second = preprocess.prepare(louder, RATE, WINDOW)
    assert np.abs(first - second).max() <= 1.01 / 32767


def test_rests_do_not_raise_the_level_of_the_notes() -> None:
    sounding = tone(0.5).waveform
    with_rest = Audio(np.concatenate([sounding, np.zeros((1, 4000), np.float32)], axis=1), RATE)
    prepared = preprocess.prepare(with_rest, RATE, WINDOW)[0]
    assert decibel(prepared[:4000]) == pytest.approx(-23.0, abs=0.01)


def test_preparing_twice_changes_at_most_one_step() -> None:
    once = preprocess.prepare(tone(1.0), RATE, WINDOW)
    twice = preprocess.prepare(Audio(once, RATE), RATE, WINDOW)
    assert np.abs(once - twice).max() <= 1.01 / 32767


def test_quantising_is_idempotent_symmetric_and_clips() -> None:
    waveform = np.random.default_rng(1).uniform(-1.5, 1.5, 5000)
    once = preprocess.quantise(waveform)
    assert np.array_equal(once, preprocess.quantise(once))
    assert np.array_equal(once, -preprocess.quantise(-waveform))
    assert np.abs(once).max() == 1.0
    steps = once.astype(np.float64) * 32767
    assert np.abs(steps - np.rint(steps)).max() < 0.01


@pytest.mark.parametrize("length", [1, 7999, 8000, 8001, 16000, 20001])
def test_windows_are_full_and_cover_the_audio(length: int) -> None:
    waveform = np.arange(1, length + 1, dtype=np.float32)
    windows = preprocess.tile_windows(waveform, WINDOW)
    assert windows.shape == (-(-length // WINDOW), WINDOW)
    assert windows.min() > 0  # no padding anywhere
    assert set(np.unique(windows)) == set(waveform)


def test_a_short_clip_is_repeated_from_its_start() -> None:
    windows = preprocess.tile_windows(np.array([1, 2, 3], np.float32), 7)
    assert windows.tolist() == [[1, 2, 3, 1, 2, 3, 1]]


def test_the_last_window_ends_with_the_audio() -> None:
    windows = preprocess.tile_windows(np.arange(10, dtype=np.float32), 4)
    assert windows.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [6, 7, 8, 9]]


def test_tiling_an_empty_clip_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        preprocess.tile_windows(np.zeros(0, np.float32), 4)


def test_one_sample_more_than_half_a_window_makes_no_silence() -> None:
    """The padding cliff: laion repeats int(window / length) times and fills the rest with zeros."""
    half = Audio(tone(1.0).waveform[:, :4000], RATE)
    longer = Audio(tone(1.0).waveform[:, :4001], RATE)
    assert np.any(preprocess.prepare(longer, RATE, WINDOW)[0, 4100:] != 0)
    assert np.any(preprocess.prepare_as_published(half, RATE, WINDOW)[0, 4100:] != 0)
    assert not np.any(preprocess.prepare_as_published(longer, RATE, WINDOW)[0, 4001:])


def test_as_published_follows_laions_quantisation() -> None:
    waveform = np.random.default_rng(2).uniform(-1.2, 1.2, (1, WINDOW)).astype(np.float32)
    expected = (np.clip(waveform, -1, 1) * 32767.0).astype(np.int16) / np.float32(32767.0)
    prepared = preprocess.prepare_as_published(Audio(waveform, RATE), RATE, WINDOW)
    assert np.array_equal(prepared, expected.astype(np.float32))


def test_as_published_keeps_the_level() -> None:
    prepared = preprocess.prepare_as_published(tone(1.0, level=0.5), RATE, WINDOW)
    assert decibel(prepared) == pytest.approx(20 * np.log10(0.5) - 3.01, abs=0.01)


def test_channels_are_averaged() -> None:
    left, right = tone(1.0, level=0.2).waveform, tone(1.0, level=0.1).waveform
    stereo = Audio(np.concatenate([left, right]), RATE)
    mono = Audio((left + right) / 2, RATE)
    first = preprocess.prepare(stereo, RATE, WINDOW)
    assert np.abs(first - preprocess.prepare(mono, RATE, WINDOW)).max() <= 1.01 / 32767


def test_resampling_keeps_a_tone() -> None:
    original = tone(1.0, rate=16000)
    resampled = resample_waveform(original.mono, 16000, RATE)
    expected = tone(1.0).mono
    assert len(resampled) == len(expected)
    assert np.abs(resampled - expected)[400:-400].max() < 1e-3


def test_peaks_beyond_full_scale_are_cut_to_it() -> None:
    impulses = np.full(WINDOW, 0.001, np.float32)
    impulses[::400] = 1.0
    (window,) = preprocess.prepare(Audio(impulses[None], RATE), RATE, WINDOW)
    assert np.count_nonzero(window == 1.0) == 20
    assert window.max() == 1.0

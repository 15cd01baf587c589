"""Preprocessing version 1: level, quantisation and tiling, and what laion-clap does instead."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.api import Audio
from metrics import clap_preprocess as preprocess

RATE, WINDOW = 8000, 8000


def tone(seconds: float, *, level: float = 0.1, rate: int = RATE) -> Audio:
    time = np.arange(round(seconds * rate)) / rate
    return Audio((level * np.sin(2 * np.pi * 440 * time))[None].astype(np.float32), rate)


def decibel(waveform: NDArray[np.floating]) -> float:
    return float(10 * np.log10(np.mean(waveform.astype(np.float64) ** 2)))


def test_a_steady_tone_is_brought_to_the_level() -> None:
    prepared = preprocess.prepare(tone(1.0), RATE, WINDOW)
    assert decibel(prepared.windows) == pytest.approx(-23.0, abs=0.01)


@pytest.mark.parametrize("gain", [0.003, 0.5, 7.0])
def test_a_gain_changes_nothing(gain: float) -> None:
    rng = np.random.default_rng(0)
    noise = (0.05 * rng.standard_normal((1, 6000))).astype(np.float32)
    louder = Audio(noise * np.float32(gain), RATE)
    first = preprocess.prepare(Audio(noise, RATE), RATE, WINDOW).windows
    second = preprocess.prepare(louder, RATE, WINDOW).windows
    assert np.abs(first - second).max() <= 1.01 / 32767


def test_rests_do_not_raise_the_level_of_the_notes() -> None:
    sounding = tone(0.5).waveform
    with_rest = Audio(np.concatenate([sounding, np.zeros((1, 4000), np.float32)], axis=1), RATE)
    prepared = preprocess.prepare(with_rest, RATE, WINDOW).windows[0]
    assert decibel(prepared[:4000]) == pytest.approx(-23.0, abs=0.01)


def test_preparing_twice_changes_at_most_one_step() -> None:
    once = preprocess.prepare(tone(1.0), RATE, WINDOW).windows
    twice = preprocess.prepare(Audio(once, RATE), RATE, WINDOW).windows
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
    assert np.any(preprocess.prepare(longer, RATE, WINDOW).windows[0, 4100:] != 0)
    assert np.any(preprocess.prepare_as_published(half, RATE, WINDOW).windows[0, 4100:] != 0)
    assert not np.any(preprocess.prepare_as_published(longer, RATE, WINDOW).windows[0, 4001:])


def test_as_published_follows_laions_quantisation() -> None:
    waveform = np.random.default_rng(2).uniform(-1.2, 1.2, (1, WINDOW)).astype(np.float32)
    expected = (np.clip(waveform, -1, 1) * 32767.0).astype(np.int16) / np.float32(32767.0)
    prepared = preprocess.prepare_as_published(Audio(waveform, RATE), RATE, WINDOW)
    assert np.array_equal(prepared.windows, expected.astype(np.float32))


def test_as_published_keeps_the_level() -> None:
    prepared = preprocess.prepare_as_published(tone(1.0, level=0.5), RATE, WINDOW)
    assert decibel(prepared.windows) == pytest.approx(20 * np.log10(0.5) - 3.01, abs=0.01)


def test_channels_are_averaged() -> None:
    left, right = tone(1.0, level=0.2).waveform, tone(1.0, level=0.1).waveform
    stereo = Audio(np.concatenate([left, right]), RATE)
    mono = Audio((left + right) / 2, RATE)
    first = preprocess.prepare(stereo, RATE, WINDOW).windows
    assert np.abs(first - preprocess.prepare(mono, RATE, WINDOW).windows).max() <= 1.01 / 32767


def test_resampling_keeps_a_tone() -> None:
    original = tone(1.0, rate=16000)
    resampled = preprocess.resample(original.mono, 16000, RATE)
    expected = tone(1.0).mono
    assert len(resampled) == len(expected)
    assert np.abs(resampled - expected)[400:-400].max() < 1e-3


def test_clipping_is_counted() -> None:
    impulses = np.full(WINDOW, 0.001, np.float32)
    impulses[::400] = 1.0
    assert (
        preprocess.prepare(Audio(impulses[None], RATE), RATE, WINDOW).clipped_share == 20 / WINDOW
    )


@pytest.mark.parametrize(
    ("waveform", "silent"),
    [
        (np.zeros((1, RATE)), True),
        (np.zeros((1, 0)), True),
        (np.full((1, RATE), 10 ** (-61 / 20)), True),
        (np.full((1, RATE), 10 ** (-59 / 20)), False),
        (np.stack([np.ones(RATE), -np.ones(RATE)]), True),
    ],
    ids=["zeros", "empty", "below", "above", "opposite channels"],
)
def test_silence(waveform: NDArray[np.float64], silent: bool) -> None:
    assert preprocess.is_silent(Audio(waveform.astype(np.float32), RATE)) is silent


@pytest.mark.parametrize(("sounding_frames", "silent"), [(1, True), (2, False)])
def test_a_clip_is_silent_when_nearly_all_frames_are(sounding_frames: int, silent: bool) -> None:
    waveform = np.zeros((1, 30 * 400), np.float32)
    waveform[:, : sounding_frames * 400] = 0.5
    assert preprocess.is_silent(Audio(waveform, RATE)) is silent


def test_a_leftover_frame_has_its_own_level() -> None:
    waveform = np.concatenate([np.full(400, 0.5), np.full(10, 0.25)]).astype(np.float32)
    assert preprocess.frame_rms(waveform, RATE).tolist() == pytest.approx([0.5, 0.25])

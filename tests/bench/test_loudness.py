"""Loudness against the numbers that BS.1770 and EBU Tech 3341 print."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from bench.api import Audio
from bench.loudness import _k_weighted, _k_weighting, loudness, matched


def sine(rate: int, hertz: float = 997.0, level: float = 1.0, seconds: float = 5.0) -> Audio:
    time = np.arange(round(rate * seconds)) / rate
    return Audio((level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[None], rate)


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_a_full_scale_sine_reads_minus_three(rate: int) -> None:
    assert loudness(sine(rate)) == pytest.approx(-3.01, abs=0.05)


def test_two_channels_add_their_power() -> None:
    one = sine(48000, level=10 ** (-23 / 20))
    both = Audio(np.vstack([one.waveform, one.waveform]), 48000)
    assert loudness(both) == pytest.approx(-23.0, abs=0.05)  # EBU Tech 3341, case 1


def test_the_filters_at_48_khz_are_those_printed() -> None:
    (shelf, shelf_poles), (_, pass_poles) = _k_weighting(48000)
    assert shelf == pytest.approx([1.53512485958697, -2.69169618940638, 1.19839281085285])
    assert shelf_poles == pytest.approx([1, -1.69065929318241, 0.73248077421585])
    assert pass_poles == pytest.approx([1, -1.99004745483398, 0.99007225036621])


@pytest.mark.parametrize(
    ("rate", "samples"), [(8000, 1), (16000, 999), (22050, 110250), (48000, 65536), (192000, 50000)]
)
def test_spectra_weight_as_the_recursive_filters_do(rate: int, samples: int) -> None:
    """Noise between impulses, of two channels: each ends up where the filters have it."""
    sound = np.random.default_rng(rate).uniform(-1, 1, (2, samples)).astype(np.float32)
    sound[:, samples // 3 : -samples // 3] = 0
    sound[:, :: max(1, samples // 4)] = 1
    expected = sound.astype(np.float64)
    for numerator, denominator in _k_weighting(rate):
        expected = lfilter(numerator, denominator, expected)
    # Float64, whose steps the poles near 1 enlarge by up to (rate / 240)^2.
    rounding = 64 * np.finfo(np.float64).eps * (rate / 240) ** 2
    assert _k_weighted(sound, rate) == pytest.approx(expected, abs=rounding)


def test_silence_around_the_sound_does_not_count() -> None:
    tone = sine(44100, level=0.1)
    padded = Audio(np.pad(tone.waveform, ((0, 0), (0, 10 * 44100))), 44100)
    assert loudness(padded) == pytest.approx(
        loudness(tone), abs=0.3
    )  # the edge blocks are part silent


def loud_then_soft(drop_db: float, rate: int = 48000) -> Audio:
    """A 997 Hz tone of 4 s at an amplitude of .1, then 4 s of the same, softer by `drop_db`."""
    loud = sine(rate, level=0.1, seconds=4)
    soft = sine(rate, level=0.1 * 10 ** (-drop_db / 20), seconds=4)
    return Audio(np.concatenate([loud.waveform, soft.waveform], axis=1), rate)


@pytest.mark.parametrize(
    ("drop_db", "below_mean_db", "kept"),
    [(11.7, 9.0, True), (12.5, 9.75, True), (12.9, 10.1, False), (14.0, 11.1, False)],
)
def test_blocks_of_more_than_10_lu_below_the_mean_do_not_count(
    drop_db: float, below_mean_db: float, kept: bool
) -> None:
    """BS.1770-4 in closed form: every block's power is known, relative to the loud part."""
    soft = 10 ** (-drop_db / 10)
    across = [share + (1 - share) * soft for share in (0.75, 0.5, 0.25)]  # blocks of both parts
    powers = [1.0] * 37 + across + [soft] * 37  # blocks of 0.4 s that begin every 0.1 s
    mean = sum(powers) / len(powers)
    assert -10 * math.log10(soft / mean) == pytest.approx(below_mean_db, abs=0.15)
    counted = powers if kept else powers[:40]
    expected = -3.01 - 20 + 10 * math.log10(sum(counted) / len(counted))
    assert loudness(loud_then_soft(drop_db)) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("level", [0.001, 0.05, 0.9])
def test_copies_are_equally_loud_and_silence_stays(level: float) -> None:
    assert loudness(matched(sine(22050, level=level))) == pytest.approx(-23.0, abs=1e-3)
    silent = Audio(np.zeros((1, 9000), np.float32), 22050)
    assert loudness(silent) == -math.inf
    assert np.array_equal(matched(silent).waveform, silent.waveform)


def test_a_copy_never_clips() -> None:
    clicks = np.zeros((1, 44100), np.float32)
    clicks[0, ::4410] = 0.5
    assert np.abs(matched(Audio(clicks, 44100), -10.0).waveform).max() <= 0.99001

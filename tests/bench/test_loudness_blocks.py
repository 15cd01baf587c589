"""The blocks and gates of BS.1770: sounds whose loudness follows from their parts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.api import Audio
from bench.loudness import loudness, matched

RATE = 48000


def tone(level_db: float, seconds: float) -> np.ndarray:
    """A sine of 997 Hz; at 0 dB it reads -3.01 LUFS."""
    time = np.arange(round(seconds * RATE)) / RATE
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * 997 * time)


def sound(*parts: np.ndarray) -> Audio:
    return Audio(np.concatenate(parts).astype(np.float32)[None], RATE)


def test_a_full_scale_sine_reads_the_printed_level() -> None:
    assert loudness(sound(tone(0.0, 5.0))) == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize(("lufs", "silent"), [(-70.3, True), (-69.7, False)])
def test_what_lies_below_minus_seventy_is_silence(lufs: float, silent: bool) -> None:
    assert math.isinf(loudness(sound(tone(lufs + 3.01, 5.0)))) is silent


@pytest.mark.parametrize(("below", "counted"), [(12.0, True), (13.2, False)])
def test_parts_ten_units_below_the_mean_do_not_count(below: float, counted: bool) -> None:
    """The mean of both halves lies 2.7 or 2.8 units below the loud one, the gate 10 below that."""
    audio = sound(tone(-20.0, 20.0), tone(-20.0 - below, 20.0))
    both = 10 * math.log10((1 + 10 ** (-below / 10)) / 2)
    assert loudness(audio) == pytest.approx(-23.01 + (both if counted else 0.0), abs=0.1)


def test_a_short_burst_fills_the_blocks_that_hold_it() -> None:
    """A burst of 50 ms in silence: four blocks hold it whole, at 50/400 of its power."""
    audio = sound(np.zeros(RATE), tone(-10.0, 0.05), np.zeros(RATE))
    expected = -13.01 + 10 * math.log10(0.05 / 0.4)
    assert loudness(audio) == pytest.approx(expected, abs=0.2)


def test_the_last_full_block_is_heard_though_it_starts_between_others() -> None:
    """Blocks start every 100 ms: in .5 s there are two, and the tone fills only the second."""
    audio = sound(np.zeros(RATE // 10), tone(-10.0, 0.4))
    first, second = 0.75, 1.0
    expected = -13.01 + 10 * math.log10((first + second) / 2)
    assert loudness(audio) == pytest.approx(expected, abs=0.1)


def test_a_copy_that_would_clip_has_the_highest_peak_that_fits() -> None:
    clicks = np.zeros(RATE)
    clicks[::4800] = 0.5
    copy = matched(sound(clicks), -10.0)
    assert float(np.abs(copy.waveform).max()) == pytest.approx(0.99, abs=1e-6)

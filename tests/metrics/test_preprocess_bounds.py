"""The limits of CLAP preprocessing from both sides: silence, sounding frames, rounding."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.api import Audio
from bench.outputs import is_silent
from metrics.clap.preprocess import active_rms, quantise
from tests import rounding

RATE, FRAME = 8000, 400
SAMPLES = rounding.worst(4)  # float32 samples, squared and added in float64


def frames(*levels_db: float) -> np.ndarray:
    """Frames of 50 ms of a square wave, each at a level in dBFS."""
    square = np.where(np.arange(FRAME) % 2, 1.0, -1.0)
    return np.concatenate([10 ** (level / 20) * square for level in levels_db]).astype(np.float32)


@pytest.mark.parametrize(("level_db", "silent"), [(-60.1, True), (-59.9, False)])
def test_silence_begins_below_minus_sixty(level_db: float, silent: bool) -> None:
    assert is_silent(Audio(frames(*[level_db] * 20)[None], RATE)) is silent


def test_a_clip_with_just_one_sounding_frame_in_twenty_is_not_silent() -> None:
    assert not is_silent(Audio(frames(-6.0, *[-80.0] * 19)[None], RATE))
    assert is_silent(Audio(frames(-6.0, *[-80.0] * 20)[None], RATE))


def test_frames_up_to_forty_decibels_below_the_loudest_count() -> None:
    loud = 10 ** (-6 / 20)
    near = 10 ** (-45.9 / 20)
    counted = math.sqrt((loud**2 + near**2) / 2)
    assert active_rms(frames(-6.0, -45.9), RATE) == pytest.approx(counted, rel=SAMPLES)
    assert active_rms(frames(-6.0, -46.1), RATE) == pytest.approx(loud, rel=SAMPLES)


def test_the_level_of_frames_is_that_of_their_power() -> None:
    expected = math.sqrt((1.0 + 0.25 + 0.25) / 3)
    half = 20 * math.log10(0.5)
    assert active_rms(frames(0.0, half, half), RATE) == pytest.approx(expected, rel=SAMPLES)


def test_samples_are_rounded_to_the_nearest_step() -> None:
    step = 1 / 32767
    steps = quantise(np.array([0.49, 0.51, 1.49, -0.51, -1.6]) * step).astype(np.float64) / step
    assert steps.tolist() == pytest.approx([0, 1, 1, -1, -2], abs=1e-3)

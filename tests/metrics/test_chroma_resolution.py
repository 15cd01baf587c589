"""What chroma hears of time and of low sounds, from the shape of its windows."""

from __future__ import annotations

import numpy as np
import pytest

from bench.api import Audio
from metrics.chroma import chroma, chroma_similarity

RATE = 22050
HOP, REACH = 1024, 2048  # samples between frames, and how far a frame of 4096 hears to either side


def sine(hertz: float, seconds: float = 2.0, level: float = 0.1) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return level * np.sin(2 * np.pi * hertz * time)


def sound(waveform: np.ndarray) -> Audio:
    return Audio(waveform.astype(np.float32)[None], RATE)


def test_a_frame_hears_the_samples_within_its_window_and_no_others() -> None:
    onset = 10 * HOP + 7
    energy = chroma(sound(np.concatenate([np.zeros(onset), sine(440)]))).sum(axis=0)
    centres = np.arange(len(energy)) * HOP
    assert energy.max() > 0
    assert energy[centres + REACH <= onset].max() < 1e-12 * energy.max()
    assert energy[centres + REACH > onset + 100].min() > 1e-12 * energy.max()


@pytest.mark.parametrize(("hertz", "heard"), [(40.0, False), (80.0, True)])
def test_a_loud_hum_is_heard_above_fifty_five_hertz_only(hertz: float, heard: bool) -> None:
    tone = sine(523.25, level=0.02)  # C, another pitch class than either hum
    similarity = chroma_similarity(sound(tone), sound(tone + sine(hertz, level=0.5)))
    assert (similarity < 0.1, similarity > 0.98) == (heard, not heard)

"""Half a second is the shortest output that is scored."""

from __future__ import annotations

import numpy as np
import pytest

from bench.api import Audio, Clip, Output, Style
from metrics.chroma import ChromaSimilarity

RATE = 22050


@pytest.mark.parametrize(
    ("samples", "status"),
    [(RATE // 2, "ok"), (RATE // 2 - 1, "invalid_output"), (round(0.47 * RATE), "invalid_output")],
)
def test_half_a_second_is_scored_and_less_is_not(samples: int, status: str) -> None:
    wave = (0.2 * np.sin(2 * np.pi * 440 * np.arange(samples) / RATE)).astype(np.float32)
    clip = Clip("note", "tone", Audio(wave[None], RATE))
    (score,) = ChromaSimilarity().score([Output(clip, Style("s", (clip,)), clip.audio)])
    assert score.status == status

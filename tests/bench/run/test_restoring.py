"""The limits of what counts as an output: 50 ms of difference, and not one broken sample."""

from __future__ import annotations

import numpy as np
import pytest

from bench.api import Audio
from bench.failure import Failure
from bench.outputs import restore

RATE = 16_000
CONTENT = Audio(np.full((1, RATE), 0.25, np.float32), RATE)


@pytest.mark.parametrize(
    ("milliseconds", "accepted"), [(-51, False), (-49, True), (49, True), (51, False)]
)
def test_fifty_milliseconds_more_or_less_are_corrected(milliseconds: int, accepted: bool) -> None:
    output = Audio(np.full((1, RATE + 16 * milliseconds), 0.25, np.float32), RATE)
    restored = restore(output, CONTENT, CONTENT)
    lengths = [restored.num_samples] if isinstance(restored, Audio) else []
    assert lengths == ([RATE] if accepted else [])


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_single_broken_sample_breaks_the_output(broken: float) -> None:
    waveform = CONTENT.waveform.copy()
    waveform[0, 77] = broken
    outcome = restore(Audio(waveform, RATE), CONTENT, CONTENT)
    assert isinstance(outcome, Failure)
    assert outcome.reason == "output has NaN or infinite samples"

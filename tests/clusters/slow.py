"""A method that takes its time and no processor, so that a task can be ended in its middle."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from bench.api import (
    Audio,
    FitRequest,
    MethodInfo,
    NoParameters,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)

CELL_S = 0.25


class Slow(StyleTransferMethod[NoParameters]):
    """The content at the level of the style, a quarter of a second later."""

    INFO = MethodInfo(
        title="Slow",
        conditioned_on=("style audio", "content audio"),
        fits_per_style=True,
        source="tests",
        deterministic=True,
    )

    def load(self, profile: Profile, device: str) -> None:
        """There is nothing to load."""

    def fit(
        self, requests: Sequence[FitRequest[NoParameters]], progress: Progress
    ) -> list[StyleState]:
        """Learn the level of each style."""
        time.sleep(CELL_S * len(requests))
        levels = [np.abs(r.style.clips[0].audio.waveform).max()[None] for r in requests]
        return [StyleState({"level": level}) for level in levels]

    def transfer(self, requests: Sequence[TransferRequest[NoParameters]]) -> list[Audio]:
        """Scale each content."""
        time.sleep(CELL_S * len(requests))
        return [
            Audio(
                (r.content.audio.waveform * r.state.arrays["level"] / 2).astype(np.float32),
                r.content.audio.sample_rate,
            )
            for r in requests
        ]

"""A method from outside with the two parameters of Table I, which fades from content to style."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.api import (
    Audio,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)


def note(word: str) -> None:
    """Write a call down where the test can see it."""
    with Path(os.environ["SWEPT_LOG"]).open("a", encoding="utf-8") as log:
        log.write(word + "\n")


@dataclass(frozen=True, slots=True)
class FadeParameters:
    """`steps` is learnt with; the others are applied, the last without effect."""

    steps: int = field(default=1, metadata={"role": "fit"})
    strength: float = field(default=0.5, metadata={"role": "transfer"})
    guidance_scale: float = field(default=1.0, metadata={"role": "transfer"})


class Fade(StyleTransferMethod[FadeParameters]):
    """(1 - strength) times the content plus strength times a clip of the style."""

    def load(self, profile: Profile, device: str) -> None:
        """Nothing to load."""

    def fit(
        self, requests: Sequence[FitRequest[FadeParameters]], progress: Progress
    ) -> list[StyleState]:
        for request in requests:
            note(f"fit-{request.style.id}")
        return [StyleState({"clip": r.style.clips[0].audio.waveform.copy()}) for r in requests]

    def transfer(self, requests: Sequence[TransferRequest[FadeParameters]]) -> list[Audio]:
        note(f"transfer-{len(requests)}")
        return [self._fade(request) for request in requests]

    def _fade(self, request: TransferRequest[FadeParameters]) -> Audio:
        audio, parameters = request.content.audio, request.parameters
        share = parameters.strength
        style = np.resize(request.state.arrays["clip"], audio.waveform.shape)
        mixed = (1 - share) * audio.waveform + share * style
        return Audio(mixed.astype(np.float32), audio.sample_rate)

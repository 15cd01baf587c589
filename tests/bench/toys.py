"""Small methods as somebody from outside would write them: one that works, one that does not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.api import (
    Audio,
    FitRequest,
    NoParameters,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)


def count(word: str) -> None:
    """Note a call where the test that set TOY_LOG can see it."""
    if "TOY_LOG" in os.environ:
        with Path(os.environ["TOY_LOG"]).open("a", encoding="utf-8") as log:
            log.write(word + "\n")


@dataclass(frozen=True, slots=True)
class GainParameters:
    """`offset` is learnt with, `gain` is applied."""

    offset: float = field(default=0.0, metadata={"role": "fit"})
    gain: float = field(default=0.5, metadata={"role": "transfer"})


class Gain(StyleTransferMethod[GainParameters]):
    """Scales the content to the level of the style."""

    @classmethod
    def departures(cls, parameters: GainParameters, profile: Profile) -> tuple[str, ...]:
        scaled = (f"a gain of {parameters.gain:g}",) if parameters.gain != 1 else ()
        return (f"a toy in profile {profile}", *scaled)

    def load(self, profile: Profile, device: str) -> None:
        count("load")

    def fit(
        self, requests: Sequence[FitRequest[GainParameters]], progress: Progress
    ) -> list[StyleState]:
        for request in requests:
            count(f"fit {request.style.id}")
            if request.style.heldout_clips:
                raise ValueError("a method was shown held-out clips")
        levels = [np.abs(r.style.clips[0].audio.waveform).max()[None] for r in requests]
        return [StyleState({"level": level}) for level in levels]

    def transfer(self, requests: Sequence[TransferRequest[GainParameters]]) -> list[Audio]:
        count(f"transfer {len(requests)}")
        return [self._render(request) for request in requests]

    def _render(self, request: TransferRequest[GainParameters]) -> Audio:
        parameters, audio = request.parameters, request.content.audio
        scaled = audio.waveform * (parameters.gain * request.state.arrays["level"])
        return Audio(scaled.astype(np.float32), audio.sample_rate)


class Gliding(Gain):
    """Scales the first half by the first style's level and the rest by the second's."""

    @classmethod
    def transition(cls, first: StyleState, second: StyleState) -> StyleState:
        return StyleState({"level": first.arrays["level"], "then": second.arrays["level"]})

    def _render(self, request: TransferRequest[GainParameters]) -> Audio:
        audio, levels = request.content.audio, request.state.arrays
        half = audio.num_samples // 2
        gains = np.repeat(levels["level"], audio.num_samples).astype(np.float32)
        gains[half:] = levels.get("then", levels["level"])
        return Audio(audio.waveform * gains, audio.sample_rate)


class Picky(StyleTransferMethod[NoParameters]):
    """Declines a style, raises on a content, returns NaN on one and a wrong length on another."""

    def load(self, profile: Profile, device: str) -> None:
        pass

    def fit(
        self, requests: Sequence[FitRequest[NoParameters]], progress: Progress
    ) -> list[StyleState]:
        if any(request.style.id == "noise" for request in requests):
            raise UnsupportedError("text unknown to this model")
        return [StyleState() for _ in requests]

    def transfer(self, requests: Sequence[TransferRequest[NoParameters]]) -> list[Audio]:
        return [self._render(request.content.id, request.content.audio) for request in requests]

    def _render(self, content: str, audio: Audio) -> Audio:
        if content == "low1":
            raise RuntimeError("this clip is cursed")
        waveform = np.array(audio.waveform)
        if content == "low2":
            waveform[0, 5] = np.nan
        if content == "high1":
            waveform = waveform[:, : audio.num_samples // 2]
        return Audio(waveform, audio.sample_rate)

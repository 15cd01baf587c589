"""Blend: the content with some of the style beneath it, a method of a repository of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.api import (
    Audio,
    FitRequest,
    MethodInfo,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)


@dataclass(frozen=True, slots=True)
class BlendParameters:
    """How much of the style is heard, as a share of the whole."""

    share: float = field(default=0.2, metadata={"role": "transfer"})


class Blend(StyleTransferMethod[BlendParameters]):
    """Adds the first clip of the style, repeated to the content's length."""

    INFO = MethodInfo(
        title="Blend",
        conditioned_on=("style audio", "content audio"),
        fits_per_style=True,
        source="the example of tests/ci",
        deterministic=True,
    )

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: there is no model."""

    def fit(
        self, requests: Sequence[FitRequest[BlendParameters]], progress: Progress
    ) -> list[StyleState]:
        """Keep a clip of each style."""
        return [
            StyleState({"clip": request.style.clips[0].audio.waveform[0]}) for request in requests
        ]

    def transfer(self, requests: Sequence[TransferRequest[BlendParameters]]) -> list[Audio]:
        """Add each content's style."""
        return [blended(request) for request in requests]


def blended(request: TransferRequest[BlendParameters]) -> Audio:
    """The content over its style."""
    content, share = request.content.audio, np.float32(request.parameters.share)
    beneath = np.resize(request.state.arrays["clip"], content.num_samples)[None]
    mixed = (1 - share) * content.waveform + share * beneath
    return Audio(mixed.astype(np.float32), content.sample_rate)

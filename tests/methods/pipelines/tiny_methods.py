"""Both methods on tiny pipelines, so that the contract can be asked of them."""

from __future__ import annotations

from collections.abc import Sequence

from bench.api import (
    Audio,
    FitRequest,
    MethodInfo,
    Profile,
    ProfileInfo,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from methods.pipelines.ace_step import AceStep
from methods.pipelines.parameters import AceStepParameters, StableAudioParameters
from methods.pipelines.stable_audio import StableAudio
from tests.methods.pipelines.tiny_pipelines import (
    ACE_STEP_RATE,
    STABLE_AUDIO_RATE,
    tiny_cover,
    tiny_noiser,
)


class TinyAceStep(StyleTransferMethod[AceStepParameters]):
    """ACE-Step on the tiny pipeline."""

    INFO = MethodInfo(
        title="Tiny ACE-Step",
        conditioned_on=("style audio", "style text", "content audio"),
        fits_per_style=False,
        source="random weights",
    )

    @classmethod
    def describe(cls, profile: Profile) -> ProfileInfo:
        """The rate of the tiny pipeline."""
        del profile
        return ProfileInfo(sample_rate=ACE_STEP_RATE)

    def __init__(self) -> None:
        self._method = AceStep()

    def load(self, profile: Profile, device: str) -> None:
        del profile, device
        self._method.use(tiny_cover())

    def fit(
        self, requests: Sequence[FitRequest[AceStepParameters]], progress: Progress
    ) -> list[StyleState]:
        return self._method.fit(requests, progress)

    def transfer(self, requests: Sequence[TransferRequest[AceStepParameters]]) -> list[Audio]:
        return self._method.transfer(requests)


class TinyStableAudio(StyleTransferMethod[StableAudioParameters]):
    """Stable Audio on the tiny pipeline."""

    INFO = MethodInfo(
        title="Tiny Stable Audio",
        conditioned_on=("style text", "content audio"),
        fits_per_style=False,
        source="random weights",
    )

    @classmethod
    def describe(cls, profile: Profile) -> ProfileInfo:
        """The rate of the tiny pipeline."""
        del profile
        return ProfileInfo(sample_rate=STABLE_AUDIO_RATE)

    def __init__(self) -> None:
        self._method = StableAudio()

    def load(self, profile: Profile, device: str) -> None:
        del profile, device
        self._method.use(tiny_noiser())

    def fit(
        self, requests: Sequence[FitRequest[StableAudioParameters]], progress: Progress
    ) -> list[StyleState]:
        return self._method.fit(requests, progress)

    def transfer(self, requests: Sequence[TransferRequest[StableAudioParameters]]) -> list[Audio]:
        return self._method.transfer(requests)

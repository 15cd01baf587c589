"""Controls of the pretrained networks: what their mel images leave of a sound.

VGGish and CNN14 hear 64 mel bands. The clip is turned into those bands and back into a linear
spectrogram by least squares, and its phases are found anew: no method that inverted mel images
could be better. The methods themselves optimise linear spectrograms and do not pay this price.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import numpy as np
import torch

from bench.api import (
    Audio,
    FitRequest,
    NoParameters,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from methods.gatys.rendering import draw_phases, magnitudes, read, sound
from methods.gatys.trunks import CNN14_MEL, VGGISH_MEL, MelScale

_ITERATIONS = 100


def mel_and_back(magnitude: torch.Tensor, mel: MelScale) -> torch.Tensor:
    """Magnitudes (bin, frame) from their mel bands by least squares, negative values set to 0."""
    bank = mel.bank().double()
    inverse = torch.linalg.pinv(bank)
    restored: torch.Tensor = torch.relu(inverse @ (bank @ magnitude.double()))
    return restored.to(magnitude.dtype)


def _round_trip(request: TransferRequest[NoParameters], mel: MelScale) -> Audio:
    content = request.content
    if not content.audio.waveform.any():
        return Audio(np.zeros_like(content.audio.mono[None]), mel.geometry.sample_rate)
    seen = read(content, mel.geometry, 1, "cpu")
    restored = mel_and_back(magnitudes(seen.spectrum, seen.scale), mel)
    phase = draw_phases(seen.phase, request.seed)
    return sound(restored, content, mel.geometry, phase, _ITERATIONS)


class _MelRoundTrip(StyleTransferMethod[NoParameters]):
    """The content through mel bands and back; no network is needed and nothing is learnt."""

    _mel: ClassVar[MelScale]

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: no network is needed."""

    def fit(
        self, requests: Sequence[FitRequest[NoParameters]], progress: Progress
    ) -> list[StyleState]:
        """Learn nothing: one empty state per request."""
        return [StyleState() for _ in requests]

    def transfer(self, requests: Sequence[TransferRequest[NoParameters]]) -> list[Audio]:
        """Send each content through the bands."""
        return [_round_trip(request, self._mel) for request in requests]


@final
class VggishMel(_MelRoundTrip):
    """The content through VGGish's mel bands and back."""

    _mel = VGGISH_MEL


@final
class Cnn14Mel(_MelRoundTrip):
    """The content through CNN14's mel bands and back."""

    _mel = CNN14_MEL

"""Controls of this family: codec, VAE and diffusion when no style is given.

**Contents**: `Vocoder`, `VaeRoundTrip`, `NullPrompt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch

from bench.api import (
    Audio,
    Clip,
    FitRequest,
    NoParameters,
    ParametersT,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from methods.riffusion.conditioning import ContextTable, PromptConditioning, tabulate
from methods.riffusion.longform import cut_windows, join_windows
from methods.riffusion.parameters.guided import NullPromptParameters, VocoderParameters
from methods.riffusion.rendering import (
    Painting,
    draw_image,
    load_riffusion,
    paint_over,
    sound_images,
)
from methods.riffusion.transferring import transfer_styles
from methods.riffusion.width import GreyImage, from_window, to_window


class _Styleless(StyleTransferMethod[ParametersT]):
    """A control that knows no style: it loads the family's shared model and learns nothing."""

    def load(self, profile: Profile, device: str) -> None:
        """Load the frozen model, shared with the other methods of this family."""
        self._model = load_riffusion(profile, device)

    def fit(
        self, requests: Sequence[FitRequest[ParametersT]], progress: Progress
    ) -> list[StyleState]:
        """Learn nothing: one empty state per request."""
        return [StyleState() for _ in requests]

    def _sound(
        self, requests: Sequence[TransferRequest[ParametersT]], images: Sequence[GreyImage]
    ) -> list[Audio]:
        """Audio of the images that were made of the requests' contents."""
        pairs = zip(requests, images, strict=True)
        return sound_images(
            self._model,
            [
                Painting(image, request.seed, request.content.audio.num_samples)
                for request, image in pairs
            ],
        )


@final
class Vocoder(_Styleless[VocoderParameters]):
    """Spectrogram image and back: what 8-bit mel magnitudes and Griffin-Lim lose."""

    def transfer(self, requests: Sequence[TransferRequest[VocoderParameters]]) -> list[Audio]:
        """Encode and decode each content.

        Raises:
            ContentError: A content is too short.
        """
        drawn = [(one, draw_image(self._model, one.content)) for one in requests]
        return sound_images(
            self._model,
            [paint_over(o.content, image, o.seed, o.parameters.phase) for o, image in drawn],
        )


@final
class VaeRoundTrip(_Styleless[NoParameters]):
    """Spectrogram image, VAE mode, and back: what is lost before any style enters."""

    def transfer(self, requests: Sequence[TransferRequest[NoParameters]]) -> list[Audio]:
        """Send each content through codec and VAE.

        Raises:
            ContentError: A content is too short.
        """
        return self._sound(requests, [self._round_trip(request.content) for request in requests])

    def _round_trip(self, content: Clip) -> GreyImage:
        image = draw_image(self._model, content)
        windows = cut_windows(image, self._model.codec.num_frames)
        return join_windows([self._paint(window) for window in windows], image.shape[1])

    def _paint(self, image: GreyImage) -> GreyImage:
        """One window through the VAE."""
        backbone = self._model.backbone
        window = to_window(image, self._model.codec.num_frames, "resize")
        moments = backbone.encode(torch.from_numpy(window.copy())[None])
        painted: GreyImage = backbone.decode(moments.mean)[0].numpy()
        return from_window(painted, image.shape[1], "resize")


@final
class NullPrompt(_Styleless[NullPromptParameters]):
    """The same diffusion, strength, noise and seed under the empty prompt."""

    def transfer(self, requests: Sequence[TransferRequest[NullPromptParameters]]) -> list[Audio]:
        """Render each content under the empty prompt.

        Raises:
            ContentError: A content is too short.
        """
        backbone = self._model.backbone
        tables: dict[tuple[int, ...], ContextTable] = {}

        def make_table(
            _request: TransferRequest[NullPromptParameters], visited: tuple[int, ...]
        ) -> ContextTable:
            if visited not in tables:
                tables[visited] = tabulate(PromptConditioning(backbone), visited, backbone.device)
            return tables[visited]

        return transfer_styles(self._model, requests, make_table)

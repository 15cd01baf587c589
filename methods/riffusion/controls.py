"""Controls of this family: codec, VAE and diffusion when no style is given.

**Contents**: `Vocoder`, `VaeRoundTrip`, `NullPrompt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, final

import torch

from bench.api import (
    Audio,
    Clip,
    FitRequest,
    NoParameters,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from methods.riffusion.backbone import VaeSample
from methods.riffusion.conditioning import ContextTable, PromptConditioning, tabulate
from methods.riffusion.learning import transfer_styles
from methods.riffusion.longform import cut_windows, join_windows
from methods.riffusion.rendering import (
    CanvasSettings,
    Painting,
    draw_image,
    load_riffusion,
    sound_images,
)
from methods.riffusion.stylisation import StylisationSettings, Switch
from methods.riffusion.width import GreyImage, WidthMode, from_window, to_window

_TRANSFER = {"role": "transfer"}


class _Styleless(StyleTransferMethod):
    """A control that knows no style: it loads the family's shared model and learns nothing."""

    def load(self, profile: Profile, device: str) -> None:
        """Load the frozen model, shared with the other methods of this family."""
        self._model = load_riffusion(profile, device)

    def fit(self, requests: Sequence[FitRequest], progress: Progress) -> list[StyleState]:
        """Learn nothing: one empty state per request."""
        return [StyleState() for _ in requests]

    def _sound(
        self, requests: Sequence[TransferRequest], images: Sequence[GreyImage]
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
class Vocoder(_Styleless):
    """Spectrogram image and back: what 8-bit mel magnitudes and Griffin-Lim lose."""

    Parameters: ClassVar[type] = NoParameters

    def transfer(self, requests: Sequence[TransferRequest]) -> list[Audio]:
        """Encode and decode each content.

        Raises:
            ContentError: A content is too short.
        """
        images = [draw_image(self._model, request.content) for request in requests]
        return self._sound(requests, images)


@final
class VaeRoundTrip(_Styleless):
    """Spectrogram image, VAE mode, and back: what is lost before any style enters."""

    Parameters: ClassVar[type] = NoParameters

    def transfer(self, requests: Sequence[TransferRequest]) -> list[Audio]:
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


@dataclass(frozen=True, slots=True)
class NullPromptParameters:
    """The transfer parameters of TVE that need no style, with the same defaults.

    Args:
        strength: In (0, 1).
        num_inference_steps: N, of which int(N strength) are taken.
        brs: Bias reduction, under the empty prompt.
        vae_sample: Draw the content's latents from the posterior, or take its mode.
        width_mode: resize, pad, crop, report.
        unstretch: Undo the stretching of resize.
    """

    strength: float = field(default=0.65, metadata=_TRANSFER)
    num_inference_steps: int = field(default=50, metadata=_TRANSFER)
    brs: Switch = field(default="on", metadata=_TRANSFER)
    vae_sample: VaeSample = field(default="sample", metadata=_TRANSFER)
    width_mode: WidthMode = field(default="resize", metadata=_TRANSFER)
    unstretch: bool = field(default=True, metadata=_TRANSFER)

    def __post_init__(self) -> None:
        """Check everything now, before a model is loaded."""
        self.stylisation().itinerary()

    def stylisation(self) -> StylisationSettings:
        """Without guidance: both prompts are empty, so guidance would change nothing."""
        return StylisationSettings(self.strength, 1.0, self.num_inference_steps, self.brs)

    def canvas(self) -> CanvasSettings:
        """The transfer parameters of the window."""
        return CanvasSettings(self.width_mode, self.unstretch, self.vae_sample)


@final
class NullPrompt(_Styleless):
    """The same diffusion, strength, noise and seed under the empty prompt."""

    Parameters: ClassVar[type] = NullPromptParameters

    def transfer(self, requests: Sequence[TransferRequest]) -> list[Audio]:
        """Render each content under the empty prompt.

        Raises:
            ContentError: A content is too short.
        """
        backbone = self._model.backbone
        tables: dict[tuple[int, ...], ContextTable] = {}

        def make_table(_request: TransferRequest, visited: tuple[int, ...]) -> ContextTable:
            if visited not in tables:
                tables[visited] = tabulate(PromptConditioning(backbone), visited, backbone.device)
            return tables[visited]

        return transfer_styles(self._model, requests, make_table)

"""MusicGen melody for style transfer: the style's text, the melody of the content.

**Source**: Copet et al. (2023), "Simple and Controllable Music Generation", arXiv 2306.05284; used
for style transfer as in the comparison of Li et al. (2024), arXiv 2402.13763: style text as the
prompt, content as the melody.

**Conventions**: mono at the codec's rate. The model generates the smallest whole number of code
frames that covers the content and the end is cut, so that an output has exactly the content's
samples.

Style clips are not used. Departures stand in the catalog and in `departures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

from bench.api import (
    Audio,
    FitRequest,
    ParametersT,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from methods.holding import loaded
from methods.musicgen import departures
from methods.musicgen.loading import Loaded, Vocabulary, load_folder, load_melody
from methods.musicgen.rendering import Job, render
from methods.musicgen.sampling import Parameters

__all__ = ["MelodyMethod", "MusicgenMelody", "Parameters", "Vocabulary"]


class MelodyMethod(StyleTransferMethod[ParametersT]):
    """What the methods on MusicGen melody share: the loaded model."""

    def __init__(self) -> None:
        self._loaded: Loaded | None = None
        self._profile: Profile = "full"

    def load(self, profile: Profile, device: str) -> None:
        """Load the checkpoint of the profile."""
        self._loaded = load_melody(profile, device)
        self._profile = profile

    def load_folder(self, folder: Path, device: str) -> None:
        """Load any MusicGen melody saved in the library's own layout.

        Raises:
            CheckpointError: A file is missing, the tokenizer is empty, or the rates do not agree.
        """
        self._loaded = load_folder(folder, device)

    @property
    def _ready(self) -> Loaded:
        return loaded(self._loaded)


@final
class MusicgenMelody(MelodyMethod[Parameters]):
    """MusicGen melody: text-driven, melody-conditioned generation.

    Nothing is learnt from style clips: `fit` stores the style's text. A model that declares a
    vocabulary refuses texts that name no sound it knows, because its output would be arbitrary.

    Example:
        >>> from bench.api import Clip, FitRequest, Style, TransferRequest
        >>> method = MusicgenMelody()
        >>> method.load("mini", "cpu")  # doctest: +SKIP
        >>> style = Style("organ", (), text="organ music")
        >>> states = method.fit([FitRequest(style, Parameters(), 0)], print)  # doctest: +SKIP
    """

    def fit(
        self, requests: Sequence[FitRequest[Parameters]], progress: Progress
    ) -> list[StyleState]:
        """Store each style's text.

        Raises:
            UnsupportedError: A style has no text, or one that the model does not know.
        """
        states = []
        for request in requests:
            text = (request.style.text or "").strip()
            self._ready.check_text(request.style.id, text)
            states.append(StyleState(meta={"text": text}))
        progress(1.0, "texts stored")
        return states

    def transfer(self, requests: Sequence[TransferRequest[Parameters]]) -> list[Audio]:
        """Render each content's melody with the style's text.

        Raises:
            ContentError: A content has another rate, no samples, or is longer than the window.
        """
        return render(self._ready, [self._job(request) for request in requests])

    @classmethod
    def departures(cls, parameters: Parameters, profile: Profile) -> tuple[str, ...]:
        """The mini model, and draws with other settings than published."""
        return (
            *departures.of_profile(profile),
            *departures.of_sampling(parameters, profile),
        )

    def _job(self, request: TransferRequest[Parameters]) -> Job:
        text = self._ready.tokens(str(request.state.meta["text"]))
        mask = (text != self._ready.tokenizer.pad_token_id).long()
        sampling = request.parameters.sampling(self._profile)
        return Job(request.content, request.seed, text, mask, sampling)

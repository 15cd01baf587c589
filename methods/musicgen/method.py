"""MusicGen melody for style transfer: the style's text, the melody of the content.

**Source**: Copet et al. (2023), "Simple and Controllable Music Generation", arXiv 2306.05284; used
for style transfer as in the comparison of Li et al. (2024), arXiv 2402.13763: style text as the
prompt, content as the melody.

**Conventions**: mono at the codec's rate. The model generates the smallest whole number of code
frames that covers the content and the end is cut, so that an output has exactly the content's
samples.

**Departures**: style clips are not used; no source separation before the chroma; one random stream
per clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, final

from bench.api import (
    Audio,
    ConfigError,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from methods.musicgen.generation import Sampling
from methods.musicgen.loading import Loaded, Vocabulary, load_folder, load_melody
from methods.musicgen.rendering import Job, render

__all__ = ["MelodyMethod", "MusicgenMelody", "Parameters", "Vocabulary"]

# 250 of 2,048 codes is the published setting; the mini model has 256 codes in all.
DEFAULT_TOP_K = {"full": 250, "mini": 50}


@dataclass(frozen=True, slots=True)
class Parameters:
    """Settings of MusicGen melody; the defaults are those published with the checkpoint.

    Args:
        guidance_scale: At least 1; 1 switches guidance off.
        top_k: At least 1; None takes the profile's own: 250 for full, 50 for mini.
        temperature: Positive.

    Raises:
        ConfigError: A value out of range.
    """

    guidance_scale: float = field(default=3.0, metadata={"role": "transfer"})
    top_k: int | None = field(default=None, metadata={"role": "transfer"})
    temperature: float = field(default=1.0, metadata={"role": "transfer"})

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_sampling(self.guidance_scale, self.top_k, self.temperature)


def check_sampling(guidance_scale: float, top_k: int | None, temperature: float) -> None:
    """Check what decides how codes are drawn.

    Raises:
        ConfigError: A value out of range.
    """
    if guidance_scale < 1.0:
        raise ConfigError(
            f"guidance_scale is {guidance_scale}; it must be at least 1. Use 1 for none."
        )
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top_k is {top_k}; it must be at least 1. Leave it out.")
    if temperature <= 0.0:
        raise ConfigError(f"temperature is {temperature}; it must be positive. Use 1.0.")


class MelodyMethod(StyleTransferMethod):
    """What the methods on MusicGen melody share: the loaded model and its sampling."""

    def __init__(self) -> None:
        self._loaded: Loaded | None = None
        self._top_k = DEFAULT_TOP_K["full"]

    def load(self, profile: Profile, device: str) -> None:
        """Load the checkpoint of the profile."""
        self._loaded = load_melody(profile, device)
        self._top_k = DEFAULT_TOP_K[profile]

    def load_folder(self, folder: Path, device: str) -> None:
        """Load any MusicGen melody saved in the library's own layout.

        Raises:
            CheckpointError: A file is missing, the tokenizer is empty, or the rates do not agree.
        """
        self._loaded = load_folder(folder, device)

    @property
    def _ready(self) -> Loaded:
        if self._loaded is None:
            raise ValueError("the method is not loaded; call load(profile, device) first.")
        return self._loaded


@final
class MusicgenMelody(MelodyMethod):
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

    Parameters: ClassVar[type] = Parameters

    def fit(self, requests: Sequence[FitRequest], progress: Progress) -> list[StyleState]:
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

    def transfer(self, requests: Sequence[TransferRequest]) -> list[Audio]:
        """Render each content's melody with the style's text.

        Raises:
            ContentError: A content has another rate, no samples, or is longer than the window.
        """
        return render(self._ready, [self._job(request) for request in requests])

    def _job(self, request: TransferRequest) -> Job:
        text = self._ready.tokens(str(request.state.meta["text"]))
        mask = (text != self._ready.tokenizer.pad_token_id).long()
        sampling = self._sampling(request.parameters)
        return Job(request.content, request.seed, text, mask, sampling)

    def _sampling(self, parameters: object) -> Sampling:
        if not isinstance(parameters, Parameters):
            raise TypeError(f"{parameters!r} are not the Parameters of MusicgenMelody.")
        top_k = self._top_k if parameters.top_k is None else parameters.top_k
        return Sampling(parameters.guidance_scale, top_k, parameters.temperature)

"""MusicGen melody by audiocraft: what `musicgen` is to be compared with.

**Source**: Copet et al. (2023), "Simple and Controllable Music Generation", arXiv 2306.05284, as
its authors' library generates: htdemucs takes the stems first, and the chroma is that of vocals and
others.

**Conventions**: mono at 32 kHz; an output has exactly the content's samples. Runs in the
environment of this folder, so everything but numpy is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from bench.api import (
    Audio,
    CheckpointError,
    ConfigError,
    ContentError,
    FitRequest,
    HubCheckpoint,
    Profile,
    ProfileInfo,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)
from bench.backend import fetched_folder

TITLE = "musicgen-melody-audiocraft"
RATE, WINDOW_S = 32_000, 30.0
_FRAME = 640  # samples of one code

# audiocraft asks the network for two more models when it first loads: the text encoder t5-base from
# the hub, and htdemucs, which takes drums and bass out of the content before its chroma.
MUSICGEN_MELODY = HubCheckpoint(
    id="facebook/musicgen-melody",
    revision="main",
    files=("state_dict.bin", "compression_state_dict.bin"),
    bytes=3_010_000_000,
    licence="CC-BY-NC-4.0",
    part=TITLE,
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Settings of MusicGen melody; the defaults are the library's own.

    Args:
        guidance_scale: At least 1; 1 switches guidance off.
        top_k: At least 1.
        temperature: Positive.

    Raises:
        ConfigError: A value out of range.
    """

    guidance_scale: float = field(default=3.0, metadata={"role": "transfer"})
    top_k: int = field(default=250, metadata={"role": "transfer"})
    temperature: float = field(default=1.0, metadata={"role": "transfer"})

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.guidance_scale < 1 or self.top_k < 1 or self.temperature <= 0:
            raise ConfigError(
                f"guidance_scale {self.guidance_scale}, top_k {self.top_k}, temperature "
                f"{self.temperature}: the first two must be at least 1, the last above 0. "
                "Leave them out for 3, 250 and 1."
            )


@final
class AudiocraftMelody(StyleTransferMethod[Parameters]):
    """MusicGen melody in the reference implementation: text-driven, melody-conditioned."""

    @classmethod
    def describe(cls, profile: Profile) -> ProfileInfo:
        """The same in every profile, except that only the full one has weights."""
        full = profile == "full"
        return ProfileInfo(
            sample_rate=RATE,
            longest_s=WINDOW_S,
            weights=(MUSICGEN_MELODY.name,) if full else (),
            licence=MUSICGEN_MELODY.licence,
            bandwidth_hz=RATE / 2,
            checkpoints=(MUSICGEN_MELODY,) if full else (),
        )

    def __init__(self) -> None:
        self._model: Any = None  # audiocraft.models.MusicGen

    def load(self, profile: Profile, device: str) -> None:
        """Load the published checkpoint.

        Raises:
            CheckpointError: There is no mini model in audiocraft's layout, or none was fetched.
        """
        if profile == "mini":
            raise CheckpointError(
                "musicgen@audiocraft has no mini model; it reads the published checkpoint. Use "
                "--profile full, or musicgen."
            )
        self.load_folder(fetched_folder(TITLE), device)

    def load_folder(self, folder: Path, device: str) -> None:
        """Load any MusicGen melody in audiocraft's own layout."""
        from audiocraft.models import MusicGen

        self._model = MusicGen.get_pretrained(str(folder), device=device)

    @classmethod
    def departures(cls, parameters: Parameters, profile: Profile) -> tuple[str, ...]:
        """Draws with other settings than the library's own."""
        del profile
        if parameters == Parameters():
            return ()
        drawn = (
            f"guidance {parameters.guidance_scale:g}, top_k {parameters.top_k} and temperature "
            f"{parameters.temperature:g}"
        )
        return (f"codes are drawn with {drawn}, where the library has 3, 250 and 1",)

    def fit(
        self, requests: Sequence[FitRequest[Parameters]], progress: Progress
    ) -> list[StyleState]:
        """Store each style's text.

        Raises:
            UnsupportedError: A style has no text.
        """
        for request in requests:
            if not (request.style.text or "").strip():
                raise UnsupportedError(f"style {request.style.id!r} has no text")
        progress(1.0, "texts stored")
        return [StyleState(meta={"text": request.style.text}) for request in requests]

    def transfer(self, requests: Sequence[TransferRequest[Parameters]]) -> list[Audio]:
        """Render each content's melody with the style's text.

        Raises:
            ContentError: A content has another rate, or is longer than the window.
        """
        return [self._render(request) for request in requests]

    def _render(self, request: TransferRequest[Parameters]) -> Audio:
        import torch

        audio, settings = request.content.audio, request.parameters
        self._model.set_generation_params(
            duration=duration_of(audio),
            cfg_coef=settings.guidance_scale,
            top_k=settings.top_k,
            temperature=settings.temperature,
        )
        torch.manual_seed(request.seed)
        melody = torch.from_numpy(np.array(audio.waveform))[None]
        text = str(request.state.meta["text"])
        made = self._model.generate_with_chroma([text], melody, audio.sample_rate)
        samples = made[0].mean(dim=0, keepdim=True).float().cpu().numpy()
        return Audio(np.ascontiguousarray(samples[:, : audio.num_samples]), RATE)


def duration_of(audio: Audio) -> float:
    """Seconds to ask for: the library rounds them down to codes, which must cover the content.

    Raises:
        ContentError: It has another rate, or is longer than the window.

    Example:
        >>> duration_of(Audio(np.zeros((1, 641), np.float32), RATE))
        0.05
    """
    if audio.sample_rate != RATE or audio.duration_s > WINDOW_S:
        raise ContentError(
            f"content of {audio.duration_s:.2f} s at {audio.sample_rate} Hz; MusicGen melody takes "
            f"at most {WINDOW_S:g} s at {RATE} Hz. Use --duration {WINDOW_S:g}."
        )
    codes = -(-audio.num_samples // _FRAME)
    return min((codes + 0.5) * _FRAME / RATE, WINDOW_S)

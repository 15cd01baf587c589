"""Controls that need no model: bounds to read the scores of real methods against.

A score means little alone. Returning the content unchanged preserves it perfectly, returning a
clip of the style fits the style as well as anything can, playing both at once does a little of
each without any transfer, and noise does neither. A method that does not beat the mix has not
transferred anything.

**Conventions**: waveforms are mono float32 (1, sample), nominal range [-1, 1], at the rate of the
content; levels are root mean squares over the whole clip. Nothing here imports torch.

**Contents**: `CopyContent`, `CopyStyle`, `Mix`, `Noise`, and `Oracle`, which is told the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

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
    UnsupportedError,
    Waveform,
)
from bench.audio import fit_length, resample, to_mono

__all__ = ["CopyContent", "CopyStyle", "Mix", "Noise", "Oracle"]


@final
class CopyContent(StyleTransferMethod[NoParameters]):
    """The content itself, sample by sample: the upper bound of content preservation (CP = 1)."""

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: this control has no model."""

    def fit(
        self, requests: Sequence[FitRequest[NoParameters]], progress: Progress
    ) -> list[StyleState]:
        """Learn nothing: one empty state per request."""
        return [StyleState() for _ in requests]

    def transfer(self, requests: Sequence[TransferRequest[NoParameters]]) -> list[Audio]:
        """Return a copy of each content, so that nobody can change the content through it."""
        return [_mono(request.content.audio.waveform.copy(), request) for request in requests]


@final
class CopyStyle(StyleTransferMethod[NoParameters]):
    """A recording of the style, whatever the content: the upper bound of style fit.

    It plays a held-out clip, which no method has seen and against which the style fit is scored.
    Where a style holds none out it plays a seen clip; the state's `meta["held_out"]` tells which.
    The clip is chosen by the seed of the fit, resampled to the content's rate, and cut or looped
    to the content's length. Its level is left alone.
    """

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: this control has no model."""

    def fit(
        self, requests: Sequence[FitRequest[NoParameters]], progress: Progress
    ) -> list[StyleState]:
        """Store one clip per style.

        Raises:
            UnsupportedError: A style has no clip at all.
        """
        return [_remember(request, prefer_held_out=True) for request in requests]

    def transfer(self, requests: Sequence[TransferRequest[NoParameters]]) -> list[Audio]:
        """Play the stored clip for as long as each content lasts."""
        return [_mono(_style_waveform(request), request) for request in requests]


@final
class Mix(StyleTransferMethod[NoParameters]):
    """Content and style played together at equal level: what is reached without any transfer.

    The style clip is one of those a method may learn from, brought to the root mean square of the
    content; the output is the mean of both, `(content + style) / 2`. A silent style clip leaves
    half the content.
    """

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: this control has no model."""

    def fit(
        self, requests: Sequence[FitRequest[NoParameters]], progress: Progress
    ) -> list[StyleState]:
        """Store one clip per style.

        Raises:
            UnsupportedError: A style has no clip at all.
        """
        return [_remember(request, prefer_held_out=False) for request in requests]

    def transfer(self, requests: Sequence[TransferRequest[NoParameters]]) -> list[Audio]:
        """Mix each content with the stored clip."""
        return [_mono(_mixed(request), request) for request in requests]


@final
class Noise(StyleTransferMethod[NoParameters]):
    """White noise at the level of the content: the floor of both scores.

    The noise is uniform, not normal, so that its peak is bounded by sqrt(3) times its root mean
    square and full scale is not exceeded at any usual level.
    """

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: this control has no model."""

    def fit(
        self, requests: Sequence[FitRequest[NoParameters]], progress: Progress
    ) -> list[StyleState]:
        """Learn nothing: one empty state per request."""
        return [StyleState() for _ in requests]

    def transfer(self, requests: Sequence[TransferRequest[NoParameters]]) -> list[Audio]:
        """Draw the noise of each request from its own seed."""
        return [_mono(_noise(request), request) for request in requests]


@final
class Oracle(StyleTransferMethod[NoParameters]):
    """The true result: what a perfect transfer would have made, where the dataset has it.

    What it scores is what each metric gives to a perfect transfer; a metric that ranks it below a
    copy of the content does not measure transfer.
    """

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: this control has no model."""

    def fit(
        self, requests: Sequence[FitRequest[NoParameters]], progress: Progress
    ) -> list[StyleState]:
        """Learn nothing: one empty state per request."""
        return [StyleState() for _ in requests]

    def transfer(self, requests: Sequence[TransferRequest[NoParameters]]) -> list[Audio]:
        """Return the true result of each content, at its rate and length.

        Raises:
            UnsupportedError: The dataset has none for a content.
        """
        return [_true_result(request) for request in requests]


def _true_result(request: TransferRequest[NoParameters]) -> Audio:
    content, target = request.content.audio, request.target
    if target is None:
        raise UnsupportedError(
            f"content {request.content.id!r} has no true result in this style; only datasets that "
            "play one piece on several instruments have one, such as `pairs`"
        )
    return fit_length(resample(to_mono(target), content.sample_rate), content.num_samples)


def _mono(waveform: Waveform, request: TransferRequest[NoParameters]) -> Audio:
    return Audio(waveform, request.content.audio.sample_rate)


def _remember(request: FitRequest[NoParameters], *, prefer_held_out: bool) -> StyleState:
    """Keep one clip of the style, chosen by the seed among the held-out or the seen ones."""
    style = request.style
    held_out = bool(style.heldout_clips) and (prefer_held_out or not style.clips)
    clips: tuple[Clip, ...] = style.heldout_clips if held_out else style.clips
    if not clips:
        raise UnsupportedError(
            f"style {style.id!r} has 0 clips; this control plays one. Add a clip to the style."
        )
    clip = clips[request.seed % len(clips)]
    return StyleState(
        arrays={"waveform": to_mono(clip.audio).waveform.copy()},
        meta={"sample_rate": clip.audio.sample_rate, "clip": clip.id, "held_out": held_out},
    )


def _style_waveform(request: TransferRequest[NoParameters]) -> Waveform:
    """The stored clip at the content's rate, cut or looped to its length; shape (1, sample)."""
    content = request.content.audio
    stored = np.asarray(request.state.arrays["waveform"], dtype=np.float32)
    rate = int(str(request.state.meta["sample_rate"]))
    converted = resample(Audio(stored, rate), content.sample_rate)
    return np.resize(converted.waveform, (1, content.num_samples))


def _mixed(request: TransferRequest[NoParameters]) -> Waveform:
    content = request.content.audio.waveform
    style = _style_waveform(request)
    style_level = _root_mean_square(style)
    gain = _root_mean_square(content) / style_level if style_level > 0 else 0.0
    mixed: Waveform = ((content + gain * style) / 2).astype(np.float32)
    return mixed


def _noise(request: TransferRequest[NoParameters]) -> Waveform:
    content = request.content.audio
    peak = np.sqrt(3.0) * _root_mean_square(content.waveform)
    draw = np.random.default_rng(request.seed).uniform(-1.0, 1.0, (1, content.num_samples))
    noise: Waveform = (peak * draw).astype(np.float32)
    return noise


def _root_mean_square(waveform: Waveform) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) if waveform.size else 0.0

"""Content preservation and style fit by CLAP.

CLAP score = max(0, cos(E(a), E(b))) with unit embeddings E. **CP** compares an output with its
content, **SF** with a style: the mean direction of clips held out from fitting, the mean direction
of the clips seen in fitting, or the style's text. The raw cosine is kept beside each score, because
cutting at 0 biases means.

Read together: copying the content scores CP = 1, copying the style scores SF = 1.

**Contents**: the references that an output can be compared with, as functions of a model and an
output; `ClapMetric`, which is a score against one reference on one model; and the four scores on
our own preprocessing. `metrics.clap.as_published` and `metrics.laion` have the same four on others.

References:
    Wu et al. (2023), "Large-scale contrastive language-audio pretraining with feature fusion and
    keyword-to-caption augmentation", arXiv 2211.06687; Li et al. (2024), "Music style transfer
    with time-varying inversion of diffusion models", arXiv 2402.13763, section 5.1 (CP and SF).
    Departures: preprocessing version 1 (`metrics.clap.preprocess`); held-out style clips.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from bench.api import (
    Audio,
    Clip,
    EmbeddingMetric,
    Json,
    Metric,
    Output,
    Profile,
    Score,
    Style,
    UnsupportedError,
)
from bench.batching import in_parallel
from bench.outputs import judge, require_sound, usable
from metrics.clap.directions import Embedder, Embedding, cosine, mean_direction

VERSION = "1"


def content_direction(embedder: Embedder, output: Output) -> Embedding:
    """The direction of the content.

    Raises:
        UnsupportedError: The content is silent.
    """
    require_sound(output.content.audio, "content")
    return embedder.embed_audio(output.content.audio)


def heldout_direction(embedder: Embedder, output: Output) -> Embedding:
    """The mean direction of the style clips that no method has seen.

    Raises:
        UnsupportedError: There are none, as for a style of one recording, or all are silent.
    """
    return prototype(embedder, output.style, output.style.heldout_clips, "held-out clips")


def seen_direction(embedder: Embedder, output: Output) -> Embedding:
    """The mean direction of the style clips that methods learnt from.

    Raises:
        UnsupportedError: There are none, or all are silent.
    """
    return prototype(embedder, output.style, output.style.clips, "clips")


def text_direction(embedder: Embedder, output: Output) -> Embedding:
    """The direction of the style's text as it stands, without a template.

    Raises:
        UnsupportedError: The style has no text, or the model does not know a word of it.
    """
    if output.style.text is None:
        raise UnsupportedError(f"style {output.style.id!r} has no text")
    return embedder.embed_text(output.style.text)


def prototype(embedder: Embedder, style: Style, clips: Sequence[Clip], what: str) -> Embedding:
    """The mean direction of clips that can stand for their style: silent ones are left out.

    Args:
        embedder: Embeds each clip.
        style: The style, for messages.
        clips: Some of its clips.
        what: Which of them, in words.

    Raises:
        UnsupportedError: There are none, or none can be used.
    """
    if not clips:
        why = f"; left out: {'; '.join(style.left_out)}" if style.left_out else ""
        raise UnsupportedError(f"style {style.id!r} has no {what}{why}")
    found = usable(clips, f"style {style.id!r}, {what}")
    return mean_direction(embedder.embed_all([clip.audio for clip in found]))


def to_score(name: str, raw: float) -> Score:
    """The score of a cosine: max(0, raw), with raw kept."""
    return Score(name, max(0.0, raw), raw)


class ClapMetric(Metric):
    """A CLAP score of outputs against one reference, on one model.

    A final class has a `name` and names its `reference`, one of the functions of this module; its
    model comes from `open_embedder` of the base class that it shares with its siblings.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._embedder: Embedder | None = None
        self._device = "cpu"

    @abstractmethod
    def open_embedder(self, profile: Profile, device: str) -> Embedder:
        """Load the model.

        Raises:
            CheckpointError: The checkpoint is missing or incomplete.
        """

    @staticmethod
    @abstractmethod
    def reference(embedder: Embedder, output: Output) -> Embedding:
        """The direction that the output is compared with.

        Raises:
            UnsupportedError: There is no such reference for this output.
        """

    def load(self, profile: Profile, device: str) -> None:
        """Load the model of the profile."""
        self._embedder, self._device = self.open_embedder(profile, device), device

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """Score each output by itself, in order; sounds are embedded together."""
        verdicts = in_parallel(partial(judge, self.name), outputs, self._device)
        self.embedder.embed_all(
            [o.audio for o, verdict in zip(outputs, verdicts, strict=True) if verdict is None]
        )
        pairs = zip(outputs, verdicts, strict=True)
        return [self._score_one(output, verdict) for output, verdict in pairs]

    def fingerprint(self) -> Mapping[str, Json]:
        """Metric, version, checkpoint, preprocessing and libraries."""
        return {"metric": self.name, "version": VERSION, **self.embedder.fingerprint()}

    @property
    def embedder(self) -> Embedder:
        """The loaded model."""
        if self._embedder is None:
            raise RuntimeError(
                f"metric {self.name!r} is not loaded; call load(profile, device) first."
            )
        return self._embedder

    def _score_one(self, output: Output, verdict: Score | None) -> Score:
        try:
            reference = self.reference(self.embedder, output)
        except UnsupportedError as refusal:
            return Score(self.name, None, status="unsupported", reason=str(refusal))
        if verdict is not None:
            return verdict
        return to_score(self.name, cosine(self.embedder.embed_audio(output.audio), reference))


class OwnPreprocessing(ClapMetric):
    """A CLAP score on preprocessing version 1, which makes level and length of a clip harmless."""

    def open_embedder(self, profile: Profile, device: str) -> Embedder:
        """Load the model of the profile, which all metrics of this preprocessing share."""
        from metrics.clap.embedder import load_embedder

        return load_embedder(profile, device)


@final
class ContentPreservation(OwnPreprocessing):
    """CP: closeness of output and content, in [0, 1], higher is closer. Mostly hears timbre."""

    name = "cp"
    reference = staticmethod(content_direction)


@final
class StyleFitHeldout(OwnPreprocessing, EmbeddingMetric):
    """SF against style clips that no method has seen, in [0, 1], higher is closer."""

    EMBEDDING = "CLAP"
    name = "sf.heldout"
    reference = staticmethod(heldout_direction)

    def embed(self, audios: Sequence[Audio]) -> NDArray[np.float64]:
        """The directions of sounds, (sound, dimension), in order."""
        return np.stack(self.embedder.embed_all(audios))


@final
class StyleFitSeen(OwnPreprocessing):
    """SF against the clips that methods learnt from, in [0, 1], higher is closer."""

    name = "sf.seen"
    reference = staticmethod(seen_direction)


@final
class StyleFitText(OwnPreprocessing):
    """SF against the style's text as it stands, without a template, in [0, 1], higher is closer."""

    name = "sf.text"
    reference = staticmethod(text_direction)

"""Content preservation and style fit by CLAP.

CLAP score = max(0, cos(E(a), E(b))) with unit embeddings E. **CP** compares an output with its
content, **SF** with a style: the mean direction of clips held out from fitting, of the clips seen
in fitting, or the style's text. The raw cosine is kept beside each score, because cutting at 0
biases means.

Read together: copying the content scores CP = 1, copying the style scores SF = 1.

References:
    Wu et al. (2023), "Large-scale contrastive language-audio pretraining with feature fusion and
    keyword-to-caption augmentation", arXiv 2211.06687; Li et al. (2024), "Music style transfer
    with time-varying inversion of diffusion models", arXiv 2402.13763, section 5.1 (CP and SF).
    Departures: preprocessing version 1 (`metrics.clap_preprocess`); held-out style clips.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from bench.api import Clip, Json, Metric, Output, Profile, Score, UnsupportedError
from metrics.embeddings import Embedder, Embedding, mean_direction
from metrics.output_rules import judge, require_sound

VERSION = "1"


def cosine(first: Embedding, second: Embedding) -> float:
    """Cosine of two unit embeddings, in [-1, 1], higher is closer."""
    return max(-1.0, min(1.0, float(first @ second)))


def to_score(name: str, raw: float) -> Score:
    """The score of a cosine: max(0, raw), with raw kept."""
    return Score(name, max(0.0, raw), raw)


def prototype(embedder: Embedder, clips: Sequence[Clip]) -> Embedding:
    """The mean direction of clips: their style.

    Args:
        embedder: Embeds each clip.
        clips: At least one.
    """
    return mean_direction(embedder.embed_all([clip.audio for clip in clips]))


class ClapMetric(Metric):
    """A CLAP score against some reference; final classes say which."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self._embedder: Embedder | None = None

    def load(self, profile: Profile, device: str) -> None:
        """Load the embedder of the profile, shared with the other CLAP metrics."""
        from metrics.clap_embedder import load_embedder

        self._embedder = load_embedder(profile, device)

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """Score each output by itself, in order; sounds are embedded together."""
        verdicts = [judge(self.name, output) for output in outputs]
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
        """The loaded embedder."""
        if self._embedder is None:
            raise RuntimeError(
                f"metric {self.name!r} is not loaded; call load(profile, device) first."
            )
        return self._embedder

    @abstractmethod
    def reference(self, output: Output) -> Embedding:
        """What the output is compared with.

        Raises:
            UnsupportedError: There is no such reference for this output.
        """

    def _score_one(self, output: Output, verdict: Score | None) -> Score:
        try:
            reference = self.reference(output)
        except UnsupportedError as refusal:
            return Score(self.name, None, status="unsupported", reason=str(refusal))
        if verdict is not None:
            return verdict
        return to_score(self.name, cosine(self.embedder.embed_audio(output.audio), reference))


class ContentPreservation(ClapMetric):
    """CP: closeness of output and content, in [0, 1], higher is closer. Mostly hears timbre."""

    name = "cp"

    def reference(self, output: Output) -> Embedding:
        """The content's embedding; a silent content has none."""
        require_sound(output.content.audio, "content")
        return self.embedder.embed_audio(output.content.audio)


class StyleFitHeldout(ClapMetric):
    """SF against style clips that no method has seen, in [0, 1], higher is closer."""

    name = "sf.heldout"

    def reference(self, output: Output) -> Embedding:
        """The prototype of the held-out clips; a style of one recording has none."""
        if not output.style.heldout_clips:
            raise UnsupportedError(f"style {output.style.id!r} has no held-out clips")
        return prototype(self.embedder, output.style.heldout_clips)


class StyleFitSeen(ClapMetric):
    """SF against the clips that methods learnt from, in [0, 1], higher is closer."""

    name = "sf.seen"

    def reference(self, output: Output) -> Embedding:
        """The prototype of the clips used in fitting."""
        if not output.style.clips:
            raise UnsupportedError(f"style {output.style.id!r} has no clips")
        return prototype(self.embedder, output.style.clips)


class StyleFitText(ClapMetric):
    """SF against the style's text as it stands, without a template, in [0, 1], higher is closer."""

    name = "sf.text"

    def reference(self, output: Output) -> Embedding:
        """The text's embedding; unknown words and missing texts have none."""
        if output.style.text is None:
            raise UnsupportedError(f"style {output.style.id!r} has no text")
        return self.embedder.embed_text(output.style.text)

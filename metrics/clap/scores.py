"""Content preservation and style fit by CLAP.

CLAP score = max(0, cos(E(a), E(b))) with unit embeddings E. **CP** compares an output with its
content, **SF** with a style: the mean direction of clips held out from fitting, the mean direction
of the clips seen in fitting, or the style's text. `metrics.nearness` has the formulas, those of
margins among them; here stand the text, and the scores on our own preprocessing.
`metrics.clap.as_published` and `metrics.laion` have the same ones on others.

Read together: copying the content scores CP = 1, copying the style scores SF = 1. CP hears timbre
more than notes: a transfer that succeeds lowers it.

References:
    Wu et al. (2023), "Large-scale contrastive language-audio pretraining with feature fusion and
    keyword-to-caption augmentation", arXiv 2211.06687; Li et al. (2024), "Music style transfer
    with time-varying inversion of diffusion models", arXiv 2402.13763, section 5.1 (CP and SF).
    Departures: preprocessing version 1 (`metrics.clap.preprocess`); held-out style clips.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol, final

from bench.api import EmbeddingMetric, Output, Profile, UnsupportedError
from metrics.directions import Embedder, Embedding
from metrics.nearness import (
    Likeness,
    NearnessMetric,
    Reference,
    content_reference,
    heldout_reference,
    heldout_rivalry,
    seen_reference,
    seen_rivalry,
)


class TextEmbedder(Embedder, Protocol):
    """A CLAP model: sounds and words in one space."""

    @abstractmethod
    def embed_text(self, text: str) -> Embedding:
        """The direction of a text; `UnsupportedError` where the model cannot know it."""


def text_reference(embedder: TextEmbedder, output: Output) -> Reference:
    """The style's text as it stands, without a template.

    Raises:
        UnsupportedError: The style has no text, or the model does not know a word of it.
    """
    if output.style.text is None:
        raise UnsupportedError(f"style {output.style.id!r} has no text")
    return Likeness(embedder.embed_text(output.style.text))


class ClapMetric(NearnessMetric[TextEmbedder]):
    """A score on a CLAP model."""


class OwnPreprocessing(ClapMetric):
    """A CLAP score on preprocessing version 1, which makes level and length of a clip harmless."""

    def open_embedder(self, profile: Profile, device: str) -> TextEmbedder:
        """Load the model of the profile, which all metrics of this preprocessing share."""
        from metrics.clap.embedder import load_embedder

        return load_embedder(profile, device)


@final
class ContentPreservation(OwnPreprocessing):
    """CP: closeness of output and content, in [0, 1], higher is closer. Mostly hears timbre."""

    name = "cp"
    reference = staticmethod(content_reference)


@final
class StyleFitHeldout(OwnPreprocessing, EmbeddingMetric):
    """SF against style clips that no method has seen, in [0, 1], higher is closer."""

    name = "sf.heldout"
    EMBEDDING = "CLAP"
    reference = staticmethod(heldout_reference)


@final
class StyleFitSeen(OwnPreprocessing):
    """SF against the clips that methods learnt from, in [0, 1], higher is closer."""

    name = "sf.seen"
    reference = staticmethod(seen_reference)


@final
class StyleFitText(OwnPreprocessing):
    """SF against the style's text as it stands, without a template, in [0, 1], higher is closer."""

    name = "sf.text"
    reference = staticmethod(text_reference)


@final
class StyleMargin(OwnPreprocessing):
    """How far the style is ahead of all others by unseen clips, in [-2, 2], higher is better."""

    name = "sf.margin"
    reference = staticmethod(heldout_rivalry)


@final
class StyleMarginSeen(OwnPreprocessing):
    """How far the style is ahead of all others by fitted clips, in [-2, 2], higher is better."""

    name = "sf.seen.margin"
    reference = staticmethod(seen_rivalry)

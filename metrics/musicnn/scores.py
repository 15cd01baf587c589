"""Style fit by MusicNN, a judge that was trained on recorded music.

The formulas are those of CLAP's style fit and margin (`metrics.nearness`); what differs is who
hears (`metrics.musicnn.embedder`). Any two sounds have much in common for this network: a content
and a style it was never meant for have a cosine of about .5. Read the margin, or a cosine beside
that of copy-content, and never a cosine alone. Sounds are levelled, so a gain changes no score.

References:
    Pons and Serra (2019), "musicnn: pre-trained convolutional neural networks for music audio
    tagging", arXiv 1909.06654. The scores are ours.
"""

from __future__ import annotations

from typing import final

from bench.api import EmbeddingMetric, Profile
from metrics.directions import Embedder
from metrics.nearness import (
    NearnessMetric,
    heldout_reference,
    heldout_rivalry,
    seen_reference,
    seen_rivalry,
)


class MusicnnMetric(NearnessMetric[Embedder]):
    """A score by MusicNN; the network is the same in both profiles."""

    def open_embedder(self, profile: Profile, device: str) -> Embedder:
        """Load the network, which all these metrics share."""
        from metrics.musicnn.embedder import load_embedder

        return load_embedder(device)


@final
class StyleFit(MusicnnMetric, EmbeddingMetric):
    """SF against style clips that no method has seen, in [0, 1], higher is closer."""

    name = "sf.musicnn"
    EMBEDDING = "MusicNN"
    reference = staticmethod(heldout_reference)


@final
class StyleFitSeen(MusicnnMetric):
    """SF against the clips that methods learnt from, in [0, 1], higher is closer."""

    name = "sf.musicnn.seen"
    reference = staticmethod(seen_reference)


@final
class StyleMargin(MusicnnMetric):
    """How far the style is ahead of all others by unseen clips, in [-2, 2], higher is better."""

    name = "sf.musicnn.margin"
    reference = staticmethod(heldout_rivalry)


@final
class StyleMarginSeen(MusicnnMetric):
    """How far the style is ahead of all others by fitted clips, in [-2, 2], higher is better."""

    name = "sf.musicnn.seen.margin"
    reference = staticmethod(seen_rivalry)

"""The CLAP scores with laion-clap's own preprocessing, as most published numbers are made.

The formulas, the model and its checkpoint are those of `metrics.clap.scores`; what differs is what
the model hears (`metrics.clap.preprocess.prepare_as_published`). The level of a clip is left as it
is, and a clip that does not fill the window a whole number of times is followed by digital silence.
So a gain or a millisecond can change these scores. They are for comparison with published numbers,
in columns of their own: names and fingerprints differ from those of `cp` and `sf.*`.

In the full profile, laion-clap's preprocessing meets the checkpoint that it was published with. The
mini profile runs the same code on the mini model, whose window is 5.12 s instead of 10 s; its
scores show the effect of the preprocessing and compare with nothing published.

**Departure**: of a clip that is longer than the window the first window is heard. laion-clap draws
a part of it at random, and `metrics.laion` does so too.
"""

from __future__ import annotations

from typing import final

from bench.api import Profile
from metrics.clap.scores import ClapMetric, TextEmbedder, text_reference
from metrics.nearness import content_reference, heldout_reference, seen_reference


class PublishedPreprocessing(ClapMetric):
    """A CLAP score on laion-clap's preprocessing: no levelling, whole repetitions, then silence."""

    def open_embedder(self, profile: Profile, device: str) -> TextEmbedder:
        """Load the model of the profile, which all metrics of this preprocessing share."""
        from metrics.clap.embedder import load_embedder

        return load_embedder(profile, device, mode="as_published")


@final
class ContentPreservation(PublishedPreprocessing):
    """CP: closeness of output and content, in [0, 1], higher is closer."""

    name = "cp.as_published"
    reference = staticmethod(content_reference)


@final
class StyleFitHeldout(PublishedPreprocessing):
    """SF against style clips that no method has seen, in [0, 1], higher is closer."""

    name = "sf.heldout.as_published"
    reference = staticmethod(heldout_reference)


@final
class StyleFitSeen(PublishedPreprocessing):
    """SF against the clips that methods learnt from, in [0, 1], higher is closer."""

    name = "sf.seen.as_published"
    reference = staticmethod(seen_reference)


@final
class StyleFitText(PublishedPreprocessing):
    """SF against the style's text as it stands, in [0, 1], higher is closer."""

    name = "sf.text.as_published"
    reference = staticmethod(text_reference)

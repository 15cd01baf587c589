"""The CLAP scores on a second CLAP, beside those of the first.

A claim that rests on one model may be that model's taste. These columns ask the same questions of
another CLAP, with the formulas and the preparation of `metrics.clap.scores`:
`metrics.clap.music_checkpoints` says which, and how to name one's own in brackets,
`cp@music[checkpoint=path/to/file.pt]`.

The mini profile has no second CLAP: there a score is n/a, unless a checkpoint is named.

References:
    Those of `metrics.clap.scores`; the checkpoint is `music_audioset_epoch_15_esc_90.14.pt` of
    LAION-AI/CLAP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from bench.api import Json, Output, Profile, Score
from metrics.clap.music_checkpoints import NOT_IN_MINI, locate_music
from metrics.clap.scores import ClapMetric, TextEmbedder, text_reference
from metrics.nearness import (
    VERSION,
    NearnessMetric,
    content_reference,
    heldout_reference,
    heldout_rivalry,
    seen_reference,
)


class SecondClap(ClapMetric):
    """A CLAP score on laion's music checkpoint, or on one that is named.

    Args:
        name: The metric's whole name, where brackets name a checkpoint.
        checkpoint: What they name; see `metrics.clap.music_checkpoints`.
    """

    def __init__(self, name: str = "", checkpoint: str = "") -> None:
        NearnessMetric.__init__(self)
        self._checkpoint = checkpoint
        self.name = name or type(self).name

    def open_embedder(self, profile: Profile, device: str) -> TextEmbedder:
        """Load the model, which all metrics on it share."""
        from metrics.clap.embedder import load_checkpoint

        found = locate_music(profile, self._checkpoint)
        if found is None:
            raise RuntimeError(f"{self.name}: {NOT_IN_MINI}.")
        return load_checkpoint(found, device)

    def load(self, profile: Profile, device: str) -> None:
        """Load the model of the profile, or nothing where there is none."""
        if self._checkpoint or profile == "full":
            NearnessMetric.load(self, profile, device)

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """Score each output by itself, in order; n/a without a model."""
        if self._embedder is None:
            return [Score(self.name, None, None, "unsupported", NOT_IN_MINI) for _ in outputs]
        return NearnessMetric.score(self, outputs)

    def fingerprint(self) -> Mapping[str, Json]:
        """Metric, version, checkpoint, preprocessing and libraries."""
        if self._embedder is None:
            return {"metric": self.name, "version": VERSION, "checkpoint": None}
        return NearnessMetric.fingerprint(self)


@final
class ContentPreservation(SecondClap):
    """CP: closeness of output and content, in [0, 1], higher is closer."""

    name = "cp@music"
    reference = staticmethod(content_reference)


@final
class StyleFitHeldout(SecondClap):
    """SF against style clips that no method has seen, in [0, 1], higher is closer."""

    name = "sf.heldout@music"
    reference = staticmethod(heldout_reference)


@final
class StyleFitSeen(SecondClap):
    """SF against the clips that methods learnt from, in [0, 1], higher is closer."""

    name = "sf.seen@music"
    reference = staticmethod(seen_reference)


@final
class StyleFitText(SecondClap):
    """SF against the style's text as it stands, in [0, 1], higher is closer."""

    name = "sf.text@music"
    reference = staticmethod(text_reference)


@final
class StyleMargin(SecondClap):
    """How far the style is ahead of all others by unseen clips, in [-2, 2], higher is better."""

    name = "sf.margin@music"
    reference = staticmethod(heldout_rivalry)

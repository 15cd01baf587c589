"""How near an output is to its content or its style, as a model hears them.

**Cosines**: max(0, cos(E(a), E(b))) with unit embeddings E; the raw cosine is kept beside each
score, because cutting at 0 biases means. An output is compared with its content, or with a style:
the mean direction (prototype) of clips held out from fitting, or of the clips seen in fitting.

**Margins**: cos(E(output), own style's prototype) - the largest such cosine of the other styles of
the run, in [-2, 2], higher is better: above 0 the style that was asked for is the nearest of all.
Beside it stand which style is nearest, the rank of the own one among how many, and how much nearer
its prototype is than the content ("source"). A rival must be strictly nearer to come before the own
style: of styles that sound alike the own one comes first, with a margin of 0. Another style can
only lower a margin, so margins compare at equal sets of styles.

**Silence** is near nothing: its cosine is 0, and its margin -1, as of an output that is not like
its style at all and exactly like another; the own style then ranks last.

**Contents**: the references that an output can be held against, as functions of a model and an
output, and `NearnessMetric`, which is a score against one reference on one model. numpy alone, for
every environment.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Generic, Literal, Protocol, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from bench.api import (
    Audio,
    Clip,
    Json,
    Metric,
    Output,
    Profile,
    Score,
    Style,
    UnsupportedError,
)
from bench.batching import in_parallel
from bench.outputs import judge, reference_fault, require_sound, usable
from metrics.directions import Embedder, Embedding, cosine, mean_direction

VERSION = "1"
MARGIN_OF_SILENCE = -1.0
EmbedderT = TypeVar("EmbedderT", bound=Embedder)
Side = Literal["held-out clips", "clips"]  # in the words of messages
_PROTOTYPES = 256  # each is asked for again with every output


class Reference(Protocol):
    """What an output is held against."""

    def score(self, name: str, embedding: Embedding) -> Score:
        """The score of an output under a metric's name."""

    def score_silence(self, silent: Score) -> Score:
        """The score of an output that `judge` found silent, with which it scores 0."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """One direction: an output scores its cosine with it."""

    direction: Embedding

    def score(self, name: str, embedding: Embedding) -> Score:
        """max(0, cosine), with the cosine as raw value."""
        return to_score(name, cosine(embedding, self.direction))

    def score_silence(self, silent: Score) -> Score:
        """0, as it stands."""
        return silent


@final
@dataclass(frozen=True, slots=True, eq=False)
class Rivalry:
    """Prototypes of several styles: an output scores how far ahead of the others its own is.

    Args:
        own: The style that was asked for.
        direction: Its prototype.
        rivals: The prototypes of the others by style, at least one.
        content: Where the output came from; None where the content is silent or broken.
    """

    own: str
    direction: Embedding
    rivals: Mapping[str, Embedding]
    content: Embedding | None

    def score(self, name: str, embedding: Embedding) -> Score:
        """The margin, with the ranking as detail."""
        own = cosine(embedding, self.direction)
        others = {style: cosine(embedding, found) for style, found in self.rivals.items()}
        best = max(others, key=others.__getitem__)
        margin = own - others[best]
        facts: dict[str, str | float | bool] = {
            "nearest": self.own if margin >= 0 else best,
            "rank": 1 + sum(other > own for other in others.values()),
            "of": 1 + len(others),
        }
        if self.content is not None:
            facts["source"] = own - cosine(embedding, self.content)
        return Score(name, margin, margin, detail=facts)

    def score_silence(self, silent: Score) -> Score:
        """`MARGIN_OF_SILENCE`, and the last rank."""
        last = 1 + len(self.rivals)
        facts = {"rank": last, "of": last}
        reason = f"{silent.reason}; its margin is {MARGIN_OF_SILENCE:g}"
        return Score(silent.name, MARGIN_OF_SILENCE, MARGIN_OF_SILENCE, "silent", reason, facts)


def to_score(name: str, raw: float) -> Score:
    """The score of a cosine: max(0, raw), with raw kept."""
    return Score(name, max(0.0, raw), raw)


def content_reference(embedder: Embedder, output: Output) -> Reference:
    """The content.

    Raises:
        UnsupportedError: It is silent.
    """
    require_sound(output.content.audio, "content")
    return Likeness(embedder.embed_audio(output.content.audio))


def heldout_reference(embedder: Embedder, output: Output) -> Reference:
    """The style clips that no method has seen.

    Raises:
        UnsupportedError: There are none, as for a style of one recording, or all are silent.
    """
    return Likeness(prototype(embedder, output.style, "held-out clips"))


def seen_reference(embedder: Embedder, output: Output) -> Reference:
    """The style clips that methods learnt from.

    Raises:
        UnsupportedError: There are none, or all are silent.
    """
    return Likeness(prototype(embedder, output.style, "clips"))


def heldout_rivalry(embedder: Embedder, output: Output) -> Reference:
    """The styles of the run by clips that no method has seen.

    Raises:
        UnsupportedError: The own style has no such clips, or no other style has.
    """
    return _rivalry(embedder, output, "held-out clips")


def seen_rivalry(embedder: Embedder, output: Output) -> Reference:
    """The styles of the run by clips that methods learnt from.

    Raises:
        UnsupportedError: The own style has no such clips, or no other style has.
    """
    return _rivalry(embedder, output, "clips")


def _rivalry(embedder: Embedder, output: Output, side: Side) -> Rivalry:
    own = prototype(embedder, output.style, side)
    found, refusals = {}, []
    for style in output.rivals:
        try:
            found[style.id] = prototype(embedder, style, side)
        except UnsupportedError as refusal:
            refusals.append(str(refusal))
    if not found:
        none = "; ".join(refusals) or "it is the only style of the run"
        raise UnsupportedError(f"style {output.style.id!r} has no rival: {none}")
    content = output.content.audio
    heard = embedder.embed_audio(content) if reference_fault(content) is None else None
    return Rivalry(output.style.id, own, found, heard)


@lru_cache(maxsize=_PROTOTYPES)
def prototype(embedder: Embedder, style: Style, side: Side) -> Embedding:
    """The mean direction of clips that can stand for their style: silent ones are left out.

    Args:
        embedder: Embeds each clip.
        style: The style.
        side: Which of its clips.

    Raises:
        UnsupportedError: There are none, or none can be used.
    """
    clips: tuple[Clip, ...] = style.heldout_clips if side == "held-out clips" else style.clips
    if not clips:
        why = f"; left out: {'; '.join(style.left_out)}" if style.left_out else ""
        raise UnsupportedError(f"style {style.id!r} has no {side}{why}")
    found = usable(clips, f"style {style.id!r}, {side}")
    return mean_direction(embedder.embed_all([clip.audio for clip in found]))


class NearnessMetric(Metric, Generic[EmbedderT]):
    """A score of outputs against one reference, on one model.

    A final class has a `name` and names its `reference`, one of the functions of this module or of
    its own; its model comes from `open_embedder` of the base class that it shares with its
    siblings.
    """

    name: str

    def __init__(self) -> None:
        self._embedder: EmbedderT | None = None
        self._device = "cpu"

    @abstractmethod
    def open_embedder(self, profile: Profile, device: str) -> EmbedderT:
        """Load the model.

        Raises:
            CheckpointError: The checkpoint is missing or incomplete.
        """

    @staticmethod
    @abstractmethod
    def reference(embedder: EmbedderT, output: Output) -> Reference:
        """What the output is held against.

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

    def embed(self, audios: Sequence[Audio]) -> NDArray[np.float64]:
        """The directions of sounds, (sound, dim), in order.

        Raises:
            UnsupportedError: One has no direction, because it is silent.
        """
        return np.stack(self.embedder.embed_all(audios))

    def fingerprint(self) -> Mapping[str, Json]:
        """Metric, version, checkpoint, preprocessing and libraries."""
        return {"metric": self.name, "version": VERSION, **self.embedder.fingerprint()}

    @property
    def embedder(self) -> EmbedderT:
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
        if verdict is None:
            return reference.score(self.name, self.embedder.embed_audio(output.audio))
        return reference.score_silence(verdict) if verdict.status == "silent" else verdict

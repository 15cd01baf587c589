"""The parameters of textual inversion on MusicGen, and how a style is learnt by them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bench.api import Conditioning, ConfigError
from bench.counts import Passes
from methods.musicgen.sampling import Melody, SamplingParameters
from methods.presets import choose

Preset = Literal["mini", "full"]
_FIT, _TRANSFER = {"role": "fit"}, {"role": "transfer"}


@dataclass(frozen=True, slots=True)
class InversionPlan:
    """How to learn.

    Args:
        steps: Optimiser steps.
        batch_size: Crops per style and step.
        learning_rate: Of Adam, constant.
        crop_s: Length of a crop; a shorter clip is taken whole.

    Raises:
        ConfigError: A value that is not positive.
    """

    steps: int
    batch_size: int
    learning_rate: float
    crop_s: float

    def __post_init__(self) -> None:
        """Check ranges."""
        if min(self.steps, self.batch_size) < 1 or min(self.learning_rate, self.crop_s) <= 0:
            raise ConfigError(
                f"steps {self.steps}, batch_size {self.batch_size}, learning_rate "
                f"{self.learning_rate}, crop_s {self.crop_s}; all must be positive. Leave them out "
                "to take the preset's."
            )


# mini: ours, for some seconds on one core. full: as reported of the paper (module docstring).
PRESETS: dict[Preset, InversionPlan] = {
    "mini": InversionPlan(steps=30, batch_size=2, learning_rate=0.2, crop_s=2.56),
    "full": InversionPlan(steps=200, batch_size=8, learning_rate=0.025, crop_s=5.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextualParameters(SamplingParameters):
    """Parameters of textual inversion on MusicGen, beside those of the sampling.

    A parameter left at None takes the preset's value.

    Args:
        preset: mini or full.
        pseudo_words: How many rows of the text are learnt, at least 1.
        init_word: The word that they start from; one token.
        steps: Optimiser steps.
        batch_size: Crops per step.
        learning_rate: Of Adam.
        crop_s: Length of a crop in seconds.
        melody: content, or none for generation in the style alone.

    Raises:
        ConfigError: A value out of range.
    """

    preset: Preset = field(default="mini", metadata=_FIT)
    pseudo_words: int = field(default=2, metadata=_FIT)
    init_word: str = field(default="music", metadata=_FIT)
    steps: int | None = field(default=None, metadata=_FIT)
    batch_size: int | None = field(default=None, metadata=_FIT)
    learning_rate: float | None = field(default=None, metadata=_FIT)
    crop_s: float | None = field(default=None, metadata=_FIT)
    melody: Melody = field(default="content", metadata=_TRANSFER)

    def __post_init__(self) -> None:
        """Check everything now, before a model is loaded; which words it knows only it can say."""
        self.plan()
        if self.pseudo_words < 1 or not self.init_word.strip():
            raise ConfigError(
                f"pseudo_words is {self.pseudo_words} and init_word {self.init_word!r}; it takes "
                "at least 1, and a word to start from. Leave them out."
            )
        SamplingParameters.__post_init__(self)

    def given(self, usually: tuple[Conditioning, ...]) -> tuple[Conditioning, ...]:
        """No content at all where there is no melody."""
        return usually if self.melody == "content" else ("style audio",)

    def passes(self) -> Passes:
        """Crops that are learnt from."""
        plan = self.plan()
        return Passes(fit=plan.steps * plan.batch_size)

    def plan(self) -> InversionPlan:
        """The preset's plan with the explicit values in place."""
        preset = PRESETS[self.preset]
        return InversionPlan(
            choose(self.steps, preset.steps),
            choose(self.batch_size, preset.batch_size),
            choose(self.learning_rate, preset.learning_rate),
            choose(self.crop_s, preset.crop_s),
        )

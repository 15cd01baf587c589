"""The parameters of R+TI and what follows from them; a model is needed to build a learner alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.api import Json, Profile
from bench.counts import Passes
from methods.presets import choose
from methods.riffusion.parameters import departures
from methods.riffusion.parameters.guided import FIT, ROWS, HostParameters
from methods.riffusion.parameters.settings import FittingPlan, LearnerChoice, VaeSample
from methods.riffusion.width import WidthMode

Preset = Literal["mini", "ti"]
_PUBLISHED_DECAY = 0.01  # the default of AdamW, which textual inversion leaves as it is

# mini: ours, for a minute on two CPU cores. ti: steps and batch matched to TVE's paper preset.
PRESETS: dict[Preset, FittingPlan] = {
    "mini": FittingPlan(100, 4, 1e-2),
    "ti": FittingPlan(3000, 1, 5e-3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RtiParameters(HostParameters):
    """Parameters of R+TI, beside those of the stylisation.

    Bias reduction is off in the baseline; `brs=on` is the ablation "TI + BRS". A fit parameter
    left at None takes the preset's value.

    Args:
        preset: mini, or ti for the full profile.
        steps: Optimiser steps.
        batch_size: Draws per step.
        learning_rate: Constant.
        weight_decay: Of the vector; 0 by default, because decay pulls it to a word that means
            nothing.
        e0: Where the vector starts: init_word:<word>, letter_n, placeholder, zeros, or style_text
            (which tells the model in words what the style is, so it is not the default).
        fit_vae_sample: Draw style latents from the posterior (sample), or take its mode.
        fit_width_mode: How style clips are brought to the window.
    """

    preset: Preset = field(default="mini", metadata=FIT)
    steps: int | None = field(default=None, metadata=FIT)
    batch_size: int | None = field(default=None, metadata=FIT)
    learning_rate: float | None = field(default=None, metadata=FIT)
    weight_decay: float = field(default=0.0, metadata=FIT)
    e0: str = field(default="init_word:music", metadata=FIT)
    fit_vae_sample: VaeSample = field(default="sample", metadata=FIT)
    fit_width_mode: WidthMode = field(default="resize", metadata=FIT)

    def __post_init__(self) -> None:
        """Check everything now, before a model is loaded."""
        self.plan()
        self.learner()
        HostParameters.__post_init__(self)

    def plan(self) -> FittingPlan:
        """The preset's plan with the explicit values in place."""
        preset = PRESETS[self.preset]
        return FittingPlan(
            steps=choose(self.steps, preset.steps),
            batch_size=choose(self.batch_size, preset.batch_size),
            learning_rate=choose(self.learning_rate, preset.learning_rate),
            weight_decay=self.weight_decay,
            vae_sample=self.fit_vae_sample,
        )

    def passes(self) -> Passes:
        """Rows of the U-Net, those that are learnt from and those of a window."""
        plan = self.plan()
        return Passes(plan.rows, self.sampling().rows(), plan.steps_per_clip, ROWS)

    def chosen_e0(self) -> str:
        """Where the vector starts."""
        return self.e0

    def learner(self) -> LearnerChoice:
        """One vector."""
        return LearnerChoice("ti", self.e0)

    def departures(self, profile: Profile) -> Iterator[str]:
        """Where these settings leave textual inversion and the baseline of the TVE paper."""
        yield from departures.of_profile(profile)
        yield (
            f"fitted in {departures.words_of_plan(self.plan())} from {self.e0}, where the paper "
            "gives neither steps nor rate nor initial word"
        )
        yield from departures.of_start(self.e0)
        if self.weight_decay != _PUBLISHED_DECAY:
            yield (
                f"weight decay is {self.weight_decay:g}, where textual inversion has "
                f"{_PUBLISHED_DECAY:g}"
            )
        yield from departures.of_styles(self.fit_width_mode, self.plan())
        if self.sampler != "stylise":
            yield departures.of_sampler(self.sampler)
            yield from departures.of_contrast(self.contrast_weight)
        elif self.brs == "on":
            yield "with bias reduction, which the baseline lacks, an ablation (brs=off)"
        yield from departures.of_stylisation(self)

    def describe_fit(self) -> dict[str, Json]:
        """What a state records of the fit, for its reader."""
        plan = self.plan()
        return {
            "variant": "ti",
            "e0": self.e0,
            "preset": self.preset,
            "learning_rate": plan.learning_rate,
            "batch_size": plan.batch_size,
        }

    def released_file(self, style: str) -> Path | None:
        """None: no published code holds a style in this form."""
        del style
        return None

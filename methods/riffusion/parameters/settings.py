"""What can be set of the parts of this family, with the ranges that are checked.

Nothing here takes a model or a large library: parameters are checked before one is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.api import ConfigError
from methods.riffusion.parameters.itinerary import BiasGrid, Itinerary, plan_itinerary
from methods.riffusion.width import WidthMode

Switch = Literal["on", "off"]
VaeSample = Literal["sample", "mode"]
Picture = Literal["rounded", "truncated"]
BackboneName = Literal["riffusion", "audioldm2"]
Phase = Literal["griffin-lim", "content"]
ParameterSet = Literal["live", "full"]
Variant = Literal["musicti", "report", "report_seq"]
LearnerForm = Literal["ti", "musicti", "report", "report_seq"]  # one vector, and those of TVE
INIT_WORD, STYLE_TEXT = "init_word:", "style_text"
_STARTS = ("letter_n", "placeholder", STYLE_TEXT, "zeros")


@dataclass(frozen=True, slots=True)
class StylisationSettings:
    """How far a content is changed, and how strongly it is guided to the style.

    Args:
        strength: s in (0, 1); larger means more noise, less content, more style.
        guidance_scale: w >= 1; 1 leaves the empty prompt out.
        num_inference_steps: N, of which int(N s) are taken.
        brs: "on" replaces the drawn noise by the predicted one (bias-reduced stylisation).
        brs_grid: Where the bias is estimated; see `schedule.plan_itinerary`.
    """

    strength: float = 0.65
    guidance_scale: float = 5.0
    num_inference_steps: int = 50
    brs: Switch = "on"
    brs_grid: BiasGrid = "released"

    def __post_init__(self) -> None:
        """Check what plan_itinerary does not."""
        if self.guidance_scale < 1:
            raise ConfigError(
                f"guidance_scale is {self.guidance_scale}; it must be at least 1 (1 = no "
                "guidance). Try 5."
            )
        if self.brs not in ("on", "off") or self.brs_grid not in ("released", "aligned"):
            raise ConfigError(
                f"brs is {self.brs!r} and brs_grid {self.brs_grid!r}; they must be on|off and "
                "released|aligned."
            )

    def rows(self) -> int:
        """Rows of the U-Net for a picture: two a step with guidance, one for the bias.

        Example:
            >>> StylisationSettings(strength=0.5, guidance_scale=3.5).rows()
            51
        """
        each = 2 if self.guidance_scale > 1 else 1
        return each * len(self.itinerary().timesteps) + (self.brs == "on")

    def visited(self, num_train_timesteps: int = 1000) -> tuple[int, ...]:
        """Every timestep at which the model is asked."""
        route = self.itinerary(num_train_timesteps)
        return (route.start, *route.timesteps)

    def itinerary(self, num_train_timesteps: int = 1000) -> Itinerary:
        """The timesteps that these settings visit."""
        return plan_itinerary(
            self.strength,
            self.num_inference_steps,
            num_train_timesteps=num_train_timesteps,
            brs_grid=self.brs_grid,
        )


@dataclass(frozen=True, slots=True)
class CanvasSettings:
    """How a clip is laid onto the model's window.

    Args:
        width_mode: See `width.to_window`.
        unstretch: Undo the stretching of `resize`, so that tempo and length are the content's.
        vae_sample: Draw the content's latents from the posterior (the released code) or take its
            mode.
        picture: How the decoded picture is brought to 8 bits.
        phase: Sought by Griffin-Lim, or those of the content's own sound.
    """

    width_mode: WidthMode = "resize"
    unstretch: bool = True
    vae_sample: VaeSample = "sample"
    picture: Picture = "rounded"
    phase: Phase = "griffin-lim"

    def __post_init__(self) -> None:
        """Phases of the content fit pictures of its own width alone."""
        if self.phase not in ("griffin-lim", "content"):
            raise ConfigError(
                f"phase is {self.phase!r}; it must be griffin-lim or content. Try griffin-lim."
            )
        if self.phase == "content" and not self.unstretch:
            raise ConfigError(
                "phase is 'content' and unstretch false; phases of the content need a picture of "
                "its width. Set unstretch=true."
            )


@dataclass(frozen=True, slots=True)
class FittingPlan:
    """How to fit.

    Args:
        steps: Optimiser steps (per clip of the style where `steps_per_clip`).
        batch_size: Draws (clip, t, noise) per step.
        learning_rate: Constant.
        weight_decay: Decoupled with adamw, an L2 penalty with adam.
        optimiser: betas .9 and .999 either way.
        steps_per_clip: True counts `steps` as epochs without repeats.
        vae_sample: Draw style latents from the posterior, or take its mode.
        checkpoint_every: Steps between checkpoints of a fit that has a folder for them.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    optimiser: Literal["adamw", "adam"] = "adamw"
    steps_per_clip: bool = False
    vae_sample: VaeSample = "sample"
    checkpoint_every: int = 250

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.steps < 1 or self.batch_size < 1 or self.learning_rate <= 0:
            raise ConfigError(
                f"steps {self.steps}, batch_size {self.batch_size}, learning_rate "
                f"{self.learning_rate}; "
                "all must be positive. Leave them out to take the preset's."
            )
        if self.weight_decay < 0:
            raise ConfigError(
                f"weight_decay is {self.weight_decay}; it must be at least 0. Use 0 for none."
            )

    @property
    def rows(self) -> int:
        """Rows of the U-Net that are learnt from, for a clip where `steps_per_clip`."""
        return self.steps * self.batch_size

    def count_steps(self, num_clips: int) -> int:
        """Steps for a style of so many clips."""
        return self.steps * (num_clips if self.steps_per_clip else 1)


@dataclass(frozen=True, slots=True)
class LearnerChoice:
    """What is learnt of a style, and from where: see `methods.riffusion.embedding`.

    Args:
        form: One vector for all timesteps, or a network.
        e0: letter_n (token "n" plus position 0, what the released configuration of TVE amounts to:
            it reads "None" as a word and takes its first letter), placeholder (token "*" plus
            position 0), init_word:<word> (that token), style_text (the token of the style's text,
            which tells the model in words what the style is), or zeros.
        parameter_set: Of the network `musicti`.

    Raises:
        ConfigError: `e0` is none of these.
    """

    form: LearnerForm
    e0: str
    parameter_set: ParameterSet = "live"

    def __post_init__(self) -> None:
        """Refuse a start that there is not; whether a model knows a word is for it to say."""
        named, _, word = self.e0.partition(INIT_WORD)
        if self.e0 not in _STARTS and (named or not word.strip()):
            raise ConfigError(
                f"e0 is {self.e0!r}; it must be {', '.join(_STARTS)} or {INIT_WORD}<word>. Try "
                f"{INIT_WORD}music."
            )

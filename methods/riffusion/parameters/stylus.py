"""The parameters of Stylus, the one training-free edit that hears the style."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from bench.api import ConfigError, Profile
from bench.counts import Passes
from methods.riffusion.parameters import departures
from methods.riffusion.parameters.edits import InjectionSettings, Layers, StartStyle
from methods.riffusion.parameters.guided import FIT, ROWS, TRANSFER, CanvasParameters
from methods.riffusion.parameters.itinerary import Convention, ddim_grid, plan_climb
from methods.riffusion.parameters.settings import VaeSample
from methods.riffusion.width import WidthMode

StyleClips = Literal["first", "join"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StylusParameters(CanvasParameters):
    """How clips of the style are inverted, and how contents attend to them.

    Args:
        num_inference_steps: N of the inversions and of the sampler.
        inversion: label, level or released; see `itinerary.plan_climb`. released also leaves out
            the first step of sampling.
        style_clips: Invert the first clip of the style, or join the keys and values of all.
        fit_vae_sample: Take the mode of the style's posterior, or draw from it (sample).
        fit_width_mode: How style clips are brought to the window; not report.
        strength: Share of the steps that are taken, in (0, 1].
        gamma: Share of the content's own queries, in [0, 1]; more keeps more of the content.
        alpha: 0 attends to the content, 1 to the style; more goes beyond it.
        temperature: Factor of the logits of attention.
        layers: Where the style is injected: self-attention of the decoder but for its coarsest
            level (fine), of the whole decoder (all), of the whole network (every).
        adain: What the content's noise takes from the style's at the start: mean and spread of each
            channel (adain), all its values (efdm), nothing (off).

    Raises:
        ConfigError: A value out of range.
    """

    num_inference_steps: int = field(default=50, metadata=FIT)
    inversion: Convention = field(default="label", metadata=FIT)
    style_clips: StyleClips = field(default="first", metadata=FIT)
    fit_vae_sample: VaeSample = field(default="mode", metadata=FIT)
    fit_width_mode: WidthMode = field(default="resize", metadata=FIT)
    vae_sample: VaeSample = field(default="mode", metadata=TRANSFER)
    strength: float = field(default=1.0, metadata=TRANSFER)
    gamma: float = field(default=0.75, metadata=TRANSFER)
    alpha: float = field(default=0.9, metadata=TRANSFER)
    temperature: float = field(default=1.0, metadata=TRANSFER)
    layers: Layers = field(default="fine", metadata=TRANSFER)
    adain: StartStyle = field(default="adain", metadata=TRANSFER)

    def __post_init__(self) -> None:
        """Check everything now, before a model is loaded."""
        self.canvas()
        self.injection()
        if self.style_clips not in ("first", "join"):
            raise ConfigError(
                f"style_clips is {self.style_clips!r}; it must be first or join. Try first."
            )
        for name, mode in (("width", self.width_mode), ("fit_width", self.fit_width_mode)):
            if mode == "report":
                raise ConfigError(
                    f"{name}_mode is 'report', which leaves pictures of unequal widths; style and "
                    "content go through the model together. Try resize."
                )

    def injection(self) -> InjectionSettings:
        """The settings of the sampler."""
        return InjectionSettings(
            self.strength,
            self.num_inference_steps,
            self.inversion,
            self.gamma,
            self.alpha,
            self.temperature,
            self.layers,
            self.adain,
        )

    def passes(self) -> Passes:
        """Rows of the U-Net, those of a clip's inversion and those of a window alone."""
        moves = plan_climb(ddim_grid(self.num_inference_steps), self.inversion)
        joined = self.style_clips == "join"
        return Passes(len(moves), self.injection().rows(), joined, ROWS)

    def departures(self, profile: Profile) -> Iterator[str]:
        """Where these settings leave the paper and its code."""
        yield from departures.of_profile(profile)
        yield from departures.of_edit(self, "the source has the weights of Stable Diffusion")
        if self.inversion != "released":
            yield (
                "inversion ends at the level where sampling begins, which the released code "
                "confuses (inversion=released)"
            )
        if self.style_clips == "join":
            yield "all clips of the style are heard, where the source has one (style_clips=first)"
        if self.layers != "fine":
            yield f"the style is injected into {self.layers} layers (layers=fine)"

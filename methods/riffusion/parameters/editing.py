"""The parameters of the training-free edits that have a name of their own.

Strength, steps and guidance belong together, so presets choose them: `mini` for the small model of
this project, `full` for Riffusion itself, `released` as in the code that came with the source. A
parameter left at None takes the preset's value. With AudioLDM 2, the model that the sources use,
it takes the released one whatever the preset.

**Contents**: `ZetaParameters`, `DdimInversionParameters`, `SdeditParameters`, `SteerParameters`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.api import Conditioning, ConfigError, Profile
from bench.counts import Passes
from methods.presets import choose
from methods.riffusion.parameters import departures
from methods.riffusion.parameters.edits import (
    InversionSettings,
    LastMap,
    NoiseMapSettings,
    SourceSettings,
    SteeringSettings,
    StochasticSettings,
)
from methods.riffusion.parameters.guided import ROWS, TRANSFER, CanvasParameters
from methods.riffusion.parameters.settings import BackboneName, CanvasSettings, VaeSample

Preset = Literal["mini", "full", "released"]
# Strength, steps and guidance. released: the flags of code/main_run.py and main_run_sdedit.py in
# HilaManor/AudioEditingCode at commit f324c19, and for DDIM inversion the guidance of the paper.
_ZETA: Mapping[Preset, tuple[float, int, float]] = {
    "mini": (0.65, 50, 5.0),
    "full": (0.64, 100, 12.0),
    "released": (0.5, 200, 12.0),
}
_DDIM: Mapping[Preset, tuple[float, int, float]] = {
    "mini": (1.0, 50, 5.0),
    "full": (1.0, 100, 5.0),
    "released": (1.0, 200, 5.0),
}
# The flags of SteerMusic_edit.py in sony/steermusic at commit 67df26f.
_STEER: Mapping[Preset, tuple[float, int, float]] = {
    "mini": (1.0, 100, 3.0),
    "full": (1.0, 400, 15.0),
    "released": (1.0, 400, 30.0),
}
_ALL_TIMESTEPS = 999  # all but 0, which no grid has
_SOURCE_GUIDANCE = 3.0  # of the same flags


@dataclass(frozen=True, slots=True, kw_only=True)
class _EditParameters(CanvasParameters):
    """How far a content is changed under the style's text.

    Args:
        backbone: The frozen model: riffusion or, in the full profile, audioldm2, which has neither
            pictures nor phases to be set.
        preset: Of Riffusion: mini, full or released.
        strength: In (0, 1]; more noise, less content, more style.
        num_inference_steps: N, of which int(N strength) are taken.
        guidance_scale: w_t >= 1 towards the style's text; 1 leaves the empty prompt out.
        vae_sample: Take the mode of the content's posterior, or draw from it (sample).

    Raises:
        ConfigError: A value out of range.
    """

    backbone: BackboneName = field(default="riffusion", metadata={"role": "model"})
    preset: Preset = field(default="mini", metadata=TRANSFER)
    strength: float | None = field(default=None, metadata=TRANSFER)
    num_inference_steps: int | None = field(default=None, metadata=TRANSFER)
    guidance_scale: float | None = field(default=None, metadata=TRANSFER)
    vae_sample: VaeSample = field(default="mode", metadata=TRANSFER)

    def canvas(self) -> CanvasSettings:
        """The settings of the window.

        Raises:
            ConfigError: Something is set that the model does not have.
        """
        if self.backbone == "audioldm2":
            usual = CanvasParameters(vae_sample=self.vae_sample)
            for name in ("width_mode", "unstretch", "picture", "phase"):
                if getattr(self, name) != getattr(usual, name):
                    raise ConfigError(
                        f"{name} is {getattr(self, name)!r} and backbone 'audioldm2'; it is of "
                        "Riffusion's pictures, which that model does not have. Leave it out, or "
                        "set backbone=riffusion."
                    )
        return CanvasParameters.canvas(self)

    def _chosen(
        self, presets: Mapping[Preset, tuple[float, int, float]]
    ) -> tuple[float, float, int]:
        """Strength, guidance and steps."""
        strength, steps, guidance = presets[
            self.preset if self.backbone == "riffusion" else "released"
        ]
        return (
            choose(self.strength, strength),
            choose(self.guidance_scale, guidance),
            choose(self.num_inference_steps, steps),
        )

    def _departures(
        self, presets: Mapping[Preset, tuple[float, int, float]], profile: Profile
    ) -> Iterator[str]:
        yield from departures.of_profile(profile)
        if self.backbone == "riffusion":
            yield from departures.of_edit(self, "the source edits those of AudioLDM 2")
            yield departures.INVERTED_MEL
        else:
            yield from departures.of_audioldm2(self)
        strength, guidance, steps = self._chosen(presets)
        said, released = (strength, steps, guidance), presets["released"]
        if said != released:
            by_hand = (self.strength, self.num_inference_steps, self.guidance_scale)
            remedy = " (preset=released)" if by_hand == (None, None, None) else ""
            words = (
                "strength {:g}, {} steps and guidance {:g}, where the source has {:g}, {} and {:g}"
            )
            yield words.format(*said, *released) + remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class _ToldParameters(_EditParameters):
    """The same, with words for the content.

    Args:
        source_prompt: What the content is; empty is the empty prompt.
    """

    source_prompt: str = field(default="", metadata=TRANSFER)

    def given(self, usually: tuple[Conditioning, ...]) -> tuple[Conditioning, ...]:
        """The content's words, too, where there are any."""
        return (*usually, "content text") if self.source_prompt else usually


@dataclass(frozen=True, slots=True, kw_only=True)
class _SourcedParameters(_ToldParameters):
    """The same, with a guidance of its own towards those words while the content is inverted.

    Args:
        source_guidance: w_s towards those words, 3 unless it is set; not without words.
    """

    source_guidance: float | None = field(default=None, metadata=TRANSFER)

    def source(self) -> SourceSettings:
        """What the model is told of the content."""
        guided = _SOURCE_GUIDANCE if self.source_prompt else 1.0
        return SourceSettings(self.source_prompt, choose(self.source_guidance, guided))


@dataclass(frozen=True, slots=True, kw_only=True)
class ZetaParameters(_SourcedParameters):
    """Parameters of edit-friendly inversion.

    Args:
        z_last: zero drops the noise map of the last step, as the released code does; keep returns
            an unchanged content exactly.
    """

    z_last: LastMap = field(default="zero", metadata=TRANSFER)

    def __post_init__(self) -> None:
        """Check everything now, before a model is loaded."""
        self.canvas()
        self.sampling()

    def sampling(self) -> NoiseMapSettings:
        """The settings of the sampler."""
        return NoiseMapSettings(*self._chosen(_ZETA), self.source(), self.z_last)

    def passes(self) -> Passes:
        """Rows of the U-Net for a window, inversion and all."""
        return Passes(transfer=self.sampling().rows(), unit=ROWS)

    def departures(self, profile: Profile) -> Iterator[str]:
        """Where these settings leave the paper and its code."""
        yield from self._departures(_ZETA, profile)
        if self.z_last == "keep":
            yield "the noise map of the last step is kept (z_last=zero)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DdimInversionParameters(_SourcedParameters):
    """Parameters of DDIM inversion; a strength below 1 is the paper's partial inversion."""

    def __post_init__(self) -> None:
        """Check everything now, before a model is loaded."""
        self.canvas()
        self.sampling()

    def sampling(self) -> InversionSettings:
        """The settings of the sampler."""
        return InversionSettings(*self._chosen(_DDIM), self.source())

    def passes(self) -> Passes:
        """Rows of the U-Net for a window, inversion and all."""
        return Passes(transfer=self.sampling().rows(), unit=ROWS)

    def departures(self, profile: Profile) -> Iterator[str]:
        """Where these settings leave the paper and its code."""
        yield from self._departures(_DDIM, profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class SdeditParameters(_EditParameters):
    """Parameters of SDEdit with stochastic steps, in the settings of edit-friendly inversion."""

    def __post_init__(self) -> None:
        """Check everything now, before a model is loaded."""
        self.canvas()
        self.sampling()

    def sampling(self) -> StochasticSettings:
        """The settings of the sampler."""
        return StochasticSettings(*self._chosen(_ZETA))

    def passes(self) -> Passes:
        """Rows of the U-Net for a window."""
        return Passes(transfer=self.sampling().rows(), unit=ROWS)

    def departures(self, profile: Profile) -> Iterator[str]:
        """Where these settings leave the code that they are compared in."""
        yield from self._departures(_ZETA, profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class SteerParameters(_ToldParameters):
    """Parameters of steering by the delta denoising score.

    Args:
        strength: Share of the updates that are taken, in (0, 1]; each share is a point of the way.
        num_inference_steps: M, the updates of strength 1. The rate begins at 8 / M and falls by a
            tenth after every twentieth of them, so that M changes how fine the way is, not its
            length.
        guidance_scale: w >= 1 of both predictions; more goes farther.
        source_prompt: The empty prompt saves a row.
        t_low: Lowest timestep that is drawn.
        t_high: Highest timestep that is drawn.
        t_grid: Timesteps are drawn from a DDIM grid of so many steps, so that the contexts of a
            time-varying style are few; 999 has all of them.
        contrast_weight: >= 0, how strongly each moment is held to what stood there. The source has
            3 in its personalised variant; it more than doubles the cost.
    """

    t_low: int = field(default=20, metadata=TRANSFER)
    t_high: int = field(default=980, metadata=TRANSFER)
    t_grid: int = field(default=50, metadata=TRANSFER)
    contrast_weight: float = field(default=0.0, metadata=TRANSFER)

    def __post_init__(self) -> None:
        """Check everything now, before a model is loaded."""
        if self.contrast_weight and self.backbone != "riffusion":
            raise ConfigError(
                f"contrast_weight is {self.contrast_weight:g} and backbone '{self.backbone}'; it "
                "compares layers of Riffusion's network. Leave it out, or set backbone=riffusion."
            )
        self.canvas()
        self.sampling()

    def sampling(self) -> SteeringSettings:
        """The settings of the sampler."""
        bounds = (self.t_low, self.t_high)
        return SteeringSettings(
            *self._chosen(_STEER),
            self.source_prompt,
            bounds,
            self.t_grid,
            contrast_weight=self.contrast_weight,
        )

    def passes(self) -> Passes:
        """Rows of the U-Net for a window."""
        return Passes(transfer=self.sampling().rows(), unit=ROWS)

    def departures(self, profile: Profile) -> Iterator[str]:
        """Where these settings leave the paper and its code."""
        yield from self._departures(_STEER, profile)
        if self.t_grid != _ALL_TIMESTEPS:
            yield f"timesteps are drawn from a grid of {self.t_grid}, not from all (t_grid=999)"
        yield from departures.of_contrast(self.contrast_weight)

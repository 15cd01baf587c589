"""The parameters of stylisation, which the methods of this family share with their checks.

**Contents**: `CanvasParameters`, `UnguidedParameters`, `GuidedParameters`, and `HostParameters` for
methods that learn a style and leave the sampler open; those of the methods that learn nothing,
`TextParameters`, `NullPromptParameters` and `VocoderParameters`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bench.api import Conditioning, ConfigError
from bench.counts import Passes
from methods.presets import choose
from methods.riffusion.parameters.edits import AnySampling, Sampler, SteeringSettings, settings_of
from methods.riffusion.parameters.settings import (
    STYLE_TEXT,
    CanvasSettings,
    Phase,
    Picture,
    StylisationSettings,
    Switch,
    VaeSample,
)
from methods.riffusion.width import WidthMode

FIT, TRANSFER = {"role": "fit"}, {"role": "transfer"}
ROWS = "rows of the U-Net"  # what passes are counted in


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvasParameters:
    """How a content is laid onto the model's window.

    Args:
        vae_sample: Draw the content's latents from the posterior (sample), or take its mode.
        width_mode: resize (within 5 % of the window, else pad), pad, crop or report.
        unstretch: Undo the stretching of resize.
        picture: How the decoded picture is brought to 8 bits: rounded, as Riffusion does, or
            truncated, as MusicTI does; left out, what the other settings follow.
        phase: Sought by Griffin-Lim, or the content's own. The content is then heard through its
            phases whatever the picture shows, so compare methods at equal phase alone.
    """

    vae_sample: VaeSample = field(default="sample", metadata=TRANSFER)
    width_mode: WidthMode = field(default="resize", metadata=TRANSFER)
    unstretch: bool = field(default=True, metadata=TRANSFER)
    picture: Picture | None = field(default=None, metadata=TRANSFER)
    phase: Phase = field(default="griffin-lim", metadata=TRANSFER)

    def canvas(self) -> CanvasSettings:
        """The settings of the window."""
        return CanvasSettings(
            self.width_mode, self.unstretch, self.vae_sample, self.chosen_picture(), self.phase
        )

    def chosen_picture(self) -> Picture:
        """The explicit value, or rounded, unless a subclass follows a code that truncates."""
        return choose(self.picture, "rounded")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnguidedParameters(CanvasParameters):
    """How far a content is changed, and how it is laid onto the model's window.

    Args:
        strength: In (0, 1); more noise, less content, more style.
        num_inference_steps: N, of which int(N strength) are taken.
        brs: Bias-reduced stylisation on or off.

    Raises:
        ConfigError: A value out of range.
    """

    strength: float = field(default=0.65, metadata=TRANSFER)
    num_inference_steps: int = field(default=50, metadata=TRANSFER)
    brs: Switch = field(default="off", metadata=TRANSFER)

    def __post_init__(self) -> None:
        """Check everything now, before a model is loaded."""
        self.canvas()
        self.sampling().visited()

    def stylisation(self) -> StylisationSettings:
        """The settings of the algorithm; without guidance, unless a subclass adds it."""
        return StylisationSettings(self.strength, 1.0, self.num_inference_steps, self.brs)

    def sampling(self) -> AnySampling:
        """The settings of the sampler, which is stylisation unless a subclass offers others."""
        return self.stylisation()

    def passes(self) -> Passes:
        """Rows of the U-Net for a window; a subclass that learns adds those of its fit."""
        return Passes(transfer=self.sampling().rows(), unit=ROWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedParameters(UnguidedParameters):
    """The same with classifier-free guidance towards the style.

    Args:
        guidance_scale: w >= 1; 1 leaves the empty prompt out.
    """

    guidance_scale: float = field(default=5.0, metadata=TRANSFER)

    def stylisation(self) -> StylisationSettings:
        """The settings of the algorithm, guidance among them."""
        unguided = UnguidedParameters.stylisation(self)
        return replace(unguided, guidance_scale=self.guidance_scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostParameters(GuidedParameters):
    """The same for a learnt style, which any sampler of the family can be led by.

    Args:
        sampler: stylise, or a training-free edit under the learnt style: sdedit, zeta,
            ddim-inversion or steer. Strength, steps and guidance are the edit's then, a strength of
            1 may be asked for, and `brs` is not used. A fit serves all of them.
        plain_weight: Of steer: lambda >= 0, how much more is made of what the learnt style knows
            beyond the style's text; the source of steer has 0.05.
        contrast_weight: Of steer: >= 0, how strongly each moment is held to what stood there; the
            source of steer has 3.
    """

    sampler: Sampler = field(default="stylise", metadata=TRANSFER)
    plain_weight: float = field(default=0.0, metadata=TRANSFER)
    contrast_weight: float = field(default=0.0, metadata=TRANSFER)

    def chosen_e0(self) -> str | None:
        """What a fit starts from; None where nothing is fitted."""
        return None

    def given(self, usually: tuple[Conditioning, ...]) -> tuple[Conditioning, ...]:
        """The style's words, too, where a fit starts from them or is held against them."""
        in_words = self.plain_weight or self.chosen_e0() == STYLE_TEXT
        return (*usually, "style text") if in_words else usually

    def sampling(self) -> AnySampling:
        """The settings of the chosen sampler.

        Raises:
            ConfigError: There is no such sampler, or it has no such term.
        """
        if self.sampler != "steer" and (self.plain_weight or self.contrast_weight):
            raise ConfigError(
                f"plain_weight is {self.plain_weight:g}, contrast_weight {self.contrast_weight:g} "
                f"and sampler {self.sampler}; only steer has such terms. Leave them out, or set "
                "sampler=steer."
            )
        if self.sampler == "stylise":
            return self.stylisation()
        settings = settings_of(
            self.sampler, self.strength, self.guidance_scale, self.num_inference_steps
        )
        if isinstance(settings, SteeringSettings):
            return replace(
                settings, plain_weight=self.plain_weight, contrast_weight=self.contrast_weight
            )
        return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class TextParameters(GuidedParameters):
    """Parameters of text-prompted stylisation, which are those of the stylisation.

    The application itself has a strength of 0.55 and no bias reduction; `brs=on` is the ablation
    "text + BRS".

    Args:
        guidance_scale: w >= 1; 7 as in the application.
    """

    guidance_scale: float = field(default=7.0, metadata=TRANSFER)


@dataclass(frozen=True, slots=True, kw_only=True)
class NullPromptParameters(UnguidedParameters):
    """The parameters of TVE's stylisation that need no style, with the same defaults.

    There is no guidance: both prompts are empty, so guidance would change nothing.

    Args:
        brs: Bias reduction under the empty prompt, on by default.
    """

    brs: Switch = field(default="on", metadata=TRANSFER)


@dataclass(frozen=True, slots=True, kw_only=True)
class VocoderParameters:
    """How the spectrogram round trip is made heard.

    Args:
        phase: Sought by Griffin-Lim, or the content's own: the control of methods that use it.
    """

    phase: Phase = field(default="griffin-lim", metadata=TRANSFER)

    def __post_init__(self) -> None:
        """Check it now."""
        CanvasSettings(phase=self.phase)

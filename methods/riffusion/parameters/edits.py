"""What can be set of the training-free edits, with the ranges that are checked.

**Contents**: one class per way of sampling, `NoiseMapSettings` (edit-friendly inversion),
`InversionSettings` (DDIM inversion), `StochasticSettings` (SDEdit), `SteeringSettings` (delta
denoising score); they answer the same questions as `settings.StylisationSettings`, and
`AnySampling` is any of them. `InjectionSettings` (style injection) stand apart, because their style
is a sound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from bench.api import ConfigError
from methods.riffusion.parameters.itinerary import Convention, count_steps, ddim_grid, plan_climb
from methods.riffusion.parameters.settings import StylisationSettings

LastMap = Literal["zero", "keep"]
Layers = Literal["fine", "all", "every"]
StartStyle = Literal["off", "adain", "efdm"]
_FINEST_GRID = 999  # every timestep but 0
BLOCK = 8  # steps of an inversion that are made in one pass and kept as one
# Of the released SteerMusic_edit.py: .02 for each of 400 updates, times .9 after every 20 of them.
_WHOLE_RATE, _FALL, _FALLS = 8.0, 0.9, 20


def in_blocks(count: int, whole: int) -> int:
    """Steps that are made where so many are needed: whole blocks, at most all there are.

    So the same passes are made for every strength, and a sweep of it makes them once.

    Example:
        >>> in_blocks(17, 50), in_blocks(50, 50)
        (24, 50)
    """
    return min(whole, -(-count // BLOCK) * BLOCK)


def require_guidance(scale: float, name: str = "guidance_scale") -> None:
    """Refuse a guidance below 1.

    Raises:
        ConfigError: It is below 1.
    """
    if not scale >= 1:
        raise ConfigError(f"{name} is {scale}; it must be at least 1 (1 = no guidance). Try 5.")


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What the model is told of the content while it is inverted.

    Args:
        prompt: Words for the content; empty is the empty prompt, which is never guided.
        guidance_scale: w_s >= 1 towards those words.
    """

    prompt: str = ""
    guidance_scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what would do nothing."""
        require_guidance(self.guidance_scale, "source_guidance")
        if self.guidance_scale > 1 and not self.prompt:
            raise ConfigError(
                f"source_guidance is {self.guidance_scale} and source_prompt empty; guidance to "
                "the empty prompt does nothing. Give a source_prompt, or leave source_guidance out."
            )

    @property
    def rows(self) -> int:
        """Rows of the U-Net for a prediction."""
        return 2 if self.guidance_scale > 1 else 1


@dataclass(frozen=True, slots=True)
class _GridSettings:
    """The lowest k = int(N s) levels of the DDIM grid.

    Args:
        strength: s in (0, 1]; larger means more noise, less content, more style.
        guidance_scale: w_t >= 1; 1 leaves the empty prompt out.
        num_inference_steps: N.
    """

    strength: float = 0.65
    guidance_scale: float = 5.0
    num_inference_steps: int = 50

    def __post_init__(self) -> None:
        """Check everything now."""
        require_guidance(self.guidance_scale)
        self.visited()

    def visited(self, num_train_timesteps: int = 1000) -> tuple[int, ...]:
        """g_1, .., g_k, rising."""
        grid = ddim_grid(self.num_inference_steps, num_train_timesteps)
        return grid[: count_steps(self.strength, self.num_inference_steps)]

    def rows(self) -> int:
        """Rows of the U-Net on the way down."""
        return (2 if self.guidance_scale > 1 else 1) * len(self.visited())


@dataclass(frozen=True, slots=True)
class NoiseMapSettings(_GridSettings):
    """Edit-friendly inversion, and sampling with its noise maps under the style.

    Args:
        source: What is said of the content.
        last_map: "zero" drops Z_1, as the released codes do, so that even an unchanged content
            comes back off by s_1 |Z_1|; "keep" returns it exactly.
    """

    source: SourceSettings = SourceSettings()
    last_map: LastMap = "zero"

    def __post_init__(self) -> None:
        """Check everything now."""
        _GridSettings.__post_init__(self)
        if self.last_map not in ("zero", "keep"):
            raise ConfigError(f"z_last is {self.last_map!r}; it must be zero or keep. Try zero.")

    def recorded(self, num_train_timesteps: int = 1000) -> tuple[int, ...]:
        """The timesteps of which maps are made, rising: whole blocks, the lowest k among them."""
        grid = ddim_grid(self.num_inference_steps, num_train_timesteps)
        return grid[: in_blocks(len(self.visited()), self.num_inference_steps)]

    def rows(self) -> int:
        """Rows of the U-Net, up and down; those up are not repeated for another style or strength.

        Example:
            >>> NoiseMapSettings(0.65, 5.0, 50).rows()
            96
        """
        return self.source.rows * len(self.recorded()) + _GridSettings.rows(self)


@dataclass(frozen=True, slots=True)
class InversionSettings(_GridSettings):
    """DDIM inversion to level g_k, and DDIM sampling from there under the style.

    Args:
        source: What is said of the content.
    """

    source: SourceSettings = SourceSettings()

    def rows(self) -> int:
        """Rows of the U-Net, up and down; those up are not repeated for another style."""
        return self.source.rows * len(self.visited()) + _GridSettings.rows(self)


@dataclass(frozen=True, slots=True)
class StochasticSettings(_GridSettings):
    """SDEdit: noise to level g_k, and stochastic sampling (eta 1) from there under the style."""


@dataclass(frozen=True, slots=True)
class SteeringSettings:
    """Delta denoising score: the latent itself is moved, by differences of two predictions.

    Args:
        strength: Share of the updates that are taken, in (0, 1].
        guidance_scale: w >= 1 of both predictions.
        num_inference_steps: M, the updates of strength 1; the rate and its fall follow from it.
        source_prompt: Words for the content; empty is the empty prompt, which is never guided.
        bounds: Lowest and highest timestep that may be drawn.
        t_grid: Steps of the DDIM grid from which timesteps are drawn; 999 has them all.
        plain_weight: lambda, of the difference that a learnt style makes to its plain words.
        contrast_weight: Of the pull that holds the content's course in time.
    """

    strength: float = 1.0
    guidance_scale: float = 3.0
    num_inference_steps: int = 100
    source_prompt: str = ""
    bounds: tuple[int, int] = (20, 980)
    t_grid: int = 50
    plain_weight: float = 0.0
    contrast_weight: float = 0.0

    def __post_init__(self) -> None:
        """Check everything now."""
        require_guidance(self.guidance_scale)
        count_steps(self.strength, self.num_inference_steps)
        if not 1 <= self.t_grid <= _FINEST_GRID:
            raise ConfigError(f"t_grid is {self.t_grid}; it must be in 1..{_FINEST_GRID}. Try 50.")
        for name, weight in self.weights().items():
            if not 0 <= weight < math.inf:
                raise ConfigError(f"{name} is {weight}; it must be at least 0. Leave it out.")
        if not self.visited():
            low, high = self.bounds
            raise ConfigError(
                f"t_low {low} and t_high {high} leave no timestep of a grid of {self.t_grid} "
                "steps. Widen them, or set t_grid=999."
            )

    @property
    def source(self) -> SourceSettings:
        """What the model is told of the content: both predictions share their guidance."""
        return SourceSettings(self.source_prompt, self.guidance_scale if self.source_prompt else 1)

    def visited(self, num_train_timesteps: int = 1000) -> tuple[int, ...]:
        """The timesteps that may be drawn, rising."""
        low, high = self.bounds
        grid = ddim_grid(self.t_grid, num_train_timesteps)
        return tuple(timestep for timestep in grid if low <= timestep <= high)

    def rates(self) -> tuple[float, ...]:
        """The rate of each update: 8 / M in the beginning, a tenth less after each twentieth of M.

        These are the released .02, falling every 20 updates, at M = 400. The weight of the noise
        level is left to the sampler.

        Example:
            >>> rates = SteeringSettings(num_inference_steps=400, strength=0.5).rates()
            >>> len(rates), rates[0], round(rates[19], 4), round(rates[20], 4), round(sum(rates), 2)
            (200, 0.02, 0.02, 0.018, 2.61)
        """
        every = max(1, self.num_inference_steps // _FALLS)
        return tuple(
            _WHOLE_RATE / self.num_inference_steps * _FALL ** (number // every)
            for number in range(count_steps(self.strength, self.num_inference_steps))
        )

    def weights(self) -> dict[str, float]:
        """The weights of both further terms by their names."""
        return {"plain_weight": self.plain_weight, "contrast_weight": self.contrast_weight}

    def drawn(self) -> int:
        """Updates for which the content's own prediction is made: whole blocks."""
        return in_blocks(len(self.rates()), self.num_inference_steps)

    def rows(self) -> int:
        """Rows of the U-Net; those of the content's own prediction are not repeated.

        Plain words take a row of each update, the pull one of the content and one of the moving
        latent, whose pass backwards counts as two.

        Example:
            >>> SteeringSettings().rows(), SteeringSettings(plain_weight=0.05).rows()
            (300, 400)
        """
        guided = 2 if self.guidance_scale > 1 else 1
        pulled = 4 if self.contrast_weight else 0
        each = guided + bool(self.plain_weight) + pulled
        return self.source.rows * self.drawn() + each * len(self.rates())


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """Style injection: a content is denoised while its attention looks up keys of a style.

    Args:
        strength: Share of the steps that are taken, in (0, 1].
        num_inference_steps: N; the style was inverted in as many.
        inversion: Convention of the inversion of both.
        gamma: Share of the content's own queries, in [0, 1].
        alpha: 0 attends to the content, 1 to the style; more goes beyond it.
        temperature: Factor of the logits; above 1 attention is sharper.
        layers: "fine": self-attention of the decoder but for its coarsest level, "all" of the
            decoder, "every" one of the network.
        start: The content's noise "off" as it is, with the style's mean and spread ("adain"), or
            with all its values ("efdm"), by channel.
    """

    strength: float = 1.0
    num_inference_steps: int = 50
    inversion: Convention = "label"
    gamma: float = 0.75
    alpha: float = 0.9
    temperature: float = 1.0
    layers: Layers = "fine"
    start: StartStyle = "adain"

    def __post_init__(self) -> None:
        """Check everything now."""
        plan_climb(self.grid(), self.inversion)
        if not (0 <= self.gamma <= 1 and self.alpha >= 0 and self.temperature > 0):
            raise ConfigError(
                f"gamma is {self.gamma}, alpha {self.alpha} and temperature {self.temperature}; "
                "gamma must be in [0, 1], alpha at least 0, temperature above 0. Try 0.75, 0.9 "
                "and 1."
            )
        known = {"layers": get_args(Layers), "adain": get_args(StartStyle)}
        for name, value in (("layers", self.layers), ("adain", self.start)):
            if value not in known[name]:
                raise ConfigError(f"{name} is {value!r}; it must be {', '.join(known[name])}.")

    def grid(self, num_train_timesteps: int = 1000) -> tuple[int, ...]:
        """g_1, .., g_k, rising."""
        grid = ddim_grid(self.num_inference_steps, num_train_timesteps)
        return grid[: count_steps(self.strength, self.num_inference_steps)]

    def rows(self) -> int:
        """Rows of the U-Net for one content alone, with one clip of the style: k up, 3 k down.

        Example:
            >>> InjectionSettings().rows()
            200
        """
        return len(plan_climb(self.grid(), self.inversion)) + 3 * len(self.sampled())

    def sampled(self, num_train_timesteps: int = 1000) -> tuple[int, ...]:
        """The timesteps that are sampled, rising: all, but without the highest as released."""
        grid = self.grid(num_train_timesteps)
        return grid[:-1] if self.inversion == "released" else grid


AnySampling = (
    StylisationSettings
    | NoiseMapSettings
    | InversionSettings
    | StochasticSettings
    | SteeringSettings
)
Sampler = Literal["stylise", "sdedit", "zeta", "ddim-inversion", "steer"]


def words_for_content(settings: AnySampling) -> str:
    """What the model is told of the content in words; empty where it is told nothing."""
    if isinstance(settings, NoiseMapSettings | InversionSettings | SteeringSettings):
        return settings.source.prompt
    return ""


def settings_of(
    sampler: str, strength: float, guidance_scale: float, num_inference_steps: int
) -> AnySampling:
    """The settings of an edit by its name, all else as it is by default.

    Raises:
        ConfigError: There is no such edit, or a value is out of range.
    """
    kinds = NoiseMapSettings | InversionSettings | StochasticSettings | SteeringSettings
    edits: dict[str, type[kinds]] = {
        "sdedit": StochasticSettings,
        "zeta": NoiseMapSettings,
        "ddim-inversion": InversionSettings,
        "steer": SteeringSettings,
    }
    if sampler not in edits:
        raise ConfigError(
            f"sampler is {sampler!r}; it must be stylise, {', '.join(edits)}. Try zeta."
        )
    return edits[sampler](strength, guidance_scale, num_inference_steps)

"""The parameters of this family, with the ranges that are checked before anything is computed.

**Contents**: `MatchSettings`, how a spectrogram is looked for; `ShallowParameters` with its
presets; `PretrainedParameters`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bench.api import ConfigError
from bench.counts import Passes
from methods.presets import choose

Init = Literal["content", "noise"]
Phase = Literal["griffin-lim", "content"]
Preset = Literal["cpu", "ulyanov", "duong", "grinstein"]
Weights = Literal["published", "random"]
_TRANSFER = {"role": "transfer"}


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """How a spectrogram is looked for.

    Args:
        content_weight: Of the relative content loss, beside 1 for the style; 0 leaves the content
            to the start.
        init: Where to start: at the content, or at noise.
        steps: Iterations of the optimiser.
        phase: Griffin-Lim starts from random phases, or from the content's.
        griffin_lim_iterations: At least 1.
    """

    content_weight: float
    init: Init
    steps: int
    phase: Phase
    griffin_lim_iterations: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.content_weight < 0:
            raise ConfigError(f"content_weight is {self.content_weight}; it must be >= 0. Try 0.1.")
        if self.steps < 1 or self.griffin_lim_iterations < 1:
            raise ConfigError(
                f"steps is {self.steps} and griffin_lim_iterations {self.griffin_lim_iterations}; "
                "both must be at least 1."
            )
        if self.init not in ("content", "noise") or self.phase not in ("griffin-lim", "content"):
            raise ConfigError(
                f"init is {self.init!r} and phase {self.phase!r}; they must be content|noise and "
                "griffin-lim|content."
            )
        if self.init == "noise" and self.content_weight == 0:
            raise ConfigError(
                "init is 'noise' and content_weight 0; nothing of the content would enter. Start "
                "from the content or give it a weight."
            )


@dataclass(frozen=True, slots=True)
class Architecture:
    """The sizes of a network whose layers are all alike; kernel lengths are in frames."""

    num_layers: int
    num_filters: int
    kernel_length: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        if min(self.num_layers, self.num_filters, self.kernel_length) < 1:
            raise ConfigError(
                f"num_layers is {self.num_layers}, num_filters {self.num_filters} and "
                f"kernel_length {self.kernel_length}; each must be at least 1."
            )

    @property
    def shortest(self) -> int:
        """Frames that give one position of the last layer."""
        return 1 + self.num_layers * (self.kernel_length - 1)


@dataclass(frozen=True, slots=True)
class ShallowPreset:
    """A published (or, for `cpu`, our own) choice of parameters."""

    architecture: Architecture
    settings: MatchSettings


# ulyanov: his code; its weight of 0.01 for absolute losses is about 0.02 here (0.015 to 0.022 on
# the bundled clips). duong: two layers of half as many filters. grinstein: start and loss of the
# paper on the first network. cpu: ours, 4 s of one core for a clip of 5 s (ulyanov: 2 s a step).
PRESETS: dict[Preset, ShallowPreset] = {
    "cpu": ShallowPreset(
        Architecture(1, 512, 11), MatchSettings(0.01, "content", 50, "griffin-lim", 60)
    ),
    "ulyanov": ShallowPreset(
        Architecture(1, 4096, 11), MatchSettings(0.02, "noise", 300, "griffin-lim", 500)
    ),
    "duong": ShallowPreset(
        Architecture(2, 2048, 11), MatchSettings(0.02, "noise", 300, "griffin-lim", 500)
    ),
    "grinstein": ShallowPreset(
        Architecture(1, 4096, 11), MatchSettings(0.0, "content", 300, "griffin-lim", 500)
    ),
}


@dataclass(frozen=True, slots=True)
class ShallowParameters:
    """Parameters of the shallow network; one left at None takes the preset's value.

    Args:
        preset: cpu, ulyanov, duong or grinstein.
        num_layers: Convolutions; the last one's features are the content.
        num_filters: Of each convolution.
        kernel_length: Frames that a filter sees.
        content_weight: Of the relative content loss beside 1 for the style.
        init: Start from the content, or from noise.
        steps: Iterations of L-BFGS.
        phase: Griffin-Lim starts from random phases (griffin-lim), or from the content's.
        griffin_lim_iterations: At least 1.
    """

    preset: Preset = field(default="cpu", metadata=_TRANSFER)
    num_layers: int | None = field(default=None, metadata=_TRANSFER)
    num_filters: int | None = field(default=None, metadata=_TRANSFER)
    kernel_length: int | None = field(default=None, metadata=_TRANSFER)
    content_weight: float | None = field(default=None, metadata=_TRANSFER)
    init: Init | None = field(default=None, metadata=_TRANSFER)
    steps: int | None = field(default=None, metadata=_TRANSFER)
    phase: Phase | None = field(default=None, metadata=_TRANSFER)
    griffin_lim_iterations: int | None = field(default=None, metadata=_TRANSFER)

    def __post_init__(self) -> None:
        """Check everything now, before anything is computed."""
        if self.preset not in PRESETS:
            raise ConfigError(f"preset is {self.preset!r}; it must be one of {', '.join(PRESETS)}.")
        self.architecture()
        self.settings()

    def architecture(self) -> Architecture:
        """The preset's network with the explicit values in place."""
        preset = PRESETS[self.preset].architecture
        return Architecture(
            choose(self.num_layers, preset.num_layers),
            choose(self.num_filters, preset.num_filters),
            choose(self.kernel_length, preset.kernel_length),
        )

    def passes(self) -> Passes:
        """Iterations of the optimiser."""
        return Passes(transfer=self.settings().steps)

    def settings(self) -> MatchSettings:
        """The preset's settings with the explicit values in place."""
        preset = PRESETS[self.preset].settings
        return MatchSettings(
            choose(self.content_weight, preset.content_weight),
            choose(self.init, preset.init),
            choose(self.steps, preset.steps),
            choose(self.phase, preset.phase),
            choose(self.griffin_lim_iterations, preset.griffin_lim_iterations),
        )


@dataclass(frozen=True, slots=True)
class PretrainedParameters:
    """Parameters of matching on a pretrained network.

    Args:
        weights: The published ones, or random ones of the same shapes (an ablation: what did the
            training contribute?).
        thinning: Divides the channels of a random network; 1 keeps them.
        content_weight: Of the relative content loss beside 1 for the style.
        init: Start from the content, or from noise.
        steps: Iterations of L-BFGS.
        phase: Griffin-Lim starts from random phases (griffin-lim), or from the content's.
        griffin_lim_iterations: At least 1.
    """

    weights: Weights = field(default="published", metadata=_TRANSFER)
    thinning: int = field(default=1, metadata=_TRANSFER)
    content_weight: float = field(default=0.1, metadata=_TRANSFER)
    init: Init = field(default="content", metadata=_TRANSFER)
    steps: int = field(default=300, metadata=_TRANSFER)
    phase: Phase = field(default="griffin-lim", metadata=_TRANSFER)
    griffin_lim_iterations: int = field(default=100, metadata=_TRANSFER)

    def __post_init__(self) -> None:
        """Check everything now, before a model is loaded."""
        if self.weights not in ("published", "random"):
            raise ConfigError(f"weights is {self.weights!r}; it must be published or random.")
        if self.thinning < 1 or (self.thinning > 1 and self.weights == "published"):
            raise ConfigError(
                f"thinning is {self.thinning} with weights={self.weights}; it must be at least 1, "
                "and 1 for the published network. Set weights=random or leave thinning out."
            )
        self.settings()

    def passes(self) -> Passes:
        """Iterations of the optimiser."""
        return Passes(transfer=self.settings().steps)

    def settings(self) -> MatchSettings:
        """How a spectrogram is looked for."""
        return MatchSettings(
            self.content_weight, self.init, self.steps, self.phase, self.griffin_lim_iterations
        )

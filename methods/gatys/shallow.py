"""A shallow random network: style transfer without any training.

One or two convolutions over time, with frequencies as channels and random weights, describe which
short spectral shapes occur; their Gram matrices are the style. Nothing is trained, no weights are
needed. Found by Ulyanov and Lebedev (2016) and preferred to pretrained networks since.

Spectra are divided by their mean before compression and the losses are relative, so that one weight
serves all clips (Cifka's re-implementation divides likewise). Departures stand in the catalog and
in `Shallow.departures`.

References:
    Ulyanov and Lebedev (2016), Audio texture synthesis and style transfer (their code decides);
    Grinstein et al. (2018), Audio style transfer, ICASSP, arXiv 1710.11385: start from the content,
    style loss alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, final

import torch
from torch.nn.functional import conv1d

from bench.api import (
    Audio,
    ConfigError,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from bench.seeds import derive_seed, generator
from methods.gatys.checkpoints import SHALLOW_RATE
from methods.gatys.matching import Features
from methods.gatys.rendering import (
    Init,
    MatchSettings,
    Phase,
    Way,
    render,
    store_styles,
    style_features,
)
from methods.phase import Geometry
from methods.presets import choose

Preset = Literal["cpu", "ulyanov", "duong", "grinstein"]
_TRANSFER = {"role": "transfer"}
GEOMETRY = Geometry(SHALLOW_RATE, n_fft=2048, win_length=2048, hop_length=512)


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


def _departures(parameters: ShallowParameters) -> Iterator[str]:
    """What of a network or its settings no source has."""
    network, settings = parameters.architecture(), parameters.settings()
    preset = PRESETS[parameters.preset]
    if parameters.preset == "cpu" or network != preset.architecture:
        yield (
            f"{network.num_layers} layers of {network.num_filters} filters of "
            f"{network.kernel_length} frames, where {_words_of(PRESETS['ulyanov'].architecture)} "
            "are published (preset=ulyanov)"
        )
    if parameters.preset == "cpu" or settings != preset.settings:
        yield (
            f"{settings.steps} steps from {settings.init} with content weight "
            f"{settings.content_weight:g}, settings of ours (preset=ulyanov)"
        )
    if settings.phase == "content":
        yield "phases start from the content's (phase=griffin-lim)"


def _words_of(network: Architecture) -> str:
    return f"{network.num_layers} of {network.num_filters} of {network.kernel_length}"


class RandomNetwork:
    """Convolutions over time without padding or bias, each followed by a rectifier.

    Weights are normal with variance 4 / ((inputs + filters) kernel_length), as in Ulyanov's code;
    drawn on the CPU from a seed.
    """

    def __init__(
        self, architecture: Architecture, num_bins: int, seed: int, device: str = "cpu"
    ) -> None:
        draws = generator(derive_seed("shallow network", seed))
        inputs = [num_bins] + [architecture.num_filters] * (architecture.num_layers - 1)
        filters, length = architecture.num_filters, architecture.kernel_length
        self.weights = [
            (
                torch.randn(filters, count, length, generator=draws)
                * math.sqrt(4 / ((count + filters) * length))
            ).to(device)
            for count in inputs
        ]

    def __call__(self, spectrum: torch.Tensor, scale: float) -> Features:
        """Features of spectra (bin, frame): all layers for the style, the last for the content."""
        layers, current = [], spectrum[None]
        for weight in self.weights:
            current = torch.relu(conv1d(current, weight.to(current.dtype)))
            layers.append(current[0])
        return Features(content=(layers[-1],), style=tuple(layers))


@lru_cache(maxsize=2)
def _network(architecture: Architecture, seed: int, device: str) -> RandomNetwork:
    return RandomNetwork(architecture, GEOMETRY.n_fft // 2 + 1, seed, device)


@final
class Shallow(StyleTransferMethod[ShallowParameters]):
    """Gram matrices of a shallow random network, matched by optimising the content's spectrogram.

    `fit` stores the spectra of the style's clips and the seed of the network; nothing is learnt.

    References:
        Ulyanov and Lebedev (2016); see `departures`.

    Example:
        >>> ShallowParameters(preset="duong").architecture()
        Architecture(num_layers=2, num_filters=2048, kernel_length=11)
    """

    @classmethod
    def departures(cls, parameters: ShallowParameters, profile: Profile) -> tuple[str, ...]:
        """A network or settings that no source has."""
        del profile
        return tuple(_departures(parameters))

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: weights are drawn from the seed of the fit."""
        self._device = device

    def fit(
        self, requests: Sequence[FitRequest[ShallowParameters]], progress: Progress
    ) -> list[StyleState]:
        """Store each style.

        Raises:
            UnsupportedError: A style has no clip that fills the network's kernels.
        """
        states = [
            store_styles([request], GEOMETRY, request.parameters.architecture().shortest)[0]
            for request in requests
        ]
        progress(1.0, "spectra stored")
        return states

    def transfer(self, requests: Sequence[TransferRequest[ShallowParameters]]) -> list[Audio]:
        """Optimise each content, one after the other.

        Raises:
            ContentError: A content is too short for the network.
        """
        grams: dict[tuple[int, ShallowParameters], tuple[torch.Tensor, ...]] = {}
        outputs = []
        for request in requests:
            parameters = request.parameters
            seed = int(str(request.state.meta["seed"]))
            network = _network(parameters.architecture(), seed, self._device)
            key = (id(request.state), parameters)
            if key not in grams:
                grams[key] = style_features(request.state, network, self._device)
            way = Way(GEOMETRY, parameters.architecture().shortest, parameters.settings())
            outputs.append(render(request, network, grams[key], way))
        return outputs

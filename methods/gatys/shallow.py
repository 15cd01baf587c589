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
from functools import lru_cache
from typing import final

import torch
from torch.nn.functional import conv1d

from bench.api import (
    Audio,
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
from methods.gatys.parameters import PRESETS, Architecture, ShallowParameters
from methods.gatys.rendering import Way, render, store_styles, style_features
from methods.phase import Geometry

GEOMETRY = Geometry(SHALLOW_RATE, n_fft=2048, win_length=2048, hop_length=512)


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

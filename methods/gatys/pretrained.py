"""The same matching on networks that were trained to name sounds: VGGish and CNN14.

The linear spectrogram is optimised, with the mel bank inside the graph, so that no mel image has to
be inverted: that would lose more than the networks do.

No source fixes layers, weights or settings for sound; all of them are ours (`trunks`).

References:
    Gatys, Ecker and Bethge (2016), Image style transfer using convolutional neural networks, CVPR,
    on the networks of Hershey et al. (2017), arXiv 1609.09430, and Kong et al. (2020), arXiv
    1912.10211.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, final

import torch

from bench.api import (
    Audio,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)
from bench.seeds import derive_seed
from bench.weights import fetch_line, full_profile_line, hub_folder, refusals
from methods.gatys.checkpoints import PUBLISHED, Trunk
from methods.gatys.matching import Network
from methods.gatys.parameters import PretrainedParameters
from methods.gatys.rendering import Way, render, store_styles, style_features
from methods.gatys.trunks import (
    CNN14_MEL,
    VGGISH_MEL,
    Cnn14Trunk,
    MelNetwork,
    VggishTrunk,
    load_cnn14,
    load_vggish,
)

# Four halvings leave one position of these many frames.
_SHORTEST = 16


class _Pretrained(StyleTransferMethod[PretrainedParameters]):
    """Gram matrices of one published network, matched by optimising the content's spectrogram."""

    _trunk: ClassVar[Trunk]

    def load(self, profile: Profile, device: str) -> None:
        """Note where to work; the network is read when a style asks for it."""
        self._profile = profile
        self._device = device
        self._geometry = (VGGISH_MEL if self._trunk == "vggish" else CNN14_MEL).geometry

    @classmethod
    def departures(cls, parameters: PretrainedParameters, profile: Profile) -> tuple[str, ...]:
        """Random weights, which are an ablation."""
        del profile
        if parameters.weights == "published":
            return ()
        if parameters.thinning > 1:
            return (f"random weights and channels divided by {parameters.thinning}, an ablation",)
        return ("random weights, an ablation (weights=published)",)

    def fit(
        self, requests: Sequence[FitRequest[PretrainedParameters]], progress: Progress
    ) -> list[StyleState]:
        """Store the spectra of each style's clips, if there is a network to compare them with.

        Raises:
            CheckpointError: The published weights are not there.
            UnsupportedError: A style has no clip that is long enough, or the profile no network.
        """
        for request in requests:
            self._network(request.parameters, request.seed)
        states = store_styles(requests, self._geometry, _SHORTEST)
        progress(1.0, "spectra stored")
        return states

    def transfer(self, requests: Sequence[TransferRequest[PretrainedParameters]]) -> list[Audio]:
        """Optimise each content, one after the other.

        Raises:
            ContentError: A content is too short for the network.
        """
        outputs = []
        for request in requests:
            parameters = request.parameters
            network = self._network(parameters, int(str(request.state.meta["seed"])))
            grams = style_features(request.state, network, self._device)
            way = Way(self._geometry, _SHORTEST, parameters.settings())
            outputs.append(render(request, network, grams, way))
        return outputs

    def _network(self, parameters: PretrainedParameters, seed: int) -> Network:
        if parameters.weights == "random":
            return _random(self._trunk, parameters.thinning, seed, self._device)
        if self._profile == "mini":
            raise UnsupportedError(
                f"{self._trunk} has no mini model: a small one would say nothing about it. Use "
                f"{self._trunk}[weights=random], the ablation, or: {full_profile_line(self._trunk)}"
            )
        return _published(self._trunk, self._device)


def _build(trunk: Trunk, thinning: int) -> VggishTrunk | Cnn14Trunk:
    return VggishTrunk(thinning) if trunk == "vggish" else Cnn14Trunk(thinning)


@lru_cache(maxsize=4)
def _random(trunk: Trunk, thinning: int, seed: int, device: str) -> Network:
    """A network as the library initialises it, drawn from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed("random", trunk, seed))
        return MelNetwork(_build(trunk, thinning), device)


@lru_cache(maxsize=2)
def _published(trunk: Trunk, device: str) -> Network:
    """The published network.

    Raises:
        CheckpointError: Its file is not there or not what was published.
    """
    checkpoint = PUBLISHED[trunk]
    return MelNetwork(read_trunk(trunk, hub_folder(checkpoint) / checkpoint.files[0]), device)


def read_trunk(trunk: Trunk, path: Path) -> VggishTrunk | Cnn14Trunk:
    """A network with the weights of a published file; no code in the file is executed.

    Raises:
        CheckpointError: The file is missing, cannot be read, or holds something else.
    """
    rule = f"A state dict of {trunk} was expected. Delete it and run `{fetch_line(trunk)}`."
    with refusals(path, rule):
        state: Mapping[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    network = _build(trunk, 1)
    if isinstance(network, VggishTrunk):
        load_vggish(network, state)
    else:
        load_cnn14(network, state)
    return network


@final
class Vggish(_Pretrained):
    """Gram matrices of VGGish's convolutions, matched by optimising the content's spectrogram.

    References:
        Gatys et al. (2016); layers and settings are ours (module docstring).

    Example:
        >>> Vggish.Parameters(weights="random", thinning=16).settings().steps
        300
    """

    _trunk = "vggish"


@final
class Cnn14(_Pretrained):
    """Gram matrices of CNN14's convolutions, matched by optimising the content's spectrogram.

    References:
        Gatys et al. (2016); layers and settings are ours (module docstring).

    Example:
        >>> Cnn14.Parameters(weights="random", thinning=16).settings().steps
        300
    """

    _trunk = "cnn14"

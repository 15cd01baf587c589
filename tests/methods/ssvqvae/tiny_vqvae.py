"""SS VQ-VAE with few random weights, so that the contract can be asked of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench.api import (
    Audio,
    FitRequest,
    MethodInfo,
    Profile,
    ProfileInfo,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from methods.phase import Geometry
from methods.ssvqvae.method import Model, SelfSupervisedVqVae
from methods.ssvqvae.network import NetworkSettings, StyleVQVAE
from methods.ssvqvae.parameters import Parameters


class TinyVqVae(StyleTransferMethod[Parameters]):
    """The method on the tiny network."""

    INFO = MethodInfo(
        title="Tiny SS VQ-VAE",
        conditioned_on=("style audio", "content audio"),
        fits_per_style=False,
        source="random weights",
    )

    @classmethod
    def describe(cls, profile: Profile) -> ProfileInfo:
        """The rate of the real method."""
        del profile
        return ProfileInfo(sample_rate=16_000)

    def __init__(self) -> None:
        self._method = SelfSupervisedVqVae()

    def load(self, profile: Profile, device: str) -> None:
        del profile
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = StyleVQVAE(NetworkSettings(bins=65, width=16, codes=8))
        self._method.use(Model(network, Geometry(16_000, 128, 128, 64)), device)

    def fit(
        self, requests: Sequence[FitRequest[Parameters]], progress: Progress
    ) -> list[StyleState]:
        return self._method.fit(requests, progress)

    def transfer(self, requests: Sequence[TransferRequest[Parameters]]) -> list[Audio]:
        return self._method.transfer(requests)

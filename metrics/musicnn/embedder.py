"""Embeddings of audio by MusicNN: the penultimate layer, as a direction.

Of a sound's windows the vectors are averaged. A network that was trained to tag recorded music, so
it has heard none of the renderings that the mini models learnt from.

**Conventions**: embeddings are float64 of shape (200,) with unit norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from bench import weights
from bench.api import Audio, Json
from bench.cache import Cache
from bench.device import place
from bench.files import json_digest
from metrics.directions import Embedding
from metrics.embeddings import EmbeddedSounds
from metrics.musicnn.checkpoints import locate
from metrics.musicnn.front_end import Frames, describe, prepare
from metrics.musicnn.network import Musicnn, read_network


@final
class MusicnnEmbedder:
    """A loaded network with the embeddings it has made.

    Args:
        network: On `device`.
        identity: Digest of its weights.
        device: Where to compute.
        cache: Where embeddings are kept between runs; None keeps them in memory only.
        windows_at_once: How many share a pass; left out, 1 on the CPU and many elsewhere.
    """

    def __init__(
        self,
        network: Musicnn,
        identity: str,
        device: str,
        *,
        cache: Cache | None = None,
        windows_at_once: int | None = None,
    ) -> None:
        self._network, self._identity, self._device = network, identity, device
        facts = {**self.fingerprint(), "device": device.split(":", maxsplit=1)[0]}
        self._sounds = EmbeddedSounds(
            prepare,
            self._embed_windows,
            kind=f"musicnn-{json_digest(facts)[:16]}",
            device=device,
            cache=cache,
            windows_at_once=windows_at_once,
        )

    def fingerprint(self) -> dict[str, Json]:
        """Checkpoint, layer, preprocessing and libraries: all that decides an embedding."""
        names = ("torch", "librosa", "soxr", "numpy")
        libraries: dict[str, Json] = {name: version(name) for name in names}
        return {
            "checkpoint": self._identity,
            "layer": "penultimate",
            "preprocessing": describe(),
            "libraries": libraries,
        }

    def embed_audio(self, audio: Audio) -> Embedding:
        """Embed a sound; only once.

        Args:
            audio: Finite samples, at least one; any rate and length.

        Raises:
            UnsupportedError: It is silent.
        """
        return self.embed_all([audio])[0]

    def embed_all(self, audios: Sequence[Audio]) -> list[Embedding]:
        """Embed sounds, in order, as `embed_audio` does."""
        return self._sounds.of(audios)

    def _embed_windows(self, windows: Sequence[Frames]) -> list[NDArray[np.float64]]:
        given = place(torch.from_numpy(np.stack(windows)), self._device)
        with torch.inference_mode():
            found = self._network(given).penultimate
        return list(found.cpu().numpy().astype(np.float64))


@lru_cache(maxsize=2)
def load_embedder(device: str) -> MusicnnEmbedder:
    """The embedder, made once per device and shared by all metrics; the same in both profiles.

    Raises:
        CheckpointError: The weights are missing or broken.
    """
    folder = locate()
    identity = weights.digest(str(folder))
    network = read_network(folder, device)
    return MusicnnEmbedder(network, identity, device, cache=Cache.default())

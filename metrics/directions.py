"""Embeddings as directions, and what makes them; numpy alone, for every environment.

**Conventions**: embeddings are float64 of shape (dim,) with unit norm.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Json

Embedding = NDArray[np.float64]


class Embedder(Hashable, Protocol):
    """A model that hears sounds as directions; itself a key of what is made of them."""

    def embed_audio(self, audio: Audio) -> Embedding:
        """The direction of a sound; `UnsupportedError` where it has none."""

    def embed_all(self, audios: Sequence[Audio]) -> list[Embedding]:
        """The directions of sounds, in order."""

    def fingerprint(self) -> Mapping[str, Json]:
        """All that decides an embedding beside what is embedded."""


def unit(vector: NDArray[np.floating]) -> Embedding:
    """Scale a vector to unit norm in float64.

    Raises:
        ValueError: It has no direction.

    Example:
        >>> unit(np.array([3.0, 4.0])).tolist()
        [0.6, 0.8]
    """
    wide = np.asarray(vector, np.float64)
    norm = float(np.linalg.norm(wide))
    if not np.isfinite(norm) or norm == 0:
        raise ValueError(
            f"vector has norm {norm}; only a finite one above 0 has a direction. "
            "Check the audio for NaN."
        )
    return np.asarray(wide / norm)


def mean_direction(vectors: Sequence[NDArray[np.float64]]) -> Embedding:
    """The mean of vectors, scaled to unit norm: a prototype of several clips or windows."""
    return unit(np.mean(vectors, axis=0))


def cosine(first: Embedding, second: Embedding) -> float:
    """Cosine of two unit embeddings, in [-1, 1], higher is closer."""
    return max(-1.0, min(1.0, float(first @ second)))

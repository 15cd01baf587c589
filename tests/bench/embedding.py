"""A metric that embeds sounds by the levels of their bands, and others that do so badly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.api import (
    Audio,
    Direction,
    EmbeddingMetric,
    Json,
    MetricInfo,
    Output,
    Profile,
    Score,
)
from bench.outputs import judge

BANDS = 6


class Bands(EmbeddingMetric):
    """Scores 0.5, whatever it hears."""

    INFO = MetricInfo("Bands", Direction.MAXIMIZE, (0.0, 1.0), "a test")
    EMBEDDING = "bands"

    def load(self, profile: Profile, device: str) -> None:
        pass

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        return [judge("bands", output) or Score("bands", 0.5) for output in outputs]

    def fingerprint(self) -> Mapping[str, Json]:
        return {"metric": "bands", "version": "1"}

    def embed(self, audios: Sequence[Audio]) -> NDArray[np.float64]:
        levels = [
            [part.sum() for part in np.array_split(np.abs(np.fft.rfft(audio.mono)), BANDS)]
            for audio in audios
        ]
        vectors = np.array(levels)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Long(Bands):
    """Its vectors are not of unit norm."""

    def embed(self, audios: Sequence[Audio]) -> NDArray[np.float64]:
        return 2 * super().embed(audios)


class Choosy(Bands):
    """Raises where more than one sound is asked for, or a low one."""

    def embed(self, audios: Sequence[Audio]) -> NDArray[np.float64]:
        if len(audios) > 1 or audios[0].mono[0] > 0:
            raise RuntimeError("too much")
        return super().embed(audios)

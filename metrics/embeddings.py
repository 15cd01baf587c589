"""Embeddings of sounds, each made once: kept in memory and in the cache, and made in passes.

This is what all embedders share. What a model hears of a sound (`prepare`) and what it makes of
some windows (`embed`) is theirs. On the CPU windows are embedded one by one; an accelerator takes
many at once, and there an embedding depends on the windows beside it in its last digits only.

**Conventions**: embeddings are float64 of shape (dim,) with unit norm; windows are arrays of one
shape, float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import final

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio
from bench.batching import Aside, Batcher, in_parallel, one_ahead
from bench.cache import Cache
from metrics.directions import Embedding, mean_direction

Window = NDArray[np.float32]
Windows = NDArray[np.float32]  # a window per row
_WINDOWS_AT_ONCE = 32  # on an accelerator


@final
class EmbeddedSounds:
    """The embeddings that a model has made, by the digest of the sound.

    Args:
        prepare: The windows of a sound, at least one; called on the host, in threads beside an
            accelerator.
        embed: A vector for each of some windows, in order, float64 (dim,) each.
        kind: Under which the cache keeps them: must name all that decides an embedding.
        device: Where `embed` computes.
        cache: Where embeddings are kept between runs; None keeps them in memory only.
        windows_at_once: How many share a pass; left out, 1 on the CPU and many elsewhere.
    """

    def __init__(
        self,
        prepare: Callable[[Audio], Windows],
        embed: Callable[[Sequence[Window]], list[NDArray[np.float64]]],
        *,
        kind: str,
        device: str,
        cache: Cache | None,
        windows_at_once: int | None = None,
    ) -> None:
        default = 1 if device == "cpu" else _WINDOWS_AT_ONCE
        self._batcher = Batcher(windows_at_once or default)
        self._prepare, self._embed = prepare, embed
        self._kind, self._device, self._cache = kind, device, cache
        self._known: dict[str, Embedding] = {}

    def of(self, audios: Sequence[Audio]) -> list[Embedding]:
        """The embeddings of sounds, in order: each the mean direction of its windows' vectors."""
        keys = in_parallel(_key_of, audios, self._device)
        keyed = dict(zip(keys, audios, strict=True))
        unknown = [key for key in keyed if key not in self._known]
        for key in unknown:
            stored = self._cache.load_array(self._kind, key) if self._cache else None
            if stored is not None:
                self._known[key] = np.asarray(stored, np.float64)
        new = [key for key in unknown if key not in self._known]
        for key, embedding in zip(new, self._compute([keyed[key] for key in new]), strict=True):
            self._known[key] = embedding
            if self._cache:
                self._cache.save_array(self._kind, key, embedding)
        return [self._known[key] for key in keys]

    def _compute(self, audios: Sequence[Audio]) -> list[Embedding]:
        """Embed sounds; those of the next pass are prepared while the device is at the present."""
        size = self._batcher.size
        parts = [audios[start : start + size] for start in range(0, len(audios), size)]
        with Aside(self._device) as aside:
            prepared = one_ahead(aside.begin(partial(self._prepare_all, part)) for part in parts)
            return [embedding for sounds in prepared for embedding in self._join(sounds())]

    def _prepare_all(self, audios: Sequence[Audio]) -> list[Windows]:
        return in_parallel(self._prepare, audios, self._device)

    def _join(self, sounds: Sequence[Windows]) -> list[Embedding]:
        windows = [window for sound in sounds for window in sound]
        vectors = iter(self._batcher.run(windows, self._embed))
        return [mean_direction([next(vectors) for _ in sound]) for sound in sounds]


@lru_cache(maxsize=64)  # the clips of a style are asked for again with every output
def _key_of(audio: Audio) -> str:
    return audio.digest

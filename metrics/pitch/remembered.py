"""What a model hears in sounds, computed once for each: by the digest of the sound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Json
from bench.batching import in_threads
from bench.cache import Cache
from bench.files import json_digest
from bench.memo import Recent

MOST_IN_MEMORY = 4096  # sounds; some 5 kB each for five seconds


@final
class Remembered:
    """What a model hears, kept in memory and in the cache.

    Sounds are heard in threads, one sound on one core: so they use every core, and no sum is made
    in an order that depends on how many there are.

    Args:
        name: Of the model, for the folder of the cache.
        hear: The model: from a sound to an array, the same for equal sounds. Threads call it.
        facts: All that decides the array beside the sound.
        cache: Where arrays are kept between runs.
    """

    def __init__(
        self,
        name: str,
        hear: Callable[[Audio], NDArray[Any]],
        facts: Mapping[str, Json],
        cache: Cache,
    ) -> None:
        self.facts = dict(facts)
        self._hear = hear
        self._cache = cache
        self._kind = f"{name}-{json_digest(self.facts)[:16]}"
        self._known: Recent[NDArray[Any]] = Recent(MOST_IN_MEMORY)

    def of(self, audio: Audio) -> NDArray[Any]:
        """What is heard in a sound."""
        (found,) = self.of_all([audio])
        return found

    def of_all(self, audios: Iterable[Audio]) -> list[NDArray[Any]]:
        """What is heard in sounds, in order; those that are not known yet are heard together."""
        keyed = [(_key_of(audio), audio) for audio in audios]
        found = {key: self._find(key) for key, _ in keyed}
        new = {key: audio for key, audio in keyed if found[key] is None}
        for key, heard in zip(new, in_threads(self._hear, new.values()), strict=True):
            self._cache.save_array(self._kind, key, heard)
            found[key] = self._known.keep(key, heard)
        return [np.asarray(found[key]) for key, _ in keyed]

    def _find(self, key: str) -> NDArray[Any] | None:
        known = self._known.find(key)
        if known is not None:
            return known
        stored = self._cache.load_array(self._kind, key)
        return None if stored is None else self._known.keep(key, stored)


@lru_cache(maxsize=64)  # contents and the clips of a style are asked for with every output
def _key_of(audio: Audio) -> str:
    return audio.digest

"""Where a decoder keeps keys and values, so that a step reads no more of them than it must.

Both kinds take their memory once. `growing` hands out exactly what is filled, which suits plain
passes: the library's own growing cache copies all that it holds at every step, and that was a third
of the time of the mini model on a CPU. `fixed` hands out as many positions as it is told, because a
recorded pass needs fixed shapes; what is not filled among them has to be masked.

Rows that begin with the same prefix read it once: what comes first may have fewer rows than the
cache, which `source` spreads over its rows. Its own attention needs no more than was handed in.

How many positions a recorded pass looks at is decided by `ends`: a recording for each length would
cost more than it saves, so that what a generation adds is cut into few parts.

**Conventions**: keys and values are (row, head, position, width).
"""

from __future__ import annotations

import math

from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer, StaticLayer

MOST_PARTS = 4  # recorded passes that are kept at once, each with its memory
# Attention on CUDA copies masks with rows of other lengths before it reads them.
_ALIGNED = 16
# About what an H200 reads in the time that recording a pass takes: 80 ms at 3 TB/s. A slower device
# does both more slowly. An estimate; it decides speed alone.
_BYTES_READ_WHILE_RECORDING = 2.4e11


class _FilledInPlace(DynamicLayer):  # type: ignore[misc]  # transformers counts as untyped
    """A layer that grows inside memory for so many positions."""

    def __init__(self, places: int, source: Tensor) -> None:
        super().__init__()
        self._places, self._source = places, source
        self._room: tuple[Tensor, Tensor] | None = None

    def update(
        self, keys: Tensor, values: Tensor, *_args: object, **_options: object
    ) -> tuple[Tensor, Tensor]:
        """Take in what comes next; all that is filled, as views."""
        if self._room is None:
            return self._begin(keys, values)
        start = self.get_seq_length()
        end = start + keys.shape[-2]
        for room, new in zip(self._room, (keys, values), strict=True):
            room[:, :, start:end] = new
        self.keys, self.values = (room[:, :, :end] for room in self._room)
        return self.keys, self.values

    def _begin(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        self.lazy_initialization(keys, values)
        rows, (_, heads, end, width) = len(self._source), keys.shape
        room, other = (new.new_empty(rows, heads, self._places, width) for new in (keys, values))
        self.keys, self.values = room[:, :, :end], other[:, :, :end]
        self.keys.copy_(keys[self._source])
        self.values.copy_(values[self._source])
        self._room = room, other
        return keys, values


class _ReadInPart(StaticLayer):  # type: ignore[misc]  # likewise
    """A layer of fixed size of which the first `read` positions are looked at."""

    def __init__(self, places: int, source: Tensor) -> None:
        super().__init__(places)
        self.read, self._source = places, source

    def update(
        self, keys: Tensor, values: Tensor, *_args: object, **_options: object
    ) -> tuple[Tensor, Tensor]:
        """Take in what comes next; the part that is looked at, as views."""
        if not self.is_initialized:
            super().update(keys[self._source], values[self._source])
            return keys, values
        all_keys, all_values = super().update(keys, values)
        return all_keys[:, :, : self.read], all_values[:, :, : self.read]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset of what is looked at."""
        return self.read if self.is_initialized else query_length, 0


def growing(layers: int, places: int, source: Tensor) -> Cache:
    """A cache that hands out what is filled, with room for so many positions.

    Args:
        layers: Of the decoder.
        places: Positions in all.
        source: For each row, which row of what comes first it begins with (row,).
    """
    return Cache(layers=[_FilledInPlace(places, source) for _ in range(layers)])


def fixed(layers: int, places: int, source: Tensor) -> Cache:
    """A cache of a fixed size; `look_at` says how much of it is handed out; else as `growing`."""
    return Cache(layers=[_ReadInPart(places, source) for _ in range(layers)])


def look_at(cache: Cache, positions: int) -> None:
    """Have a fixed cache hand out its first positions from now on."""
    for layer in cache.layers:
        layer.read = positions


def rewind(cache: Cache, filled: int) -> None:
    """Have a fixed cache hold so many positions, so that what comes next is written there."""
    for layer in cache.layers:
        layer.cumulative_length.fill_(filled)


def ends(prefix: int, places: int, parts: int) -> tuple[int, ...]:
    """Up to where steps look, for a cache that holds a prefix and grows to all its places.

    Args:
        prefix: Positions that are filled before the first step.
        places: Positions in all, a multiple of 16.
        parts: Into how many equal parts what is added is cut, at least 1.

    Returns:
        Rising multiples of 16, at most one for each part; the last is `places`.

    Example:
        >>> ends(244, 512, 1), ends(244, 512, 4)
        ((512,), (320, 384, 448, 512))
    """
    added = places - prefix
    return tuple(sorted({aligned(prefix + added * part / parts) for part in range(1, parts + 1)}))


def aligned(positions: float) -> int:
    """The smallest multiple of 16 that is not below a number of positions.

    Example:
        >>> aligned(497), aligned(496)
        (512, 496)
    """
    return _ALIGNED * math.ceil(positions / _ALIGNED)


def parts_worth_recording(bytes_per_position: int, prefix: int, places: int) -> int:
    """Into how many parts a generation is cut: 1, where each recording costs more than it saves.

    With p parts, what is added to the prefix is read about (1 + 1 / p) / 2 times as often as with
    one; the bytes this saves, less those that could be read while p - 1 more passes are recorded,
    are most at p = sqrt(s / r), with s half of what reading all of it at every step takes, and r
    what is read while one pass is recorded.

    Args:
        bytes_per_position: Keys and values of one position, of all rows and layers.
        prefix: Positions that are filled before the first step.
        places: Positions in all.

    Returns:
        From 1 to `MOST_PARTS`.

    Example:
        Five and thirty seconds of 64 clips with guidance, MusicGen melody in 16 bits; 8 clips:

        >>> each = 2 * 48 * 1536 * 2
        >>> [parts_worth_recording(128 * each, 244, places) for places in (512, 1760)]
        [2, 4]
        >>> parts_worth_recording(16 * each, 244, 512)
        1
    """
    added = places - prefix
    saved_at_most = bytes_per_position * added**2 / 2
    best = math.isqrt(int(saved_at_most / _BYTES_READ_WHILE_RECORDING))
    return min(max(best, 1), MOST_PARTS)


def part_of(ending: tuple[int, ...], filled: int) -> int:
    """The first end that is not below so many filled positions.

    Example:
        >>> part_of((320, 384, 448, 512), 320), part_of((320, 384, 448, 512), 321)
        (320, 384)
    """
    return next(end for end in ending if end >= filled)

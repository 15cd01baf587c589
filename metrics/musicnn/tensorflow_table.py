"""Reading the arrays of a TensorFlow checkpoint (version 2 of its format) without TensorFlow.

A checkpoint is an index, which is a table of LevelDB, and a data file in which the arrays follow
each other. A table ends with a footer that says where its index block lies; the entries of that
block say where the blocks lie that hold the entries proper. There a key is the name of an array and
a value a message that says its type, shape, place and size in the data file.

Only what such an index holds is understood: blocks without compression, float32, one data file.
Checksums within are not looked at; whoever calls knows the digests of both files.

**Conventions**: numbers are little-endian; a varint has seven bits a byte, the lowest first, and
all but its last byte have the eighth bit set.

**Source**: the LevelDB table format (`table_format.md` of google/leveldb) and TensorFlow's
`tensor_bundle.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.api import CheckpointError

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
FOOTER_BYTES = 48
WORD = 4  # bytes of a restart offset, and of their count
FLOAT32 = 1  # among TensorFlow's types
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5  # kinds of fields in a message
TYPE, SHAPE, SHARD, OFFSET, SIZE = 1, 2, 3, 4, 5  # fields of an entry
DIMENSION, LENGTH = 2, 1  # of a shape, and of a dimension

Field = int | bytes


class _Reader:
    """Bytes that are read from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def __bool__(self) -> bool:
        return self._place < len(self._data)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        found = self._data[self._place : self._place + count]
        if len(found) < count:
            raise CheckpointError(
                f"a TensorFlow index ends {count - len(found)} bytes early; it must be whole. "
                "Fetch it again."
            )
        self._place += count
        return found

    def varint(self) -> int:
        """The next number of variable length."""
        number = shift = 0
        while True:
            (byte,) = self.take(1)
            number |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the eighth bit
                return number
            shift += 7


class Entry(NamedTuple):
    """Where an array lies in the data file.

    Attributes:
        shape: Of the array.
        offset: Its first byte.
        size: How many bytes.
    """

    shape: tuple[int, ...]
    offset: int
    size: int


def read_arrays(index: bytes, data: bytes) -> dict[str, NDArray[np.float32]]:
    """The arrays of a checkpoint by name.

    Args:
        index: The file `.index`.
        data: The file `.data-00000-of-00001`.

    Raises:
        CheckpointError: The index is no such table, or holds something that is not understood.
    """
    arrays = {}
    for name, (shape, offset, size) in read_index(index).items():
        if size != 4 * prod(shape) or offset + size > len(data):
            raise CheckpointError(
                f"{name} should have the shape {shape} and lie in {size} bytes from {offset} of "
                f"{len(data)}; the two do not fit. Fetch index and data again."
            )
        found = np.frombuffer(data, "<f4", prod(shape), offset)
        arrays[name] = found.reshape(shape).astype(np.float32)
    return arrays


def read_index(index: bytes) -> dict[str, Entry]:
    """Where each array of a checkpoint lies, by name.

    Raises:
        CheckpointError: As `read_arrays`.
    """
    if len(index) < FOOTER_BYTES or not index.endswith(MAGIC):
        raise CheckpointError(
            f"{len(index)} bytes that end in {index[-8:].hex()} are no LevelDB table, which ends "
            f"in {MAGIC.hex()}; the index of a TensorFlow checkpoint was expected. Fetch it again."
        )
    footer = _Reader(index[-FOOTER_BYTES:])
    _meta, block = _handle(footer), _handle(footer)
    entries = {
        key.decode(): _entry(key.decode(), value)
        for _, place in _block(index, *block)
        for key, value in _block(index, *_handle(_Reader(place)))
        if key  # an empty one is the header
    }
    _require_no_overlap(entries)
    return entries


def _handle(reader: _Reader) -> tuple[int, int]:
    """Offset and size of a block."""
    return reader.varint(), reader.varint()


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; a key names how many bytes it shares with the one before it."""
    compression = table[offset + size : offset + size + 1]
    if compression != b"\0":
        raise CheckpointError(
            f"the block at {offset} has compression {compression.hex() or 'missing'}; only plain "
            "blocks (00) are read."
        )
    block = table[offset : offset + size]
    restarts = int.from_bytes(block[-WORD:], "little")
    reader, key = _Reader(block[: size - WORD * (restarts + 1)]), b""
    while reader:
        shared, own, length = reader.varint(), reader.varint(), reader.varint()
        key = key[:shared] + reader.take(own)
        yield key, reader.take(length)


def _entry(name: str, message: bytes) -> Entry:
    fields: dict[int, Field] = dict(_fields(message))
    kind, shard = fields.get(TYPE), fields.get(SHARD, 0)
    if kind != FLOAT32 or shard != 0:
        raise CheckpointError(
            f"{name} has the type {kind!r} in part {shard!r}; only float32 ({FLOAT32}) in one part "
            "(0) is read."
        )
    shape = fields.get(SHAPE, b"")
    offset, size = fields.get(OFFSET, 0), fields.get(SIZE, 0)
    if not isinstance(shape, bytes) or not isinstance(offset, int) or not isinstance(size, int):
        raise CheckpointError(f"{name} has no shape, offset or size of the kind that is expected.")
    return Entry(tuple(_lengths(shape)), offset, size)


def _lengths(shape: bytes) -> Iterator[int]:
    """The lengths of a shape's axes, in order."""
    for number, dimension in _fields(shape):
        if number == DIMENSION and isinstance(dimension, bytes):
            length = dict(_fields(dimension)).get(LENGTH, 0)
            yield length if isinstance(length, int) else 0


def _fields(message: bytes) -> Iterator[tuple[int, Field]]:
    """The fields of a protobuf message by number, in order."""
    reader = _Reader(message)
    while reader:
        tag = reader.varint()
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            yield number, reader.varint()
        elif kind == DELIMITED:
            yield number, reader.take(reader.varint())
        elif kind in (FIXED32, FIXED64):
            yield number, reader.take(4 if kind == FIXED32 else 8)
        else:
            raise CheckpointError(f"a message has a field of kind {kind}, which is not read.")


def _require_no_overlap(entries: Mapping[str, Entry]) -> None:
    """Check that no two arrays share bytes, as arrays that follow each other do not."""
    ordered = sorted(entries.items(), key=lambda item: item[1].offset)
    for (name, entry), (other, following) in pairwise(ordered):
        if entry.offset + entry.size > following.offset:
            raise CheckpointError(f"{name} and {other} share bytes of the data file.")

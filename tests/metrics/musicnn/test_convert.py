"""The conversion: tables as LevelDB writes them, digests, and the published wheel itself."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from bench.api import CheckpointError
from metrics.musicnn import convert
from metrics.musicnn.checkpoints import FILE, FOLDER
from metrics.musicnn.tensorflow_table import FOOTER_BYTES, MAGIC, Entry, read_arrays, read_index

HEADER = b"\x08\x01"  # of the empty key: one data file
Pairs = Mapping[bytes, bytes]


def varint(number: int) -> bytes:
    head = b"" if number < 128 else varint(number >> 7)
    low = number & 127
    return bytes([low]) if not head else bytes([low | 128]) + head


def message(shape: tuple[int, ...], offset: int, size: int, kind: int = 1) -> bytes:
    """An entry of an index, with the checksum that every one has."""
    dims = b"".join(b"\x12" + varint(len(d)) + d for d in (b"\x08" + varint(n) for n in shape))
    body = b"\x08" + varint(kind) + b"\x12" + varint(len(dims)) + dims
    return body + b"\x20" + varint(offset) + b"\x28" + varint(size) + b"\x35" + b"\1\2\3\4"


def block(pairs: Pairs) -> bytes:
    """Entries whose keys name what they share with the one before, and one restart."""
    found, before = b"", b""
    for key, value in sorted(pairs.items()):
        shared = next(
            (n for n, (a, b) in enumerate(zip(key, before, strict=False)) if a != b),
            min(len(key), len(before)),
        )
        own = key[shared:]
        found += varint(shared) + varint(len(own)) + varint(len(value)) + own + value
        before = key
    return found + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")


def table(*blocks: Pairs, compression: bytes = b"\0") -> bytes:
    """A table of data blocks, with its index block and footer."""
    whole, handles = b"", {}
    for pairs in blocks:
        data = block(pairs)
        handles[max(pairs)] = varint(len(whole)) + varint(len(data))
        whole += data + compression + b"crc!"
    places = block(handles)
    handle = varint(len(whole)) + varint(len(places))
    whole += places + b"\0crc!"
    return whole + (b"\0\0" + handle).ljust(FOOTER_BYTES - len(MAGIC), b"\0") + MAGIC


ARRAYS = {
    "dense/bias": np.arange(3, dtype="<f4"),
    "dense/kernel": np.arange(300, dtype="<f4").reshape(2, 150),
    "scale": np.array(7, "<f4"),
}


def written(arrays: Mapping[str, NDArray[np.float32]]) -> tuple[dict[bytes, bytes], bytes]:
    data, entries = b"", {}
    for name, array in arrays.items():
        entries[name.encode()] = message(array.shape, len(data), array.nbytes)
        data += array.tobytes()
    return entries, data


def test_arrays_come_back_from_a_table_of_several_blocks() -> None:
    entries, data = written(ARRAYS)
    first = {b"": HEADER, **{k: v for k, v in entries.items() if k != b"scale"}}
    found = read_arrays(table(first, {b"scale": entries[b"scale"]}), data)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert np.array_equal(found[name], array), name


def test_an_index_says_where_each_array_lies() -> None:
    entries, _ = written(ARRAYS)
    index = read_index(table({b"": HEADER, **entries}))
    assert index["dense/kernel"] == Entry((2, 150), 12, 1200)
    assert index["scale"] == Entry((), 1212, 4)


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        (b"", "0 bytes that end in  are no LevelDB table"),
        (table({b"a": message((1,), 0, 4)})[:-1], "are no LevelDB table"),
        (table({b"a": message((1,), 0, 4)}, compression=b"\1"), "has compression 01; only plain"),
        (table({b"a": message((1,), 0, 4, kind=2)}), "a has the type 2 in part 0"),
        (table({b"a": message((2,), 0, 8), b"b": message((1,), 4, 4)}), "a and b share bytes"),
        (table({b"a": message((2,), 0, 4)}), r"a should have the shape \(2,\) and lie in 4 bytes"),
        (table({b"a": message((5,), 0, 20)}), "lie in 20 bytes from 0 of 16"),
        (table({b"a": b"\x0b"}), "a field of kind 3, which is not read"),
        (table({b"a": b"\x12\x09"}), "a TensorFlow index ends 9 bytes early"),
    ],
)
def test_what_is_not_understood_is_refused(spoilt: bytes, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        read_arrays(spoilt, bytes(16))


def test_the_shipped_arrays_are_the_converted_ones() -> None:
    arrays = load_file(FOLDER / FILE)
    assert convert.digest_of(arrays) == convert.FLOAT16_SHA256
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
    assert (len(arrays), sum(array.size for array in arrays.values())) == (64, 792_079)


def test_a_digest_tells_names_and_values_apart() -> None:
    one = {"a": np.zeros(2, np.float32), "b": np.ones(2, np.float32)}
    same = dict(reversed(one.items()))
    others = [{"a": one["b"], "b": one["a"]}, {"a": one["a"], "c": one["b"]}]
    assert convert.digest_of(same) == convert.digest_of(one)
    assert convert.digest_of(one) not in [convert.digest_of(other) for other in others]


def test_the_card_and_the_licence_say_what_was_converted() -> None:
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    digests = (convert.WHEEL_SHA256, convert.FLOAT32_SHA256, convert.FLOAT16_SHA256)
    for digest in (*digests, *convert.MEMBERS.values()):
        assert f"`{digest}`" in card
    assert "Music Technology Group" in (FOLDER / "LICENSE").read_text(encoding="utf-8")


def test_another_wheel_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    wheel = tmp_path / "musicnn-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(convert.INDEX, b"")
    with pytest.raises(CheckpointError, match=r"any\.whl has the SHA-256 .* was published"):
        convert.convert(wheel, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.network
def test_the_published_wheel_becomes_the_shipped_file(tmp_path: Path, checkout: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "metrics.musicnn.convert", "--out", str(tmp_path)],
        cwd=checkout, check=True,
    )  # fmt: skip
    assert (tmp_path / FILE).read_bytes() == (FOLDER / FILE).read_bytes()

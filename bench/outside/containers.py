"""Audio files by their containers: what one holds, and whether it ends where it says.

A decoder believes the length in a header, takes a file that was cut short for a shorter one, and
reads the first of several files that were joined. Here the bytes are asked instead: a packed file
(MP3, OGG, FLAC) becomes the streams in it, each ready to be decoded until it ends; the chunks of a
WAV or AIFF must fill the file.

Source: RIFF (Microsoft and IBM, 1991), AIFF 1.3 (Apple, 1989), RFC 3533 (OGG), RFC 9639 (FLAC).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from bench.errors import DatasetError
from bench.outside import mp3

MOST_PACKED_BYTES = 1 << 29  # a packed file is taken into memory as it is
_HEAD_BYTES = 12
_CHUNK_HEAD_BYTES = 8
_OGG_HEAD_BYTES = 27
_OGG_FIRST, _OGG_LAST = 2, 4  # flags of a page
_STREAMED_LENGTH = 0xFFFFF000  # some writers leave a few bytes below the largest number
_FLAC_COUNT = slice(21, 26)  # in it the number of samples: the last 36 bits
_FLAC_HEAD_BYTES = 42
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"3DI")
_OLD_TAG_BYTES = 128

_JOINED = {b"RIFF", b"FORM"}  # a file begins with this, no chunk does

Kind = Literal["plain", "mp3", "ogg", "flac"]


@dataclass(frozen=True, slots=True)
class Stream:
    """What a decoder reads in one go.

    Args:
        data: The bytes.
        least_samples: How many samples per channel it must give; 0 where nothing says so.
    """

    data: bytes
    least_samples: int


def require_whole(path: Path) -> None:
    """Check without a decoder that a file can be opened, is not empty, and was not cut short.

    Raises:
        DatasetError: It is missing, not a file, not readable or empty, or it is a WAV, AIFF or OGG
            that ends earlier or later than it says.
    """
    try:
        _require_file(path)
        with path.open("rb") as file:
            _require_chunks(path, file)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be opened ({error.strerror}); its user must be allowed to read it. "
            "Change its permissions or remove it."
        ) from error


def _require_file(path: Path) -> None:
    if not path.exists():
        raise DatasetError(f"{path} does not exist; an audio file was expected. Check the path.")
    if not path.is_file():
        raise DatasetError(
            f"{path} is not a file; an audio file was expected. Remove or rename it."
        )
    if path.stat().st_size == 0:
        raise DatasetError(
            f"{path} is empty (0 bytes); audio was expected. Copy the file again or remove it."
        )


def packed_streams(path: Path) -> list[Stream] | None:
    """The streams of an MP3, OGG or FLAC in their order; None for a file of any other kind.

    Raises:
        DatasetError: The file is cut short, or too large.
    """
    with path.open("rb") as file:
        kind, skipped = _kind(path, file)
        if kind == "plain":
            return None
        size = path.stat().st_size
        if size > MOST_PACKED_BYTES:
            raise DatasetError(
                f"{path} has {size} bytes; an MP3, OGG or FLAC has at most {MOST_PACKED_BYTES}. "
                "Cut it into parts."
            )
        file.seek(skipped)
        data = file.read()
    try:
        return {"mp3": _mp3, "ogg": _ogg, "flac": _flac}[kind](data)
    except mp3.BrokenOffError as error:
        raise DatasetError(
            f"{path} breaks off: {error}; audio must be complete. Copy the file again or remove it."
        ) from error
    except ValueError as error:
        raise DatasetError(
            f"{path} cannot be decoded ({error}); audio is WAV, AIFF, FLAC, OGG, Opus or MP3. "
            "Convert it or leave it out."
        ) from error


def _kind(path: Path, file: BinaryIO) -> tuple[Kind, int]:
    """What a file is by its first bytes, and how many bytes of tags come before the sound."""
    head = file.read(_HEAD_BYTES)
    skipped = 0
    if head[:3] == b"ID3" and len(head) == _HEAD_BYTES:
        skipped = mp3.tag_bytes(head)
        file.seek(skipped)
        head = file.read(_HEAD_BYTES)
    if head[:4] == b"fLaC":
        return "flac", skipped
    if head[:4] == b"OggS":
        return "ogg", skipped
    is_chunked = head[:4] in {b"RIFF", b"FORM", b"RF64", b"RIFX"}
    if skipped or mp3.begins(head) or (path.suffix.lower() == ".mp3" and not is_chunked):
        return "mp3", skipped
    return "plain", 0


def _mp3(data: bytes) -> list[Stream]:
    return [Stream(run.data, run.least_samples) for run in mp3.runs(data)]


def _flac(data: bytes) -> list[Stream]:
    """One stream without a number of samples, so that the decoder goes on until it ends."""
    if len(data) < _FLAC_HEAD_BYTES:
        raise mp3.BrokenOffError(f"it has {len(data)} bytes, less than a FLAC's header")
    packed = int.from_bytes(data[_FLAC_COUNT], "big")
    claimed = packed & (1 << 36) - 1
    unknown = (packed - claimed).to_bytes(5, "big")
    return [Stream(data[:21] + unknown + _without_tag(data[26:]), claimed)]


def _without_tag(data: bytes) -> bytes:
    tagged = data[-_OLD_TAG_BYTES:][:3] == b"TAG"
    return data[:-_OLD_TAG_BYTES] if tagged else data


def _ogg(data: bytes) -> list[Stream]:
    """The streams that follow each other; each begins with a page that is flagged as the first."""
    starts, is_inside = [], False
    for start, flags in _pages(data):
        if flags & _OGG_FIRST:
            if not is_inside:
                starts.append(start)
            is_inside = True
        else:
            is_inside = False
    ends = [*starts[1:], len(data)]
    return [Stream(data[a:b], 0) for a, b in zip(starts, ends, strict=True)]


def _pages(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and flags of each page of an OGG.

    A page is "OggS", a byte of version, one of flags, and from byte 26 on the number of its
    segments and the length of each.
    """
    place, flags = 0, 0
    while data[place : place + 4] == b"OggS" and place + _OGG_HEAD_BYTES <= len(data):
        flags = data[place + 5]
        yield place, flags
        body = place + _OGG_HEAD_BYTES + data[place + 26]
        place = body + sum(data[place + _OGG_HEAD_BYTES : body])
    if place > len(data) or not flags & _OGG_LAST:
        raise mp3.BrokenOffError(f"its last page is missing or incomplete at byte {place}")
    if place < len(data) and any(data[place:]) and not data[place:].startswith(_TAGS):
        raise ValueError(f"byte {place} begins no page of an OGG")


def _require_chunks(path: Path, file: BinaryIO) -> None:
    """Check that a WAV or AIFF ends where its header says."""
    head = file.read(_HEAD_BYTES)
    size = file.seek(0, os.SEEK_END)
    file.seek(_HEAD_BYTES)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        end, promised = _end_of_chunks(file, size, b"data", "little")
    elif head[:4] == b"FORM" and head[8:] in {b"AIFF", b"AIFC"}:
        end, promised = _end_of_chunks(file, size, b"SSND", "big")
    else:
        return
    if promised > size:
        raise DatasetError(
            f"{path} breaks off: it has {size} bytes and should have {promised} or more; audio "
            "must be complete. Copy the file again or remove it."
        )
    file.seek(end)
    rest = file.read(_CHUNK_HEAD_BYTES)
    if end < size and rest.strip(b"\0") and not rest.startswith(_TAGS):
        raise DatasetError(
            f"{path} says that it ends at byte {end}, and has {size}; its header is wrong, or "
            "files were joined without being decoded. Export it again."
        )


def _end_of_chunks(
    file: BinaryIO, size: int, sound: bytes, order: Literal["little", "big"]
) -> tuple[int, int]:
    """Where the chunks end, and where the samples should.

    Both are lists of chunks, each a name of four bytes and a length of four; the samples are in one
    of them. Programs that write to a pipe do not know the length beforehand and leave the largest
    number there: such a file ends where it ends.
    """
    place, promised = _HEAD_BYTES, 0
    while place < size:
        file.seek(place)
        chunk = file.read(_CHUNK_HEAD_BYTES)
        if len(chunk) < _CHUNK_HEAD_BYTES or not _is_name(chunk[:4]):
            break
        length = int.from_bytes(chunk[4:], order)
        if chunk[:4] == sound:
            if length >= _STREAMED_LENGTH:
                return size, 0
            promised = place + _CHUNK_HEAD_BYTES + length
        place += _CHUNK_HEAD_BYTES + length + length % 2
    return min(place, size), promised


def _is_name(name: bytes) -> bool:
    return name.isascii() and name.decode("ascii").isprintable() and name not in _JOINED

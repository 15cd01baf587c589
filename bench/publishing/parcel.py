"""What a publication consists of, before anything is sent: files by their place, and what stays.

A parcel is finished before the network is asked for anything, so that what `--dry-run` lists is
what would be sent, byte for byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.files import file_digest, size_words
from bench.publishing.publication import MARKER, Publication, bytes_digest

_FEW = 8  # files of one folder that are listed one by one


@dataclass(frozen=True, slots=True)
class Item:
    """One file: its place in the repository, with `/` between folders, and what it holds."""

    place: str
    content: bytes | Path

    @property
    def size(self) -> int:
        """Bytes."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    @property
    def digest(self) -> str:
        """SHA-256 of its bytes, 64 hex digits."""
        if isinstance(self.content, Path):
            return file_digest(self.content)
        return bytes_digest(self.content)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a run folder has, or a publication could have, and this one has not; `why` in words."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """Everything that is published, the marker included, and what is left out."""

    publication: Publication
    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]


def make_parcel(
    publication: Publication, items: Sequence[Item], left_out: Sequence[LeftOut]
) -> Parcel:
    """Close a parcel: the digests of all files go into the marker, which comes last.

    Args:
        publication: What is published where, still without digests.
        items: The files.
        left_out: What stays behind.

    Raises:
        ValueError: Two files have one place.
    """
    twice = [place for place, n in Counter(item.place for item in items).items() if n > 1]
    if twice:
        raise ValueError(f"{twice[0]} is there twice; a parcel has one file for a place.")
    digests = {item.place: item.digest for item in items}
    marked = publication.model_copy(update={"files": dict(sorted(digests.items()))})
    marker = Item(MARKER, (marked.model_dump_json(indent=1) + "\n").encode())
    return Parcel(marked, (*items, marker), tuple(left_out))


def parcel_lines(parcel: Parcel) -> list[str]:
    """The files with their sizes, folders of many files as one line, then what is left out."""
    rows = [*_listed(parcel.items), (total_words(parcel), size_words(total_bytes(parcel)))]
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name.ljust(width)}  {size:>9}" for name, size in rows]
    held = [f"  {one.what}: {one.why}" for one in parcel.left_out]
    return [*lines, *(["left out:", *held] if held else [])]


def total_bytes(parcel: Parcel) -> int:
    """Bytes of all files."""
    return sum(item.size for item in parcel.items)


def total_words(parcel: Parcel) -> str:
    """How many files there are, in words."""
    return f"{len(parcel.items)} files"


def _listed(items: Sequence[Item]) -> list[tuple[str, str]]:
    folders: dict[str, list[Item]] = {}
    for item in items:
        parent = str(PurePosixPath(item.place).parent)
        folders.setdefault("" if parent == "." else parent, []).append(item)
    rows = []
    for folder, held in folders.items():
        if folder and len(held) > _FEW:
            rows.append((f"{folder}/ ({len(held)} files)", size_words(_sum(held))))
        else:
            rows += [(item.place, size_words(item.size)) for item in held]
    return rows


def _sum(items: Sequence[Item]) -> int:
    return sum(item.size for item in items)


def text_items(texts: Mapping[str, str]) -> list[Item]:
    """Texts by their places as files in UTF-8."""
    return [Item(place, text.encode()) for place, text in texts.items()]

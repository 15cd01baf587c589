"""Datasets that are fetched: an archive, unpacked with care into the data folder.

Such a dataset may not be redistributed, so no part of it lies in this checkout. Its card says
where the archive is, how many clips it holds, and which folder names are misspelt.

**Layout**: `.../content/<category>/<clip>` and `.../timbre/<style>/<clip>` (or `style`) at any
depth of the archive become `content/<category>/<clip>` and `style/<style>/<clip>`. Everything
else is left out.
"""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

from pydantic import Field

from bench.api import DatasetError
from bench.audio import READABLE
from bench.data.recordings import MANIFEST
from bench.files import LinkError, renewed_folder
from bench.outside.declarations import Declared
from bench.outside.texts import LONGEST_S

_CHUNK = 1 << 20
_FEW_BYTES = 64  # read at a time of what unpacks without bound: bzip2 makes a million bytes of one
_END_BYTES = 22 + (1 << 16) + 20  # in which the end of a zip file lies
_LONGEST_ENTRY = 1 << 10  # bytes in the list of entries: a name and some facts
_UNKNOWN = 0xFFFFFFFF  # stands where a second record says more
_LARGEST_WINDOW = 1 << 26  # bytes that LZMA may keep in memory: what its tools use at most
_CORRUPT = (
    zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError, MemoryError,
    OverflowError, IndexError, zlib.error, lzma.LZMAError, struct.error,
)  # fmt: skip
_SIDES = {"content": "content", "timbre": "style", "style": "style"}


class ArchiveCard(Declared):
    """Where a dataset comes from and what it must hold.

    Attributes:
        drive_id: File id on Google Drive.
        page: Where a person finds it.
        bytes: About how large it is, for the message before a download.
        clip_s: About how long a clip is, for what is planned before it is here.
        most_bytes: Unpacked, it may not be larger.
        most_files: It may not have more entries.
        counts: Categories, contents, styles and style clips that it must hold.
        spellings: Folder names as they may be in it, with the right ones.
    """

    drive_id: str
    page: str
    bytes: int = Field(gt=0)
    clip_s: float = Field(default=5.0, gt=0, le=LONGEST_S)
    most_bytes: int = Field(gt=0)
    most_files: int = Field(gt=0)
    counts: dict[str, int]
    spellings: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of an archive and where it goes, relative to the dataset."""

    name: str
    target: PurePosixPath
    bytes: int


def unpack(
    archive: Path,
    target: Path,
    card: ArchiveCard,
    accept: Callable[[Path], None] = lambda _: None,
) -> None:
    """Unpack the clips of an archive into a folder that appears only when it is complete.

    Clips that were there before are replaced; what else lies in the folder stays.

    Args:
        archive: The zip file.
        target: The folder.
        card: What the archive may and must hold.
        accept: Called with the unpacked folder before it takes its place; it raises if that is not
            what was asked for.

    Raises:
        DatasetError: It is not a zip archive, has an entry that leads out of the folder or is a
            link, is larger than the card allows, does not hold what the card says, or is corrupt.
    """
    with _explained(archive, target):
        _require_modest(archive, card)
        with zipfile.ZipFile(archive) as opened:
            members = list_members(opened.infolist(), card, archive.name)
            require_counts(members, card.counts, archive.name)
            with renewed_folder(target, keep=_is_not_ours) as fresh:
                left = card.most_bytes
                for member in members:
                    left -= _extract(opened, member, fresh, left)
                accept(fresh)


def _is_not_ours(path: PurePosixPath) -> bool:
    return path.parts[0] not in {*_SIDES.values(), MANIFEST}


@contextmanager
def _explained(archive: Path, target: Path) -> Iterator[None]:
    try:
        yield
    except LinkError:
        raise
    except OSError as error:
        if error.errno is None:  # a decoder's own: bzip2 says so of a corrupt stream
            raise _corrupt(archive, error) from error
        raise DatasetError(
            f"{archive} cannot be unpacked into {target.parent} ({error.strerror}). Free space "
            "there, or set BENCH_DATA to another folder."
        ) from error
    except _CORRUPT as error:
        raise _corrupt(archive, error) from error


def _corrupt(archive: Path, error: Exception) -> DatasetError:
    words = " ".join(str(error).split())[:200] or type(error).__name__
    return DatasetError(
        f"{archive} is not a complete zip archive ({words}); the dataset comes as one. Fetch it "
        "again, or download it by hand and give --zip FILE."
    )


def _require_modest(archive: Path, card: ArchiveCard) -> None:
    """Refuse an archive whose list of entries would fill the memory before it can be looked at.

    The end of a zip file says how long its list is: a record of 22 bytes and a comment, and for
    large ones a second record that a locator of 20 bytes before it points to.
    """
    size = archive.stat().st_size
    with archive.open("rb") as file:
        file.seek(max(0, size - _END_BYTES))
        tail = file.read()
        place = tail.rfind(b"PK\x05\x06")
        listed = int.from_bytes(tail[place + 12 : place + 16], "little") if place >= 0 else 0
        locator = tail[place - 20 : place] if place >= 20 else b""  # noqa: PLR2004 - its length
        if locator.startswith(b"PK\x06\x07"):
            file.seek(min(size, int.from_bytes(locator[8:16], "little")))
            listed = max(listed % _UNKNOWN, int.from_bytes(file.read(48)[40:], "little"))
    if listed > card.most_files * _LONGEST_ENTRY:
        raise DatasetError(
            f"{archive} has a list of entries of {listed} bytes; at most {card.most_files} entries "
            "are expected. Check that it is the right one."
        )


def list_members(
    entries: Iterable[zipfile.ZipInfo], card: ArchiveCard, archive: str
) -> list[Member]:
    """The clips among the entries of an archive, after every entry has been found harmless.

    Raises:
        DatasetError: An entry leads out of the folder, is a link or is locked; or there are too
            many, or too large, or two for one place.
    """
    held = list(entries)
    total = sum(entry.file_size for entry in held)
    if len(held) > card.most_files or total > card.most_bytes:
        raise DatasetError(
            f"{archive} has {len(held)} entries and {total} bytes unpacked; at most "
            f"{card.most_files} and {card.most_bytes} are expected. Check that it is the right one."
        )
    for entry in held:
        _require_harmless(entry, archive)
    members = [member for entry in held if (member := _member(entry, card.spellings))]
    twice = [place for place, n in Counter(m.target for m in members).items() if n > 1]
    if twice:
        raise DatasetError(
            f"{archive} holds {twice[0]} twice; each clip stands once. Check that it is the right "
            "archive."
        )
    return sorted(members, key=lambda member: member.target)


def _require_harmless(entry: zipfile.ZipInfo, archive: str) -> None:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    kind = stat.S_IFMT(entry.external_attr >> 16)
    drive = bool(path.parts) and ":" in path.parts[0]
    facts = {
        "has control characters in its name": not entry.filename.isprintable(),
        "leads out of the folder": path.is_absolute() or ".." in path.parts or drive,
        "is not a plain file or folder": kind not in {0, stat.S_IFREG, stat.S_IFDIR},
        "is encrypted": bool(entry.flag_bits & 1),
    }
    for fact, true in facts.items():
        if true:
            raise DatasetError(
                f"{archive}: entry {entry.filename!r} {fact}; a dataset holds plain files only. "
                "Nothing was unpacked; check where the archive came from."
            )


def _member(entry: zipfile.ZipInfo, spellings: dict[str, str]) -> Member | None:
    """Where a clip goes; None for an entry that is not a clip."""
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    parts = path.parts
    hidden = any(part.startswith((".", "__")) for part in parts)
    if entry.is_dir() or hidden or path.suffix.lower() not in READABLE or len(parts) < 3:  # noqa: PLR2004 - side, folder, clip
        return None
    side, folder, name = parts[-3:]
    if side not in _SIDES:
        return None
    target = PurePosixPath(_SIDES[side], spellings.get(folder, folder), name)
    return Member(entry.filename, target, entry.file_size)


def require_counts(members: Iterable[Member], counts: dict[str, int], archive: str) -> None:
    """Compare what an archive holds with what its card says.

    Raises:
        DatasetError: A count differs; the message lists those that do.
    """
    found = _counts(members)
    unlike = [
        f"{name.replace('_', ' ')}: {found.get(name, 0)} and not {expected}"
        for name, expected in counts.items()
        if found.get(name, 0) != expected
    ]
    if unlike:
        raise DatasetError(
            f"{archive} differs from the card: {'; '.join(unlike)}. Check that it is the right "
            "archive; to use another selection, unpack it yourself and give --dataset FOLDER."
        )


def _counts(members: Iterable[Member]) -> dict[str, int]:
    places = [member.target.parts for member in members]
    content = [folder for side, folder, _ in places if side == "content"]
    style = [folder for side, folder, _ in places if side == "style"]
    return {
        "categories": len(set(content)),
        "contents": len(content),
        "styles": len(set(style)),
        "style_clips": len(style),
    }


def _extract(opened: zipfile.ZipFile, member: Member, folder: Path, allowed: int) -> int:
    """Write one clip and return its size; the sizes that an archive states may be wrong."""
    path = folder / member.target
    path.parent.mkdir(parents=True, exist_ok=True)
    entry, written = opened.getinfo(member.name), 0
    bounded = entry.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    _require_window(opened, entry)
    with opened.open(entry) as opened_entry, path.open("xb") as sink:
        source = cast("zipfile.ZipExtFile", opened_entry)
        source.MIN_READ_SIZE = source.MIN_READ_SIZE if bounded else _FEW_BYTES
        while chunk := source.read(_CHUNK if bounded else _FEW_BYTES):
            written += len(chunk)
            if written > allowed:
                raise DatasetError(
                    f"{member.name} unpacks to more than it states; the archive exceeds its "
                    "limit. Nothing was kept; check where it came from."
                )
            sink.write(chunk)
    return written


def _require_window(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Refuse LZMA that asks for gigabytes: the size of its window stands before its data.

    A member is a head of 30 bytes, its name and further facts, and the data; LZMA's begin with four
    bytes of version, one of settings and four with the size.
    """
    if entry.compress_type != zipfile.ZIP_LZMA or opened.fp is None:
        return
    opened.fp.seek(entry.header_offset)
    head = opened.fp.read(30)
    opened.fp.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), 1)
    window = int.from_bytes(opened.fp.read(9)[5:], "little")
    if window > _LARGEST_WINDOW:
        raise DatasetError(
            f"{entry.filename} asks for a window of {window} bytes; at most {_LARGEST_WINDOW} are "
            "used. Nothing was kept; check where the archive came from."
        )

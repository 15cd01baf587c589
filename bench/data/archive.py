"""Datasets that are fetched: an archive, unpacked with care into the data folder.

Such a dataset may not be redistributed, so no part of it lies in this checkout. Its card says
where the archive is, how many clips it holds, and which folder names are misspelt.

**Layout**: `.../content/<category>/<clip>` and `.../timbre/<style>/<clip>` (or `style`) at any
depth of the archive become `content/<category>/<clip>` and `style/<style>/<clip>`. Everything
else is left out.
"""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import Field

from bench.api import DatasetError
from bench.audio import READABLE
from bench.declarations import Declared

_CHUNK = 1 << 20
_SIDES = {"content": "content", "timbre": "style", "style": "style"}


class ArchiveCard(Declared):
    """Where a dataset comes from and what it must hold.

    Attributes:
        drive_id: File id on Google Drive.
        page: Where a person finds it.
        bytes: About how large it is, for the message before a download.
        most_bytes: Unpacked, it may not be larger.
        most_files: It may not have more entries.
        counts: Categories, contents, styles and style clips that it must hold.
        spellings: Folder names as they may be in it, with the right ones.
    """

    drive_id: str
    page: str
    bytes: int = Field(gt=0)
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


def data_folder() -> Path:
    """Where fetched datasets lie: BENCH_DATA, else ~/.local/share/music-style-bench."""
    named = os.environ.get("BENCH_DATA")
    if named:
        return Path(named).expanduser()
    return Path.home() / ".local" / "share" / "music-style-bench"


def unpack(archive: Path, target: Path, card: ArchiveCard) -> None:
    """Unpack the clips of an archive into a folder that appears only when it is complete.

    Raises:
        DatasetError: It is not a zip archive, has an entry that leads out of the folder or is a
            link, is larger than the card allows, or does not hold what the card says.
    """
    scratch = target.with_name(f".{target.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = list_members(opened.infolist(), card, archive.name)
            require_counts(members, card.counts, archive.name)
            left = card.most_bytes
            for member in members:
                left -= _extract(opened, member, scratch, left)
        shutil.rmtree(target, ignore_errors=True)
        scratch.replace(target)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise DatasetError(
            f"{archive} is not a complete zip archive ({error}); the dataset comes as one. Fetch "
            "it again, or download it by hand and give --zip FILE."
        ) from error
    except OSError as error:
        raise DatasetError(
            f"{archive} cannot be unpacked into {target.parent} ({error.strerror}). Free space "
            "there, or set BENCH_DATA to another folder."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


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
    written = 0
    with opened.open(member.name) as source, path.open("wb") as sink:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > allowed:
                raise DatasetError(
                    f"{member.name} unpacks to more than it states; the archive exceeds its "
                    "limit. Nothing was kept; check where it came from."
                )
            sink.write(chunk)
    return written

"""Names of files and folders as people type them and as disks hold them.

A letter such as é can be one character (NFC, as keyboards give it) or two (NFD, as some disks and
archives hold it); both look alike. Names in records, tables and choices are in NFC, and a file is
found under either form. A name that is not UTF-8 could not be recorded at all.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from bench.errors import BenchError, DatasetError


def composed(name: str) -> str:
    """A name in NFC.

    Example:
        >>> composed("cafe" + chr(0x301)) == "caf" + chr(0xE9)
        True
    """
    return unicodedata.normalize("NFC", name)


def require_utf8(name: str | Path, error: type[BenchError] = DatasetError) -> None:
    """Refuse a name that holds bytes which are not UTF-8.

    Raises:
        BenchError: As asked for; the message shows the bytes.
    """
    try:
        str(name).encode()
    except UnicodeEncodeError as cause:
        raise error(
            f"{os.fsencode(name)!r} is a name that is not UTF-8; names stand in records and "
            "tables. Rename it."
        ) from cause


def on_disk(path: Path) -> Path:
    """The file or folder of this name, whichever form of its letters the disk holds.

    The path itself comes back where it exists, and where there is nothing like it.
    """
    try:
        if path.exists() or path.parent == path:
            return path
    except OSError:  # a name that no disk could hold, for which there is nothing to find
        return path
    parent = on_disk(path.parent)
    if not parent.is_dir() or not os.access(parent, os.R_OK):
        return path
    alike = (there for there in parent.iterdir() if composed(there.name) == composed(path.name))
    return next(alike, path)

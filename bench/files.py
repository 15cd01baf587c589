"""Files: how they are replaced, what is said of a full disk, and the digests of their contents.

A file that a user could lose, or that somebody could read while it is written, is written with
`replace_file`. All digests are SHA-256 in hex.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

# A full disk, a full quota, and a file that is larger than this process may write.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NAME_LENGTH = 40  # of the target's name in that of the scratch file: file systems allow 255 bytes


def replace_file(path: Path, content: str | bytes) -> None:
    """Replace a file by new content, as a whole or not at all.

    The content is written to a scratch file beside the target, flushed to the disk, and renamed.
    Whenever the process is killed, a reader finds the old content or the new one. Several processes
    may write the same file: each has a scratch file of its own, and the last one wins. Missing
    folders are created. A symbolic link stays, and the file that it points to is replaced. A pipe
    or a device, such as `/dev/stdout`, is written to directly.

    Args:
        path: The file.
        content: Its new content; text is written as UTF-8, in which half of a surrogate pair is
            escaped.

    Raises:
        OSError: The file, which the error names, cannot be written, as on a full disk. Nothing is
            left behind.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    with naming(path):
        _replace(path, data)


def _replace(path: Path, data: bytes) -> None:
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name[:_NAME_LENGTH]}.{secrets.token_hex(8)}.part")
    try:
        with scratch.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors of the system be about one file.

    An error in writing to an open file names none, and one about a scratch file names what the user
    never heard of.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # an error of Python's own, with words of its own
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def no_space(error: OSError) -> str | None:
    """Which file has no space and on which disk, in words, where that is the error; else None.

    Example:
        >>> no_space(OSError(errno.ENOSPC, "No space left on device", "/proc/1/a"))
        '/proc/1/a: no space left on the disk mounted at /proc'
        >>> no_space(OSError(errno.EACCES, "Permission denied", "/proc/1/a"))
    """
    if error.errno not in FULL or error.filename is None:
        return None
    return f"{error.filename}: no space left on the disk mounted at {_mount_of(error.filename)}"


def _mount_of(path: str) -> str:
    place = Path(path).resolve()
    return str(next(folder for folder in (place, *place.parents) if folder.is_mount()))


def file_digest(path: Path) -> str:
    """The digest of a file, 64 hex digits; the file is read whole each time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered_digest(path: Path) -> str:
    """The digest of a file, which is read again only when its size or modification time changed."""
    stat = path.stat()
    return _digest_at(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4096)
def _digest_at(path: Path, mtime_ns: int, size: int) -> str:
    del mtime_ns, size  # only keys of the cache
    return file_digest(path)


def json_digest(value: object, *, separators: tuple[str, str] = (", ", ": ")) -> str:
    """The digest of a value in its canonical JSON form, 64 hex digits.

    Keys are sorted and letters outside ASCII are escaped. Digests stand in records, baselines and
    caches, so neither the form nor the separators that a caller chose may change.

    Args:
        value: Anything that JSON can express.
        separators: Between the items of a list or object, and between a key and its value.

    Example:
        >>> json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1})
        True
        >>> json_digest([1, 2]) == json_digest([1, 2], separators=(",", ":"))
        False
    """
    text = json.dumps(value, sort_keys=True, separators=separators)
    return hashlib.sha256(text.encode()).hexdigest()

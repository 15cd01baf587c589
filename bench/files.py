"""Files: how they are replaced, and the digests by which their contents are known.

A file that a user could lose, or that somebody could read while it is written, is written with
`replace_file`. All digests are SHA-256 in hex.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from functools import lru_cache
from pathlib import Path

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
        content: Its new content; text is written as UTF-8.

    Raises:
        OSError: The file cannot be written, as on a full disk. Nothing is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
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

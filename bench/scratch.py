"""Scratch files: what is written beside its target before it takes that place.

A scratch file is locked as long as its writer lives, and the kernel frees the lock however that
ends. So whoever writes into the folder next can tell what a killed process has left from what is
being written, and removes it. File systems that lock no files keep what is left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

NAME_LENGTH = 40  # of the target's name in that of the scratch: file systems allow 255 bytes
_NAME = re.compile(rf"\..{{1,{NAME_LENGTH}}}\.[0-9a-f]{{16}}\.part", re.DOTALL)


@contextmanager
def scratch_beside(target: Path) -> Iterator[BinaryIO]:
    """A new file beside the target, open and locked; it is removed unless it was renamed."""
    while True:
        path = target.with_name(f".{target.name[:NAME_LENGTH]}.{secrets.token_hex(8)}.part")
        with path.open("xb") as file:
            try:
                with contextlib.suppress(OSError):  # file systems of some networks lock nothing
                    fcntl.flock(file, fcntl.LOCK_EX)
                if path.exists():  # nobody took it for left over before it was locked
                    yield file
                    return
            finally:
                path.unlink(missing_ok=True)


@lru_cache(maxsize=4096)
def remove_left_over(folder: Path) -> None:
    """Remove the scratch files whose writers are dead; once for each folder in a process.

    What cannot be removed stays: no file of the user's depends on it.
    """
    with os.scandir(folder) as entries:
        named = [Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name)]
    for path in named:
        with contextlib.suppress(OSError):  # it is gone, being written, or somebody else's
            _remove_unless_locked(path)


def _remove_unless_locked(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(handle)

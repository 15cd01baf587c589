"""The lock of a run folder: who may write into it at a time.

A run holds it alone; shards of one run hold it together, so that they keep out only runs that are
none. The kernel frees it however a process ends. File systems of some networks lock nothing.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.api import RecordError


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a run folder.

    Args:
        folder: The run folder, which exists.
        shared: Hold it together with others who ask so.

    Raises:
        RecordError: Another process is working in this folder.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with (folder / "lock").open("a+") as file:
        try:
            with suppress_unless_held():
                fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RecordError(
                f"{folder} is in use by another run; one run folder takes one process, or the "
                "shards of one run. Wait, or choose another --out."
            ) from error
        yield


@contextmanager
def suppress_unless_held() -> Iterator[None]:
    """Let a lock be where the file system has none; one that somebody holds is still an error."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError:
        return

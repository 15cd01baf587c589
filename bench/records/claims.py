"""Claims: who is making something that several processes need, so that only one makes it.

A claim is a small file that names its owner: a mark of the machine, the process, and since when. It
is made so that only one process can make it, on network file systems too, and its owner touches it
every `RENEW_S` seconds. One that nobody has touched for `LIFE_S` seconds, or whose process is gone
from this machine, is dead, and anybody may take its place.

A claim saves work and nothing depends on it: what is made under one goes to the cache or is written
as a whole. Should two processes make the same after all, because one was stopped for minutes and
came back, both make the same, and the later one changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

from bench.files import make_folder, require_plain

RENEW_S = 20.0
LIFE_S = 120.0  # six renewals may fail or be late
POLL_S = 1.0
_LONGEST = 1000  # bytes of a claim that are read


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a claim.

    Args:
        token: Drawn anew for each claim.
        machine: A mark of the machine: no name, only a digest.
        process: The number of the process there.
        since: When it took the claim.
    """

    token: str
    machine: str
    process: int
    since: str

    @property
    def words(self) -> str:
        """Who it is, in words."""
        where = "this machine" if self.machine == this_machine() else f"machine {self.machine}"
        return f"process {self.process} of {where}, since {self.since}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it was found; it names nobody while it is being written, and if it is spoilt."""

    owner: Owner | None
    touched_ns: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that this process holds.

    Args:
        path: Its file.
        owner: This process.
    """

    path: Path
    owner: Owner

    def renew(self) -> bool:
        """Show that the owner lives; returns whether the claim is still its own."""
        if not self._is_ours():
            return False
        with suppress(OSError):
            os.utime(self.path)
        return True

    def release(self) -> None:
        """Give the claim up, if it is still this process's."""
        if self._is_ours():
            self.path.unlink(missing_ok=True)

    def _is_ours(self) -> bool:
        seen = _look(self.path)
        return seen is not None and seen.owner == self.owner


def take(path: Path) -> Claim | None:
    """Take a claim, unless somebody alive holds it.

    Args:
        path: Its file; missing folders are made.

    Raises:
        LinkError: The file is a symbolic link.
    """
    require_plain(path)
    make_folder(path.parent)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    claim = Claim(path, Owner(secrets.token_hex(8), this_machine(), os.getpid(), now))
    if _made(claim):
        return claim
    seen = _look(path)
    if seen and (_lives(path, seen) or not _removed_dead(path, seen)):
        return None
    return claim if _made(claim) else None


def _made(claim: Claim) -> bool:
    """Make the file of a claim, unless there is one."""
    try:
        with claim.path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(asdict(claim.owner)))
    except FileExistsError:
        return False
    return True


def _removed_dead(path: Path, dead: _Seen) -> bool:
    """Take the claim of a dead owner away; of several processes that want to, one does.

    Since it was found dead somebody may have put a live claim in its place: that one stays, or is
    put back where it came between this second look and the removal.
    """
    seen = _look(path)
    if seen != dead:
        return seen is None
    aside = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return True
    moved = _look(aside)
    if moved != dead:
        with suppress(OSError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)
    return moved == dead


def holder(path: Path) -> Owner | None:
    """Who holds a claim now; None where nobody does, or the one who did is dead."""
    seen = _look(path)
    if seen is None or not _lives(path, seen):
        return None
    return seen.owner or Owner("", "", 0, "a moment ago")


def _lives(path: Path, seen: _Seen) -> bool:
    """Whether the claim that was seen is somebody's."""
    owner = seen.owner
    gone = owner is not None and owner.machine == this_machine() and _is_gone(owner.process)
    return _now(path.parent) - seen.touched_ns / 1e9 < LIFE_S and not gone


def _now(folder: Path) -> float:
    """The time by the clock of the file system, which is that of the claims in it."""
    with TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime


def _look(path: Path) -> _Seen | None:
    """What is there now, None where nothing is.

    A file that vanished, or that another one followed, must never be taken for a dead one that may
    be moved away: hence the time and the owner come from one open file.
    """
    try:
        with path.open("rb") as file:
            return _Seen(_owner(file.read(_LONGEST)), os.fstat(file.fileno()).st_mtime_ns)
    except FileNotFoundError:
        return None
    except OSError:  # not ours to read: as good as a spoilt one
        return _Seen(None, path.stat().st_mtime_ns) if path.exists() else None


def _owner(written: bytes) -> Owner | None:
    try:
        said = json.loads(written)
        return Owner(str(said["token"]), str(said["machine"]), int(said["process"]), said["since"])
    except (ValueError, KeyError, TypeError):
        return None


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # somebody else's, who lives
        return False
    return False


@cache
def this_machine() -> str:
    """A mark of this machine while it runs, 8 hex digits; each container has a mark of its own."""
    facts = [platform.node()]
    for name in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        path = Path(name)
        with suppress(OSError):
            facts.append(str(path.readlink()) if path.is_symlink() else path.read_text("utf-8"))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:8]


@contextmanager
def claimed(path: Path, wait: Callable[[Owner], None]) -> Iterator[Claim]:
    """Hold a claim for the time of a block, and wait for it before.

    Args:
        path: Its file.
        wait: Is called every second that somebody else holds it; what it raises ends the waiting.
    """
    claim = take(path)
    while claim is None:
        other = holder(path)
        if other is not None:
            wait(other)
            time.sleep(POLL_S)
        claim = take(path)
    with kept(claim):
        yield claim


@contextmanager
def kept(claim: Claim) -> Iterator[None]:
    """Renew a claim while a block runs, then give it up."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(RENEW_S) and claim.renew():
            pass

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        claim.release()

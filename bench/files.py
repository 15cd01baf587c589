"""Files and folders: how they are replaced, what is said of a full disk, and digests of contents.

A file that a user could lose, or that somebody could read while it is written, is written with
`replace_file`; a folder of files that belong together with `renewed_folder`. Neither writes or
deletes anything through a symbolic link: a folder that comes from elsewhere may hold links to
anywhere. All digests are SHA-256 in hex.

A scratch file, which is written beside its target, is locked as long as its writer lives, and the
kernel frees the lock however that ends. So whoever writes into the folder next can tell what a
killed process has left from what is being written, and removes it. File systems that lock no files
keep what is left.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import resource
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

# A full disk, a full quota, and a file that is larger than this process may write.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_LITTLE_BYTES = 1 << 30  # a disk with more space left is not full, whoever says so
_STREAMS = frozenset({Path("/dev"), Path("/dev/fd")})
# What file systems answer that keep no names on request, such as those of some networks.
_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})
_FRESH, _FORMER = ".new", ".old"
_NAME_LENGTH = 40  # of the target's name in that of the scratch: file systems allow 255 bytes
_SCRATCH = re.compile(rf"\..{{1,{_NAME_LENGTH}}}\.[0-9a-f]{{16}}\.part", re.DOTALL)


class LinkError(OSError):
    """A symbolic link stands where a file or folder of ours should be, or a path leads out."""

    def __init__(self, path: Path, fact: str) -> None:
        super().__init__(errno.ELOOP, fact, str(path))


def require_plain(path: Path, root: Path | None = None) -> None:
    """Refuse a place that is a link, or that lies behind one.

    Args:
        path: The file or folder, which need not exist.
        root: A folder above it, which may itself be reached through links: the user named it.
            Everything below it must be plain; by default only `path` itself.

    Raises:
        LinkError: A link stands there.
    """
    place = _lexical(path)
    top = place.parent if root is None else _lexical(root)
    for part in place.relative_to(top).parts:
        top = top / part
        if top.is_symlink():
            fact = f"it is a link to {top.readlink()}; nothing is written or deleted through one"
            raise LinkError(top, fact)


def _lexical(path: Path) -> Path:
    """A path from the root on without `..`, every link in it left as it is."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the links


def inside(folder: Path, relative: str) -> Path:
    """A file of a folder by its path in it, and never one outside of it.

    Raises:
        LinkError: The path is absolute, goes up, or passes a link that leads out of the folder.
    """
    place = folder / relative
    try:
        there = place.resolve()
        # Links in a circle stay as they are; before Python 3.13 they are an error.
        stays = there.is_relative_to(folder.resolve()) and not _has_link(there)
    except (RuntimeError, ValueError):  # such links, or no path at all
        stays = False
    if not stays:
        raise LinkError(place, f"it leads out of {folder}")
    return place


def _has_link(path: Path) -> bool:
    return any(one.is_symlink() for one in (path, *path.parents))


def replace_file(path: Path, content: str | bytes, root: Path | None = None) -> None:
    """Replace a file by new content, as a whole or not at all.

    The content is written to a scratch file beside the target, flushed to the disk, and renamed,
    and the disk has the new name before this returns. Whenever the process is killed, a reader
    finds the old content or the new one, and what is left of the scratch file goes with the next
    write into the folder. Several processes may write the same file: each has a
    scratch file of its own, and the last one wins. Missing folders are created. A pipe or a device,
    such as `/dev/stdout`, is written to directly; `/dev/shm` is a disk in memory like any other.

    Args:
        path: The file.
        content: Its new content; text is written as UTF-8, in which half of a surrogate pair is
            escaped.
        root: A folder above it, see `require_plain`.

    Raises:
        LinkError: The file is a symbolic link, or lies behind one below `root`.
        OSError: The file, which the error names, cannot be written, as on a full disk. Nothing is
            left behind.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    target = _lexical(path)
    stream = target.parent in _STREAMS  # even where it leads to a file
    if not stream:
        require_plain(target, root)
    with naming(path):
        if stream or (target.exists() and not target.is_file()):
            target.write_bytes(data)
        else:
            _replace(target, data)


def _replace(target: Path, data: bytes) -> None:
    make_folder(target.parent)
    remove_left_over(target.parent)
    with _scratch_beside(target) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        Path(file.name).replace(target)
    sync_folder(target.parent)


@contextmanager
def _scratch_beside(target: Path) -> Iterator[BinaryIO]:
    """A new file beside the target, open and locked; it is removed unless it was renamed."""
    while True:
        path = target.with_name(f".{target.name[:_NAME_LENGTH]}.{os.urandom(8).hex()}.part")
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
        named = [Path(entry.path) for entry in entries if _SCRATCH.fullmatch(entry.name)]
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


def make_folder(folder: Path) -> None:
    """Create a folder, and those above it, unless it is there; the disk keeps their names."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Have the disk keep the names in a folder; file systems that cannot are let be.

    Where the power fails, a file that was flushed is lost all the same as long as its name is
    not there.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(handle)


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


def size_words(count: int) -> str:
    """A number of bytes in words, from a tenth of a gigabyte on in gigabytes.

    Example:
        >>> size_words(999), size_words(12_345), size_words(5_400_000), size_words(100_000_000)
        ('999 B', '12.3 kB', '5.4 MB', '0.1 GB')
    """
    for unit, least in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= (least // 10 if unit == "GB" else least):
            return f"{count / least:.1f} {unit}"
    return f"{count} B"


def no_space(error: OSError) -> str | None:
    """Which file has no space and on which disk, in words, where that is the error; else None.

    Example:
        >>> no_space(OSError(errno.ENOSPC, "No space left on device", "/dev/a"))
        '/dev/a: no space left on the disk mounted at /dev'
        >>> no_space(OSError(errno.EACCES, "Permission denied", "/dev/a"))
    """
    if error.errno not in FULL or error.filename is None:
        return None
    return f"{error.filename}: no space left on the disk mounted at {_mount_of(error.filename)}"


def disk_is_full(error: BaseException) -> bool:
    """Whether an error says that a disk is full, and that disk has little space left indeed.

    A full disk is no fault of a plug-in, but a plug-in may raise anything.

    Example:
        >>> disk_is_full(OSError(errno.EFBIG, "File too large", "/dev/a"))
        False
    """
    if type(error) is not OSError or not isinstance(error.filename, str):
        return False
    if error.errno != errno.ENOSPC:
        limited = resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY
        return error.errno == errno.EDQUOT or (error.errno == errno.EFBIG and limited)
    try:
        room = os.statvfs(_mount_of(error.filename))
    except (OSError, ValueError):
        return False
    little = room.f_bavail * room.f_frsize < _LITTLE_BYTES
    return (room.f_blocks > 0 and little) or (room.f_files > 0 == room.f_favail)


def _mount_of(path: str) -> str:
    place = Path(path).resolve()
    return str(next(folder for folder in (place, *place.parents) if folder.is_mount()))


@contextmanager
def renewed_folder(
    target: Path,
    root: Path | None = None,
    keep: Callable[[PurePosixPath], bool] = lambda _: True,
) -> Iterator[Path]:
    """A new, empty folder that takes the place of another when the block ends well.

    Whoever looks at the target finds the former folder or the new one whole; a block that raises
    leaves the former as it was. What the former holds beside the new files, such as notes that a
    user put there, is carried over. Where a process is killed as the two change places, the next
    call finishes that. Two processes with the same root, or for the same place, take turns.

    Args:
        target: The folder.
        root: A folder above it, see `require_plain`.
        keep: Whether a file that only the former folder has is carried over, by its path there.

    Yields:
        The new folder, which lies beside the target.

    Raises:
        LinkError: The target is a link or lies behind one below `root`, or a file that would be
            replaced is one.
        OSError: The folder cannot be written, or a folder stands where a file belongs.
    """
    place = _lexical(target)
    require_plain(place, root)
    place.parent.mkdir(parents=True, exist_ok=True)
    with turn(place.parent if root is None else root) as alone:
        _finish(place, keep, alone=alone)
        fresh = _beside(place, _FRESH)
        with naming(place):
            fresh.mkdir()
        try:
            yield fresh
            _require_replaceable(fresh, place)
            _exchange(fresh, place, keep)
        except OSError as error:
            if error.filename is None or not Path(error.filename).is_relative_to(fresh):
                raise
            known = place / Path(error.filename).relative_to(fresh)
            raise OSError(error.errno, error.strerror, str(known)) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def turn(place: Path) -> Iterator[bool]:
    """Wait for other processes at this file or folder, which must exist.

    Yields:
        Whether they could be asked to wait as well.
    """
    handle = os.open(place, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # the kernel frees it however the process ends
            alone = True
        except OSError:  # file systems of some networks lock no folder
            alone = False
        yield alone
    finally:
        os.close(handle)


def _beside(place: Path, mark: str) -> Path:
    return place.with_name(f".{place.name[:_NAME_LENGTH]}.{os.urandom(8).hex()}{mark}")


def _finish(place: Path, keep: Callable[[PurePosixPath], bool], *, alone: bool) -> None:
    """Put in order what a killed process left beside a folder."""
    begin = f".{place.name[:_NAME_LENGTH]}."
    left = [path for path in place.parent.iterdir() if path.name.startswith(begin)]
    for path in [one for one in left if alone and one.is_dir() and not one.is_symlink()]:
        if path.suffix == _FORMER and not place.exists():
            path.rename(place)
        elif path.suffix == _FORMER:
            _carry(path, place, keep, PurePosixPath())
        if path.suffix in {_FORMER, _FRESH}:
            shutil.rmtree(path, ignore_errors=True)


def _require_replaceable(fresh: Path, place: Path) -> None:
    """Refuse links, and folders of the user's, where new files will stand."""
    for path in fresh.rglob("*"):
        there = place / path.relative_to(fresh)
        if there.is_symlink():
            require_plain(there)
        if there.is_dir() and not path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(there))
        if path.is_dir() and there.exists() and not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))


def _exchange(fresh: Path, place: Path, keep: Callable[[PurePosixPath], bool]) -> None:
    if not place.exists():
        fresh.rename(place)
        return
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    fresh.chmod(stat.S_IMODE(place.stat().st_mode))
    former = _beside(place, _FORMER)
    place.rename(former)
    try:
        fresh.rename(place)
    except OSError:
        former.rename(place)
        raise
    _carry(former, place, keep, PurePosixPath())
    shutil.rmtree(former, ignore_errors=True)


def _carry(
    former: Path, place: Path, keep: Callable[[PurePosixPath], bool], relative: PurePosixPath
) -> None:
    """Move over what only the former folder has; links are moved and never followed."""
    for path in former.iterdir():
        there, name = place / path.name, relative / path.name
        folder = path.is_dir() and not path.is_symlink()
        if folder and there.is_dir() and not there.is_symlink():
            _carry(path, there, keep, name)
        elif not os.path.lexists(there) and keep(name):
            path.rename(there)


def of_style(path: str, style: str) -> Path:
    """The file that a path means for a style, whose name stands for `{style}` in it.

    Example:
        >>> of_style("learnt/{style}.pt", "bells").as_posix()
        'learnt/bells.pt'
    """
    return Path(path.replace("{style}", style)).expanduser()


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

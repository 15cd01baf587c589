"""Trust on first use: fetched files are recorded once, and later ones must be the same.

The lock file lies in the cache folder (`checkpoints.lock.json` under BENCH_CACHE) and is shared by
all hub caches of the user. A checkpoint or archive fetched for the first time is recorded with the
commit, size and SHA-256 of each file; from then on anything else under the same name is refused.

**Conventions**: sizes in bytes, digests in hex. The modification time only saves reading a file
again: where it differs, the file is hashed. The lock file is replaced whole, so reading it needs no
turn; writing it does, see `write_locked`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.api import CheckpointError
from bench.cache import Cache
from bench.checkout import COMMAND
from bench.files import file_digest, naming, replace_file, require_plain, turn

LOCK = "checkpoints.lock.json"


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileFact(_Stored):
    """Size, digest and time of a file when it was first fetched."""

    bytes: int
    sha256: str
    mtime_ns: int


class Locked(_Stored):
    """What was fetched under a name.

    Attributes:
        commit: Commit of the repository; empty for an archive.
        folder: The folder that it was fetched to, if that is not the hub's cache.
        files: Facts by path within the checkpoint.
    """

    commit: str = ""
    folder: str | None = None
    files: dict[str, FileFact] = Field(default_factory=dict)


class _Lock(_Stored):
    schema_version: Literal[1] = 1
    entries: dict[str, Locked] = Field(default_factory=dict)


def lock_path() -> Path:
    """The lock file, whether or not it exists."""
    return Cache.default().root / LOCK


def read_locked(name: str) -> Locked | None:
    """What is recorded under a name, or None.

    Raises:
        CheckpointError: The lock file is damaged.
    """
    return _read().entries.get(name)


def write_locked(name: str, locked: Locked, what: str) -> None:
    """Record what was fetched under a name; what stands under others stays, whoever wrote it.

    Processes take turns, in other containers of this machine too. Of two that fetch the same for
    the first time, the first decides what it is.

    Args:
        name: The name.
        locked: What was fetched.
        what: Its name in messages.

    Raises:
        CheckpointError: Other files were recorded under that name meanwhile, or the lock file is
            damaged.
    """
    path = lock_path()
    turns = path.with_name(f"{path.name}.turn")
    require_plain(turns)
    with naming(turns):
        turns.parent.mkdir(parents=True, exist_ok=True)
        turns.touch()
    with turn(turns):
        entries = _read().entries
        if name in entries:
            require_same(locked.files, entries[name].files, what)
        whole = _Lock(entries={**entries, name: locked})
        replace_file(path, whole.model_dump_json(indent=1) + "\n")


def _read() -> _Lock:
    path = lock_path()
    if not path.exists():
        return _Lock()
    try:
        return _Lock.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise CheckpointError(
            f"{path} is damaged ({error.errors()[0]['msg']}); it records what was fetched. Restore "
            "it, or delete it to trust the files that are there now."
        ) from error


def facts_of(folder: Path, names: Iterable[str]) -> dict[str, FileFact]:
    """Size and digest of files, each of which is read from beginning to end."""
    return {name: _fact(folder / name) for name in names}


def _fact(path: Path) -> FileFact:
    stat = path.stat()
    return FileFact(bytes=stat.st_size, sha256=file_digest(path), mtime_ns=stat.st_mtime_ns)


def require_same(found: Mapping[str, FileFact], locked: Mapping[str, FileFact], what: str) -> None:
    """Refuse files that differ from those recorded.

    Raises:
        CheckpointError: A file has another size or digest, or was not there at first.
    """
    for name, fact in found.items():
        known = locked.get(name)
        if known is not None and (known.bytes, known.sha256) != (fact.bytes, fact.sha256):
            raise CheckpointError(
                f"{what}: {name} has {fact.bytes} bytes and SHA-256 {fact.sha256[:16]}..., but "
                f"{known.bytes} bytes and {known.sha256[:16]}... were recorded when it was first "
                "fetched; a checkpoint must stay what it was. Delete that file and fetch again, "
                f"or remove the entry from {lock_path()} to trust the new one."
            )


def require_unchanged(folder: Path, locked: Locked, what: str) -> None:
    """Compare files on disk with the record; only those touched since then are read.

    Raises:
        CheckpointError: A file is gone or is not what it was.
    """
    for name, known in locked.files.items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(
                f"{what}: {name} is missing in {folder}; it was there when the checkpoint was "
                f"fetched. Fetch it again with `{COMMAND} fetch`."
            )
        stat = path.stat()
        if (stat.st_size, stat.st_mtime_ns) != (known.bytes, known.mtime_ns):
            require_same({name: _fact(path)}, {name: known}, what)

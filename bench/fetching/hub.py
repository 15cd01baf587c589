"""Download of one checkpoint, from the hub or from where it was published, checked and recorded.

The hub's own client shows progress, continues a broken transfer, and respects tokens and the
variables HF_HOME, HF_HUB_OFFLINE and HF_ENDPOINT. Added here: files are chosen from those that the
repository holds, sizes and digests are compared with what the hub announces and with what was
recorded at the first fetch, and every error becomes one that says what to do.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bench.api import CheckpointError, HubCheckpoint
from bench.fetching.answers import (
    FORBIDDEN,
    UNAUTHORISED,
    first_line,
    status_of,
    transport_error,
)
from bench.fetching.https import Wanted, fetch_file
from bench.files import FULL
from bench.first_use import FileFact, Locked, facts_of, read_locked, require_same, write_locked
from bench.weights import (
    COMMIT_LENGTH,
    choose_files,
    client_line,
    hub_folder,
    is_here,
    published_folder,
)

# Another place for files that no hub holds: their own servers may be down.
MIRROR_VARIABLE = "BENCH_MIRROR"
ROOM, SMALLEST_CAP = 4, 1 << 24  # a quarter more than declared, and 16 MB for small files beside
WEIGHTS_BEGIN = (b"PK\x03\x04", b"\x80")  # a zip file, a pickle of protocol 2 or later


@dataclass(frozen=True, slots=True)
class Announced:
    """What a server says about files: their commit, sizes and, for large files, digests."""

    commit: str
    sizes: Mapping[str, int]
    sha256: Mapping[str, str]


def download(checkpoint: HubCheckpoint, local_dir: Path | None = None) -> Path:
    """Fetch a checkpoint, or complete and check the copy that is there, and return its folder.

    Args:
        checkpoint: The checkpoint.
        local_dir: Put the files into `<local_dir>/<owner>/<name>` and not into the hub's cache.

    Raises:
        CheckpointError: The hub cannot be reached or refuses, a file is missing, has another size
            or digest than announced or recorded, or the disk is full.
    """
    locked = read_locked(checkpoint.name)
    if locked is not None and _is_offline() and is_here(checkpoint):
        return _checked_offline(checkpoint, locked)
    if checkpoint.url:
        return _download_published(checkpoint, local_dir)
    folder = None if local_dir is None else (local_dir / checkpoint.id).expanduser().resolve()
    with _explained(checkpoint):
        announced = _announced(checkpoint, locked)
        names = choose_files(checkpoint, announced.sizes)
        total = sum(announced.sizes[name] for name in names)
        _require_declared(checkpoint, total)
        _require_room(checkpoint, total, folder)
        found = _snapshot(checkpoint, announced.commit, names, folder)
    _accept(checkpoint, found, facts_of(found, names), announced, chosen=folder is not None)
    return found


def _download_published(checkpoint: HubCheckpoint, local_dir: Path | None) -> Path:
    """Fetch a file that no hub holds; its digest takes the place of a commit."""
    folder = published_folder() if local_dir is None else local_dir.expanduser().resolve()
    name = checkpoint.files[0]
    if not (folder / name).is_file():
        _require_room(checkpoint, checkpoint.bytes, folder)
        by_hand = f"By hand: `{client_line(checkpoint)}`, and fetch again to have it checked."
        wanted = Wanted(_source(checkpoint), _most(checkpoint), by_hand, CheckpointError)
        fetch_file(wanted, folder / name, lambda part: _require_weights(checkpoint, part))
    facts = facts_of(folder, [name])
    announced = Announced(facts[name].sha256[:COMMIT_LENGTH], {name: facts[name].bytes}, {})
    _accept(checkpoint, folder, facts, announced, chosen=local_dir is not None)
    return folder


def _accept(
    checkpoint: HubCheckpoint,
    folder: Path,
    facts: Mapping[str, FileFact],
    announced: Announced,
    *,
    chosen: bool,
) -> None:
    """Check files that came and record them.

    Args:
        checkpoint: The checkpoint.
        folder: The folder of the files.
        facts: Their sizes and digests.
        announced: What they should be.
        chosen: Whether the user chose the folder, so that it has to be remembered.
    """
    _require_announced(checkpoint, folder, facts, announced)
    locked = read_locked(checkpoint.name)
    if locked is not None:
        require_same(facts, locked.files, checkpoint.title)
    kept = str(folder) if chosen else None
    entry = Locked(commit=announced.commit, folder=kept, files=dict(facts))
    write_locked(checkpoint.name, entry, checkpoint.title)


def _most(checkpoint: HubCheckpoint) -> int:
    """How much may come of a checkpoint: its declared size, which is rounded, and room for that."""
    return checkpoint.bytes + checkpoint.bytes // ROOM + SMALLEST_CAP


def _require_weights(checkpoint: HubCheckpoint, part: Path) -> None:
    """Refuse a page or a message in place of weights before it is trusted as what came first.

    Raises:
        CheckpointError: The file begins neither as PyTorch's zip container nor as a pickle.
    """
    with part.open("rb") as file:
        begin = file.read(len(WEIGHTS_BEGIN[0]))
    if not begin.startswith(WEIGHTS_BEGIN):
        raise CheckpointError(
            f"{checkpoint.title}: {_source(checkpoint)} sent something that is no file of weights "
            f"(it begins with {begin!r}), such as a page that asks to log in. Nothing was kept; "
            f"fetch again, or by hand: `{client_line(checkpoint)}`"
        )


def _source(checkpoint: HubCheckpoint) -> str:
    """The address of a published file: where it was published, or under its name at a mirror."""
    mirror = os.environ.get(MIRROR_VARIABLE)
    return f"{mirror.rstrip('/')}/{quote(checkpoint.files[0])}" if mirror else checkpoint.url


def _is_offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _checked_offline(checkpoint: HubCheckpoint, locked: Locked) -> Path:
    """Read every file from beginning to end and compare it with the record."""
    folder = hub_folder(checkpoint)
    require_same(facts_of(folder, locked.files), locked.files, checkpoint.title)
    return folder


def _announced(checkpoint: HubCheckpoint, locked: Locked | None) -> Announced:
    """Ask for the recorded commit where there is one, so that a branch stays where it was."""
    from huggingface_hub import HfApi

    revision = checkpoint.revision if locked is None else locked.commit
    info = HfApi().model_info(checkpoint.id, revision=revision, files_metadata=True)
    files = info.siblings or []
    return Announced(
        commit=info.sha or revision,
        sizes={file.rfilename: int(file.size or 0) for file in files},
        sha256={file.rfilename: file.lfs.sha256 for file in files if file.lfs is not None},
    )


def _snapshot(
    checkpoint: HubCheckpoint, commit: str, names: tuple[str, ...], folder: Path | None
) -> Path:
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            checkpoint.id, revision=commit, allow_patterns=list(names), local_dir=folder
        )
    )


def _require_declared(checkpoint: HubCheckpoint, announced: int) -> None:
    if announced > _most(checkpoint):
        raise CheckpointError(
            f"{checkpoint.title}: {announced} bytes are announced, and it is declared with "
            f"{checkpoint.bytes}; it is not the checkpoint that was asked for. Check HF_ENDPOINT."
        )


def _require_room(checkpoint: HubCheckpoint, needed: int, folder: Path | None) -> None:
    from huggingface_hub import constants

    place = folder or Path(constants.HF_HUB_CACHE)
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise CheckpointError(
            f"{checkpoint.title} takes {needed / 1e9:.1f} GB and {place} has {free / 1e9:.1f} GB "
            "free; it must fit. Free space, or choose another disk with --local-dir or HF_HOME."
        )


def _require_announced(
    checkpoint: HubCheckpoint,
    folder: Path,
    facts: Mapping[str, FileFact],
    announced: Announced,
) -> None:
    """Compare what came with what the hub announced and with digests known beforehand.

    A file that differs is removed, so that the next fetch takes it anew.
    """
    known = {**announced.sha256, **dict(checkpoint.sha256)}
    for name, fact in facts.items():
        expected = announced.sizes[name]
        right = fact.bytes == expected and fact.sha256 == known.get(name, fact.sha256)
        if right:
            continue
        _remove(folder / name)
        raise CheckpointError(
            f"{checkpoint.title}: {name} came with {fact.bytes} bytes and SHA-256 "
            f"{fact.sha256[:16]}...; {expected} bytes"
            + (f" and {known[name][:16]}..." if name in known else "")
            + " were announced. The file was removed; fetch again."
        )


def _remove(path: Path) -> None:
    """Remove a file of a snapshot with the blob that it points to, where the hub's cache has one.

    A link that leads anywhere else is removed by itself.
    """
    blob = path.resolve()
    held = any(parent.name == "snapshots" for parent in path.parents) and any(
        blob.parent == (parent / "blobs").resolve() for parent in path.parents
    )
    path.unlink()
    if held:
        blob.unlink(missing_ok=True)


@contextmanager
def _explained(checkpoint: HubCheckpoint) -> Iterator[None]:
    """Turn what the hub's client raises into an error with a way out."""
    try:
        yield
    except (transport_error(), OSError, ValueError) as error:
        raise CheckpointError(f"{checkpoint.title}: {_reason(checkpoint, error)}") from error


def _reason(checkpoint: HubCheckpoint, error: Exception) -> str:
    from huggingface_hub import constants

    where = f"{constants.ENDPOINT}/{checkpoint.id}"
    return (
        _refused_by_hub(checkpoint, error, where)
        or _refused_here(error)
        or (
            f"{where} cannot be reached or broke off ({type(error).__name__}: "
            f"{first_line(error)}). Check the network, proxy and HF_ENDPOINT and fetch again: "
            "complete files are kept."
        )
    )


def _refused_by_hub(checkpoint: HubCheckpoint, error: Exception, where: str) -> str | None:
    from huggingface_hub import errors

    status = status_of(error)
    if isinstance(error, errors.GatedRepoError) or status in {UNAUTHORISED, FORBIDDEN}:
        return (
            f"{where} cannot be read without permission ({status or 'gated'}). Accept its terms "
            "on that page, run `hf auth login` (or set HF_TOKEN), and fetch again."
        )
    if isinstance(error, errors.RepositoryNotFoundError | errors.RevisionNotFoundError):
        return f"{where} has no revision {checkpoint.revision}. Check HF_ENDPOINT."
    if status is not None and isinstance(error, errors.EntryNotFoundError):
        return f"{where} announces a file that it does not hold ({first_line(error)})."
    return None


def _refused_here(error: Exception) -> str | None:
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, and some of its files are missing. Unset it for the fetch."
    if isinstance(error, OSError) and error.errno in FULL:
        return (
            f"the disk is full, or a file may not grow so large ({error.strerror}). Free space, "
            "or choose another disk with --local-dir or HF_HOME, and fetch again."
        )
    if "Consistency check failed" in str(error):
        return f"a file came with another size than announced ({first_line(error)}). Fetch again."
    return None

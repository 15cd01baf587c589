"""Weights: where checkpoints lie, whether they are complete, and how they are identified.

A checkpoint is either a folder of this checkout (mini models) or files of a hub repository (full
models), read from the hub's local cache or from the folder they were fetched to. Nothing here
downloads; `python -m bench fetch` does.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.api import CheckpointError, HubCheckpoint
from bench.cache import Cache
from bench.checkout import CHECKOUT, COMMAND, restore_line
from bench.files import remembered_digest
from bench.first_use import Locked, read_locked, require_unchanged

FETCH = f"{COMMAND} fetch <suite> --accept-licences"
COMMIT_LENGTH = 40
LONGEST_REASON = 300  # letters of what a decoder says
# What decoders raise on a broken or foreign file; a pickle can make them raise nearly anything.
UNREADABLE = (
    OSError, KeyError, TypeError, ValueError, EOFError, RuntimeError, AttributeError, IndexError,
    ArithmeticError, MemoryError, zipfile.BadZipFile, pickle.UnpicklingError, struct.error,
)  # fmt: skip


class AbsentCheckpointError(CheckpointError):
    """A checkpoint has not been fetched, or not completely."""


def choose_files(checkpoint: HubCheckpoint, present: Collection[str]) -> tuple[str, ...]:
    """The files of a checkpoint among those of a repository or folder.

    Raises:
        AbsentCheckpointError: A file that is needed is not there.
    """
    chosen = [name for name in checkpoint.optional if name in present]
    for group in (*((name,) for name in checkpoint.files), *checkpoint.either):
        held = [name for name in group if name in present]
        if not held:
            raise AbsentCheckpointError(
                f"{checkpoint.title}: {' or '.join(group)} is missing in {checkpoint.id} at "
                f"{checkpoint.revision}; the checkpoint must be complete. Fetch it (again): "
                f"`{fetch_line(checkpoint.title)}`"
            )
        chosen.append(held[0])
    return tuple(sorted(chosen))


def fetch_line(*targets: str) -> str:
    """The command that fetches suites, methods, checkpoints or datasets."""
    return f"{COMMAND} fetch {' '.join(targets)} --accept-licences"


def full_profile_line(method: str) -> str:
    """What to do, in a sentence, where only the full profile of a method can help.

    Example:
        >>> full_profile_line("rti").split(" `")[0]
        'Run rti with --profile full, on a machine with CUDA, after'
    """
    return (
        f"Run {method} with --profile full, on a machine with CUDA, after `{fetch_line(method)}`."
    )


def require_files(folder: Path, names: Iterable[str], what: str) -> Path:
    """Check that a checkpoint folder holds its files, none of them empty, and return the folder.

    Args:
        folder: Where the checkpoint should lie.
        names: Files within it, by path.
        what: What the checkpoint is, in words: "the mini CLAP model".

    Raises:
        CheckpointError: The folder or a file is missing or empty.
    """
    for name in names:
        path = folder / name
        if not path.is_file() or path.stat().st_size == 0:
            fact = "is empty" if path.is_file() else "is missing"
            raise CheckpointError(
                f"{what}: {name} {fact} in {folder}; the checkpoint must be complete. "
                f"Restore mini weights (`{restore_line(str(folder))}`), or run `{FETCH}` for full "
                "ones."
            )
    return folder


@contextmanager
def refusals(path: Path, rule: str) -> Iterator[None]:
    """Turn whatever a broken or hostile file raises while it is read into a refusal of that file.

    Memory that it asks for in vain and nesting without end count as well.

    Args:
        path: The file.
        rule: What it must be, and the way out: a sentence or two.

    Raises:
        CheckpointError: The file could not be read.

    Example:
        >>> with refusals(Path("w.pt"), "Fetch it again."):
        ...     raise EOFError
        Traceback (most recent call last):
        ...
        bench.errors.CheckpointError: w.pt cannot be read (EOFError). Fetch it again.
    """
    try:
        yield
    except UNREADABLE as error:
        words = " ".join(str(error).split())[:LONGEST_REASON]
        reason = f"{type(error).__name__}: {words}" if words else type(error).__name__
        raise CheckpointError(f"{path} cannot be read ({reason}). {rule}") from error


def hub_folder(checkpoint: HubCheckpoint) -> Path:
    """The local files of a hub checkpoint. Never uses the network.

    Raises:
        AbsentCheckpointError: It has not been fetched, or not completely.
        CheckpointError: It differs from what was fetched.
    """
    locked = read_locked(checkpoint.name)
    folder = _snapshot(checkpoint, locked)
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    require_files(folder, choose_files(checkpoint, present), checkpoint.title)
    if locked is not None:
        require_unchanged(folder, locked, checkpoint.title)
    return folder


def is_here(checkpoint: HubCheckpoint) -> bool:
    """Whether a complete checkpoint lies in the cache or in the folder that it was fetched to.

    Raises:
        CheckpointError: It is here but differs from what was fetched.
    """
    try:
        hub_folder(checkpoint)
    except AbsentCheckpointError:
        return False
    return True


def _snapshot(checkpoint: HubCheckpoint, locked: Locked | None) -> Path:
    """Where the files lie: the folder they were fetched to, or the hub's cache."""
    if locked is not None and locked.folder is not None and Path(locked.folder).is_dir():
        return Path(locked.folder)
    if checkpoint.url:
        return _published(checkpoint)
    from huggingface_hub import snapshot_download

    revision = locked.commit if locked is not None else checkpoint.revision
    try:
        # One pattern that fits nothing: which files are needed is for `choose_files` to say.
        found = snapshot_download(
            checkpoint.id, revision=revision, allow_patterns=["-"], local_files_only=True
        )
    except (OSError, ValueError) as error:  # the hub's own errors derive from these two
        raise _absent(checkpoint, revision) from error
    return Path(found)


def _absent(checkpoint: HubCheckpoint, revision: str) -> AbsentCheckpointError:
    return AbsentCheckpointError(
        f"{checkpoint.title} at {revision} is not in the local cache "
        f"({checkpoint.bytes / 1e9:.1f} GB, {checkpoint.licence}). Fetch it once: "
        f"`{fetch_line(checkpoint.title)}`, or `{client_line(checkpoint)}`"
    )


def published_folder() -> Path:
    """The folder of files that no hub holds: BENCH_CHECKPOINTS, or `checkpoints` in the cache."""
    named = os.environ.get("BENCH_CHECKPOINTS")
    return Path(named).expanduser() if named else Cache.default().root / "checkpoints"


def _published(checkpoint: HubCheckpoint) -> Path:
    folder = published_folder()
    if not (folder / checkpoint.files[0]).is_file():
        raise _absent(checkpoint, checkpoint.revision)
    return folder


def client_line(checkpoint: HubCheckpoint) -> str:
    """The command of the hub's own client (or of curl) for these files; it records nothing."""
    if checkpoint.url:
        target = published_folder() / checkpoint.files[0]
        return f"curl -L --create-dirs -o '{target}' '{checkpoint.url}'"
    alternatives = [name for group in checkpoint.either for name in group]
    names = [*checkpoint.files, *alternatives, *checkpoint.optional]
    wanted = " ".join(f"--include '{name}'" for name in names)
    return f"hf download {checkpoint.id} --revision {checkpoint.revision} {wanted}"


def digest(name: str) -> str:
    """The text that identifies a checkpoint in the keys of cached results.

    Args:
        name: A folder or file (a relative one is looked up in the checkout too), or
            "hub:<id>@<revision>".

    Returns:
        SHA-256 over the names and bytes of the folder's files, or of the file, 64 hex digits; a hub
        name is its own identity, with the commit that was recorded at the first fetch in place of a
        branch.

    Raises:
        CheckpointError: There is no such folder or file, or the folder is empty.
    """
    if name.startswith("hub:"):
        return _with_commit(name)
    folder = _locate(name)
    if folder.is_file():
        return remembered_digest(folder)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and _counts(path)]
    if not files:
        raise CheckpointError(
            f"{folder} holds no weights; a checkpoint was expected. Restore it: "
            f"{restore_line(name)}"
        )
    whole = hashlib.sha256()
    for path in files:
        name = path.relative_to(folder).as_posix()
        whole.update(f"{name}:{remembered_digest(path)}\n".encode())
    return whole.hexdigest()


def _with_commit(name: str) -> str:
    place, _, tail = name.partition("@")
    revision, mark, part = tail.partition("#")
    locked = None if len(revision) == COMMIT_LENGTH else read_locked(name)
    return name if locked is None else f"{place}@{locked.commit}{mark}{part}"


def _locate(name: str) -> Path:
    for folder in (Path(name), CHECKOUT / name):
        if folder.exists():
            return folder.resolve()
    raise CheckpointError(
        f"{name} is neither a folder nor a file; weights were expected there. Restore it: "
        f"{restore_line(name)}"
    )


def _counts(path: Path) -> bool:
    """Whether a file can change a result; model cards and hidden files cannot."""
    return (
        path.suffix != ".md" and not path.name.startswith(".") and "__pycache__" not in path.parts
    )


def check_tokenizer(
    tokenizer: Callable[[str], Any], folder: Path, texts: Sequence[str] = ("a piano", "a violin")
) -> None:
    """Refuse a tokenizer that knows only its special tokens.

    A folder without tokenizer files gives such a tokenizer without any error. Every text then looks
    the same to the model, and the scores look valid.

    Args:
        tokenizer: Called with a text it returns a mapping with "input_ids"; it has a length.
        folder: Where it came from, for the message.
        texts: Texts that must differ in their ids.

    Raises:
        CheckpointError: The vocabulary is tiny, or the texts get the same ids.
    """
    size = len(tokenizer)  # type: ignore[arg-type]  # tokenizers have a length; their type does not say so
    ids = {tuple(tokenizer(text)["input_ids"]) for text in texts}
    if size > len(texts) and len(ids) == len(set(texts)):
        return
    raise CheckpointError(
        f"the tokenizer of {folder} has {size} entries and gives {len(ids)} different readings of "
        f"{len(set(texts))} texts; its files are missing or broken. Restore the folder, or run "
        f"`{FETCH}`."
    )


@contextmanager
def leaving_unsaid(logger: str, words: str) -> Iterator[None]:
    """Keep a warning of a library, of which we know that it is none, from the log in a block.

    Args:
        logger: The name of the logger that says it.
        words: Words that stand in this message and in no other.

    Example:
        >>> with leaving_unsaid("library", "is odd"):
        ...     logging.getLogger("library").warning("9 is odd")
    """

    def is_another(record: logging.LogRecord) -> bool:
        return words not in record.getMessage()

    speaker = logging.getLogger(logger)
    speaker.addFilter(is_another)
    try:
        yield
    finally:
        speaker.removeFilter(is_another)


def quiet_loaders() -> None:
    """Keep the model libraries from drawing their own progress bars over ours.

    They are not imported for it, which takes seconds: the variable, unless it is set, tells
    huggingface_hub, which transformers follows. The bars of diffusers are those of pipelines, and
    no model here is loaded as one.
    """
    bars_off = os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1") == "1"
    if bars_off and "huggingface_hub" in sys.modules:  # it has read the variable already
        sys.modules["huggingface_hub"].utils.disable_progress_bars()
    for name in ("transformers", "diffusers"):
        if name in sys.modules:
            sys.modules[name].utils.logging.disable_progress_bar()

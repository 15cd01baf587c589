"""Weights: where checkpoints lie, whether they are whole, and which they are.

A checkpoint is either a folder of this checkout (mini models) or files of a hub repository at a
fixed revision (full models), read from the hub's local cache. Nothing here downloads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.api import CheckpointError

FETCH = "hf download <id> --revision <revision>"


@dataclass(frozen=True, slots=True)
class HubCheckpoint:
    """Files of a hub repository, fixed.

    Args:
        id: "owner/name".
        revision: Commit hash or tag.
        files: Names or glob patterns of the files that are used.
        bytes: Their total size, for the message before a download.
        licence: Licence of the weights.
    """

    id: str
    revision: str
    files: tuple[str, ...]
    bytes: int
    licence: str

    @property
    def name(self) -> str:
        """Its name for `digest` and `ProfileInfo.weights`: "hub:<id>@<revision>"."""
        return f"hub:{self.id}@{self.revision}"


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
                f"{what}: {name} {fact} in {folder}; the checkpoint must be whole. "
                f"Restore the folder (git checkout for mini weights), or run `{FETCH}` for full "
                "ones."
            )
    return folder


def hub_folder(checkpoint: HubCheckpoint) -> Path:
    """The local snapshot of a hub checkpoint. Never uses the network.

    Raises:
        CheckpointError: It has not been fetched, or not wholly.
    """
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            checkpoint.id,
            revision=checkpoint.revision,
            allow_patterns=list(checkpoint.files),
            local_files_only=True,
        )
    except (OSError, ValueError) as error:  # the hub's own errors derive from these two
        raise CheckpointError(
            f"{checkpoint.id} at {checkpoint.revision} is not in the local cache "
            f"({checkpoint.bytes / 1e9:.1f} GB, {checkpoint.licence}). Fetch it once: "
            f"`{_fetch_line(checkpoint)}`"
        ) from error
    plain = [name for name in checkpoint.files if "*" not in name]
    return require_files(Path(found), plain, checkpoint.id)


def _fetch_line(checkpoint: HubCheckpoint) -> str:
    """The hub client's own command for these files and no others."""
    wanted = " ".join(f"--include '{name}'" for name in checkpoint.files)
    return f"hf download {checkpoint.id} --revision {checkpoint.revision} {wanted}"


def digest(name: str) -> str:
    """What identifies a checkpoint in the keys of cached results.

    Args:
        name: A folder (relative ones are looked up in the checkout too), or "hub:<id>@<revision>".

    Returns:
        SHA-256 over the names and bytes of the folder's files, 64 hex digits; a hub name is its
        own identity.

    Raises:
        CheckpointError: There is no such folder, or it is empty.
    """
    if name.startswith("hub:"):
        return name
    folder = _locate(name)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and _counts(path)]
    if not files:
        raise CheckpointError(
            f"{folder} holds no weights; a checkpoint was expected. Restore it with git checkout."
        )
    whole = hashlib.sha256()
    for path in files:
        stat = path.stat()
        content = _file_digest(path, stat.st_mtime_ns, stat.st_size)
        whole.update(f"{path.relative_to(folder).as_posix()}:{content}\n".encode())
    return whole.hexdigest()


def _locate(name: str) -> Path:
    checkout = Path(__file__).resolve().parent.parent
    for folder in (Path(name), checkout / name):
        if folder.is_dir():
            return folder.resolve()
    raise CheckpointError(
        f"{name} is no folder; weights were expected there. Restore it with git checkout."
    )


def _counts(path: Path) -> bool:
    """Model cards and hidden files say nothing about the numbers."""
    return (
        path.suffix != ".md" and not path.name.startswith(".") and "__pycache__" not in path.parts
    )


@lru_cache(maxsize=4096)
def _file_digest(path: Path, mtime_ns: int, size: int) -> str:
    del mtime_ns, size  # only keys of the cache: a changed file is read again
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_tokenizer(
    tokenizer: Callable[[str], Any], folder: Path, texts: Sequence[str] = ("a piano", "a violin")
) -> None:
    """Refuse a tokenizer that knows only its special tokens.

    A folder without tokenizer files gives such a one without any error; every text then looks the
    same to the model and the scores look valid.

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
        f"{len(set(texts))} texts; "
        f"its files are missing or broken. Restore the folder, or run `{FETCH}`."
    )


def quiet_loaders() -> None:
    """Keep the model libraries from drawing progress bars of their own over ours."""
    import diffusers
    import transformers

    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.disable_progress_bar()

"""Sending a parcel to the hub as one commit, and getting the records of a published run.

Nothing is overwritten that is not known: a repository that is there must hold the same run (its
marker says so), nothing at all, or be named for replacement. The commit is made on the state that
was looked at, so a change in between is refused by the hub and not lost. What a broken upload has
sent is kept by the hub, and the same command goes on with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import ConfigError, RecordError
from bench.fetching.answers import (
    FORBIDDEN,
    UNAUTHORISED,
    first_line,
    status_of,
    transport_error,
)
from bench.files import size_words
from bench.outside.wording import one_line, some
from bench.publishing.parcel import Item, Parcel
from bench.publishing.publication import (
    MARKER,
    Publication,
    Target,
    parse_publication,
)
from bench.records.store import RECORDS

if TYPE_CHECKING:
    from huggingface_hub import HfApi

KIND = "dataset"
PREFIX = "hf:"  # of a published run among run folders
_CONFLICT, _CHANGED = 409, 412
_ITS_OWN = frozenset({".gitattributes"})  # what a new repository holds
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]*\w)?", re.ASCII)
MOST_RECORD_BYTES = 1 << 31  # of a run that is downloaded: two million cells
LOG_IN = "Run `hf auth login` (or set HF_TOKEN) with a token that may write"


def parse_target(text: str) -> Target:
    """The repository that some words name.

    Raises:
        ConfigError: They are not OWNER/NAME.

    Example:
        >>> parse_target("alice/mini-run")
        Target(owner='alice', name='mini-run')
    """
    owner, _, name = text.partition("/")
    plain = all(_NAME.fullmatch(part) and not re.search(r"--|\.\.", part) for part in (owner, name))
    if not plain or name.endswith(".git"):
        raise ConfigError(
            f"{text!r:.120} names no repository; it is OWNER/NAME, both of letters, digits, '-', "
            "'_' and '.'. Name your account or organisation, and what the dataset shall be called."
        )
    return Target(owner, name)


def page_address(repository: str) -> str:
    """The address of a dataset repository at the hub that this machine is connected to."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{KIND}s/{repository}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a repository holds: its commit, the names of its files, and its marker if it has one."""

    commit: str | None
    names: frozenset[str]
    publication: Publication | None


def send(parcel: Parcel, *, private: bool, replace: bool) -> str:
    """Publish a parcel and say what came of it, in a sentence.

    Args:
        parcel: The files.
        private: Whether a repository that is made now is private; one that is there stays as it is.
        replace: Whether what the repository holds may be another run, or no run at all.

    Raises:
        ConfigError: There is no token, or the hub cannot be reached or refuses.
        RecordError: The repository holds something else.
    """
    from huggingface_hub import HfApi, get_token

    repository = parcel.publication.repository
    if get_token() is None:
        raise ConfigError(
            f"there is no token for the hub; publishing writes to {repository}. {LOG_IN} there; "
            "--dry-run lists the files without one."
        )
    api = HfApi()
    with _explained(repository):
        standing = _standing(api, repository)
    if standing is not None and not replace:
        _require_same(parcel.publication, standing)
    with _explained(repository):
        if standing is None:
            api.create_repo(repository, repo_type=KIND, private=private or None)
        return _commit(api, parcel, standing)


def _standing(api: HfApi, repository: str) -> Standing | None:
    """What is there; None where nothing is, or nothing that this token may see."""
    from huggingface_hub import errors

    try:
        info = api.dataset_info(repository)
    except errors.RepositoryNotFoundError:
        return None
    names = frozenset(file.rfilename for file in info.siblings or [])
    if MARKER not in names:
        return Standing(info.sha, names, None)
    path = api.hf_hub_download(repository, MARKER, repo_type=KIND, revision=info.sha)
    return Standing(
        info.sha, names, parse_publication(Path(path).read_bytes(), f"{repository}/{MARKER}")
    )


def _require_same(ours: Publication, standing: Standing) -> None:
    held = standing.publication
    if held is not None and held.run_id == ours.run_id:
        return
    foreign = sorted(standing.names - _ITS_OWN)
    if held is None and not foreign:
        return
    words = (
        f"another run, {one_line(held.run_id)} of suite {one_line(held.suite)}"
        if held is not None
        else f"files that `publish` has not written ({some(foreign, ', ')})"
    )
    raise RecordError(
        f"{ours.repository} holds {words}; a repository is one run. Choose another name with --to, "
        "or put this run in its place with --replace (the history of the repository keeps both)."
    )


def _commit(api: HfApi, parcel: Parcel, standing: Standing | None) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    publication = parcel.publication
    kept = {item.place for item in parcel.items}
    gone: list[str] = []
    if standing is not None and standing.publication is not None:
        gone = sorted((standing.publication.files.keys() & standing.names) - kept)
    added = [CommitOperationAdd(item.place, _content(item)) for item in parcel.items]
    done = api.create_commit(
        publication.repository,
        [*added, *(CommitOperationDelete(name, is_folder=False) for name in gone)],
        commit_message=f"Run {publication.run_id} of suite {publication.suite}",
        repo_type=KIND,
        parent_commit=None if standing is None else standing.commit,
    )
    if standing is not None and done.oid == standing.commit:
        return f"{publication.repository} holds this run already, file by file"
    removed = f", {len(gone)} former ones removed" if gone else ""
    return f"published {len(parcel.items)} files{removed} in commit {done.oid[:12]}"


def _content(item: Item) -> bytes | str:
    return str(item.content) if isinstance(item.content, Path) else item.content


def get_records(name: str) -> Path:
    """Download the records of a published run, once, and return their folder in the hub's cache.

    Args:
        name: OWNER/NAME, with @REVISION for another commit or tag than the newest.

    Raises:
        ConfigError: The name is none, or the hub cannot be reached or refuses.
        RecordError: The repository holds no run, or one that is too large.
    """
    from huggingface_hub import HfApi, snapshot_download

    repository, _, revision = name.partition("@")
    parse_target(repository)
    wanted = [MARKER, *RECORDS]
    with _explained(repository):
        info = HfApi().dataset_info(repository, revision=revision or None, files_metadata=True)
    sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or []}
    lacking = [file for file in RECORDS if file not in sizes]
    if lacking:
        raise RecordError(
            f"{PREFIX}{name} has no {some(lacking, ', ')}; a published run has all its records. "
            "Name a repository that `publish` wrote."
        )
    total = sum(sizes.get(file, 0) for file in wanted)
    if total > MOST_RECORD_BYTES:
        raise RecordError(
            f"{PREFIX}{name} announces {size_words(total)} of records; at most "
            f"{size_words(MOST_RECORD_BYTES)} are downloaded. Get it by hand and name its folder."
        )
    with _explained(repository):
        return Path(
            snapshot_download(repository, repo_type=KIND, revision=info.sha, allow_patterns=wanted)
        )


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """Turn what the hub's client raises into an error with a way out."""
    try:
        yield
    except (transport_error(), OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{repository}: {_reason(repository, error)}") from error


def _reason(repository: str, error: Exception) -> str:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, and this needs the hub. Unset it."
    cause = error if status_of(error) is not None else error.__cause__ or error
    return _refusal(cause) or (
        f"{page_address(repository)} cannot be reached or broke off ({type(cause).__name__}: "
        f"{first_line(cause)}). Check the network, proxy and HF_ENDPOINT and try again: what came "
        "whole is kept."
    )


def _refusal(error: BaseException) -> str | None:
    """What the hub answered, if it did answer, and the way out."""
    from huggingface_hub import errors

    status = status_of(error)
    if isinstance(error, errors.RepositoryNotFoundError | errors.RevisionNotFoundError):
        return "the hub has no such dataset, or not for this token. Check the name and HF_ENDPOINT."
    if status in {UNAUTHORISED, FORBIDDEN}:
        return f"the hub refuses ({status}: {first_line(error)}). {LOG_IN} to it."
    if status in {_CONFLICT, _CHANGED}:
        return f"it was changed meanwhile ({first_line(error)}). Look at it, and publish again."
    return None

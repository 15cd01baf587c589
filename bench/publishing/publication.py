"""The marker of a publication: which run it is, and the digest of every file beside it.

`publication.json` lies among the published files. By it `publish` knows whether a repository holds
the same run, another one or none, and whoever reads a published run knows whether its records came
whole.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bench.api import RecordError
from bench.files import file_digest
from bench.outside.wording import one_line
from bench.records.schema import Record, RunHeader
from bench.records.store import EMBEDDINGS, RECORDS

MARKER = "publication.json"
MOST_MARKER_BYTES = 1 << 26


class Publication(Record):
    """What was published: the run, its suite and setting, and SHA-256 by the place of each file."""

    repository: str
    run_id: str
    suite: str
    setting: str  # digest of the setting, 64 hex digits
    tool: str  # name and version of what wrote it
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """A repository by the name of its owner, a person or an organisation, and its own."""

    owner: str
    name: str

    @property
    def id(self) -> str:
        """Both, as the hub writes them."""
        return f"{self.owner}/{self.name}"


def announce(target: Target, header: RunHeader, setting: str, version: str) -> Publication:
    """The marker of a run before the digests of its files are known."""
    return Publication(
        repository=target.id,
        run_id=header.run_id,
        suite=header.suite_name,
        setting=setting,
        tool=f"music-style-bench {version}",
        files={},
    )


def bytes_digest(content: bytes) -> str:
    """SHA-256 of some bytes, 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def parse_publication(content: bytes, place: str) -> Publication:
    """The marker that some bytes are.

    Args:
        content: The bytes.
        place: Where they come from, for the message.

    Raises:
        RecordError: They are no marker.
    """
    try:
        return Publication.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]["msg"]
        raise RecordError(
            f"{place} is not what `publish` writes ({one_line(first)}); it names the run and the "
            "digests of its files. Remove it, or get the publication again."
        ) from error


def read_publication(folder: Path) -> Publication | None:
    """The marker of a folder that was published and came back whole; None for any other folder.

    Raises:
        RecordError: There is a marker, and a file of records is missing or differs from it.
    """
    path = folder / MARKER
    if not path.is_file():
        return None
    if path.stat().st_size > MOST_MARKER_BYTES:
        raise RecordError(f"{path} is larger than {MOST_MARKER_BYTES} bytes; it is no marker.")
    found = parse_publication(path.read_bytes(), str(path))
    for name in (*RECORDS, EMBEDDINGS):
        there = folder / name
        if name == EMBEDDINGS and not there.exists():
            continue  # who reads tables of scores alone need not have them
        known = file_digest(there) if there.is_file() else None
        if known != found.files.get(name):
            fact = "is missing" if known is None else "is not what was published"
            raise RecordError(
                f"{there} {fact} (see {MARKER}); the numbers of a published run are those of its "
                f"records. Download it again, or remove {MARKER} where the run is your own."
            )
    return found

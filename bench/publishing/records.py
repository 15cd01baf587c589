"""The files of a run folder that are published: records, lists of packages, and audio if asked.

Records go as they stand, but for a torn last line, which was never confirmed. So the folder that
somebody downloads is a run folder again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.api import RecordError
from bench.files import inside
from bench.publishing.parcel import Item, LeftOut
from bench.records.sameness import package_lists
from bench.records.store import EMBEDDINGS, RECORDS, Run, require_plain_run

PACKAGES = "packages-*.txt"
LOGS = LeftOut("logs/", "what libraries printed on this machine; no number depends on it")
REPORT = LeftOut("report/", "`report` makes it again from the records")


def record_items(run: Run) -> list[Item]:
    """The records of a run and the lists of packages that its header names.

    Raises:
        LinkError: A link stands where a record should be: it could lead to a file of somebody's.
        RecordError: A file of records is missing.
    """
    require_plain_run(run.folder)
    held = (run.folder / EMBEDDINGS).is_file()
    names = (*RECORDS, EMBEDDINGS) if held else RECORDS
    items = [Item(name, _whole_lines(run.folder, name)) for name in names]
    for one in package_lists(run.header.provenance):
        path = inside(run.folder, one["file"])
        if path.match(PACKAGES) and path.is_file():
            items.append(Item(path.name, path.read_bytes()))
    return items


def _whole_lines(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        if name == "scores.jsonl":  # a run without a metric, or one that ended before it scored
            return b""
        raise RecordError(
            f"{path} is missing; a published run has all its records. Run the same `run` command "
            "again to restore it."
        )
    content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1] if path.suffix == ".jsonl" else content


def audio_items(run: Run) -> list[Item]:
    """The outputs of the planned cells that ended well, where the records say they lie.

    Raises:
        LinkError: The audio of a record lies outside the run folder.
    """
    return [Item(name, inside(run.folder, name)) for name in _names(run)]


def audio_words(run: Run) -> str:
    """How many outputs a run has, as something that is left out."""
    return f"audio/ ({sum(1 for _ in _names(run))} outputs)"


def _names(run: Run) -> Iterator[str]:
    known = (run.cells.get(cell.cell_id) for cell in run.plan)
    names = [one.audio for one in known if one is not None and one.status == "ok" and one.audio]
    yield from dict.fromkeys(names)


def other_folders(run: Run) -> list[LeftOut]:
    """The folders of a run that are never published."""
    return [one for one in (LOGS, REPORT) if (run.folder / one.what).is_dir()]

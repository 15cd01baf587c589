"""The files of a run folder that are published: records, lists of packages, and audio if asked.

Records go as they stand, but for a torn last line, which was never confirmed. So the folder that
somebody downloads is a run folder again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from bench.api import RecordError
from bench.checkout import COMMAND
from bench.files import inside
from bench.outside.elsewhere import UNLICENSED
from bench.outside.wording import one_line
from bench.publishing.parcel import Item, LeftOut
from bench.records.parts import shard_folders
from bench.records.sameness import package_lists
from bench.records.store import EMBEDDINGS, RECORDS, Run, require_plain_run

PACKAGES = "packages-*.txt"
LOGS = LeftOut("logs/", "what libraries printed on this machine; no number depends on it")
REPORT = LeftOut("report/", "`report` makes it again from the records")


def record_items(run: Run) -> list[Item]:
    """The records of a run and the lists of packages that its header names.

    Raises:
        LinkError: A link stands where a record should be: it could lead to a file of somebody's.
        RecordError: A file of records is missing, or the records lie with shards.
    """
    require_plain_run(run.folder)
    _require_one_place(run.folder)
    held = (run.folder / EMBEDDINGS).is_file()
    names = (*RECORDS, EMBEDDINGS) if held else RECORDS
    items = [Item(name, _whole_lines(run.folder, name)) for name in names]
    for one in package_lists(run.header.provenance):
        path = inside(run.folder, one["file"])
        if path.match(PACKAGES) and path.is_file():
            items.append(Item(path.name, path.read_bytes()))
    return items


def _require_one_place(folder: Path) -> None:
    shards = shard_folders(folder)
    if shards:
        raise RecordError(
            f"{folder} has records in {len(shards)} folder(s) of shards; a published run has all "
            f"of them in one place. Join them with `{COMMAND} merge {folder} -o WHOLE` and publish "
            "WHOLE."
        )


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


def audio_items(run: Run, without: Collection[str] = ()) -> list[Item]:
    """The outputs of the planned cells that ended well, where the records say they lie.

    Args:
        run: The run.
        without: Labels of methods whose outputs stay here.

    Raises:
        LinkError: The audio of a record lies outside the run folder.
    """
    return [Item(name, inside(run.folder, name)) for name in _names(run, without)]


def audio_words(run: Run) -> str:
    """How many outputs a run has, as something that is left out."""
    return f"audio/ ({sum(1 for _ in _names(run))} outputs)"


def unlicensed(run: Run) -> dict[str, LeftOut]:
    """Outputs that were made elsewhere and of which nobody has said the licence, by their labels.

    They are somebody else's, whatever the card of the data set allows.
    """
    why = (
        "made elsewhere, licence not said; say it where they are scored: outputs:FOLDER[licence=ID]"
    )
    return {
        one.label: LeftOut(f"audio/ (outputs of {one_line(one.title, 60)})", why)
        for one in run.header.methods
        if one.made_elsewhere and one.licence == UNLICENSED
    }


def _names(run: Run, without: Collection[str] = ()) -> Iterator[str]:
    known = (run.cells.get(cell.cell_id) for cell in run.plan if cell.method not in without)
    names = [one.audio for one in known if one is not None and one.status == "ok" and one.audio]
    yield from dict.fromkeys(names)


def other_folders(run: Run) -> list[LeftOut]:
    """The folders of a run that are never published."""
    return [one for one in (LOGS, REPORT) if (run.folder / one.what).is_dir()]

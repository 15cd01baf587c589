"""Whether a run is what its records say: the audio of its cells, and its plan.

A record holds the digest of its sound. Files are decoded here and compared with it: before a
session goes on, before a sound is scored, and before a run is judged. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.api import Audio, DatasetError, RecordError
from bench.audio import read_audio
from bench.batching import in_threads
from bench.files import LinkError, inside
from bench.outside.wording import some
from bench.records.schema import CellRecord
from bench.records.store import Run


def recorded_audio(folder: Path, record: CellRecord) -> Audio | str:
    """The sound of a finished cell, or what is wrong with it, in words.

    Args:
        folder: The run folder.
        record: Of a cell that ended well; one without a digest, of an older run, is only read.

    Raises:
        LinkError: Its path leads out of the run folder.
    """
    if record.audio is None:
        return f"cell {record.cell_id} names no audio"
    path = inside(folder, record.audio)
    try:
        fault = _file_fault(path)
        audio = None if fault else read_audio(path)
    except LinkError:
        raise
    except (DatasetError, OSError):
        fault, audio = "cannot be read", None
    if audio is not None and record.audio_digest in {None, audio.digest}:
        return audio
    return f"{record.audio} {fault or 'is not the sound that was recorded'}"


def _file_fault(path: Path) -> str:
    if not path.exists():
        return "is missing"
    if not path.is_file():
        return "is not a file"
    return "" if path.stat().st_size else "is empty"


def altered_audio(folder: Path, records: Iterable[CellRecord]) -> dict[str, str]:
    """What is wrong with the audio of finished cells, in words by cell id; sound ones are left out.

    Files are read in threads. Raises what `recorded_audio` does.
    """

    def fault(record: CellRecord) -> str | None:
        found = recorded_audio(folder, record)
        return found if isinstance(found, str) else None

    finished = [record for record in records if record.status == "ok"]
    faults = zip(finished, in_threads(fault, finished), strict=True)
    return {record.cell_id: words for record, words in faults if words is not None}


def altered_of_run(run: Run) -> list[str]:
    """What is wrong with the audio of the planned cells of a run, in words."""
    cells = (run.cells.get(cell.cell_id) for cell in run.plan)
    return list(altered_audio(run.folder, [cell for cell in cells if cell is not None]).values())


def require_judgeable(run: Run, *, records_only: bool = False) -> None:
    """Refuse to judge a run, or to keep its numbers, that is not what was written.

    Args:
        run: The run.
        records_only: Do not look at the audio, as where records came without it.

    Raises:
        RecordError: Its plan is not whole, or audio is missing or altered.
    """
    if run.plan_faults:
        raise RecordError(f"run {run.folder}: {'; '.join(run.plan_faults)}.")
    faults = [] if records_only else altered_of_run(run)
    if faults:
        raise RecordError(
            f"run {run.folder}: {some(faults)}; its numbers are of other sounds. Render them anew "
            "with the same `run` command, or judge the records alone with --records-only."
        )

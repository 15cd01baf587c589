"""How long things took on this machine: a small file in the cache that each run adds to.

A rate is the cost of one stage of one method (or metric) in one session: seconds for so many units.
`bench.estimate` reads the file to say what a run will cost. It is an aid and no result: a line that
is no rate is left out, and nothing depends on the file being there.

**Conventions**: seconds, bytes. A unit is a loading, a style (fit), a second of audio (transfer), a
scored output (score) or an operation of a matrix product (matmul), which belongs to no method.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from bench.files import make_folder, naming, replace_file
from bench.outside.texts import MOST_JSON_BYTES, read_text
from bench.records.schema import Record

Stage = Literal["load", "fit", "transfer", "score"]
FILE = "rates.jsonl"
MOST_LINES = 4000  # a megabyte; from there on the older half is dropped


class Rate(Record):
    """What one stage cost in one session.

    Attributes:
        stage: Which.
        name: Of the method or metric in the catalog; "metrics" for the loading of all of them.
        version: As it says.
        profile: Of the checkpoints.
        parameters: Digest of those that decide the stage; empty where none does.
        passes: How often the costly step was done for each unit, see `bench.counts.Passes`.
        machine: Device, its name, threads and precision, see `bench.device.machine_words`.
        units: How many were done.
        seconds: What they took together.
        memory_bytes: Largest memory of the process, or of the device.
        disk_bytes: What they left on the disk together.
        measured_at: When, in ISO 8601.
        by: The command that measured.
    """

    stage: Stage | Literal["matmul"]
    name: str
    version: str
    profile: str
    parameters: str = ""
    passes: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    machine: str
    units: float = Field(gt=0, allow_inf_nan=False)
    seconds: float = Field(ge=0, allow_inf_nan=False)
    memory_bytes: int | None = Field(default=None, ge=0)
    disk_bytes: int | None = Field(default=None, ge=0)
    measured_at: str
    by: Literal["run", "time"] = "run"

    @property
    def key(self) -> tuple[str, ...]:
        """What another rate must share to be of the same work on the same machine."""
        return (self.stage, self.name, self.version, self.profile, self.machine)


def read_rates(cache: Path) -> list[Rate]:
    """All rates of a cache, the oldest first; none where the file is missing or cannot be read."""
    try:
        lines = read_text(cache / FILE, MOST_JSON_BYTES).splitlines()
    except (OSError, ValueError):
        return []
    return [rate for rate in map(_rate, lines) if rate is not None]


def _rate(line: str) -> Rate | None:
    try:
        return Rate.model_validate_json(line)
    except ValueError:
        return None


def add_rates(cache: Path, rates: Sequence[Rate]) -> None:
    """Append rates to the file of a cache, in one write; a file that has grown long is halved."""
    if not rates:
        return
    path = cache / FILE
    make_folder(cache)
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(_lines(rates))
    kept = read_rates(cache)
    if len(kept) > MOST_LINES:
        replace_file(path, _lines(kept[len(kept) // 2 :]), cache)


def _lines(rates: Iterable[Rate]) -> str:
    return "".join(f"{rate.model_dump_json(exclude_none=True)}\n" for rate in rates)

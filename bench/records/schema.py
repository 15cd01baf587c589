"""The records of a run folder: what was planned, what happened to each cell, and what was scored.

**Conventions**: times are in seconds, memory in bytes, rates in Hz.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import NoneType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, field_validator

from bench.api import ScoreStatus
from bench.description import is_made_elsewhere
from bench.failure import CellStatus
from bench.outside.wording import LONGEST, LONGEST_MESSAGE, one_line

FAILED: frozenset[str] = frozenset({"invalid_output", "error", "oom", "timeout", "crash"})
OPEN: frozenset[str] = frozenset({"started", "cancelled"})  # of a cell that has no outcome


def _bounded(value: object, longest: int = LONGEST) -> object:
    """Words of a plug-in or of somebody else's record; what is no text is for the next check."""
    return one_line(value, longest) if isinstance(value, str) else value


Reason = Annotated[str, BeforeValidator(_bounded)]
Description = Annotated[str, BeforeValidator(partial(_bounded, longest=LONGEST_MESSAGE))]


class Record(BaseModel):
    """Base of everything that crosses the disk: frozen, no unknown keys, versioned."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_version: Literal[1] = 1


class PlannedCell(Record):
    """One intended cell: method x style x content x repetition.

    `chunk` groups cells that run as one batch. `content_seed` is None in older plans.
    """

    cell_id: str
    chunk: str
    method: str  # label printed in tables: "tve" or "tve[strength=0.5]"
    method_name: str  # catalog name or path of a method from outside
    parameters: dict[str, Any]
    style: str
    content: str
    category: str
    repetition: int
    seed: int
    fit_seed: int
    content_seed: int | None = None


class CellRecord(Record):
    """What happened to a cell.

    `started` lines are written before a chunk begins; two of them without an ending let the next
    try run in a worker. `crash` means that the method's worker died, never this process. `identity`
    says by which code and weights the cell was rendered (see `IdentityFacts`); None in older runs.
    `fit_s` is the whole cost of the fit this cell used (the same number for every cell of that
    fit), `transfer_s` this cell's share of its chunk; a cached stage keeps the cost that it had
    when it was computed.
    """

    cell_id: str
    status: CellStatus
    reason: Reason | None = None
    exception: Reason | None = None
    attempt: int = 1
    identity: str | None = None  # 32 hex digits
    audio: str | None = None  # path within the run folder
    audio_digest: str | None = None
    sample_rate: int | None = None
    duration_s: float | None = None
    peak: float | None = None
    fit_key: str | None = None
    load_s: float | None = None
    fit_s: float | None = None
    fit_cached: bool = False
    transfer_s: float | None = None
    transfer_cached: bool = False
    calibration_s: float | None = None  # of the kernel timed beside this chunk
    operations: dict[str, int] | None = None  # calls counted in this chunk, by name
    peak_memory_bytes: int | None = None
    finished_at: str | None = None


NOT_RUN = CellRecord(cell_id="", status="cancelled", reason="not run")


class ScoreRecord(Record):
    """One score of one cell.

    `fingerprint` names the metric's model, preprocessing and versions. `audio_digest` is that of
    the audio that was scored: a score of other audio than the cell has now is stale. None, in
    older runs, belongs to whatever audio there is. `code` is the head of the digest of the metric's
    code; a run makes scores of other code again. `detail` holds facts beside the number, such as
    which style was nearest.
    """

    cell_id: str
    metric: str
    value: float | None
    raw: float | None
    status: ScoreStatus
    reason: Reason | None = None
    fingerprint: str
    audio_digest: str | None = None
    code: str | None = None
    detail: dict[str, str | bool | int | float] | None = None
    score_s: float | None = None


class EmbeddingRecord(Record):
    """The vector by which a metric hears one sound: an output, or a held-out clip of a style.

    A sound is known by its digest, so that outputs that sound the same share a record, and one of
    audio that no cell has any more counts nowhere; nor does one of another `fingerprint` than the
    metric has now. `style` and `clip` say which clip of which style it is, and are None for an
    output. `vector` holds float32 numbers, little-endian, in base64.
    """

    embedding: Reason  # as tables name it, such as "CLAP"
    metric: str
    fingerprint: str
    audio_digest: str
    style: str | None = None
    clip: str | None = None
    vector: str


class Repository(Record):
    """The state of the repository that a plug-in from outside lives in, and of its code.

    `commit` is empty where it lives in none; `digest` is that of its code alone.
    """

    commit: str = ""
    dirty: bool = False
    digest: str

    @property
    def words(self) -> str:
        """The state in a few words.

        Example:
            >>> Repository(commit="1f2e3d4c5b6a7980", dirty=True, digest="0a1b2c3d4e5f").words
            'commit 1f2e3d4c5b6a with changes'
            >>> Repository(digest="0a1b2c3d4e5f").words
            'code 0a1b2c3d4e5f'
        """
        if not self.commit:
            return f"code {self.digest}"
        return f"commit {self.commit[:12]}{' with changes' if self.dirty else ''}"


class IdentityFacts(Record):
    """What the identity of a method is made of, so that a difference can be named.

    Attributes:
        version: As the method declares it.
        source: Head of the digest of its code.
        weights: Heads of the digests of its checkpoints, by their names; under "outputs:" that of
            files which were made elsewhere.
    """

    version: Reason
    source: Reason
    weights: dict[Reason, Reason] = {}


class PlanFacts(Record):
    """What stands in `plan.jsonl` for one method: how many lines, and the digest of them, sorted.

    They are counted once each. A plan that was cut or altered afterwards is known by them.
    """

    cells: int
    digest: str


class MethodEntry(Record):
    """The facts about a method that tables print.

    `identity` is that of its code and weights in the latest session with it, see
    `RunHeader.identities`; None in older runs. `work` is what it asks of its network with these
    settings, where it can say so.
    """

    label: str
    name: str
    title: Description
    conditioned_on: list[Description]
    fits_per_style: bool
    source: Description
    departures: list[Description]
    control: bool
    version: str
    sample_rate: int | None
    longest_s: float | None
    weights: list[str]
    licence: Description
    bandwidth_hz: float | None = None
    repository: Repository | None = None  # of one from outside
    identity: str | None = None
    work: Description = ""

    @property
    def made_elsewhere(self) -> bool:
        """Whether its outputs were not rendered here, but found in a folder."""
        return is_made_elsewhere(self.name)


class MetricEntry(Record):
    """The facts about a metric that tables print.

    `fingerprint` is a short hash, and `fingerprint_detail` says what it stands for.
    """

    name: str
    title: Description
    direction: Literal["maximize", "minimize"]
    range: tuple[float, float]
    source: Description
    version: str
    departures: list[Description] = []
    fingerprint: str = ""
    fingerprint_detail: dict[str, Any] = {}
    repository: Repository | None = None  # of one from outside


# Of facts within the suite, the provenance and a content, where they are there.
KINDS: dict[str, tuple[type, ...]] = {
    "gate": (dict, NoneType), "git": (dict, NoneType), "packages": (dict, NoneType),
    "category": (str, NoneType), "channels": (int, NoneType), "duration_s": (float, int, NoneType),
}  # fmt: skip
WORDS = {
    dict: "a table", str: "a text", int: "a whole number", float: "a number", NoneType: "null",
}  # fmt: skip


class RunHeader(Record):
    """`run.json`: what was asked for and where it ran. Rewritten only when a run is extended."""

    run_id: str
    created_at: str
    argv: list[str]
    suite: dict[str, Any]  # the resolved suite
    suite_name: str
    suite_digest: str
    profile: Literal["mini", "full"]
    device: str
    duration_s: float | None
    # id -> {"text", "clips": [ids], "heldout_clips": [ids], "kind",
    #        "left_out": [{"clip": file, "reason"}]}; the last is absent in older runs
    styles: dict[str, dict[str, Any]]
    contents: dict[str, dict[str, Any]]  # id -> {"category", "duration_s", "channels", "digest"}
    methods: list[MethodEntry]
    metrics: list[MetricEntry]
    provenance: dict[str, Any]
    dataset: dict[str, Any]  # name, licence, redistributable, digest
    identities: dict[str, IdentityFacts] = {}  # of every session, by identity; none in older runs
    plan: dict[str, PlanFacts] = {}  # by label of the method; none in older runs

    @field_validator("suite", "provenance")
    @classmethod
    def _require_kinds(cls, facts: dict[str, Any]) -> dict[str, Any]:
        """Refuse a fact of another kind than those who read it take it for."""
        for name in KINDS.keys() & facts.keys():
            if not isinstance(facts[name], KINDS[name]):
                wanted = " or ".join(WORDS[kind] for kind in KINDS[name])
                raise ValueError(f"{name} is {facts[name]!r:.60} and not {wanted}")  # noqa: TRY004 - what pydantic catches
        return facts

    @field_validator("contents")
    @classmethod
    def _require_kinds_of_contents(
        cls, contents: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        return {name: cls._require_kinds(facts) for name, facts in contents.items()}


def left_out_words(styles: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which clips of which style are neither learnt from nor scored with, a line for each style.

    Args:
        styles: As in `RunHeader.styles`.

    Example:
        >>> left_out_words({"bell": {"left_out": [{"clip": "b.wav", "reason": "is silent"}]}})
        ["style 'bell' is used without 1 clip: b.wav is silent"]
    """
    return [
        f"style {style!r} is used without {len(out)} clip{'s' if len(out) > 1 else ''}: "
        + "; ".join(f"{one['clip']} {one['reason']}" for one in out)
        for style, facts in styles.items()
        if (out := facts.get("left_out"))
    ]


def failed(cells: Sequence[CellRecord]) -> list[CellRecord]:
    """The records whose cell failed; declined cells (`unsupported`) do not count as failures."""
    return [cell for cell in cells if cell.status in FAILED]

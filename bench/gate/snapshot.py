"""What the gate remembers of a run: per-cell values, audio digests, fingerprints and timings.

A baseline is such a snapshot with a reason, kept as one JSON file. It holds every cell and no mean,
because pairing per cell cannot be had back from means. A candidate is reduced to the same form, so
the gate compares like with like.

**Conventions**: times in seconds, memory in bytes; a value is the raw score where there is one (a
clipped one hides drift); None means "no number", and so do NaN and infinity in a record.

**Versions**: schema 2 holds the range of every metric and what the suite asks of a lane. A baseline
of schema 1 lacks the ranges and is judged with those of the candidate, see `with_ranges`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from bench.api import RecordError
from bench.checkout import COMMAND
from bench.files import replace_file
from bench.outside.texts import MOST_JSON_BYTES, read_text
from bench.records.benchmarks import Benchmark
from bench.records.schema import (
    CellRecord,
    IdentityFacts,
    MetricEntry,
    PlannedCell,
    Record,
)
from bench.records.store import Run
from bench.scores import NUMBERED

LEAST_DROP = 0.2  # what a lane must be able to find unless the suite says otherwise, see `reach`
MARGIN = 0.01  # a change of CP or SF below it matters to nobody (two decimals are printed)
ATOL_SAME, ATOL_OTHER = 1e-6, 1e-3  # of one audio's score: same platform, another one unmeasured
ATOL_MEASURED = 1e-5  # the least that is allowed between platforms
# Written by tests/benchmarks/platform_spread.py.
SPREAD = Path(__file__).with_name("tolerances.json")
ROOM = 100.0  # only torch's own code paths were varied: not GPUs, not the resampler's
DIGEST = 16  # hex digits that are kept: a chance match of two sounds is one in 10^19
DECIMALS = 8  # of scores and seconds, below what any lane looks at
NUMERIC = ("torch", "diffusers", "transformers", "numpy", "scipy", "librosa", "soxr")


def _number(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_number)]


class MeasuredCell(Record):
    """One planned cell with its outcome; it is found again by `place`, not by its id.

    The id of a cell changes with the method's version, its place in the suite does not.
    """

    method: str
    style: str
    content: str
    category: str
    repetition: int
    seed: int
    status: str
    audio_digest: str | None = None
    values: dict[str, Number] = Field(default_factory=dict)
    transfer_s: float | None = None  # None also where the time was taken from a cache
    fit_s: float | None = None
    calibration_s: float | None = None
    peak_memory_bytes: int | None = None
    operations: dict[str, int] | None = None

    @property
    def place(self) -> tuple[str, str, str, int]:
        """Method, style, content and repetition."""
        return self.method, self.style, self.content, self.repetition


class MeasuredMethod(Record):
    """The facts about a method that decide whether two of its outputs may differ.

    `state` is that of the repository of a method from outside, in words.
    """

    version: str
    fits_per_style: bool
    control: bool
    state: str = ""
    identity: IdentityFacts | None = None  # None in baselines that were written before it was kept


class MeasuredMetric(Record):
    """The facts about a metric that decide whether two scores may be compared, and how closely.

    `range` is that of the scores, None in a baseline of schema 1; `margin` is the smallest mean
    change that matters; `atol` and `rtol` bound the change of one audio's score between platforms.
    """

    fingerprint: str
    direction: Literal["maximize", "minimize"]
    range: tuple[float, float] | None = None
    margin: float = MARGIN
    atol: float = ATOL_OTHER
    rtol: float = 0.0


class Snapshot(Record):
    """A run as the gate sees it; with a reason it is a baseline.

    `least_drop` is what the run's suite asks of a lane, see `bench.gate.reach.demanded_drop`.
    """

    schema_version: Literal[1, 2] = 2  # type: ignore[assignment] # more than other records have
    suite_name: str
    suite_digest: str
    profile: str
    dataset: str
    created_at: str
    run_id: str
    commit: str
    reason: str = ""
    least_drop: float = LEAST_DROP
    platform: str  # what decides the last digits
    machine: str  # what decides the times
    device: str
    methods: dict[str, MeasuredMethod]
    metrics: dict[str, MeasuredMetric]
    cells: tuple[MeasuredCell, ...]
    violations: tuple[str, ...] = ()
    benchmarks: tuple[Benchmark, ...] = ()


def snapshot(
    run: Run,
    *,
    violations: Sequence[str] = (),
    benchmarks: Sequence[Benchmark] = (),
    reason: str = "",
) -> Snapshot:
    """Reduce a run to what the gate compares.

    Args:
        run: The run.
        violations: Controls out of order in it, one sentence each.
        benchmarks: Timings of single functions to be kept with it.
        reason: Why this becomes the baseline; empty for a candidate.
    """
    header, facts = run.header, run.header.provenance
    return Snapshot(
        suite_name=header.suite_name,
        suite_digest=header.suite_digest,
        profile=header.profile,
        dataset=str(header.dataset.get("digest") or header.dataset.get("name") or ""),
        created_at=header.created_at,
        run_id=header.run_id,
        commit=str((facts.get("git") or {}).get("commit") or ""),
        reason=reason,
        least_drop=(header.suite.get("gate") or {}).get("least_drop", LEAST_DROP),
        platform=platform_class(facts, header.device),
        machine=machine_class(facts, header.device),
        device=header.device,
        methods={
            m.label: MeasuredMethod(
                version=m.version,
                fits_per_style=m.fits_per_style,
                control=m.control,
                state=m.repository.words if m.repository else "",
                identity=header.identities.get(str(m.identity)),
            )
            for m in header.methods
        },
        metrics={m.name: _metric(run, m) for m in header.metrics},
        cells=tuple(_cells(run)),
        violations=tuple(rule_of(violation) for violation in violations),
        benchmarks=tuple(benchmarks),
    )


def rule_of(violation: str) -> str:
    """The demand that a violation broke, without the number that broke it."""
    return violation.partition(" expected")[0]


def _metric(run: Run, metric: MetricEntry) -> MeasuredMetric:
    """The fingerprint of the scores themselves, where there are any, else that of the header."""
    found = run.fingerprints().get(metric.name, set())
    return MeasuredMetric(
        fingerprint="+".join(sorted(found)) or metric.fingerprint,
        direction=metric.direction,
        range=metric.range,
        atol=tolerance_of(metric.name),
    )


def tolerance_of(metric: str) -> float:
    """How far the score of one audio may lie apart on two platforms.

    `ROOM` times the largest difference measured between processor capabilities and thread counts,
    at least `ATOL_MEASURED`; `ATOL_OTHER` for a metric that was not measured.
    """
    spread = _measured_spread().get(metric)
    return ATOL_OTHER if spread is None else max(ATOL_MEASURED, ROOM * spread)


@cache
def _measured_spread() -> dict[str, float]:
    return dict(json.loads(SPREAD.read_text(encoding="utf-8"))["spread"])


def _cells(run: Run) -> Iterable[MeasuredCell]:
    names = [metric.name for metric in run.header.metrics]
    idle = CellRecord(cell_id="", status="cancelled")
    for cell in run.plan:
        outcome = run.cells.get(cell.cell_id, idle)
        yield _measured(cell, outcome, {name: _value(run, cell, outcome, name) for name in names})


def _measured(
    cell: PlannedCell, outcome: CellRecord, values: dict[str, float | None]
) -> MeasuredCell:
    return MeasuredCell(
        method=cell.method,
        style=cell.style,
        content=cell.content,
        category=cell.category,
        repetition=cell.repetition,
        seed=cell.seed,
        status=outcome.status,
        audio_digest=outcome.audio_digest and outcome.audio_digest[:DIGEST],
        values=values,
        transfer_s=None if outcome.transfer_cached else _rounded(outcome.transfer_s),
        fit_s=None if outcome.fit_cached else _rounded(outcome.fit_s),
        calibration_s=_rounded(outcome.calibration_s),
        peak_memory_bytes=outcome.peak_memory_bytes,
        operations=outcome.operations,
    )


def _value(run: Run, cell: PlannedCell, outcome: CellRecord, metric: str) -> float | None:
    score = run.scores.get((cell.cell_id, metric))
    if score is None or outcome.status != "ok" or score.status not in NUMBERED:
        return None
    return _rounded(score.value if score.raw is None else score.raw)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, DECIMALS)


def with_ranges(baseline: Snapshot, candidate: Snapshot) -> Snapshot:
    """The baseline, with ranges that it lacks (schema 1) taken from a candidate's metrics."""
    ranges = {name: metric.range for name, metric in candidate.metrics.items()}
    metrics = {
        name: metric.model_copy(update={"range": metric.range or ranges.get(name)})
        for name, metric in baseline.metrics.items()
    }
    return baseline.model_copy(update={"metrics": metrics})


def platform_class(facts: Mapping[str, Any], device: str) -> str:
    """What decides the last digits of a result: hardware, threads, precision, library versions."""
    packages = facts.get("packages") or {}
    parts = [_hardware(facts, device), str(facts.get("cpu_capability"))]
    if facts.get("precision", "float32") != "float32":
        parts.append(str(facts["precision"]))
    return ", ".join(parts + [f"{name} {packages[name]}" for name in NUMERIC if name in packages])


def machine_class(facts: Mapping[str, Any], device: str) -> str:
    """What decides times: processor model, cores, threads and GPU; never clock rates."""
    return f"{_hardware(facts, device)}, {facts.get('cores')} cores"


def _hardware(facts: Mapping[str, Any], device: str) -> str:
    named = facts.get("cpu_model") or facts.get("machine")
    processor = " ".join(str(part) for part in (named, facts.get("cpu_features")) if part)
    return f"{facts.get('gpu') or device}, {processor}, {facts.get('threads')} threads"


def write_snapshot(path: Path, kept: Snapshot) -> None:
    """Write a baseline file with one cell or benchmark per line, so that a change can be read.

    Raises:
        RecordError: The reason is empty.
    """
    if not kept.reason.strip():
        raise RecordError(
            f"baseline {path} has no reason; whoever reads it later must know why it was accepted. "
            "Say it with --reason."
        )
    facts = kept.model_dump(mode="json", exclude={"cells", "benchmarks"}, exclude_defaults=False)
    head = json.dumps(facts, indent=1)[:-2]
    lists = ",\n".join(
        f' "{name}": [\n{_one_per_line(records)}\n ]'
        for name, records in (("benchmarks", kept.benchmarks), ("cells", kept.cells))
    )
    replace_file(path, f"{head},\n{lists}\n}}\n")


def _one_per_line(records: Sequence[Record]) -> str:
    return ",\n".join(f"  {record.model_dump_json(exclude_defaults=True)}" for record in records)


def read_snapshot(path: Path) -> Snapshot:
    """Read a baseline file.

    Raises:
        RecordError: The file does not exist, or is not a baseline of this schema.
    """
    if not path.is_file():
        raise RecordError(
            f"{path} does not exist; a baseline is what `{COMMAND} baseline RUN --reason "
            "TEXT -o FILE` writes. Name such a file."
        )
    try:
        text = read_text(path, MOST_JSON_BYTES)
        return Snapshot.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecordError(
            f"{path} is not a baseline of schema 1 or 2 ({first['msg']} at {list(first['loc'])}); "
            f"write it anew with `{COMMAND} baseline`."
        ) from error
    except ValueError as error:
        raise RecordError(
            f"{path} cannot be read as a baseline ({error}); write it anew with `{COMMAND} "
            "baseline`."
        ) from error

"""Runs written by hand from the public records, for the tests of this folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from bench.records.schema import (
    CellRecord,
    MethodEntry,
    MetricEntry,
    PlannedCell,
    Record,
    RunHeader,
)
from bench.records.schema import ScoreRecord as Scored
from bench.records.store import Run, append, write_header
from reports.text.result_table import Estimate, ResultTable

RecordT = TypeVar("RecordT", bound=Record)
METRICS = {
    "cp": "CP",
    "sf.heldout": "SF-audio (held-out)",
    "sf.seen": "SF-audio (seen)",
    "sf.text": "SF-text",
    "chroma": "Chroma",
}
JUDGED = METRICS | {
    "sf.margin": "SF-audio margin",
    "sf.musicnn": "MusicNN",
    "sf.musicnn.margin": "MusicNN margin",
    "notes": "Notes",
}
STYLES = tuple(f"style{i}" for i in range(6))
CONTENTS = tuple(f"c{i}" for i in range(8))
FAMILY = {"pairs": [["tve", "rti"], ["tve", "other"]], "metrics": ["cp"]}


def method(label: str, *, control: bool = False, **changes: object) -> MethodEntry:
    """A method entry with plain words; `changes` replace fields."""
    facts: dict[str, Any] = {
        "label": label, "name": label.split("[", maxsplit=1)[0], "title": label.upper(),
        "conditioned_on": ["content audio"] if control else ["style audio", "content audio"],
        "fits_per_style": not control, "source": "a paper", "departures": [], "control": control,
        "version": "1", "sample_rate": 22050, "longest_s": None, "weights": [], "licence": "MIT",
    }  # fmt: skip
    return MethodEntry(**(facts | changes))


def metric(name: str) -> MetricEntry:
    """A metric entry in [0, 1], a margin in [-2, 2]; higher is better."""
    return MetricEntry(
        name=name, title=JUDGED[name], direction="maximize",
        range=(-2.0, 2.0) if name.endswith("margin") else (0.0, 1.0),
        source=f"source of {name}", version="1", fingerprint=f"{name}-fp",
    )  # fmt: skip


def header(
    methods: Sequence[MethodEntry],
    styles: Sequence[str] = ("harp", "bird"),
    contents: Sequence[str] = ("c1", "c2", "c3", "c4"),
    metrics: Sequence[str] = tuple(METRICS),
    **changes: object,
) -> RunHeader:
    """A header of a mini run; styles named "bird" are natural, the others instruments."""
    kinds = {style: "natural" if style == "bird" else "instrument" for style in styles}
    facts: dict[str, Any] = {
        "run_id": "r1", "created_at": "2026-01-02T03:04:05Z", "argv": ["bench", "run"],
        "suite": {"name": "hand"}, "suite_name": "hand", "suite_digest": "0123456789abcdef",
        "profile": "mini", "device": "cpu", "duration_s": None,
        "styles": {
            s: {"text": s, "clips": [], "heldout_clips": [], "kind": kinds[s]} for s in styles
        },
        "contents": {
            c: {"category": c[0], "duration_s": 4.0, "channels": 1, "digest": c} for c in contents
        },
        "methods": list(methods), "metrics": [metric(name) for name in metrics],
        "provenance": {"git": {"commit": "abc", "dirty": False}, "packages": {"numpy": "2.0"}},
        "dataset": {"name": "by hand", "licence": "CC0"},
    }  # fmt: skip
    return RunHeader(**(facts | changes))


def run_of(
    head: RunHeader,
    values: dict[str, dict[str, float]],
    repetitions: int = 1,
    style_step: float = 0.1,
) -> Run:
    """A finished run: `values[method][metric]` + .01 per content, .1 per style, .001 per seed."""
    plan, cells, scores = [], {}, {}
    for label, by_metric in values.items():
        for s, style in enumerate(head.styles):
            for c, content in enumerate(head.contents):
                for r in range(repetitions):
                    cell = planned(label, style, content, r)
                    plan.append(cell)
                    cells[cell.cell_id] = ended(cell.cell_id, style)
                    for name, value in by_metric.items():
                        number = value + style_step * s + 0.01 * c + 0.001 * r
                        scores[cell.cell_id, name] = scored(cell.cell_id, name, number)
    return Run(Path("hand"), head, tuple(plan), cells, scores)


def planned(label: str, style: str, content: str, repetition: int = 0) -> PlannedCell:
    """A planned cell; methods other than controls get strength and guidance_scale."""
    tuned = label.startswith(("tve", "rti"))
    settings = {"strength": 0.65, "guidance_scale": 3.5} if tuned else {}
    return PlannedCell(
        cell_id=f"{label}/{style}/{content}/{repetition}", chunk="k", method=label,
        method_name=label.split("[", maxsplit=1)[0], parameters=settings,
        style=style, content=content,
        category=content[0], repetition=repetition, seed=1, fit_seed=2,
    )  # fmt: skip


def ended(cell_id: str, style: str = "harp", **changes: object) -> CellRecord:
    """A cell that ended well: load 2 s, fit 10 s, transfer 1 s for 4 s of audio, 100 MiB."""
    facts: dict[str, Any] = {
        "cell_id": cell_id, "status": "ok", "audio_digest": f"d-{cell_id}", "duration_s": 4.0,
        "fit_key": f"fit-{cell_id.split('/', maxsplit=1)[0]}-{style}", "load_s": 2.0, "fit_s": 10.0,
        "transfer_s": 1.0, "peak_memory_bytes": 100 * 1024**2,
    }  # fmt: skip
    return CellRecord(**(facts | changes))


def scored(cell_id: str, name: str, value: float | None, **changes: object) -> Scored:
    """A score whose raw number is its value."""
    facts: dict[str, Any] = {
        "cell_id": cell_id, "metric": name, "value": value, "raw": value, "status": "ok",
        "fingerprint": f"{name}-fp",
    }  # fmt: skip
    return Scored(**(facts | changes))


def fail(run: Run, cell_id: str, status: str = "error", reason: str = "broke") -> Run:
    """The same run with one cell failed and its scores gone."""
    record = CellRecord(cell_id=cell_id, status=status, reason=reason)  # type: ignore[arg-type] # a word of CellStatus
    scores = {key: score for key, score in run.scores.items() if key[0] != cell_id}
    return replace(run, cells=run.cells | {cell_id: record}, scores=scores)


def golden_run() -> Run:
    """One run with a failure, unscored cells, a control and names that need escaping."""
    entries = [
        method("tve[strength=0.5]"),
        method("musicgen", conditioned_on=["style text", "melody"]),
        method("copy-content", control=True),
    ]
    run = run_of(
        header(entries),
        {
            "tve[strength=0.5]": dict.fromkeys(METRICS, 0.5),
            "musicgen": {"cp": 0.3, "sf.heldout": 0.2, "sf.seen": 0.2, "chroma": 0.4},
            "copy-content": {"cp": 0.8, "sf.heldout": 0.1, "sf.seen": 0.1, "chroma": 0.8},
        },
        repetitions=2,
    )
    return fail(run, "tve[strength=0.5]/harp/c1/0", "oom", "out of memory: 50% & more_than | 1 $")


def jittered(run: Run) -> Run:
    """The run with a small change in each score that differs between cells and methods."""
    scores = {}
    for number, (key, score) in enumerate(run.scores.items()):
        step = 0.01 * ((number * 7919) % 13 - 6) / 6
        value = (score.value or 0) + step
        scores[key] = score.model_copy(update={"value": value, "raw": value})
    return replace(run, scores=scores)


def toy(**levels: float) -> Run:
    """A finished run of methods whose scores, cp and sf.heldout, differ by their level."""
    labels = levels or {"tve": 0.5, "rti": 0.4, "musicgen": 0.399}
    entries = [method(label) for label in labels]
    head = header(
        entries, STYLES, CONTENTS, ("cp", "sf.heldout"), suite={"name": "toy", "family": FAMILY}
    )
    return jittered(
        run_of(
            head,
            {label: {"cp": v, "sf.heldout": 1 - v} for label, v in labels.items()},
            style_step=0.05,  # what is saved and read again must be in the range of the metrics
        )
    )


def save(run: Run, folder: Path) -> Path:
    """Write a run as the runner does: ids and digests that are words here become hex digits."""
    folder.mkdir(parents=True, exist_ok=True)
    write_header(folder, run.header)
    append(folder / "plan.jsonl", map(as_written, run.plan))
    append(folder / "cells.jsonl", map(as_written, run.cells.values()))
    append(folder / "scores.jsonl", map(as_written, run.scores.values()))
    return folder


DIGITS = {"cell_id": 16, "chunk": 16, "audio_digest": 64, "fit_key": 32}


def as_written(record: RecordT) -> RecordT:
    """A record with the ids and digests that it would have on disk."""
    words = {name: getattr(record, name, None) for name in DIGITS}
    hexed = {
        name: hexadecimal(word, DIGITS[name]) for name, word in words.items() if word is not None
    }
    return record.model_copy(update=hexed)


def hexadecimal(word: str, digits: int) -> str:
    """A word as so many hex digits; one that is that already stays."""
    if len(word) == digits and set(word) <= set("0123456789abcdef"):
        return word
    return hashlib.sha256(word.encode()).hexdigest()[:digits]


def row(table: ResultTable, key: str, name: str) -> dict[str, object]:
    """The first row whose column `key` is `name`, by column."""
    position = table.column(key).index(name)
    return {column.key: table.rows[position].cells[i] for i, column in enumerate(table.columns)}


def simple(**values: float) -> Run:
    """A run of tve (and others by keyword) with the same value in every metric."""
    labels = {name: name.replace("_", "-") for name in values}
    controls = {"copy_content", "noise", "null", "mix"}
    methods = [method(label, control=name in controls) for name, label in labels.items()]
    return run_of(
        header(methods),
        {labels[name]: dict.fromkeys(METRICS, value) for name, value in values.items()},
    )


def number(table: ResultTable, key: str, row: int = 0) -> float:
    """The mean in a cell."""
    value = table.column(key)[row]
    assert isinstance(value, Estimate)
    return value.value

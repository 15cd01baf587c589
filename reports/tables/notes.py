"""The notes under the tables: where the numbers come from, what is missing, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.audio import is_beyond_full_scale, peak_words
from bench.records.schema import left_out_words
from bench.records.store import Run
from bench.scores import INVALID
from reports.tables import reading, standing

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

KINDS = {
    "two-way": (
        "mean [95 % interval]: over styles and contents in general (two-way cluster-robust t, "
        "inside the range of the score)"
    ),
    "on these styles": (
        "mean [95 % interval] on these styles only (fewer than 5): over contents within their "
        "category (t, inside the range of the score); nothing is claimed about other styles"
    ),
    "none": "a mean without an interval rests on a single content",
}
SHOWN_FAILURES = 10
OF_FAILURES = ("cell_id", "method", "style", "content", "repetition", "status", "reason")
NO_BOLD = ", or * where there is none"  # said where a format may have no bold
BEST = (
    f"bold{NO_BOLD}: the competitors that no other is significantly better than "
    "(paired on common cells with failed cells as the worst score, Holm over all pairs, 5 %)"
)
COMMON = (
    "common cells: every method on the cells that all judged competitors have, failed ones as the "
    "worst score, since means over unlike cells cannot be compared"
)
CELLS = "n: (style, content) cells behind a row; (n=...) stands beside a number that rests on fewer"


def identity_notes(run: Run) -> list[str]:
    """What every table must say about itself: its suite, profile and data."""
    header = run.header
    dataset = header.dataset.get("name", "unnamed")
    size = f"{counted(len(header.styles), 'style')}, {counted(len(header.contents), 'content')}"
    suite = f"suite {reading.identity(run)}; dataset {dataset}: {size}; device {header.device}"
    notes = [suite]
    if header.profile == "mini":
        notes.append("mini models: never compare with published numbers")
    notes += left_out_words(header.styles)
    stereo = sum(1 for facts in header.contents.values() if int(facts.get("channels") or 1) > 1)
    if run.faults:
        notes.append(
            f"{counted(len(run.faults), 'line')} of the records broke a rule and counted nowhere; "
            f"the first: {Path(run.faults[0].split(' is left out')[0]).name}"
        )
    notes += [*run.plan_faults, *run.remarks]
    if stereo:
        notes.append(
            f"{stereo} of {len(header.contents)} contents have several channels; methods receive "
            "their mean, so the outputs are mono"
        )
    return notes


def interval_notes(kinds: Iterable[str]) -> list[str]:
    """One sentence per kind of interval that occurs."""
    present = set(kinds)
    return [text for kind, text in KINDS.items() if kind in present]


def fingerprint_notes(run: Run) -> list[str]:
    """The measure behind each column: its source, version, and the hash of all that decides it."""
    return [
        f"{metric.title}: {metric.source}; version {metric.version}, fingerprint "
        f"{metric.fingerprint or 'none'}"
        for metric in reading.ordered_metrics(run)
    ]


def provenance_note(run: Run) -> str:
    """A line about the run, the software and the machine."""
    return "provenance: " + ", ".join(f"{name} {value}" for name, value in provenance(run))


def provenance(run: Run) -> list[tuple[str, str]]:
    """Run, software and machine as names with their values."""
    header = run.header
    facts = [("run", header.run_id), ("created", header.created_at)]
    facts += [(key, str(value)) for key, value in _flat(header.provenance) if value is not None]
    methods = [(one.label, one.repository) for one in header.methods]
    metrics = [(one.name, one.repository) for one in header.metrics]
    return facts + [(name, where.words) for name, where in (*methods, *metrics) if where]


def _flat(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Scalars of a nested mapping with the path to each; lists stand in `run.json` only."""
    rows: list[tuple[str, Any]] = []
    for key, value in facts.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += _flat(value, "" if key == "packages" else f"{name} ")
        elif not isinstance(value, list | tuple):
            rows.append((name, value))
    return rows


def sees_notes(run: Run) -> list[str]:
    """What each method is conditioned on; methods that see the same share a line."""
    groups: dict[str, list[str]] = {}
    for method in reading.ordered_methods(run):
        groups.setdefault(" + ".join(method.conditioned_on), []).append(method.label)
    return [f"sees {what}: {', '.join(labels)}" for what, labels in groups.items()]


def missing_notes(run: Run, frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """How many cells have no number, by method and reason: not run, n/a, silent or failed.

    Methods that lack the same cells share a line.
    """
    who: dict[str, list[str]] = {}
    for label, rows in frames.items():
        for note in (*_cell_notes(rows), *_score_notes(run, rows)):
            who.setdefault(note, []).append(label)
    named = {note: _named(labels, len(frames)) for note, labels in who.items()}
    return [f"{label}: {note}" for note, label in named.items()]


def _named(labels: list[str], total: int) -> str:
    return "every method" if len(labels) == total > 1 else ", ".join(labels)


def _cell_notes(rows: pd.DataFrame) -> list[str]:
    total = len(rows)
    idle = int(reading.said(rows, "status", "cancelled").sum())
    notes = [f"{idle} of {total} cells not run"] if idle else []
    declined = reading.said(rows, "status", "unsupported")
    for (status, reason), count in _reasons(rows, declined).items():
        notes.append(f"{count} of {total} cells n/a ({reason or status})")
    for (status, reason), count in _reasons(rows, reading.failures(rows)).items():
        notes.append(f"{count} of {total} cells failed ({status}: {reason or 'no reason'})")
    return notes


def _reasons(rows: pd.DataFrame, chosen: NDArray[np.bool_]) -> Counter[tuple[str, str]]:
    """How many of the chosen rows have each status and reason."""
    if not chosen.any():
        return Counter()
    reasons = rows["reason"][chosen].fillna("").astype(str).tolist()
    return Counter(zip(rows["status"][chosen].astype(str).tolist(), reasons, strict=True))


def _score_notes(run: Run, rows: pd.DataFrame) -> list[str]:
    words = {
        "unsupported": "n/a",
        "silent": "scored as silent",
        "invalid_output": "without score",
    }
    done, cells = reading.said(rows, "status", "ok"), rows["cell_id"]
    notes = []
    for metric in reading.ordered_metrics(run):
        states = f"{metric.name}.status"
        found = Counter(
            (words[score.status], score.reason or score.status)
            for cell in cells[done & reading.said(rows, states, *words)]
            if (score := run.scores.get((str(cell), metric.name))) is not None
        )
        notes += [
            f"{metric.title}: {count} of {len(rows)} cells {word} ({reason})"
            for (word, reason), count in found.items()
        ]
        broken = cells[done & reading.said(rows, states, INVALID)]
        if len(broken):
            reasons = _score_reasons(run, broken, metric.name)
            notes.append(
                f"{metric.title}: {len(broken)} of {len(rows)} cells with an invalid score "
                f"({_first(reasons)})"
            )
        unscored = int((done & rows[states].isna().to_numpy()).sum())
        if unscored:
            notes.append(f"{metric.title}: {unscored} of {len(rows)} cells not scored yet")
    return notes


def unjudged_notes(run: Run) -> list[str]:
    """The competitors that finished too few cells to be judged."""
    who: dict[str, list[str]] = {}
    metrics = reading.ordered_metrics(run)
    for metric in metrics:
        for label, why in standing.unjudged(run, metric).items():
            who.setdefault(f"{label} {why}", []).append(metric.title)
    share = f"{standing.FINISHED:.0%}".replace("%", " %")
    return [
        f"not judged (scores of under {share} of its cells), so never bold or best: {words} "
        f"({'all columns' if len(titles) == len(metrics) else ', '.join(titles)})"
        for words, titles in who.items()
    ]


def _score_reasons(run: Run, cells: Iterable[str], metric: str) -> list[str]:
    """Why these cells have no sound score, each reason once."""
    found = [run.scores[str(cell), metric].reason for cell in cells]
    return list(dict.fromkeys(reason or INVALID for reason in found))


def _first(reasons: Sequence[str]) -> str:
    """The first reason, and how many others there are: each may name another number."""
    more = len(reasons) - 1
    return reasons[0] + (f"; and {counted(more, 'other reason')}" if more else "")


def peak_notes(run: Run) -> list[str]:
    """The methods whose outputs go beyond full scale: how many of them, and how far."""
    lines = []
    for method in reading.ordered_methods(run):
        cells = [cell.cell_id for cell in run.plan if cell.method == method.label]
        records = [run.cells[cell] for cell in cells if cell in run.cells]
        peaks = [record.peak for record in records if record.status == "ok" and record.peak]
        beyond = [peak for peak in peaks if is_beyond_full_scale(peak)]
        if beyond:
            lines.append(
                f"{method.label}: {len(beyond)} of {counted(len(peaks), 'output')} with a peak "
                f"beyond full scale, at most {peak_words(max(beyond))}: integer files would clip "
                "them"
            )
    return lines


def invalid_note(run: Run) -> str:
    """How many scores of each metric break a rule, where any does."""
    found = Counter(metric for (_, metric), s in run.scores.items() if s.status == INVALID)
    if not found:
        return ""
    each = ", ".join(f"{metric} {count}" for metric, count in sorted(found.items()))
    return f"{counted(found.total(), 'score')} invalid ({each})"


def failures(run: Run) -> dict[str, str]:
    """The place, status and reason of each cell that failed or has an invalid score, by its id."""
    lines = {}
    for sheet in reading.sheets(run).values():
        chosen = reading.failures(sheet.rows)
        for of_metric in (*sheet.failed.values(), *sheet.invalid.values()):
            chosen = chosen | of_metric
        for row in sheet.rows.loc[chosen, list(OF_FAILURES)].to_dict("records"):
            lines[str(row["cell_id"])] = _failure_line(run, row)
    return lines


def _failure_line(run: Run, row: Mapping[Any, Any]) -> str:
    where = f"{row['method']} / {row['style']} / {row['content']} / repetition {row['repetition']}"
    if row["status"] != "ok":
        return f"{where}: {row['status']}: {row['reason'] or 'no reason recorded'}"
    parts = [
        f"{status}: {'; '.join(found)}"
        for status in ("invalid_output", INVALID)
        if (found := _broken(run, str(row["cell_id"]), status))
    ]
    return f"{where}: {'; '.join(parts)}"


def _broken(run: Run, cell: str, status: str) -> list[str]:
    """The metrics that have this status in a cell, each with its reason."""
    return [
        f"{metric.title}: {score.reason or status.replace('_', ' ')}"
        for metric in reading.ordered_metrics(run)
        if (score := run.scores.get((cell, metric.name))) is not None and score.status == status
    ]


def counted(number: int, word: str) -> str:
    """A number with its word.

    Example:
        >>> counted(1, "style"), counted(2, "style")
        ('1 style', '2 styles')
    """
    return f"{number} {word}" + ("" if number == 1 else "s")

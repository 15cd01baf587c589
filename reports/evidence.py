"""What the controls prove: methods gain over doing nothing, and the measures rank as they must."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.records.schema import MethodEntry
from bench.records.store import Run
from bench.statistics.intervals import Observations, paired_differences, paired_interval
from reports import notes, reading
from reports.result_table import Column, Estimate, Missing, ResultTable, Row, Value, estimate

if TYPE_CHECKING:
    import pandas as pd

BASELINES = ("copy-content", "null")
TOLERANCE = 1e-3  # batch and thread effects on a score stay below it


def gains(run: Run) -> ResultTable:
    """Paired gain of each method over copy-content and over the null prompt, per kind of style.

    The raw score of a method minus that of the control on the cells that both have. Against
    copy-content a gain in style fit is what the transfer adds to the music as it was; against the
    null prompt, what knowing the style adds.

    Raises:
        RecordError: Scores of one metric carry unlike fingerprints.
    """
    frames = reading.by_method(run)
    methods = [m for m in reading.ordered_methods(run) if m.label in frames]
    baselines = [entry for name in BASELINES if (entry := reading.named(methods, name)) is not None]
    metrics = reading.ordered_metrics(run)
    kinds: set[str] = set()
    rows = [
        _gain_row(
            run, (frames[method.label], frames[baseline.label]), (method, baseline), group, kinds
        )
        for method in methods
        if not method.control
        for baseline in baselines
        for group in _style_groups(run)
    ]
    columns = (
        Column("method", "Method", text=True),
        Column("over", "Over", text=True),
        Column("styles", "Styles", text=True),
        *(Column(metric.name, metric.title) for metric in metrics),
    )
    return ResultTable(
        "Paired gain over the controls (raw scores)",
        "gains",
        reading.identity(run),
        columns,
        tuple(rows),
        (
            *notes.identity_notes(run),
            *notes.interval_notes(kinds),
            *_no_gain_notes(run, rows),
            notes.provenance_note(run),
        ),
    )


def _no_gain_notes(run: Run, rows: list[Row]) -> list[str]:
    """Whose style fit over copy-content has an interval that reaches 0 or lies below it, and where.

    Such a method has not been shown to bring any of the style into the music.
    """
    names = [metric.name for metric in reading.ordered_metrics(run)]
    fit = style_fit(run)
    if fit not in names:
        return []
    title = next(metric.title for metric in run.header.metrics if metric.name == fit)
    found: dict[str, list[str]] = {}
    for row in rows:
        method, over, group = row.cells[:3]
        gain = row.cells[3 + names.index(fit)]
        if over == BASELINES[0] and isinstance(gain, Estimate) and gain.low <= 0:
            found.setdefault(str(method), []).append(str(group))
    without = [f"{method} ({', '.join(groups)})" for method, groups in found.items()]
    return [f"no gain in {title} shown over copy-content: {'; '.join(without)}"] if without else []


def _style_groups(run: Run) -> list[str]:
    kinds = sorted({reading.style_kind(run, style) for style in run.header.styles})
    return ["all", *kinds] if len(kinds) > 1 else ["all"]


def _gain_row(
    run: Run,
    frames: tuple[pd.DataFrame, pd.DataFrame],
    entries: tuple[MethodEntry, MethodEntry],
    group: str,
    kinds: set[str],
) -> Row:
    cells: list[Value] = [entries[0].label, entries[1].label, group]
    for metric in reading.ordered_metrics(run):
        ours, theirs = (_raw(run, rows, metric.name, group) for rows in frames)
        result = paired_interval(ours, theirs)
        if result.n == 0:
            cells.append(Missing("n/a", "no cell has both numbers"))
            continue
        kinds.add(result.kind)
        cells.append(estimate(result))
    return Row(tuple(cells), entries[0].label)


def _raw(run: Run, rows: pd.DataFrame, metric: str, group: str) -> Observations:
    """Raw scores on the styles of one kind ("all" for every style)."""
    if group != "all":
        rows = rows[[reading.style_kind(run, style) == group for style in rows["style"]]]
    return reading.observed(rows, reading.numbers(rows, metric, raw=True))


@dataclass(frozen=True, slots=True)
class _Rule:
    """One demand: mean(upper) - mean(lower) on common cells is positive, or not negative."""

    metric: str
    upper: str
    lower: str
    strict: bool


def control_order(run: Run) -> list[str]:
    """Check that controls bound the methods; each violation is one sentence.

    Raw scores averaged over the common cells of tonal styles: CP of copy-content is 1 and at least
    that of the vocoder, which is at least that of each method, which lies above noise; SF-audio
    (held-out, else seen) of copy-style lies above each method, which lies above copy-content. A
    demand whose methods or numbers are absent is not checked. An anchor out of order means that the
    measure is broken, or that a method does no transfer.

    Raises:
        RecordError: Scores of one metric carry unlike fingerprints.
    """
    return order_violations(run, reading.by_method(run))


def order_violations(run: Run, frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """`control_order` of a run whose frames were read before."""
    methods = [m for m in reading.ordered_methods(run) if m.label in frames]
    violations = [*_identity_violation(run, methods, frames)]
    for rule in _rules(run, methods):
        difference = _tonal_difference(run, frames, rule)
        if difference is None or difference > TOLERANCE:
            continue
        if rule.strict or difference < -TOLERANCE:
            sign = ">" if rule.strict else ">="
            violations.append(
                f"{rule.metric}: {rule.upper} {sign} {rule.lower} expected, the paired difference "
                f"on tonal styles is {difference:+.3f}"
            )
    return violations


def _rules(run: Run, methods: list[MethodEntry]) -> list[_Rule]:
    """The demands for the controls that this run has; controls are known by their catalog name."""
    labels = {m.name: m.label for m in methods if m.control}
    competitors = [m.label for m in methods if not m.control]
    fit = style_fit(run)
    chain: list[_Rule] = []
    if "copy-content" in labels and "vocoder" in labels:
        chain.append(_Rule("cp", labels["copy-content"], labels["vocoder"], strict=False))
    for label in competitors:
        if "vocoder" in labels:
            chain.append(_Rule("cp", labels["vocoder"], label, strict=False))
        if "noise" in labels:
            chain.append(_Rule("cp", label, labels["noise"], strict=True))
        if "copy-style" in labels:
            chain.append(_Rule(fit, labels["copy-style"], label, strict=True))
        if "copy-content" in labels:
            chain.append(_Rule(fit, label, labels["copy-content"], strict=True))
    return [rule for rule in chain if rule.metric in {m.name for m in run.header.metrics}]


def style_fit(run: Run) -> str:
    """Held-out style fit where any cell has it, else the one against seen clips."""
    held_out = any(
        metric == "sf.heldout" and score.value is not None
        for (_, metric), score in run.scores.items()
    )
    return "sf.heldout" if held_out else "sf.seen"


def _identity_violation(
    run: Run, methods: list[MethodEntry], frames: Mapping[str, pd.DataFrame]
) -> list[str]:
    """A copied content that does not score 1: the pipeline alters audio or embeddings."""
    entry = reading.named(methods, "copy-content")
    if entry is None or "cp" not in {m.name for m in run.header.metrics}:
        return []
    values = _raw(run, frames[entry.label], "cp", "tonal").values
    known = values[np.isfinite(values)]
    if not len(known) or abs(float(known.mean()) - 1) <= TOLERANCE:
        return []
    return [f"cp: {entry.label} = 1 expected, its mean on tonal styles is {known.mean():.3f}"]


def _tonal_difference(run: Run, frames: Mapping[str, pd.DataFrame], rule: _Rule) -> float | None:
    upper, lower = (_raw(run, frames[x], rule.metric, "tonal") for x in (rule.upper, rule.lower))
    differences = paired_differences(upper, lower).values
    return float(differences.mean()) if len(differences) else None

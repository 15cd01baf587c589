"""Whether the controls bound the methods, as they must if the measures work.

A copied content must keep its content perfectly, a copied style must have the style, and noise must
have neither. Where a method scores beyond such a control, the measure is broken or the method does
no transfer. The gate refuses new violations, and table II names them in its notes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.records.schema import MethodEntry
from bench.records.store import Run
from bench.statistics.intervals import paired_differences
from reports.tables import reading

TOLERANCE = 1e-3  # batch and thread effects on a score stay below it


@dataclass(frozen=True, slots=True)
class _Rule:
    """One demand: mean(upper) - mean(lower) on common cells is positive, or not negative."""

    metric: str
    upper: str
    lower: str
    strict: bool


def control_order(run: Run) -> list[str]:
    """Check that controls bound the methods, and say each violation in one sentence.

    Raw scores are averaged over the common cells of tonal styles. CP of copy-content is 1 and at
    least that of the vocoder, which is at least that of each method, which lies above noise.
    SF-audio (held-out, else seen) of copy-style lies above each method, which lies above
    copy-content. A demand whose methods or numbers are absent is not checked.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    known = reading.sheets(run)
    methods = [m for m in reading.ordered_methods(run) if m.label in known]
    violations = [*_identity_violation(run, methods)]
    for rule in _rules(run, methods):
        difference = _tonal_difference(run, rule)
        if difference is None or difference > TOLERANCE:
            continue
        if rule.strict or difference < -TOLERANCE:
            sign = ">" if rule.strict else ">="
            none = abs(difference) <= TOLERANCE
            words = f"within {TOLERANCE:g} of 0" if none else f"{difference:+.3f}"
            violations.append(
                f"{reading.metric_of(run, rule.metric).title}: {rule.upper} {sign} {rule.lower} "
                f"expected, the paired difference on tonal styles is {words}"
            )
    return violations


def _rules(run: Run, methods: list[MethodEntry]) -> list[_Rule]:
    """The demands for the controls that this run has, which are known by their catalog names."""
    labels = {m.name: m.label for m in methods if m.control}
    competitors = [m.label for m in methods if not m.control]
    fit = reading.style_fit(run)
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


def _identity_violation(run: Run, methods: list[MethodEntry]) -> list[str]:
    """A copied content that does not score 1, because the pipeline alters audio or embeddings."""
    entry = reading.named(methods, "copy-content")
    if entry is None or "cp" not in {m.name for m in run.header.metrics}:
        return []
    values = reading.raw_scores(run, entry.label, "cp", "tonal").values
    known = values[np.isfinite(values)]
    if not len(known) or abs(float(known.mean()) - 1) <= TOLERANCE:
        return []
    title = reading.metric_of(run, "cp").title
    return [f"{title}: {entry.label} = 1 expected, its mean on tonal styles is {known.mean():.3f}"]


def _tonal_difference(run: Run, rule: _Rule) -> float | None:
    upper, lower = (
        reading.raw_scores(run, label, rule.metric, "tonal") for label in (rule.upper, rule.lower)
    )
    differences = paired_differences(upper, lower).values
    return float(differences.mean()) if len(differences) else None

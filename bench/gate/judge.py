"""The regression gate: a candidate against a baseline, one verdict per method and quantity.

There are several lanes, because the causes differ: lost **cells**, other **audio** from the same
seeds, other scores of the same audio (**metric** drift: an output whose digest did not change is
frozen golden audio), **quality** paired per cell, over all styles and on each **style**, **time**,
**memory**, counted **operations**, and **controls** out of order. The rules of the measured lanes
are in `bench.gate.quality` and `bench.gate.cost`.

A suite, a dataset or a measure that differs is `incomparable` and never passes quietly. Nothing
here needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.gate import cost, quality
from bench.gate.lanes import Ended, MetricCells
from bench.gate.snapshot import MeasuredCell, MeasuredMethod, Snapshot, with_ranges
from bench.gate.verdict import Verdict
from bench.records.identity import differing

# Candidate, which is None where it has no such cell, and baseline.
Pair = tuple[MeasuredCell | None, MeasuredCell]
SHOWN = 3  # cells named in a reason


def judge(
    candidate: Snapshot, baseline: Snapshot, *, least_drop: float | None = None
) -> list[Verdict]:
    """Compare a candidate with a baseline.

    Args:
        candidate: The run to be accepted or refused.
        baseline: The run that was accepted before.
        least_drop: What is asked of a lane, see `bench.gate.reach.demanded_drop`; by default what
            the candidate's suite says.

    Returns:
        The verdicts; a single `incomparable` one where suite, profile or data differ. Methods and
        metrics that only the candidate has are not judged.
    """
    unlike = _unlike(candidate, baseline)
    if unlike:
        return [Verdict("suite", "all", "suite", "incomparable", unlike)]
    baseline = with_ranges(baseline, candidate)
    measures = list(_measures(candidate, baseline))
    comparable = set(baseline.metrics) - {verdict.subject for verdict in measures}
    verdicts = [*_controls(candidate, baseline), *measures]
    parts: list[MetricCells] = []
    for label, pairs in _by_method(candidate, baseline).items():
        verdicts += _lost(label, pairs, comparable)
        ended = [
            (new, old)
            for new, old in pairs
            if new is not None and new.status == "ok" and old.status == "ok"
        ]
        verdicts += _audio(label, ended, candidate, baseline)
        verdicts += cost.verdicts(label, ended, candidate, baseline)
        parts += [
            MetricCells(label, name, baseline.metrics[name], baseline.methods[label], ended)
            for name in baseline.metrics
            if name in comparable
        ]
    return verdicts + quality.verdicts(
        parts,
        same_platform=candidate.platform == baseline.platform,
        least_drop=candidate.least_drop if least_drop is None else least_drop,
    )


def _unlike(candidate: Snapshot, baseline: Snapshot) -> str:
    """Why nothing can be compared; empty where it can."""
    facts = {
        "suite digest": (candidate.suite_digest[:12], baseline.suite_digest[:12]),
        "profile": (candidate.profile, baseline.profile),
        "dataset": (candidate.dataset[:12], baseline.dataset[:12]),
    }
    unlike = [f"{name} {new} is not {old}" for name, (new, old) in facts.items() if new != old]
    return f"{'; '.join(unlike)}: write a new baseline" if unlike else ""


def _by_method(candidate: Snapshot, baseline: Snapshot) -> dict[str, list[Pair]]:
    """The cells of the baseline beside those of the candidate at the same place, per method."""
    found = {cell.place: cell for cell in candidate.cells}
    pairs: dict[str, list[Pair]] = {label: [] for label in baseline.methods}
    for cell in baseline.cells:
        pairs[cell.method].append((found.get(cell.place), cell))
    return pairs


def _controls(candidate: Snapshot, baseline: Snapshot) -> Iterator[Verdict]:
    """A demand on the controls that the candidate breaks and the baseline did not."""
    for rule in candidate.violations:
        known = rule in baseline.violations
        word = "out of order, as in the baseline" if known else "out of order"
        metric, _, order = rule.partition(": ")
        yield Verdict("controls", order, metric, "regressed", word, advisory=known)


def _measures(candidate: Snapshot, baseline: Snapshot) -> Iterator[Verdict]:
    """Metrics that are not the same measure any more, or that the candidate lacks."""
    for name, old in baseline.metrics.items():
        new = candidate.metrics.get(name)
        if new is None:
            reason = "the candidate was not scored with it"
        elif new.fingerprint != old.fingerprint:
            reason = f"fingerprint {new.fingerprint} is not {old.fingerprint}"
        elif new.direction != old.direction:
            reason = f"direction {new.direction} is not {old.direction}"
        else:
            continue
        yield Verdict("metric", "all", name, "incomparable", f"{reason}: write a new baseline")


def _lost(label: str, pairs: Sequence[Pair], metrics: set[str]) -> Iterator[Verdict]:
    """Cells and scores that the baseline has and the candidate lacks."""
    gone = [old for new, old in pairs if old.status == "ok" and (new is None or new.status != "ok")]
    if gone:
        yield Verdict("cells", label, "cells", "regressed", _lost_words(gone, len(pairs)))
    for name in sorted(metrics):
        silent = [
            old
            for new, old in pairs
            if new is not None
            and new.status == "ok"
            and old.values.get(name) is not None
            and new.values.get(name) is None
        ]
        if silent:
            words = _lost_words(silent, len(pairs))
            yield Verdict("cells", label, name, "regressed", f"no score any more: {words}")


def _lost_words(cells: Sequence[MeasuredCell], planned: int) -> str:
    named = [f"{c.style}/{c.content}/{c.repetition}" for c in cells[:SHOWN]]
    more = f" and {len(cells) - SHOWN} more" if len(cells) > SHOWN else ""
    return f"{len(cells)} of {planned} lost: {', '.join(named)}{more}"


def _changed(new: MeasuredMethod | None, baseline: Snapshot, label: str) -> str:
    """What of a method is not that of the baseline, in brackets; nothing where nobody knows."""
    old = baseline.methods[label].identity
    if new is None or new.identity is None or old is None:
        return ""
    unlike = differing(old, new.identity)
    return f" ({', '.join(f'other {words}' for words in unlike)})" if unlike else ""


def _audio(
    label: str, ended: Sequence[Ended], candidate: Snapshot, baseline: Snapshot
) -> Iterator[Verdict]:
    """Audio that differs although seeds, platform and declared version are the same."""
    other = [(new, old) for new, old in ended if new.audio_digest != old.audio_digest]
    unseeded = [new for new, old in other if new.seed == old.seed]
    if not ended:
        return
    new_method = candidate.methods.get(label)
    count = f"{len(other)} of {len(ended)} outputs differ{_changed(new_method, baseline, label)}"
    bumped = new_method is not None and new_method.version != baseline.methods[label].version
    if not other:
        yield Verdict("audio", label, "digest", "equivalent", f"all {len(ended)} outputs the same")
    elif bumped:
        yield Verdict("audio", label, "digest", "inconclusive", f"{count}, version was raised")
    elif candidate.platform != baseline.platform:
        reason = f"{count}; another platform ({candidate.platform}; was {baseline.platform})"
        yield Verdict("audio", label, "digest", "changed", reason, advisory=True)
    elif unseeded:
        reason = f"{count} with the same seeds and version; raise the version if this is meant"
        yield Verdict("audio", label, "digest", "changed", reason)
    else:
        yield Verdict("audio", label, "digest", "inconclusive", f"{count}, other seeds")

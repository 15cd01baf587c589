"""What each method gains over trivial answers: paired differences to the controls.

A method that is not shown to gain over every one of `TRIVIAL` in style fit has not been shown to
transfer a style: copying the content, mixing a style clip under it, or running the model without
the style does as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product

from bench.records.schema import MethodEntry
from bench.records.store import Run
from bench.statistics.intervals import kind_of, paired_differences, spread_of
from bench.statistics.spread import Spread, difference_bounds, ends, smallest_detectable
from reports.tables import notes, reading, standing
from reports.text.result_table import Column, Estimate, Missing, ResultTable, Row, Value

TRIVIAL = ("copy-content", "mix", "null")
HOW = (
    "a gain is the raw score of a method (a failed cell as the worst score) minus that of the "
    "control, on the cells that both have"
)


def gains(run: Run) -> ResultTable:
    """Show the paired gain of each method over copy-content, mix and null, per kind of style.

    Against copy-content, a gain in style fit is what the transfer adds to the music as it was;
    against mix, what it adds to laying a style clip under the music; against null, what knowing the
    style adds. The verdict is that over the strongest of the three, the one over which the gain's
    interval begins lowest: "gain" says that there is one over each.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    known = reading.by_method(run)
    methods = [m for m in reading.ordered_methods(run) if m.label in known]
    named = (reading.named(methods, name) for name in TRIVIAL)
    controls = [entry for entry in named if entry is not None and entry.control]
    groups = _style_groups(run)
    kinds: set[str] = set()
    rows: list[Row] = []
    verdicts: dict[str, list[str]] = {}
    for method, group in product([m for m in methods if not m.control], groups):
        spreads = {c.label: _spreads(run, (method, c), group) for c in controls}
        kinds |= {kind_of(s.population) for found in spreads.values() for s in found if s.n}
        strongest, said = _verdict(run, spreads)
        if strongest:
            where = f"{method.label} ({group})" if len(groups) > 1 else method.label
            verdicts.setdefault(f"{said} over {strongest}", []).append(where)
        for label, found in spreads.items():
            cells = (method.label, label, group, *map(_shown, found))
            rows.append(Row((*cells, said if label == strongest else ""), method.label))
    return ResultTable(
        "Paired gain over trivial answers (raw scores)",
        "gains",
        reading.identity(run),
        _columns(run),
        tuple(rows),
        (
            *notes.identity_notes(run),
            HOW,
            *notes.interval_notes(kinds),
            *_verdict_notes(run, verdicts),
            *_absent_notes([entry.name for entry in controls]),
            notes.provenance_note(run),
        ),
    )


def _columns(run: Run) -> tuple[Column, ...]:
    metrics = reading.ordered_metrics(run)
    return (
        Column("method", "Method", text=True),
        Column("over", "Over", text=True),
        Column("styles", "Styles", text=True),
        *(Column(metric.name, metric.title) for metric in metrics),
        Column("verdict", "Verdict", text=True),
    )


def _spreads(run: Run, pair: tuple[MethodEntry, MethodEntry], group: str) -> list[Spread]:
    """The gain of the first method over the second by each metric, on styles of one kind."""
    method, control = pair
    found = []
    for metric in reading.ordered_metrics(run):
        ours = standing.judged(run, method.label, metric, raw=True)
        if group != "all":
            ours = ours.where([reading.style_kind(run, s) == group for s in ours.styles.tolist()])
        theirs = reading.raw_scores(run, reading.by_method(run)[control.label], metric.name)
        gained = paired_differences(ours, theirs)
        found.append(spread_of(gained, bounds=difference_bounds(reading.raw_range(metric))))
    return found


def _shown(spread: Spread) -> Value:
    if not spread.n:
        return Missing("n/a", "no cell has both numbers")
    return Estimate(spread.mean, *ends(spread), spread.n)


def _fit_place(run: Run) -> int | None:
    """The place of the metric of style fit, which decides; None where the run has none."""
    names = [metric.name for metric in reading.ordered_metrics(run)]
    fit = reading.style_fit(run)
    return names.index(fit) if fit in names else None


def _verdict(run: Run, spreads: Mapping[str, Sequence[Spread]]) -> tuple[str, str]:
    """The strongest control and what is shown over it; empty words where nothing can be said.

    The strongest is the one over which the gain in style fit has the lowest lower end. A gain
    without an interval counts as the lowest of all, since it shows nothing.
    """
    place = _fit_place(run)
    if place is None:
        return "", ""
    gained = {label: found[place] for label, found in spreads.items() if found[place].n}
    lows = {label: ends(gain)[0] for label, gain in gained.items()}
    if not gained:
        return "", ""
    strongest = min(lows, key=lambda label: -math.inf if math.isnan(lows[label]) else lows[label])
    return strongest, verdict(gained[strongest])


def verdict(gain: Spread) -> str:
    """What an interval of a gain shows.

    Example:
        >>> verdict(Spread(0.1, 0.03, 9, 40, "both")), verdict(Spread(0.1, 0.09, 9, 40, "both"))
        ('gain', 'no gain shown (0.28 would have been)')
    """
    low, high = ends(gain)
    if math.isnan(low):
        return "too few contents or styles to tell"
    if low > 0:
        return "gain"
    found = f"{smallest_detectable(gain):.2f} would have been"
    return f"a loss (a gain of {found})" if high < 0 else f"no gain shown ({found})"


def _verdict_notes(run: Run, verdicts: Mapping[str, Sequence[str]]) -> list[str]:
    place = _fit_place(run)
    if place is None or not verdicts:
        return []
    title = reading.ordered_metrics(run)[place].title
    said = "; ".join(f"{', '.join(labels)}: {words}" for words, labels in verdicts.items())
    how = "over the strongest trivial answer, over which the gain's interval begins lowest"
    return [
        f"verdict in {title}, {how}: {said}",
        "would have been: the smallest gain that would have been found in 4 of 5 cases",
    ]


def _absent_notes(present: Sequence[str]) -> list[str]:
    absent = [name for name in TRIVIAL if name not in present]
    if not present or not absent:
        return []
    return [f"not in this run, so no verdict knows of it: {', '.join(absent)}"]


def _style_groups(run: Run) -> list[str]:
    kinds = sorted({reading.style_kind(run, style) for style in run.header.styles})
    return ["all", *kinds] if len(kinds) > 1 else ["all"]

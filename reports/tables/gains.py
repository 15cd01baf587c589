"""What each method gains over trivial answers: paired differences to the controls.

A method that is not shown to gain over every one of `TRIVIAL` in style fit has not been shown to
transfer a style: copying the content, mixing a style clip under it, or running the model without
the style does as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from bench.records.schema import MethodEntry
from bench.records.store import Run
from bench.statistics.intervals import kind_of, paired_differences, spread_of
from bench.statistics.spread import Spread, difference_bounds, ends, smallest_detectable
from reports.tables import notes, reading, standing
from reports.text.result_table import Column, Estimate, Missing, ResultTable, Row, Value

TRIVIAL = ("copy-content", "mix", "null")
GAIN = "gain"
STRONGEST = "over the strongest trivial answer, over which the gain's interval begins lowest"
DETECTABLE = "would have been: the smallest gain that would have been found in 4 of 5 cases"
NO_PAIR = f"A gain needs a method and one of {', '.join(TRIVIAL)}, both with cells."
HOW = (
    "a gain is the raw score of a method (a failed cell as the worst score) minus that of the "
    "control, on the cells that both have"
)


def gains(run: Run) -> ResultTable:
    """Show the paired gain of each method over copy-content, mix and null, per kind of style.

    Against copy-content, a gain in style fit is what the transfer adds to the music as it was;
    against mix, what it adds to laying a style clip under the music; against null, what knowing the
    style adds. The verdict is that over the strongest of the three, the one over which the gain's
    interval begins lowest: "gain" says that there is one over each. Each judge of style
    (`reading.style_judges`) has its own verdict, and where they differ the table says so.

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
    verdicts: dict[str, Mapping[str, Verdict]] = {}
    for method, group in product([m for m in methods if not m.control], groups):
        spreads = {c.label: _spreads(run, (method, c), group) for c in controls}
        kinds |= {kind_of(s.population) for found in spreads.values() for s in found if s.n}
        said = _verdicts(run, spreads)
        where = f"{method.label} ({group})" if len(groups) > 1 else method.label
        verdicts[where] = said
        for label, found in spreads.items():
            cells = (method.label, label, group, *map(_shown, found))
            rows.append(Row((*cells, _said_over(label, said)), method.label))
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
            *_disagreements(verdicts),
            *_absent_notes([entry.name for entry in controls]),
            notes.provenance_note(run),
        ),
        empty=NO_PAIR,
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
        ours = reading.of_kind(run, standing.judged(run, method.label, metric, raw=True), group)
        theirs = reading.raw_scores(run, control.label, metric.name)
        gained = paired_differences(ours, theirs)
        found.append(spread_of(gained, bounds=difference_bounds(reading.raw_range(metric))))
    return found


def _shown(spread: Spread) -> Value:
    if not spread.n:
        return Missing("n/a", "no cell has both numbers")
    return Estimate(spread.mean, *ends(spread), spread.n)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of a method: what is shown over the strongest control."""

    over: str
    words: str


def _verdicts(run: Run, spreads: Mapping[str, Sequence[Spread]]) -> dict[str, Verdict]:
    """What each judge of style says; one that has no gain to judge says nothing.

    The strongest control is the one over which the gain in style fit has the lowest lower end. A
    gain without an interval counts as the lowest of all, since it shows nothing.
    """
    names = [metric.name for metric in reading.ordered_metrics(run)]
    said = {}
    for judge, metric in reading.style_judges(run).items():
        place = names.index(metric.name)
        gained = {label: found[place] for label, found in spreads.items() if found[place].n}
        if gained:
            strongest = min(gained, key=lambda label: _low(gained[label]))
            said[judge] = Verdict(strongest, verdict(gained[strongest]))
    return said


def _low(gain: Spread) -> float:
    low, _ = ends(gain)
    return -math.inf if math.isnan(low) else low


def _said_over(control: str, said: Mapping[str, Verdict]) -> str:
    """The verdicts over one control, with the names of the judges where there are several."""
    own = {judge: found.words for judge, found in said.items() if found.over == control}
    if len(said) == 1:
        return "".join(own.values())
    return "; ".join(f"{judge}: {words}" for judge, words in own.items())


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
        return GAIN
    found = f"{smallest_detectable(gain):.2f} would have been"
    return f"a loss (a gain of {found})" if high < 0 else f"no gain shown ({found})"


def _verdict_notes(run: Run, verdicts: Mapping[str, Mapping[str, Verdict]]) -> list[str]:
    lines = []
    for judge, metric in reading.style_judges(run).items():
        who: dict[str, list[str]] = {}
        for where, said in verdicts.items():
            if judge in said:
                found = said[judge]
                who.setdefault(f"{found.words} over {found.over}", []).append(where)
        if who:
            words = "; ".join(f"{', '.join(labels)}: {what}" for what, labels in who.items())
            lines.append(f"verdict in {metric.title}, {STRONGEST}: {words}")
    return [*lines, DETECTABLE] if lines else []


def _disagreements(verdicts: Mapping[str, Mapping[str, Verdict]]) -> list[str]:
    """The methods about whose gain the judges do not agree, with what each says."""
    lines = []
    for where, said in verdicts.items():
        gains_by = {judge: found.words == GAIN for judge, found in said.items()}
        if len(set(gains_by.values())) > 1:
            words = "; ".join(
                f"{judge}: {'gain' if has else 'not'}" for judge, has in gains_by.items()
            )
            lines.append(f"judges disagree about {where}: {words}")
    return lines


def _absent_notes(present: Sequence[str]) -> list[str]:
    absent = [name for name in TRIVIAL if name not in present]
    if not present or not absent:
        return []
    return [f"not in this run, so no verdict knows of it: {', '.join(absent)}"]


def _style_groups(run: Run) -> list[str]:
    kinds = sorted({reading.style_kind(run, style) for style in run.header.styles})
    return ["all", *kinds] if len(kinds) > 1 else ["all"]

"""Drift of scores: of the same audio (the measure changed) and of new audio (the method changed).

**Frozen audio.** Where the digest of an output is that of the baseline, its score may differ by at
most ``atol + rtol * |baseline|``; anything more means that the measure itself drifted.

**Quality.** The rest is paired per cell. Baseline and candidate ran the very same styles and
contents, so the question is not whether other music would sound worse, but whether this suite does,
beyond the chance of seeds. Chance enters a method that fits per style once per fit, so its fits are
the clusters; in any other method each cell has its own. What a change does to some cells more than
to others is counted as chance too, which errs on the side of "inconclusive".

**Lanes.** A method and metric have one lane over all styles, and one per style where there are
several: a style that collapses moves a mean over all of them little, and looks like chance there.
The noise of a style's mean is the larger of its own and that of all styles pooled, see
`bench.gate.lanes.style_spreads`.

Verdict of a lane, with d the mean change towards better and m the margin:

* `regressed`: d < -m and the one-sided p of "no drop" is at most `ALPHA` after correction. Half of
  `ALPHA` goes to the lanes over all styles that changed and half to those of single styles, and
  Holm's correction runs over each half. Then the whole gate is wrong in at most `ALPHA` of runs.
* `improved`: the same upwards.
* `equivalent`: the 95 % interval of d lies above -m (non-inferior).
* `inconclusive`: none of these; the verdict says about how many cells would decide it.
* `blind`: inconclusive, and the lane could not have found the drop that the suite asks for.

What is said of a method and metric is no better than what is said of its styles: `regressed` with
any style, `blind` with any, `equivalent` only with every one, `improved` only where none fell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.gate.lanes import (
    Lane,
    MetricCells,
    Paired,
    lanes_of,
    paired,
    tolerance,
)
from bench.gate.reach import NOTHING, Missing, found_drop, missing, reached, too_weak
from bench.gate.snapshot import LEAST_DROP
from bench.gate.verdict import Verdict, Word
from bench.statistics.paired import holm
from bench.statistics.spread import LEVEL, SETTLED, Range, Spread, ends

ALPHA = 0.015  # chance of any false `regressed`; below the 2 % asked for, as t is only nearly right
SHOWN = 3  # styles named in a reason
UNDECIDED = frozenset({"inconclusive", "blind"})
GOOD = frozenset({"improved", "equivalent"})
POOR: tuple[Word, ...] = ("regressed", "blind")  # what one style makes of a whole lane, worst first


def verdicts(
    parts: Sequence[MetricCells], *, same_platform: bool, least_drop: float = LEAST_DROP
) -> list[Verdict]:
    """Judge all method x metric pairs together, since the correction runs over all of them.

    Args:
        parts: The cells of each method and metric.
        same_platform: Whether both runs are of one platform.
        least_drop: What a suite asks of a lane.
    """
    numbers = [(part, paired(part)) for part in parts]
    return judge_numbers(numbers, same_platform=same_platform, least_drop=least_drop)


def judge_numbers(
    numbers: Sequence[tuple[MetricCells, Paired]], *, same_platform: bool, least_drop: float
) -> list[Verdict]:
    """As `verdicts`, of numbers that are lined up already."""
    judged = [(part, cells) for part, cells in numbers if len(cells.new)]
    found = [
        verdict
        for part, cells in judged
        for verdict in _metric_drift(part, cells, same_platform=same_platform)
    ]
    bounds = _bounds(judged)
    every = [
        list(
            lanes_of(
                part,
                cells,
                bounds[part.metric],
                same_platform=same_platform,
                least_drop=least_drop,
            )
        )
        for part, cells in judged
    ]
    chances = _corrected([lane for lanes in every for lane in lanes])
    for lanes in every:
        whole, *styles = [lane_verdict(lane, chances[_key(lane)]) for lane in lanes]
        found += [over_styles(whole, styles), *styles]
    return found


def _bounds(judged: Sequence[tuple[MetricCells, Paired]]) -> dict[str, Range]:
    """What the numbers of each metric can be, by its range and by all that it was."""
    seen: dict[str, list[float]] = {}
    measures = {part.metric: part.measure for part, _ in judged}
    for part, cells in judged:
        both = (cells.new, cells.old)
        seen.setdefault(part.metric, []).extend(
            float(end) for side in both for end in (side.min(), side.max())
        )
    return {metric: reached(measure, seen[metric]) for metric, measure in measures.items()}


@dataclass(frozen=True, slots=True)
class Chance:
    """What the correction over all lanes leaves of one.

    Args:
        p_drop: Corrected one-sided p of "no drop"; NaN where the lane was not tested.
        p_rise: The same of "no rise".
        alpha: Chance of a false alarm that the lane has at least.
    """

    p_drop: float
    p_rise: float
    alpha: float


def _key(lane: Lane) -> str:
    return "\n".join((lane.method, lane.metric, lane.style))


def _corrected(lanes: Sequence[Lane]) -> dict[str, Chance]:
    """The corrected chances of all lanes; only those that moved and have an error are tested."""
    tested = {_key(one): one_sided_p(one.spread) for one in lanes if not one.still}
    tested = {key: p for key, p in tested.items() if not math.isnan(p)}
    kinds = [
        {key: p for key, p in tested.items() if key.endswith("\n") is whole}
        for whole in (True, False)
    ]
    alphas = shared_alpha(len(kinds[0]), len(kinds[1]))
    chances: dict[str, Chance] = {}
    for one in lanes:
        chances[_key(one)] = Chance(math.nan, math.nan, alphas[bool(one.style)])
    for own, alpha in zip(kinds, alphas, strict=True):
        parts = ALPHA / (alpha * max(1, len(own)))  # over how many kinds of lanes ALPHA is shared
        drops, rises = holm(own), holm({key: 1 - p for key, p in own.items()})
        for key in own:
            p_drop, p_rise = (min(1.0, parts * p[key]) for p in (drops, rises))
            chances[key] = Chance(p_drop, p_rise, alpha)
    return chances


def shared_alpha(over_all: int, of_styles: int) -> tuple[float, float]:
    """The chance of a false alarm of one lane over all styles, and of one on a style.

    Half of `ALPHA` goes to each kind, so that many styles do not blunt the lanes over all of them;
    a kind without any tested lane leaves its half to the other.

    Example:
        >>> shared_alpha(6, 0)[0] == ALPHA / 6, shared_alpha(6, 12)[1] == ALPHA / 24
        (True, True)
    """
    kinds = max(1, (over_all > 0) + (of_styles > 0))
    return ALPHA / kinds / max(1, over_all), ALPHA / kinds / max(1, of_styles)


def _metric_drift(part: MetricCells, cells: Paired, *, same_platform: bool) -> Iterator[Verdict]:
    moved = np.abs(cells.new - cells.old)
    allowed = tolerance(part.measure, cells.old, same_platform=same_platform)
    beyond = cells.frozen & (moved > allowed)
    if not beyond.any():
        return
    worst = int(np.argmax(np.where(beyond, moved, -1)))
    reason = (
        f"{int(beyond.sum())} of {int(cells.frozen.sum())} scores of the same audio moved, by up "
        f"to {moved[worst]:.2g} where {allowed[worst]:.2g} is allowed"
    )
    change = float(np.mean((cells.new - cells.old)[cells.frozen]))
    yield Verdict("metric", part.method, part.metric, "changed", reason, delta=change)


def one_sided_p(spread: Spread) -> float:
    """P-value of "no drop": the chance of a mean at most this low if the true one were 0."""
    from scipy.special import stdtr

    if spread.degrees < 1:
        return math.nan
    if spread.standard_error <= SETTLED:
        return 0.5 if abs(spread.mean) <= SETTLED else float(spread.mean > 0)
    return float(stdtr(spread.degrees, spread.mean / spread.standard_error))


def lane_verdict(lane: Lane, chance: Chance) -> Verdict:
    """The verdict of one lane by itself.

    Args:
        lane: The lane.
        chance: Its p-values after correction.
    """
    if lane.still:
        return _unchanged(lane)
    spread, margin = lane.spread, lane.measure.margin
    low, high = ends(spread, level=LEVEL)
    given = Verdict(
        "style" if lane.style else "quality", lane.method, lane.metric, "inconclusive",
        delta=spread.mean, low=low, high=high, p=chance.p_drop, style=lane.style,
        detectable=found_drop(spread, lane.room, alpha=chance.alpha),
    )  # fmt: skip
    word: Word = "inconclusive"
    if spread.mean < -margin and chance.p_drop <= ALPHA:
        word, reason = "regressed", f"worse by {-spread.mean:.3f}, margin {margin:g}"
    elif spread.mean > margin and chance.p_rise <= ALPHA:
        word, reason = "improved", f"better by {spread.mean:.3f}"
    elif low > -margin:
        word, reason = "equivalent", f"no drop beyond {margin:g}"
    else:
        return _undecided(given, lane, chance.alpha)
    return replace(given, word=word, reason=reason)


def _unchanged(lane: Lane) -> Verdict:
    reason = f"the same {'audio and scores' if lane.frozen else 'scores'}"
    return Verdict(
        "style" if lane.style else "quality", lane.method, lane.metric, "equivalent", reason,
        delta=lane.spread.mean, low=lane.spread.mean, high=lane.spread.mean, p=1.0,
        style=lane.style,
    )  # fmt: skip


def _undecided(given: Verdict, lane: Lane, alpha: float) -> Verdict:
    """The given verdict with what would decide it, blind where too little would be found."""
    spread, margin = lane.spread, lane.measure.margin
    if too_weak(given.detectable, lane.room, lane.demanded, margin):
        asked = min(lane.demanded, lane.room)
        noise = spread.standard_error * math.sqrt(lane.design.units())
        lacks = missing(lane.design, noise, asked, alpha=alpha)
        return replace(given, word="blind", reason=_blind_words(given, lane, asked, lacks))
    if given.detectable == NOTHING:
        return replace(given, reason=f"nothing could be found ({_units_words(lane)})")
    needed = math.ceil(spread.n * (given.detectable / margin) ** 2)
    reason = (
        f"a drop of {given.detectable:.3f} would have been found; {margin:g} needs about {needed} "
        "cells"
    )
    return replace(given, reason=reason, needed=needed)


def _units_words(lane: Lane) -> str:
    units, noun = lane.design.units(), "fit" if lane.design.fits else "cell"
    return f"{units} {noun}{'' if units == 1 else 's'}"


def _blind_words(given: Verdict, lane: Lane, asked: float, lacks: Missing) -> str:
    found = (
        "nothing could be found"
        if given.detectable == NOTHING
        else f"only a drop of {given.detectable:.3f} would have been found"
    )
    return f"{found} ({_units_words(lane)}); {asked:.2g} needs {lacks}"


def over_styles(whole: Verdict, styles: Sequence[Verdict]) -> Verdict:
    """The verdict over all styles, no better than those of the styles.

    Args:
        whole: That of the lane over all styles by itself.
        styles: Those of its styles; none where there is one style.
    """
    if styles and whole.word in UNDECIDED and all(style.word in GOOD for style in styles):
        return replace(whole, word="equivalent", reason="no drop on any style", needed=None)
    for word in POOR:
        poor = [style for style in styles if style.word == word]
        if whole.word == word or poor:
            own = [whole.reason] if whole.word == word else []
            return replace(whole, word=word, reason="; ".join([*own, *_named(poor)]))
    return _closed(whole, [style for style in styles if style.word == "inconclusive"])


def _closed(whole: Verdict, open_styles: Sequence[Verdict]) -> Verdict:
    """A verdict over all styles of which none regressed or is blind, some perhaps inconclusive."""
    hidden = {
        "equivalent": open_styles,
        "improved": [style for style in open_styles if style.delta < 0],
    }.get(whole.word, [])
    if not hidden:
        return whole
    lost = [replace(style, reason=_lost_words(style)) for style in hidden]
    reason = f"{whole.reason} over all styles, but not on each: {'; '.join(_named(lost))}"
    return replace(whole, word="inconclusive", reason=reason)


def _lost_words(style: Verdict) -> str:
    return style.reason if math.isnan(style.low) else f"may have lost {-style.low:.3f}"


def _named(styles: Sequence[Verdict]) -> list[str]:
    """The reasons of some styles, the worst first, each reason once; of the others the count."""
    worst = sorted(styles, key=lambda v: -math.inf if math.isnan(v.low) else v.low)
    names: dict[str, list[str]] = {}
    for verdict in worst:
        names.setdefault(verdict.reason, []).append(verdict.style)
    named = [f"{_listed(own)}: {reason}" for reason, own in list(names.items())[:SHOWN]]
    more = sum(len(own) for own in list(names.values())[SHOWN:])
    return [*named, f"{more} more style{'' if more == 1 else 's'}"] if more else named


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")

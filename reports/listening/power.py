"""How small a difference between two methods a listening test can find.

By simulation with the analysis of the report: marks are drawn for the listeners, sets and methods
of the design, and the interval of the mean difference is that of the tables, which counts raters,
contents and (where there are enough) styles as clusters. A difference is found where its 95 %
interval leaves 0 out. Each draw tells the smallest difference that it would have found, and the
quantile `POWER` of these is the answer. So few contents make it large: what holds for three pieces
may not hold for others.

What would find less is looked for by the same variances in closed form, ``2 (LISTENER² / listeners
+ SET² / sets + REST² / ratings)``, with as many degrees of freedom as the smallest group has; what
is said of it has been simulated as well.

**Assumptions**, in points of the scale from 1 to 5; no study of ours has measured them:

* `LISTENER`: how differently listeners like a method, beyond what they all think of it;
* `SET`: how differently a method does on the pairs of a style and a content;
* `REST`: everything else, marking twice and marking in whole points among it.

Taste that touches both methods alike cancels out of the difference and is not drawn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from bench.statistics.intervals import MIN_CLUSTERS, MIN_STYLES
from bench.statistics.multiway import multiway_variance
from bench.statistics.spread import LEVEL, POWER, Spread, ends, smallest_detectable
from bench.statistics.variances import Floats, Indices
from reports.listening.blocks import Block
from reports.listening.design import QUESTIONS, RatedSet
from reports.tables.notes import counted

LISTENER, SET, REST = 0.3, 0.3, 0.8  # standard deviations
ASSUMED = f"standard deviations of {LISTENER} by listener, {SET} by set and {REST} within both"
DRAWS, FEWER_DRAWS = 1000, 300  # of the test itself, and of those that might be planned
WANTED = 0.3  # points: a difference of which it is said what would find it
STEP, MOST_LISTENERS = 10, 1000  # listeners that are tried
MORE_CONTENTS = (2, 4)  # times as many
SCALE = (-4.0, 4.0)  # of a difference of two marks
LARGEST = 2.4  # mean difference that is tried; larger ones lie so near the end that less is found
SETTLED_POINTS = 0.01


def smallest_difference(
    sets: Sequence[RatedSet], blocks: Sequence[Block], draws: int = DRAWS
) -> float:
    """The difference of mean marks that is found in 80 % of such tests; infinite where none is.

    Args:
        sets: The sets of the test.
        blocks: What each listener rates, one for each.
        draws: How many tests are simulated.
    """
    seen = _seen_together(blocks)
    raters = np.array([rater for rater, _ in seen], np.intp)
    places = np.array([place for _, place in seen], np.intp)
    drawn = _drawn(raters, places, [(one.content, one.style) for one in sets], draws)
    found = [_smallest_found(spread) for spread in drawn]
    return float(np.quantile(found, POWER, method="higher")) if found else math.inf


def _drawn(
    raters: Indices, places: Indices, sets: Sequence[tuple[str, str]], draws: int
) -> Iterator[Spread]:
    """What tests of two methods that do not differ find, with the interval of the tables.

    Args:
        raters: The listener of each pair of marks, from 0.
        places: Its set, from 0.
        sets: Their contents and styles.
        draws: How many tests.
    """
    contents, styles = (
        np.unique([one[kind] for one in sets], return_inverse=True)[1][places] for kind in (0, 1)
    )
    groups = [raters, contents]
    groups += [styles] if len(set(styles.tolist())) >= MIN_STYLES else []
    fewest = min(len(set(one.tolist())) for one in groups)
    generator = np.random.default_rng(0)
    size = (int(raters.max(initial=-1)) + 1, len(sets))
    for _ in range(draws if fewest >= MIN_CLUSTERS else 0):
        values = _differences(generator, raters, places, size)
        error = multiway_variance(values, groups) ** 0.5
        yield Spread(float(values.mean()), error, fewest - 1, len(values), "both", 0.0, SCALE)


def _is_found(spread: Spread, added: float) -> bool:
    """Whether a difference that is added has an interval above 0; its error does not change."""
    return ends(replace(spread, mean=spread.mean + added), level=LEVEL)[0] > 0


def _smallest_found(spread: Spread) -> float:
    """The difference that is found once it is added; infinite where none is."""
    least, most = 0.0, LARGEST - spread.mean
    if not _is_found(spread, most):
        return math.inf
    while most - least > SETTLED_POINTS:
        middle = (least + most) / 2
        least, most = (least, middle) if _is_found(spread, middle) else (middle, most)
    return most


def words(sets: Sequence[RatedSet], plan: Sequence[Block], minutes: float) -> str:
    """What listeners do, and what that will tell, in two sentences.

    Args:
        sets: The sets of the test.
        plan: What each listener rates, one for each.
        minutes: How long the longest takes.
    """
    most = max(plan, key=len)
    clips = max(sum(len(part.stimuli) for part in block) for block in plan)
    each = (
        f"{counted(len(plan), 'listener')}, each {len(most)} of {counted(len(sets), 'set')} "
        f"({clips * len(QUESTIONS)} ratings in about {math.ceil(minutes)} minutes)"
    )
    contents, styles = (len({getattr(one, key) for one in sets}) for key in ("content", "style"))
    over = f"{counted(contents, 'content')} and {counted(styles, 'style')}"
    found = smallest_difference(sets, plan)
    if not math.isfinite(found):
        return f"{each} find no difference for sure over {over}; more of these, or of them, do."
    return (
        f"{each} find a difference of {found:.2f} between two methods in {POWER:.0%} of "
        f"such tests over {over}. Assumed: {ASSUMED}."
    )


@dataclass(frozen=True, slots=True)
class Study:
    """A test as it might be planned.

    Args:
        listeners: How many.
        each: In how many sets each of them meets two given methods, on average.
        contents: How many.
        styles: How many; a set is one content in one style.
    """

    listeners: int
    each: float
    contents: int
    styles: int

    def foreseen(self) -> float:
        """The smallest difference that is found, in closed form."""
        sets = self.contents * self.styles
        ratings = self.listeners * self.each
        variance = 2 * (LISTENER**2 / self.listeners + SET**2 / sets + REST**2 / ratings)
        groups = [self.listeners, self.contents]
        groups += [self.styles] if self.styles >= MIN_STYLES else []
        degrees = min(groups) - 1
        return smallest_detectable(
            Spread(0.0, variance**0.5, degrees, round(ratings), "both", 0.0, SCALE)
        )

    def finds(self, wanted: float, draws: int = FEWER_DRAWS) -> float:
        """The share of simulated tests that find a difference, as many listeners hearing each set.

        Args:
            wanted: The difference, in points.
            draws: How many tests.
        """
        sets = [(f"c{n}", f"s{m}") for n in range(self.contents) for m in range(self.styles)]
        np.random.default_rng(0).shuffle(sets)
        ratings = np.arange(round(self.listeners * self.each))
        raters = ratings * self.listeners // len(ratings)
        drawn = _drawn(raters.astype(np.intp), ratings % len(sets), sets, draws)
        return sum(_is_found(spread, wanted) for spread in drawn) / draws

    def enough_listeners(self, wanted: float) -> int | None:
        """How many find a difference, in steps of `STEP`; None where `MOST_LISTENERS` do not."""
        tried = (replace(self, listeners=n) for n in range(STEP, MOST_LISTENERS + 1, STEP))
        likely = (one for one in tried if one.foreseen() <= wanted)
        return next((one.listeners for one in likely if one.finds(wanted) >= POWER), None)


def advice(sets: Sequence[RatedSet], plan: Sequence[Block], wanted: float = WANTED) -> str:
    """What would find a smaller difference, in words; empty where this test finds it.

    Args:
        sets: The sets of the test.
        plan: What each listener rates, one for each.
        wanted: The difference, in points.
    """
    seen = _seen_together(plan)
    if not seen or smallest_difference(sets, plan) <= wanted:
        return ""
    contents, styles = (len({getattr(one, key) for one in sets}) for key in ("content", "style"))
    study = Study(len(plan), len(seen) / len(plan), contents, styles)
    alone = study.enough_listeners(wanted)
    here = f"over {counted(contents, 'content')} and {counted(styles, 'style')}"
    best = replace(study, listeners=MOST_LISTENERS).foreseen()
    at_best = f" ({best:.2f} at best)" if math.isfinite(best) else ""
    told = [
        f"{alone} listeners find it {here}" if alone else
        f"no number of listeners finds it {here}{at_best}"
    ]  # fmt: skip
    told.append(_over_more(study, wanted))
    fewer, more = _fewer_methods(sets, plan, study)
    if more is not None:
        told.append(
            f"with {fewer} methods, of which each rates {more.each:.0f} sets, "
            f"{_over_more(more, wanted)}"
        )
    return f"A difference of {wanted:g}: {'; '.join(told)}."


def _over_more(study: Study, wanted: float) -> str:
    """How many listeners are enough over more contents."""
    found = [
        (times * study.contents,
         replace(study, contents=times * study.contents).enough_listeners(wanted))
        for times in MORE_CONTENTS
    ]  # fmt: skip
    return ", ".join(
        f"{f'{enough} do' if enough else f'not even {MOST_LISTENERS} do'} over {number} contents"
        for number, enough in found
    )


def _fewer_methods(
    sets: Sequence[RatedSet], plan: Sequence[Block], study: Study
) -> tuple[int, Study | None]:
    """Half the methods, and the test in which a listener has time for more sets; None if not."""
    block = max(plan, key=len)
    clips = sum(len(part.stimuli) for part in block)
    hidden = max(sum(s.is_hidden for s in part.stimuli) for part in block)
    fewer = max(2, len({s.method for one in sets for s in one.stimuli if not s.is_hidden}) // 2)
    each = min(clips // (fewer + hidden), len(sets))
    return fewer, replace(study, each=float(each)) if each > study.each else None


def _seen_together(blocks: Sequence[Block]) -> list[tuple[int, int]]:
    """Listener and set wherever the two methods meet that meet least often."""
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for rater, block in enumerate(blocks):
        for part in block:
            names = sorted(s.method for s in part.stimuli if not s.is_hidden)
            for pair in combinations(names, 2):
                places.setdefault(pair, []).append((rater, part.place))
    counts = Counter({pair: len(where) for pair, where in places.items()})
    return places[min(counts, key=lambda pair: (counts[pair], pair))] if counts else []


def _differences(
    generator: np.random.Generator, raters: Indices, places: Indices, size: tuple[int, int]
) -> Floats:
    """Differences of two marks without a difference of the methods, one per listener and set."""
    twice = 2**0.5  # two independent marks, or two methods
    listeners, sets = size
    return np.asarray(
        generator.normal(0, twice * LISTENER, listeners)[raters]
        + generator.normal(0, twice * SET, sets)[places]
        + generator.normal(0, twice * REST, len(raters))
    )

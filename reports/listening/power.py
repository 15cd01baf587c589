"""How small a difference between two methods a listening test can find.

By simulation with the analysis of the report: marks are drawn for the listeners, sets and methods
of the design, and the interval of the mean difference is that of the tables, which counts raters,
contents and (where there are enough) styles as clusters. A difference is found where its 95 %
interval leaves 0 out. Each draw tells the smallest difference that it would have found, and the
quantile `POWER` of these is the answer. So few contents make it large: what holds for three pieces
may not hold for others.

**Assumptions**, in points of the scale from 1 to 5; no study of ours has measured them:

* `LISTENER`: how differently listeners like a method, beyond what they all think of it;
* `SET`: how differently a method does on the pairs of a style and a content;
* `REST`: everything else, marking twice and marking in whole points among it.

Taste that touches both methods alike cancels out of the difference and is not drawn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from bench.statistics.intervals import MIN_CLUSTERS, MIN_STYLES
from bench.statistics.multiway import multiway_variance
from bench.statistics.spread import LEVEL, POWER, Spread, ends
from bench.statistics.variances import Floats, Indices
from reports.listening.blocks import Block
from reports.listening.design import QUESTIONS, RatedSet
from reports.tables.notes import counted

LISTENER, SET, REST = 0.3, 0.3, 0.8  # standard deviations
ASSUMED = f"standard deviations of {LISTENER} by listener, {SET} by set and {REST} within both"
DRAWS = 200
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
    clusterings = [[str(r) for r in raters], [sets[p].content for p in places]]
    styles = [sets[place].style for place in places]
    if len(set(styles)) >= MIN_STYLES:
        clusterings.append(styles)
    generator = np.random.default_rng(0)
    found = []
    for _ in range(draws if seen else 0):
        drawn = _differences(generator, raters, places, (len(blocks), len(sets)))
        found.append(_smallest_found(drawn, clusterings))
    return float(np.quantile(found, POWER, method="higher")) if found else math.inf


def _smallest_found(drawn: Floats, clusterings: Sequence[Sequence[str]]) -> float:
    """The difference that, added to these, has an interval above 0; infinite where none has.

    The interval is that of `multiway_interval` on the scale of a difference. Its error does not
    change with what is added, and is computed once.
    """
    fewest = min(len(set(names)) for names in clusterings)
    if fewest < MIN_CLUSTERS:
        return math.inf
    mean, error = float(drawn.mean()), multiway_variance(drawn, clusterings) ** 0.5

    def is_found(added: float) -> bool:
        spread = Spread(mean + added, error, fewest - 1, len(drawn), "both", 0.0, SCALE)
        return ends(spread, level=LEVEL)[0] > 0

    least, most = 0.0, LARGEST - mean
    if not is_found(most):
        return math.inf
    while most - least > SETTLED_POINTS:
        middle = (least + most) / 2
        least, most = (least, middle) if is_found(middle) else (middle, most)
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
        f"{each} find a difference of {found:.1f} between two methods in {POWER:.0%} of such tests "
        f"over {over}. Assumed: {ASSUMED}."
    )


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

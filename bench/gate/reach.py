"""Which drop a lane of the gate can find, and what it lacks where that is not enough.

A lane is one method and metric, over all styles or on one. It sees a drop through the chance that
seeds leave in its mean: with few units (fits, or cells where nothing is fitted) only a large one,
with a single unit none. What is asked of a lane is the key `least_drop` of a suite.

**Conventions**: drops are positive, in units of the metric; `NOTHING` where no drop would be found,
not even a fall to the worst that the metric can be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from bench.gate.snapshot import MeasuredMetric
from bench.statistics.spread import POWER, UNBOUNDED, Range, Spread

NOTHING = math.inf
EVERYTHING = 1.0  # the least drop that asks nothing of a lane
# Degrees of freedom that the noise of a style takes from all styles of its method. More would trust
# styles to be equally noisy further than simulations bear (tests/bench/gate/simulations.txt).
BORROWED = 2
FEWEST_UNITS = 2  # a variance needs two
MOST_UNITS = 10_000  # nobody runs more; the search ends there


def detectable_drop(spread: Spread, *, alpha: float, power: float = POWER) -> float:
    """Smallest true drop that the one-sided test at `alpha` finds with probability `power`.

    ``(t(1 - alpha, df) + t(power, df)) * error``; NaN without an error. The chance of any false
    alarm is shared by all lanes, so `alpha` is that of one of them.

    References:
        Bloom (1995), Minimum Detectable Effects, Evaluation Review 19(5).
    """
    if spread.degrees < 1:
        return math.nan
    return _errors(spread.degrees, alpha, power) * spread.standard_error


@cache
def _errors(degrees: float, alpha: float, power: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 1 - alpha)) + float(stdtrit(degrees, power))


def found_drop(spread: Spread, room: float, *, alpha: float) -> float:
    """Smallest drop that a lane finds in 4 of 5 cases, below what it can fall by, or `NOTHING`.

    Args:
        spread: Mean change with its error.
        room: How far the mean can fall.
        alpha: Chance of a false alarm that the lane has.

    Example:
        >>> found_drop(Spread(0.0, 0.01, 19, 80, "cells"), 0.5, alpha=0.001) < 0.05
        True
        >>> found_drop(Spread(0.0, 0.5, 1, 4, "cells"), 0.5, alpha=0.001)
        inf
    """
    found = detectable_drop(spread, alpha=alpha)
    return found if found < room else NOTHING


def reached(measure: MeasuredMetric, values: Iterable[float]) -> Range:
    """What the numbers of a metric can be: its range, and raw ones beyond it that it had.

    Scores are compared before they are cut to their range, as a cut one hides drift.

    Example:
        >>> cp = MeasuredMetric(fingerprint="f", direction="maximize", range=(0.0, 1.0))
        >>> reached(cp, [0.5, -0.1])
        (-0.1, 1.0)
    """
    if measure.range is None:
        return UNBOUNDED
    seen = list(values)
    return min([measure.range[0], *seen]), max([measure.range[1], *seen])


def room_below(measure: MeasuredMetric, bounds: Range, mean: float) -> float:
    """How far a mean lies from the worst that the metric can be."""
    return mean - bounds[0] if measure.direction == "maximize" else bounds[1] - mean


def demanded_drop(measure: MeasuredMetric, least_drop: float) -> float:
    """The drop that a lane of this metric must be able to find; infinite where none is asked for.

    Args:
        measure: The metric.
        least_drop: As a suite has it, a share of the metric's range; of a metric without ends it
            is taken as it stands. `EVERYTHING` asks for nothing.
    """
    if least_drop >= EVERYTHING:
        return NOTHING
    width = UNBOUNDED[1] if measure.range is None else measure.range[1] - measure.range[0]
    return least_drop * width if math.isfinite(width) else least_drop


def too_weak(found: float, room: float, demanded: float, margin: float) -> bool:
    """Whether a lane finds less than is asked of it, or it is not known (NaN) what it finds.

    A lane whose mean can fall by no more than the margin has nothing to lose, and needs nothing.
    """
    if math.isinf(demanded) or room <= margin:
        return False
    return not found <= demanded


@dataclass(frozen=True, slots=True)
class Design:
    """What a lane consists of.

    Args:
        fits: Whether chance enters once per fit; else every cell has its own.
        styles: Its styles.
        contents: Contents of a style.
        seeds: Repetitions.
        borrowed: Degrees of freedom that its noise takes from other styles.
    """

    fits: bool
    styles: int
    contents: int
    seeds: int
    borrowed: int = 0

    def units(self, *, contents: int = 0, seeds: int = 0) -> int:
        """Fits, or cells where nothing is fitted, with so many contents and seeds more."""
        of_seed = self.styles * (1 if self.fits else self.contents + contents)
        return of_seed * (self.seeds + seeds)

    def degrees(self, units: int) -> int:
        """Degrees of freedom of so many units."""
        return units - 1 + self.borrowed


@dataclass(frozen=True, slots=True)
class Missing:
    """What a lane lacks: so many seeds, or so many contents; None where these would not do."""

    seeds: int | None
    contents: int | None
    certain: bool

    def __str__(self) -> str:
        """In words."""
        ways = [
            f"{'' if self.certain else 'at least '}{count} more {noun}{'' if count == 1 else 's'}"
            for count, noun in ((self.seeds, "seed"), (self.contents, "content"))
            if count is not None
        ]
        return " or ".join(ways) or "no number of seeds would do"


def missing(design: Design, noise: float, drop: float, *, alpha: float) -> Missing:
    """What a lane lacks to find a drop in 4 of 5 cases.

    Args:
        design: The lane.
        noise: Standard deviation of the change of one unit; NaN where the lane does not tell.
        drop: The drop.
        alpha: Chance of a false alarm that the lane has.

    Example:
        >>> fitted = Design(fits=True, styles=1, contents=8, seeds=1)
        >>> str(missing(fitted, math.nan, 0.2, alpha=0.001))
        'at least 1 more seed'
    """
    if math.isnan(noise):
        return Missing(1, None, certain=False)  # chance is measured between seeds alone
    needed = _needed_units(design, noise, drop, alpha)
    if needed is None:
        return Missing(None, None, certain=True)
    seeds = _first(lambda more: design.units(seeds=more), needed)
    contents = None if design.fits else _first(lambda more: design.units(contents=more), needed)
    return Missing(seeds, contents, certain=True)


def _first(units: Callable[[int], int], needed: int) -> int:
    each = units(1) - units(0)
    return max(1, math.ceil((needed - units(0)) / each))


def _needed_units(design: Design, noise: float, drop: float, alpha: float) -> int | None:
    """The fewest units with which the drop is found; None where even `MOST_UNITS` are too few."""

    def enough(units: int) -> bool:
        errors = _errors(design.degrees(units), alpha, POWER)
        return errors * noise / math.sqrt(units) <= drop

    if not enough(MOST_UNITS):
        return None
    low, high = FEWEST_UNITS - 1, MOST_UNITS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high

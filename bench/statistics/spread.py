"""How far a mean may be from the truth: its interval, its p-value, what would have been found.

A t interval assumes a symmetric mean, and nothing keeps it inside what a score can be. One
construction holds for means, gains and differences of every metric:

* **With bounds**, ends lie inside the range of the metric by construction: distances from the mean
  are measured on a scale that has no ends (the logit of a score with two bounds, the logarithm of
  one with a single bound) and has the unit of the score at the mean. That is also what makes both
  ends miss about equally often near a bound.
* **Without bounds** the t statistic is made symmetric by Hall's cubic transformation. Where there
  is a range it tells more of the shape than the skewness of a few clusters, which would only make
  intervals wider.

**Conventions**: with m the mean, e its standard error, g the scale with ``g'(m) = 1``, and
``a = skewness / 3`` (cut to [-1, 1], since few clusters tell little of it; 0 with bounds)::

    T(x) = (g(m) - g(x)) / e                    how many errors a value x lies below the mean
    H(T) = T + a T^2 + a^2 T^3 / 3 + a / 2      monotone, near t(df) for the true mean
    p(x) = 2 P(t(df) > |H(T(x))|)               and the interval holds all x with p(x) > 1 - level

References:
    Hall (1992), On the Removal of Skewness by Transformation, JRSS B 54(1): the transformation,
    with the cubic term that makes it monotone. Departures: quantiles of t instead of the normal's,
    the cut of the skewness, and the scale g, by which ends beyond the range cannot arise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Population = Literal["both", "contents", "styles", "cells"]
Range = tuple[float, float]

UNBOUNDED: Range = (-math.inf, math.inf)
LEVEL = 0.95
POWER = 0.8  # of the smallest detectable effect, as usual in planning
SETTLED = 1e-12  # rounding of a sum, no more


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean with what is known of its error.

    Args:
        mean: The mean.
        standard_error: Its standard error, NaN where the cells allow none.
        degrees: Degrees of freedom of the error; 0 where there is none.
        n: Number of (style, content) cells.
        population: What the error generalises to.
        skewness: Third standardised moment of the mean, 0 where it is not known.
        bounds: Smallest and largest value that the mean can have.
    """

    mean: float
    standard_error: float
    degrees: float
    n: int
    population: Population
    skewness: float = 0.0
    bounds: Range = UNBOUNDED


def ends(spread: Spread, *, level: float = LEVEL) -> tuple[float, float]:
    """The interval of a mean; NaN ends where its error is not known.

    Example:
        >>> low, high = ends(Spread(0.9, 0.05, 3, 12, "contents", bounds=(0.0, 1.0)))
        >>> round(low, 3), round(high, 3)
        (0.606, 0.981)
    """
    from scipy.special import stdtrit

    if spread.degrees < 1:
        return math.nan, math.nan
    if spread.standard_error <= SETTLED:
        return spread.mean, spread.mean
    quantile = float(stdtrit(spread.degrees, (1 + level) / 2))
    low, high = (_steps(x, spread) * spread.standard_error for x in (quantile, -quantile))
    return _moved(spread.mean, -low, spread.bounds), _moved(spread.mean, -high, spread.bounds)


def p_value(spread: Spread, value: float = 0.0) -> float:
    """Two-sided p-value of the mean being `value`.

    It is at most ``1 - level`` exactly where the interval of that level leaves the value out. Cells
    that are all alike give 1 if they equal the value, else 0.
    """
    from scipy.special import stdtr

    if spread.degrees < 1:
        return math.nan
    if spread.standard_error <= SETTLED:
        return 1.0 if abs(spread.mean - value) <= SETTLED else 0.0
    away = -_distance(spread.mean, value, spread.bounds) / spread.standard_error
    a = _bend(spread)
    bent = away + a * away**2 + a**2 * away**3 / 3 + a / 2
    return float(2 * stdtr(spread.degrees, -abs(bent)))


def smallest_detectable(spread: Spread, *, level: float = LEVEL, power: float = POWER) -> float:
    """Smallest true difference that a two-sided test finds with probability `power`.

    ``(t((1 + level)/2, df) + t(power, df)) * error``, read on the scale of the range from a
    difference of 0, so that it stays below what the metric can differ by.

    References:
        Bloom (1995), Minimum Detectable Effects, Evaluation Review 19(5).
    """
    from scipy.special import stdtrit

    if spread.degrees < 1:
        return math.nan
    found = float(stdtrit(spread.degrees, (1 + level) / 2))
    errors = found + float(stdtrit(spread.degrees, power))
    return _moved(0.0, errors * spread.standard_error, spread.bounds)


def skewness_of(third_moment: float, standard_error: float) -> float:
    """The third standardised moment of a mean, 0 where it has no error.

    Example:
        >>> skewness_of(4.0, 2.0)
        0.5
    """
    return third_moment / standard_error**3 if standard_error > SETTLED else 0.0


def difference_bounds(bounds: Range) -> Range:
    """What the difference of two scores can be.

    Example:
        >>> difference_bounds((0.0, 1.0))
        (-1.0, 1.0)
    """
    width = bounds[1] - bounds[0]
    return -width, width


def _bend(spread: Spread) -> float:
    if _rooms(spread.mean, spread.bounds) is not None:
        return 0.0
    return float(np.clip(spread.skewness / 3, -1, 1))


def _steps(x: float, spread: Spread) -> float:
    """The T with H(T) = x, see the module."""
    a = _bend(spread)
    if abs(a) < 1e-9:  # noqa: PLR2004 - the limit of the formula below
        return x
    return float((np.cbrt(1 + 3 * a * (x - a / 2)) - 1) / a)


def _rooms(mean: float, bounds: Range) -> tuple[float, float] | None:
    """How much room the mean has below and above; None where nothing bounds it.

    A mean at a bound, or beyond it by rounding, counts as unbounded: its cells are all alike.
    """
    below, above = mean - bounds[0], bounds[1] - mean
    return (below, above) if min(below, above) > 0 and math.isfinite(min(below, above)) else None


def _distance(mean: float, value: float, bounds: Range) -> float:
    """How far `value` lies above the mean, ``g(value) - g(mean)``; infinite at a bound."""
    rooms = _rooms(mean, bounds)
    if rooms is None:
        return value - mean
    if not bounds[0] < value < bounds[1]:
        return math.copysign(math.inf, value - mean)
    below, above = rooms
    from_below = math.log((value - bounds[0]) / below) if math.isfinite(below) else 0.0
    from_above = math.log((bounds[1] - value) / above) if math.isfinite(above) else 0.0
    return (from_below - from_above) / (1 / below + 1 / above)


def _moved(mean: float, distance: float, bounds: Range) -> float:
    """The value at a distance from the mean, the inverse of `_distance`."""
    rooms = _rooms(mean, bounds)
    if rooms is None:
        return mean + distance
    below, above = rooms
    steps = distance * (1 / below + 1 / above)
    if math.isinf(above):
        return mean + below * (_exp(steps) - 1)
    if math.isinf(below):
        return mean - above * (_exp(-steps) - 1)
    return bounds[0] + (below + above) / (1 + above / below * _exp(-steps))


def _exp(x: float) -> float:
    """The exponential; infinite where it is too large for a float."""
    with np.errstate(over="ignore"):
        return float(np.exp(x))

"""What careless marking gives, and what honest marking gives: exact chances for the flags.

A hidden clip has marks that should be high (the copy of a content for its content) and marks that
should be low (for its style; and all three of a stray clip, see `reports.listening.design`). Each
mark is **evidence**: ten times the decimal logarithm of how much likelier an honest listener gives
it than a careless one, in whole decibans. The sum over some marks is the ratio of likelihoods of
the two, which no other number of these marks tells apart better (Neyman, Pearson 1933). At random
it falls, honestly it rises, by about 3 a mark.

The needed sum is what marking at random reaches in a share `RANDOM_PASS` of cases, or `FLOOR` where
that is more; but never more than what the assumed honest listener misses in a share `HONEST_FAIL`.
So few marks let careless people through rather than leave honest ones out; `expected` says how
many.

**Assumptions** about an honest listener with a bad ear, which no study of ours has measured: marks
are normal around 4.7 and 1.7 with these standard deviations, rounded to the scale, all of them
shifted by what is that listener's own, and a share `LAPSES` is marked at random. Other listeners
are left out less often. A careless listener gives any mark, with some liking for the middle.

References:
    Neyman, Pearson (1933), On the problem of the most efficient tests of statistical hypotheses,
    Philosophical Transactions of the Royal Society A 231.

    Good (1979), A. M. Turing's statistical work in World War II, Biometrika 66(2): decibans.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from bench.statistics.variances import Floats

RANDOM_PASS, HONEST_FAIL = 0.03, 0.015
LATE_FAIL = 0.014  # of honest listeners, by the later sets alone
LAST_FAIL = 0.003  # and by the last set: what is left of the 2 % that may be left out in all
FLOOR = -10  # decibans: such marks are ten times likelier from a careless listener
AGAIN_PASS = 0.4  # of random raters who mark repeats so much alike that they are not flagged
HIGH, LOW = (4.7, 1.2), (1.7, 1.3)  # mean and standard deviation of an honest listener's marks
SHIFT = 0.3  # standard deviation over listeners of what moves all marks of one
LAPSES = 0.05
MIDDLING = 0.05  # share of careless marks that lie around the middle
LEAST, MOST, MIDDLE = 1, 5, 3
WIDEST = MOST - LEAST
_EVEN: Floats = np.full(MOST, 1 / MOST)
_SHIFTS = ((-(3**0.5) * SHIFT, 1 / 6), (0.0, 2 / 3), (3**0.5 * SHIFT, 1 / 6))  # Gauss-Hermite
_ROUNDING = 1e-12  # sums of some hundred floats

Scores = tuple[int, int, int, int, int]  # what the marks 1 to 5 add


@dataclass(frozen=True, slots=True)
class Asked:
    """How many marks of hidden clips somebody gave.

    Args:
        high: Those that should be high.
        low: Those that should be low.
    """

    high: int
    low: int = 0


@dataclass(frozen=True, slots=True)
class Expected:
    """How often somebody gets the needed sum of evidence, or misses it.

    Args:
        needed: The sum.
        random_pass: Share of random raters who reach it.
        honest_fail: Share of honest listeners with a bad ear who do not.
    """

    needed: int
    random_pass: float
    honest_fail: float


def _normal(mean: float, spread: float) -> Floats:
    """Chances of the marks 1 to 5 of a normal number that is rounded to the scale."""
    ends = [NormalDist(mean, spread).cdf(mark + 0.5) for mark in range(LEAST, MOST)]
    return np.asarray(np.diff([0.0, *ends, 1.0]))


def _honest(mean: float, spread: float, shift: float = 0.0) -> Floats:
    """Chances of the marks of somebody who hears a hidden clip."""
    return np.asarray((1 - LAPSES) * _normal(mean + shift, spread) + LAPSES * _EVEN)


def _evidence(mean: float, spread: float) -> Scores:
    """Decibans of each mark."""
    careless = (1 - MIDDLING) * _EVEN + MIDDLING * _normal(MIDDLE, 0.8)
    one, two, three, four, five = np.rint(10 * np.log10(_honest(mean, spread) / careless))
    return int(one), int(two), int(three), int(four), int(five)


HIGH_SCORES, LOW_SCORES = _evidence(*HIGH), _evidence(*LOW)


@lru_cache(maxsize=512)
def expected(
    asked: Asked, scores: tuple[Scores, Scores], random_pass: float, honest_fail: float
) -> Expected:
    """The needed sum of evidence over some marks, and what it does.

    Args:
        asked: The marks.
        scores: What a mark adds: one that should be high, and one that should be low.
        random_pass: The share of random raters who may pass.
        honest_fail: The share of honest listeners who may fail, which goes first.

    Example:
        >>> expected(Asked(9, 9), ((-2, -1, 0, 1, 2), (2, 1, 0, -1, -2)), 0.05, 0.02).needed
        11
    """
    chance = _sums(asked, scores, _EVEN, _EVEN)
    honest = np.sum([
        share * _sums(asked, scores, _honest(*HIGH, shift), _honest(*LOW, shift))
        for shift, share in _SHIFTS
    ], axis=0)  # fmt: skip
    reached = np.cumsum(chance[::-1])[::-1]  # P(sum >= its place)
    missed = np.cumsum(honest) - honest  # P(sum < its place)
    places = np.arange(len(chance))
    by_chance = places[reached <= random_pass + _ROUNDING]
    by_honest = places[missed <= honest_fail + _ROUNDING]
    least = asked.high * min(scores[0]) + asked.low * min(scores[1])
    wanted = max(by_chance.min(initial=len(chance) - 1), FLOOR - least)
    place = int(min(wanted, by_honest.max(initial=0)))
    return Expected(place + least, float(reached[place]), float(missed[place]))


def _sums(asked: Asked, scores: tuple[Scores, Scores], high: Floats, low: Floats) -> Floats:
    """Chances of each sum of evidence, the smallest first, from chances of the marks 1 to 5."""
    found: Floats = np.ones(1)
    for given, chances, count in zip(scores, (high, low), (asked.high, asked.low), strict=True):
        one = np.bincount(np.array(given) - min(given), chances)
        for _ in range(count):
            found = np.convolve(found, one)
    return found


@lru_cache(maxsize=512)
def most_apart(pairs: int, share: float) -> int:
    """The sum of absolute differences that random marks stay within in a share of cases at most.

    Args:
        pairs: How many pairs of marks, of the same clip and question, are compared.
        share: The share, in [0, 1].

    Returns:
        The largest such sum; -1 where even 0 is too likely.

    Example:
        >>> most_apart(1, 0.2), most_apart(1, 0.1)
        (0, -1)
    """
    two = np.convolve(_EVEN, _EVEN)
    apart = np.concatenate([two[WIDEST : WIDEST + 1], 2 * two[WIDEST + 1 :]])
    found: Floats = np.ones(1)
    for _ in range(pairs):
        found = np.convolve(found, apart)
    return int(np.count_nonzero(np.cumsum(found) <= share + _ROUNDING)) - 1

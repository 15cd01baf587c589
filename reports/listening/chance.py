"""What marking at random gives, and what honest marking gives: exact chances for the flags.

A hidden copy has two marks that should lie far apart: its own question's and the other one's. Their
difference is the copy's **contrast**, -4 to 4. It is 0 for somebody who gives all clips one mark
and 0 on average for one who marks at random; a listener who hears the copies gets about 3. Where a
copy may fit the other question too, its own mark minus 3 stands for it, -2 to 2.

The needed sum of the contrasts is the smaller of two: what marking at random reaches in a share
`RANDOM_PASS` of cases, and what the assumed honest listener misses in a share `HONEST_FAIL`. So
few copies let careless people through rather than leave honest ones out; `expected` says how many.

**Assumptions** about an honest listener with a bad ear, which no study of ours has measured: marks
of a copy are normal around 4.7 and 1.7 with these standard deviations, rounded to the scale, and a
share `LAPSES` is marked at random. Other listeners are left out less often.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from bench.statistics.variances import Floats

RANDOM_PASS, HONEST_FAIL = 0.05, 0.015
LATE_FAIL = 0.01  # of honest listeners, by the copies of the later sets alone
AGAIN_PASS = 0.4  # of random raters who mark repeats so much alike that they are not flagged
OWN, OTHER = (4.7, 1.2), (1.7, 1.3)  # mean and standard deviation of an honest listener's marks
LAPSES = 0.05
LEAST, MOST, MIDDLE = 1, 5, 3
WIDEST = MOST - LEAST
_EVEN: Floats = np.full(MOST, 1 / MOST)


@dataclass(frozen=True, slots=True)
class Copies:
    """How many hidden copies somebody rated.

    Args:
        both: Those of which the other question's mark should be low.
        own: Those of which only the own question's mark tells.
    """

    both: int
    own: int = 0


@dataclass(frozen=True, slots=True)
class Expected:
    """How often somebody gets the needed sum of contrasts, or misses it.

    Args:
        needed: The sum.
        random_pass: Share of random raters who reach it.
        honest_fail: Share of honest listeners with a bad ear who do not.
    """

    needed: int
    random_pass: float
    honest_fail: float


@lru_cache(maxsize=512)
def expected(copies: Copies, random_pass: float, honest_fail: float) -> Expected:
    """The needed sum of contrasts over some copies, and what it does.

    Args:
        copies: The copies.
        random_pass: The share of random raters who may pass.
        honest_fail: The share of honest listeners who may fail, which goes first.

    Example:
        >>> expected(Copies(9), 0.05, 0.02).needed
        11
    """
    chance = _sums(copies, _EVEN, _EVEN)
    honest = _sums(copies, _honest(*OWN), _honest(*OTHER))
    offset = WIDEST * copies.both + (MIDDLE - LEAST) * copies.own
    reached = np.cumsum(chance[::-1])[::-1]  # P(sum >= its place)
    missed = np.cumsum(honest) - honest  # P(sum < its place)
    places = np.arange(len(chance))
    by_chance = places[reached <= random_pass + _ROUNDING]
    by_honest = places[missed <= honest_fail + _ROUNDING]
    place = int(min(by_chance.min(initial=len(chance) - 1), by_honest.max(initial=0)))
    return Expected(place - offset, float(reached[place]), float(missed[place]))


_ROUNDING = 1e-12  # sums of some hundred floats


def _sums(copies: Copies, own: Floats, other: Floats) -> Floats:
    """Chances of each sum of contrasts, the smallest first, from chances of the marks 1 to 5."""
    found: Floats = np.ones(1)
    contrast = np.convolve(own, other[::-1])
    for chances in (*[contrast] * copies.both, *[own] * copies.own):
        found = np.convolve(found, chances)
    return found


def _honest(mean: float, spread: float) -> Floats:
    """Chances of the marks of somebody who hears a copy."""
    ends = [NormalDist(mean, spread).cdf(mark + 0.5) for mark in range(LEAST, MOST)]
    heard = np.diff([0.0, *ends, 1.0])
    return np.asarray((1 - LAPSES) * heard + LAPSES * _EVEN)


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

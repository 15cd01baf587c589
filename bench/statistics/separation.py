"""How well a measure tells two kinds of comparison apart, with an interval for crossed designs.

The comparisons are made of clips that play one of some pieces on one of some instruments, so two of
them share pieces, instruments or whole clips and are not independent draws. An interval therefore
comes from drawing pieces and instruments with replacement, independently of each other.

**Conventions**: values are higher where the measure says "closer"; NaN where it said nothing.

References:
    Hanley, McNeil (1982), The meaning and use of the area under a receiver operating
    characteristic (ROC) curve, Radiology 143(1): the area is P(X > Y) + P(X = Y) / 2;
    Owen (2007), The pigeonhole bootstrap, Annals of Applied Statistics 1(2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.statistics.variances import Floats, Indices

RESAMPLES = 1000
LEVEL = 0.95
MIN_LEVELS = 2  # of pieces and of instruments, so that there is anything to draw


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """Comparisons of one kind, and which pieces and instruments each of them rests on.

    Args:
        values: Shape (comparison,).
        pieces: Index of each different piece that a comparison involves, (comparison, 1 or 2).
        instruments: Likewise of the instruments.
    """

    values: Floats
    pieces: Indices
    instruments: Indices

    @property
    def known(self) -> Comparisons:
        """Those that have a value."""
        there = np.isfinite(self.values)
        return Comparisons(self.values[there], self.pieces[there], self.instruments[there])

    def weights(self, by_piece: Floats, by_instrument: Floats) -> Floats:
        """How often a resample counts each comparison: the product over what it rests on."""
        return np.asarray(
            by_piece[self.pieces].prod(axis=1) * by_instrument[self.instruments].prod(axis=1)
        )


@dataclass(frozen=True, slots=True)
class Separation:
    """The area under the ROC curve and its percentile interval; NaN where there is none."""

    value: float
    low: float
    high: float


def area(
    higher: Floats,
    lower: Floats,
    weights: tuple[Floats, Floats] | None = None,
) -> float:
    """P(a value of `higher` > one of `lower`), ties counted half; in [0, 1], .5 says nothing.

    Args:
        higher: Any number of finite values.
        lower: Likewise.
        weights: How often each value of both counts; None counts each once.

    Returns:
        NaN where one side has no weight.

    Example:
        >>> area(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
        0.875
    """
    ours, theirs = weights or (np.ones(len(higher)), np.ones(len(lower)))
    _, place = np.unique(np.concatenate([higher, lower]), return_inverse=True)
    return _area(place[: len(higher)], place[len(higher) :], ours, theirs)


def _area(higher: Indices, lower: Indices, ours: Floats, theirs: Floats) -> float:
    """`area` of ranks."""
    total = float(ours.sum() * theirs.sum())
    if not total > 0:
        return float("nan")
    at = np.bincount(lower, weights=theirs, minlength=int(higher.max()) + 1)
    below = np.cumsum(at) - at / 2
    return float(np.sum(ours * below[higher])) / total


def separation(higher: Comparisons, lower: Comparisons, *, seed: int = 0) -> Separation:
    """How often a comparison of one kind comes out above one of the other, with its interval.

    Args:
        higher: Comparisons that should be closer.
        lower: Comparisons that should be less close.
        seed: Decides the resamples.

    Returns:
        NaN ends where there are fewer than `MIN_LEVELS` pieces or instruments.
    """
    ours, theirs = higher.known, lower.known
    if not len(ours.values) or not len(theirs.values):
        return Separation(float("nan"), float("nan"), float("nan"))
    _, place = np.unique(np.concatenate([ours.values, theirs.values]), return_inverse=True)
    ranks = place[: len(ours.values)], place[len(ours.values) :]
    whole = _area(*ranks, np.ones(len(ranks[0])), np.ones(len(ranks[1])))
    drawn = []
    for by_piece, by_instrument in _resamples(ours, theirs, seed):
        weights = (one.weights(by_piece, by_instrument) for one in (ours, theirs))
        drawn.append(_area(*ranks, *weights))
    return Separation(whole, *_ends(np.array(drawn)))


def _resamples(ours: Comparisons, theirs: Comparisons, seed: int) -> list[tuple[Floats, Floats]]:
    pieces = 1 + max(int(one.pieces.max()) for one in (ours, theirs))
    instruments = 1 + max(int(one.instruments.max()) for one in (ours, theirs))
    if min(pieces, instruments) < MIN_LEVELS:
        return []
    rng = np.random.default_rng(seed)
    return [(_counts(rng, pieces), _counts(rng, instruments)) for _ in range(RESAMPLES)]


def _counts(rng: np.random.Generator, size: int) -> Floats:
    return rng.multinomial(size, np.full(size, 1 / size)).astype(np.float64)


def _ends(drawn: Floats) -> tuple[float, float]:
    """The middle share of the resamples that say anything."""
    there = drawn[np.isfinite(drawn)]
    if not len(there):
        return float("nan"), float("nan")
    low, high = np.quantile(there, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

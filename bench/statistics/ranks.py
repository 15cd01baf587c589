"""Rank correlations of weighted points: Spearman's, and Kendall's tau-b.

A bootstrap draws points several times; here such a point has a weight, and the result is that of
the sample in which each point stands as often as its weight says. Both correlations follow from
the signs of all differences, s_ij = sign(x_i - x_j) and t_ij = sign(y_i - y_j):

    tau-b    = sum w_i w_j s_ij t_ij / sqrt(sum w_i w_j s_ij^2  sum w_i w_j t_ij^2)
    Spearman = the weighted Pearson correlation of u_i = sum_j w_j s_ij and v_i = sum_j w_j t_ij,

since the mid-rank of a point is half of u_i and a constant. With whole weights every sum is exact,
so no result depends on the order of additions.

**Conventions**: a sign matrix is (point, point), of -1, 0 and 1; a result is NaN where all points
with weight are tied in one of the two.

References:
    Kendall (1945), The treatment of ties in ranking problems, Biometrika 33(3), for tau-b.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.statistics.variances import Floats

_DIGITS = 12  # means of the same marks in another order are ties


class Ranked(NamedTuple):
    """Two rank correlations, each in [-1, 1] or NaN."""

    spearman: float
    kendall: float


def signs(values: Floats) -> Floats:
    """The signs of all differences of values, (point, point); 0 between what is equal to 12 digits.

    Example:
        >>> signs(np.array([1.0, 3.0])).tolist()
        [[0.0, -1.0], [1.0, 0.0]]
    """
    rounded = np.round(np.asarray(values, np.float64), _DIGITS)
    return np.asarray(np.sign(rounded[:, None] - rounded[None, :]), np.float64)


def rank_correlations(first: Floats, second: Floats, weights: Floats) -> Ranked:
    """Spearman's correlation and Kendall's tau-b from the signs of all differences.

    Args:
        first: The sign matrix of one variable, see `signs`.
        second: That of the other, of the same points.
        weights: How often each point counts, (point,): whole numbers, 0 leaves it out.

    Example:
        >>> up, down = signs(np.array([1.0, 2.0, 3.0])), signs(np.array([9.0, 8.0, 8.0]))
        >>> found = rank_correlations(up, down, np.ones(3))
        >>> f"{found.spearman:.4f} {found.kendall:.4f}"
        '-0.8660 -0.8165'
    """
    ranks = [each @ weights for each in (first, second)]
    together, *single = (
        float(weights @ (products @ weights))
        for products in (first * second, np.abs(first), np.abs(second))
    )
    return Ranked(
        _cosine(
            float(np.sum(weights * ranks[0] * ranks[1])),
            *(float(np.sum(weights * rank**2)) for rank in ranks),
        ),
        _cosine(together, *single),
    )


def _cosine(product: float, first: float, second: float) -> float:
    """A product over the roots of both squares; NaN where one is 0."""
    scale = first**0.5 * second**0.5
    return max(-1.0, min(1.0, product / scale)) if scale > 0 else float("nan")

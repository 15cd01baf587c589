"""Where a noisy series steps from one level to another.

Kept apart from what the series mean, so that the rule can be tried on numbers alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

FEWEST = 3  # points of a level: two that happen to agree are no level
PENALTY = 5.5  # chosen by simulation: a steady series steps in 1 of 100 cases, see the test
NORMAL_MAD = 0.6745  # the median of |x| of a standard normal variable


def steps(values: Sequence[float], *, finest: float = 0.0) -> tuple[int, ...]:
    """Cut a series into constant levels: the L1 Potts functional, solved exactly.

    Over all cuts it minimises ``sum |y_i - level| / scale + penalty(n) * (steps)``, with the
    median of each stretch as its level, which single outliers do not move. The scale is that of
    neighbouring differences, which steps hardly touch.

    Args:
        values: The series, oldest first.
        finest: Changes below it are noise whatever the series says, in its units.

    Returns:
        The index at which each level begins; the first is 0. No level has fewer than `FEWEST`
        points, so the newest step is seen three points after it.

    References:
        Storath, Weinmann, Demaret (2014), Jump-Sparse and Sparse Recovery Using Potts Functionals,
        IEEE Trans. Signal Processing 62(14): the functional. Killick, Fearnhead, Eckley (2012),
        Optimal Detection of Changepoints With a Linear Computational Cost, JASA 107(500): the
        search.
    """
    signal = np.asarray(values, dtype=np.float64)
    if len(signal) < 2 * FEWEST:
        return (0,)
    import ruptures

    scale = max(noise_scale(signal), finest, math.ulp(1.0))
    found = ruptures.Pelt(model="l1", min_size=FEWEST, jump=1).fit(signal / scale)
    return (0, *(int(end) for end in found.predict(pen=penalty(len(signal)))[:-1]))


def penalty(points: int) -> float:
    """What a further step must gain, in deviations of the noise: ``PENALTY + log(n) / 2``."""
    return PENALTY + math.log(points) / 2


def noise_scale(signal: np.ndarray) -> float:
    """Standard deviation of the noise around the levels, from differences of neighbours.

    ``median |y_i+1 - y_i| / (0.6745 sqrt(2))``, right for normal noise.
    """
    return float(np.median(np.abs(np.diff(signal))) / (NORMAL_MAD * math.sqrt(2)))

"""Drift of scores: of the same audio (the measure changed) and of new audio (the method changed).

**Frozen audio.** Where the digest of an output is that of the baseline, its score may differ by at
most ``atol + rtol * |baseline|``; anything more means that the measure itself drifted.

**Quality.** The rest is paired per cell. Baseline and candidate ran the very same styles and
contents, so the question is not whether other music would sound worse, but whether this suite does,
beyond the chance of seeds. Chance enters a method that fits per style once per fit, so its fits are
the clusters; in any other method each cell has its own. What a change does to some cells more than
to others is counted as chance too, which errs on the side of "inconclusive".

Verdict, with d the mean change towards better and m the margin:

* `regressed`: d < -m and the one-sided p of "no drop", corrected by Holm over all method x metric
  pairs that changed, is at most `ALPHA`. Then the whole gate is wrong in at most `ALPHA` of runs.
* `improved`: the same upwards.
* `equivalent`: the 95 % interval of d lies above -m (non-inferior).
* `inconclusive`: none of these; the verdict says about how many cells would decide it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.gate.snapshot import ATOL_SAME, MeasuredCell, MeasuredMethod, MeasuredMetric
from bench.gate.verdict import Verdict
from bench.statistics.paired import holm
from bench.statistics.spread import LEVEL, POWER, SETTLED, Spread, ends
from bench.statistics.variances import cell_variance, one_way_variance

Ended = tuple[MeasuredCell, MeasuredCell]  # candidate and baseline, both with audio
ALPHA = 0.015  # chance of any false `regressed`; below the 2 % asked for, as t is only nearly right


@dataclass(frozen=True, slots=True, eq=False)
class MetricCells:
    """The cells of one method that a metric is judged on."""

    method: str
    metric: str
    measure: MeasuredMetric
    facts: MeasuredMethod
    cells: Sequence[Ended]


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Both numbers of each cell that has both, and the fit it came from."""

    new: np.ndarray
    old: np.ndarray
    frozen: np.ndarray  # bool: the audio is the same
    fits: np.ndarray  # index from 0 without gaps


def verdicts(parts: Sequence[MetricCells], *, same_platform: bool) -> list[Verdict]:
    """Judge all method x metric pairs together, since the correction runs over all of them."""
    paired = [_paired(part) for part in parts]
    judged = [(part, cells) for part, cells in zip(parts, paired, strict=True) if len(cells.new)]
    still = [_settled(part, cells, same_platform=same_platform) for part, cells in judged]
    spreads = [_spread(part, cells) for part, cells in judged]
    drops = {str(i): one_sided_p(s) for i, s in enumerate(spreads) if not still[i]}
    p_drop, p_rise = holm(drops), holm({i: 1 - p for i, p in drops.items()})
    found = [
        verdict
        for part, cells in judged
        for verdict in _metric_drift(part, cells, same_platform=same_platform)
    ]
    for i, (part, _) in enumerate(judged):
        if still[i]:
            found.append(_unchanged(part, spreads[i]))
        else:
            p_values = p_drop[str(i)], p_rise[str(i)]
            found.append(quality_verdict(part, spreads[i], p_values, len(drops)))
    return found


def _paired(part: MetricCells) -> Paired:
    rows = [
        (new.values[part.metric], old.values[part.metric], new.audio_digest == old.audio_digest,
         f"{old.style}\n{old.repetition}")
        for new, old in part.cells
        if new.values.get(part.metric) is not None and old.values.get(part.metric) is not None
    ]  # fmt: skip
    if not rows:
        empty = np.zeros(0)
        return Paired(empty, empty, empty.astype(bool), empty.astype(np.intp))
    new, old, frozen, fits = zip(*rows, strict=True)
    index = np.unique(np.array(fits), return_inverse=True)[1]
    return Paired(np.array(new, float), np.array(old, float), np.array(frozen), index)


def tolerance(measure: MeasuredMetric, baseline: np.ndarray, *, same_platform: bool) -> np.ndarray:
    """How far the score of one audio may move: ``atol + rtol * |baseline|``.

    On the platform of the baseline itself only rounding is allowed, `ATOL_SAME`.
    """
    absolute = ATOL_SAME if same_platform else measure.atol
    relative = 0.0 if same_platform else measure.rtol
    return np.asarray(absolute + relative * np.abs(baseline))


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


def _settled(part: MetricCells, cells: Paired, *, same_platform: bool) -> bool:
    """Whether all audio is the same and all scores lie within the tolerance, so chance is out."""
    allowed = tolerance(part.measure, cells.old, same_platform=same_platform)
    return bool((cells.frozen & (np.abs(cells.new - cells.old) <= allowed)).all())


def _spread(part: MetricCells, cells: Paired) -> Spread:
    """Mean change towards better, with the error that seeds alone leave in it."""
    towards = 1.0 if part.measure.direction == "maximize" else -1.0
    change = towards * (cells.new - cells.old)
    return change_spread(change, cells.fits if part.facts.fits_per_style else None)


def change_spread(change: np.ndarray, fits: np.ndarray | None) -> Spread:
    """Mean and standard error of per-cell changes.

    Args:
        change: Candidate - baseline per cell.
        fits: The fit of each cell, from 0 without gaps; None where every cell has its own chance.

    Returns:
        The spread, with (clusters - 1) degrees of freedom; 0 degrees where there is one cluster.
    """
    size = len(change)
    clusters = size if fits is None else int(fits.max()) + 1
    if clusters < 2:  # noqa: PLR2004 - a variance needs two
        return Spread(float(change.mean()), math.nan, 0, size, "cells")
    variance = cell_variance(change) if fits is None else one_way_variance(change, fits, clusters)
    error = math.sqrt(float(variance))
    return Spread(float(change.mean()), error, clusters - 1, size, "cells")


def one_sided_p(spread: Spread) -> float:
    """P-value of "no drop": the chance of a mean at most this low if the true one were 0."""
    from scipy.special import stdtr

    if spread.degrees < 1:
        return math.nan
    if spread.standard_error <= SETTLED:
        return 0.5 if abs(spread.mean) <= SETTLED else float(spread.mean > 0)
    return float(stdtr(spread.degrees, spread.mean / spread.standard_error))


def detectable_drop(spread: Spread, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """Smallest true drop that the one-sided test at `alpha` finds with probability `power`.

    ``(t(1 - alpha, df) + t(power, df)) * error``. Holm's correction over m verdicts asks at most
    alpha / m of each.

    References:
        Bloom (1995), Minimum Detectable Effects, Evaluation Review 19(5).
    """
    from scipy.special import stdtrit

    if spread.degrees < 1:
        return math.nan
    quantiles = float(stdtrit(spread.degrees, 1 - alpha)) + float(stdtrit(spread.degrees, power))
    return quantiles * spread.standard_error


def quality_verdict(
    part: MetricCells, spread: Spread, p_values: tuple[float, float], family: int
) -> Verdict:
    """The verdict of one method and metric.

    Args:
        part: What it is about.
        spread: Mean change towards better.
        p_values: Corrected one-sided p of "no drop" and of "no rise".
        family: Over how many verdicts they were corrected.
    """
    (p_drop, p_rise), margin = p_values, part.measure.margin
    low, high = ends(spread, level=LEVEL)
    found = detectable_drop(spread, alpha=ALPHA / family)
    given = Verdict(
        "quality", part.method, part.metric, "inconclusive",
        delta=spread.mean, low=low, high=high, p=p_drop, detectable=found,
    )  # fmt: skip
    if spread.mean < -margin and p_drop <= ALPHA:
        reason = f"worse by {-spread.mean:.3f}, margin {margin:g}"
        return replace(given, word="regressed", reason=reason)
    if spread.mean > margin and p_rise <= ALPHA:
        return replace(given, word="improved", reason=f"better by {spread.mean:.3f}")
    if low > -margin:
        return replace(given, word="equivalent", reason=f"no drop beyond {margin:g}")
    return _undecided(given, spread, margin)


def _undecided(given: Verdict, spread: Spread, margin: float) -> Verdict:
    """The given verdict as inconclusive, with what would decide it."""
    if spread.degrees < 1:
        return replace(given, reason="one fit tells nothing about chance; run more styles or seeds")
    needed = math.ceil(spread.n * (given.detectable / margin) ** 2)
    reason = (
        f"a drop of {given.detectable:.3f} would have been found; {margin:g} needs about {needed} "
        "cells"
    )
    return replace(given, reason=reason, needed=needed)


def _unchanged(part: MetricCells, spread: Spread) -> Verdict:
    return Verdict(
        "quality", part.method, part.metric, "equivalent", "the same audio and scores",
        delta=spread.mean, low=spread.mean, high=spread.mean, p=1.0,
    )  # fmt: skip

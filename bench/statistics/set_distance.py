"""How far a set of sounds is from another, by vectors of both: KAD and FAD.

**KAD**, the kernel audio distance, is the unbiased squared maximum mean discrepancy, times 100::

    k(x, y) = exp(-|x - y|^2 / (2 s^2))
    KAD     = 100 * (mean k(x_i, x_j) + mean k(y_i, y_j) - 2 mean k(x_i, y_j)),  i != j within a set

with s the median distance within the reference set y. It is 0 on average where both sets are drawn
alike, and may be negative; lower is closer; it lies below 200.

**Sounds of a run are no independent draws.** Outputs of a style share it, and so do its clips;
outputs of a content share that. Taken as they come, pairs within a style are too few or too many by
the sizes of the sets, which alone moves KAD by several units. So `kad_interval` takes the mean over
pairs within a style and the mean over pairs of unlike styles apart, puts them together in the share
that independent draws would have, counts every style alike, and leaves out pairs of outputs of one
content. With one style and one output of each content that is the formula above.

**Intervals** have the error of a bootstrap that draws styles, contents and clips; copies of one
sound are no pair. s stays as it is. With fewer than five styles these are held fixed, as everywhere
(`bench.statistics.intervals`). Where sets are drawn alike, that error is too large, by about 1.6
times and more, so that an interval rather holds 0 too often (tests/bench/statistics/sets.txt). It
is symmetric: the skewness of the draws, which has much to do with that, would double it.

**FAD**, the Fréchet distance between normal distributions, grows as 1/n in sets of one origin, so
it needs far more sounds than vectors have dimensions.

**Conventions**: vectors are float64, (sound, dimension), outputs first, references second.

References:
    Chung et al. (2025), KAD: No More FAD!, arXiv 2502.15602, equations 5 to 7: KAD, its kernel, and
    its bandwidth. Departures: the pairs of a crossed design.
    Gui et al. (2024), Adapting Frechet Audio Distance for Generative Music Evaluation, arXiv
    2311.01616, section 3: the bias of FAD.
    Owen (2007), The pigeonhole bootstrap, Annals of Applied Statistics 1(2).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from bench.statistics.bootstrap import cluster_weights, content_weights
from bench.statistics.intervals import Interval, degrees_of, kind_of, population_of
from bench.statistics.spread import Spread, ends
from bench.statistics.variances import Floats, Names, crossing

SCALE = 100.0
LEAST = 16  # sounds on each side below which KAD is mostly noise: its sd is 2 in sets of one origin
PER_DIMENSION = 10  # sounds on each side for each dimension, below which FAD is mostly bias
MOST = 2000  # sounds of a set that are compared: time grows with the square
RESAMPLES = 1000  # the error of a KAD is then known to 2 %
USUAL = 0.9  # share of resamples that must have a value


@dataclass(frozen=True, slots=True, eq=False)
class SoundSet:
    """Vectors of sounds, with what these share.

    Args:
        vectors: One row per sound.
        styles: The style of each.
        sources: What each was made from: the content of an output; a clip is its own.
        categories: The category of each source.
    """

    vectors: Floats
    styles: Names
    sources: Names
    categories: Names

    def where(self, kept: np.ndarray) -> SoundSet:
        """Some of the sounds: a truth value, or else a place, for each that stays."""
        return SoundSet(
            self.vectors[kept], self.styles[kept], self.sources[kept], self.categories[kept]
        )

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Style and source of each sound."""
        return list(zip(self.styles.tolist(), self.sources.tolist(), strict=True))

    @property
    def n(self) -> int:
        """How many sounds there are; several of one style and source, such as seeds, count once."""
        return len(set(self.cells))


def bandwidth(references: Floats) -> float:
    """The median distance between two of the references.

    Raises:
        ValueError: There is no distance: fewer than two, or most are equal.

    Example:
        >>> bandwidth(np.array([[0.0], [1.0], [3.0]]))
        2.0
    """
    first, second = np.triu_indices(len(references), 1)
    distances = np.sqrt(_squared(references, references)[first, second])
    found = float(np.median(distances)) if len(distances) else 0.0
    if not found > 0:
        raise ValueError(
            f"the median distance of {len(references)} references is {found}; a kernel needs one "
            "above 0. Give at least two that differ."
        )
    return found


def kad(outputs: Floats, references: Floats, s: float) -> float:
    """KAD of independent draws, as published; see the module for those of a run.

    Args:
        outputs: At least two vectors.
        references: At least two vectors.
        s: The bandwidth of the kernel, above 0.

    Example:
        >>> x, y = np.array([[0.0], [2.0]]), np.array([[0.0], [2.0]])
        >>> round(kad(x, y, 1.0), 4)  # 100 * (exp(-2) + exp(-2) - 2 * (1 + exp(-2)) / 2)
        -86.4665
    """
    within = [
        (kernel(one, one, s).sum() - len(one)) / (len(one) * (len(one) - 1))
        for one in (outputs, references)
    ]
    return float(SCALE * (sum(within) - 2 * kernel(outputs, references, s).mean()))


def kernel(first: Floats, second: Floats, s: float) -> Floats:
    """The kernel of each of the first with each of the second, in (0, 1]."""
    return np.asarray(np.exp(_squared(first, second) / (-2 * s**2)), np.float64)


def _squared(first: Floats, second: Floats) -> Floats:
    """Squared distances; rounding makes none negative."""
    lengths = np.sum(first**2, axis=1)[:, None] + np.sum(second**2, axis=1)
    return np.asarray(np.maximum(lengths - 2 * first @ second.T, 0.0), np.float64)


def frechet(outputs: Floats, references: Floats) -> float:
    """FAD: |mean difference|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)), at least 0, lower is closer.

    The trace of the root is the sum of the roots of the eigenvalues of C_x^(1/2) C_y C_x^(1/2),
    which is symmetric, so that no imaginary part arises.

    Example:
        >>> x, y = np.array([[0.0], [2.0]]), np.array([[3.0], [7.0]])
        >>> round(frechet(x, y), 6)  # means 4 apart, deviations 2^(1/2) and 2 * 2^(1/2)
        18.0
    """
    from scipy.linalg import eigh

    gap = outputs.mean(axis=0) - references.mean(axis=0)
    own, other = (np.atleast_2d(np.cov(one, rowvar=False)) for one in (outputs, references))
    values, axes = eigh(own)
    root = (axes * np.sqrt(np.maximum(values, 0))) @ axes.T
    product = eigh(root @ other @ root, eigvals_only=True)
    roots = np.sqrt(np.maximum(product, 0)).sum()
    return max(0.0, float(gap @ gap + np.trace(own) + np.trace(other) - 2 * roots))


def shortage(outputs: SoundSet, references: SoundSet, least: int = LEAST) -> str:
    """Why two sets are too small to be compared, in words; empty where they are not."""
    sides = {"outputs": outputs, "held-out clips": references}
    short = [f"{one.n} {what}" for what, one in sides.items() if one.n < least]
    if short:
        return f"{' and '.join(short)}; at least {least} are needed"
    lone = [what for what, one in sides.items() if not _has_pair(one)]
    return f"no style has two {lone[0]}, of which pairs are made" if lone else ""


def _has_pair(sounds: SoundSet) -> bool:
    """Whether any style has sounds of two sources."""
    return max(Counter(style for style, _ in set(sounds.cells)).values()) > 1


def comparable(outputs: SoundSet, references: SoundSet) -> tuple[SoundSet, SoundSet]:
    """The sounds of the styles that both have, not many more than `MOST` of each set."""
    ours, theirs = _thinned(outputs), _thinned(references)
    return (
        ours.where(np.isin(ours.styles, theirs.styles)),
        theirs.where(np.isin(theirs.styles, ours.styles)),
    )


def _thinned(sounds: SoundSet) -> SoundSet:
    """All sounds of some sources, drawn alike for methods with the same ones."""
    if len(sounds.styles) <= MOST:
        return sounds
    names = np.unique(sounds.sources)
    count = max(2, len(names) * MOST // len(sounds.styles))
    chosen = np.random.default_rng(0).permutation(names)[:count]
    return sounds.where(np.isin(sounds.sources, chosen))


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """How often each sound counts: as it is (row 0) and per resample, shape (1 + resample, sound).

    `alike` is the probability that two draws of a style are the same one, per row.
    """

    outputs: Floats
    references: Floats
    alike: Floats


def kad_interval(
    outputs: SoundSet,
    references: SoundSet,
    s: float,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """KAD of the outputs of a method from clips of the same styles, with its interval.

    Args:
        outputs: All outputs of the method, or those of one style.
        references: Clips of the same styles.
        s: The bandwidth of the kernel, above 0.
        resamples: Bootstrap resamples.
        seed: Decides the draws, which are the same for all methods with the same cells.
    """
    draws = _draw(outputs, references, resamples, seed)
    own = _pairs(outputs, outputs, (draws.outputs, draws.outputs), draws.alike, s)
    clips = (draws.references, draws.references)
    theirs = _pairs(references, references, clips, draws.alike, s)
    values = SCALE * (own + theirs - 2 * _across(outputs, references, draws, s))
    return _interval(values, outputs, references)


def kad_difference(
    first: SoundSet,
    second: SoundSet,
    references: SoundSet,
    s: float,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """KAD of one method less that of another on the cells that both have, in the same draws.

    Below 0 the first is closer. What the references have among themselves cancels. Arguments are
    those of `kad_interval`; the references are of the styles of those cells.
    """
    shared = set(first.cells) & set(second.cells)
    pair = [one.where(np.array([cell in shared for cell in one.cells])) for one in (first, second)]
    values = []
    for one in pair:
        draws = _draw(one, references, resamples, seed)
        own = _pairs(one, one, (draws.outputs, draws.outputs), draws.alike, s)
        values.append(SCALE * (own - 2 * _across(one, references, draws, s)))
    return _interval(values[0] - values[1], pair[0], references)


def _draw(outputs: SoundSet, references: SoundSet, resamples: int, seed: int) -> _Draws:
    crossed = crossing(outputs.styles, outputs.sources, outputs.categories)
    by_style, by_content = cluster_weights(
        outputs.sources, outputs.categories, crossed, resamples, seed
    )
    places = np.unique(references.styles, return_inverse=True)[1]  # names are those of the outputs
    by_clip = content_weights(tuple(references.styles.tolist()), resamples, seed + 1)
    drawn = by_style[:, crossed.styles] * by_content[:, crossed.contents]
    shares = by_style / by_style.sum(axis=1, keepdims=True)
    alike = np.append(1 / crossed.n_styles, np.sum(shares**2, axis=1))
    return _Draws(
        _level(np.vstack([np.ones(drawn.shape[1]), drawn]), crossed.styles),
        _level(np.vstack([np.ones(len(places)), by_style[:, places] * by_clip]), places),
        alike,
    )


def _level(weights: Floats, styles: np.ndarray) -> Floats:
    """Weights by which every style counts as often, however many sounds it has."""
    return np.asarray(weights / np.bincount(styles)[styles])


def _across(outputs: SoundSet, references: SoundSet, draws: _Draws, s: float) -> Floats:
    return _pairs(outputs, references, (draws.outputs, draws.references), draws.alike, s)


def _pairs(
    first: SoundSet,
    second: SoundSet,
    weights: tuple[Floats, Floats],
    alike: Floats,
    s: float,
) -> Floats:
    """Mean k of two sounds that share nothing but, with the probability `alike`, their style."""
    apart = np.ones((len(first.sources), len(second.sources)))
    if first is second:
        apart[first.sources[:, None] == second.sources] = 0
    near = kernel(first.vectors, second.vectors, s) * apart
    within, every = _sums(near, first, second, weights)
    within_count, count = _sums(apart, first, second, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        same, unlike = within / within_count, (every - within) / (count - within_count)
        return np.where(alike == 1, same, alike * same + (1 - alike) * unlike)


def _sums(
    table: Floats, first: SoundSet, second: SoundSet, weights: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """The sum of a table of pairs within styles, and of all of it, for each row of the weights."""
    ours, theirs = weights
    every = np.einsum("rj,rj->r", ours @ table, theirs)
    within = np.zeros(len(ours))
    for style in np.unique(first.styles):
        rows, columns = first.styles == style, second.styles == style
        part = ours[:, rows] @ table[np.ix_(rows, columns)]
        within += np.einsum("rj,rj->r", part, theirs[:, columns])
    return within, every


def _interval(values: Floats, outputs: SoundSet, references: SoundSet) -> Interval:
    """The first value, with the error that the others show."""
    value, drawn = float(values[0]), values[1:][np.isfinite(values[1:])]
    crossed = crossing(outputs.styles, outputs.sources, outputs.categories)
    population = population_of(crossed.n_styles)
    free = references.n - crossed.n_styles  # the clips vary within their styles
    degrees = min(degrees_of(crossed, population, outputs.n), free)
    if degrees < 1 or len(drawn) < USUAL * (len(values) - 1) or not math.isfinite(value):
        return Interval(value, math.nan, math.nan, outputs.n, "none")
    spread = Spread(value, float(drawn.std()), degrees, outputs.n, population)
    return Interval(value, *ends(spread), outputs.n, kind_of(population))

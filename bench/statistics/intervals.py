"""Honest intervals for scores that share styles and contents.

One style and one content occur in many cells of a run, so the rows are not independent and an
interval over rows is far too narrow. The seeds of a (style, content) cell are averaged first; what
remains is a crossed design.

* With `MIN_STYLES` styles or more: two-way cluster-robust, over styles and contents in general,
  with ``min(S, C) - 1`` degrees of freedom.
* With fewer, nothing honest can be said about styles in general. The interval then holds "on these
  styles": contents vary within their category while the styles stay fixed, with as many degrees of
  freedom as contents less categories.

In both cases, and for means, gains and differences alike, the ends are those of
`bench.statistics.spread.ends`.

**Conventions**: observations are parallel arrays, one entry per output; NaN means "no number" and
is left out; `n` counts (style, content) cells; an interval that the data cannot give has NaN ends
and the kind "none".

References:
    Cameron, Gelbach, Miller (2011), Robust Inference With Multiway Clustering, JBES 29(2), section
    2: the two-way variance and its degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench.statistics.places import Places, joint_grid, placed
from bench.statistics.spread import (
    LEVEL,
    UNBOUNDED,
    Population,
    Range,
    Spread,
    difference_bounds,
    ends,
    skewness_of,
)
from bench.statistics.variances import (
    Crossing,
    Floats,
    Names,
    cell_variance,
    cluster_third_moment,
    one_way_variance,
    these_styles_third_moment,
    these_styles_variance,
    two_way_third_moment,
    two_way_variance,
)

Kind = Literal["two-way", "on these styles", "none"]

MIN_STYLES = 5  # with fewer, S - 1 degrees of freedom cover styles in general too seldom
MIN_CLUSTERS = 2  # a variance between clusters needs two


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its confidence interval; `n` counts the (style, content) cells behind it."""

    mean: float
    low: float
    high: float
    n: int
    kind: Kind


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Scores with what they share.

    Args:
        values: One score per output; NaN where there is none.
        places: The style of each output, its content, and the category of the content, which groups
            contents for resampling.
    """

    values: Floats
    places: Places

    def __post_init__(self) -> None:
        """Check that the values are as many as their places."""
        _require_parallel(self.values, self.places.styles)

    @property
    def styles(self) -> Names:
        """The style of each output, by name."""
        return self.places.grid.styles[self.places.styles]

    @property
    def contents(self) -> Names:
        """The content of each output, by name."""
        return self.places.grid.contents[self.places.contents]

    @property
    def categories(self) -> Names:
        """The category of each output's content, by name."""
        return self.places.grid.categories[self.places.categories]

    def where(self, kept: Sequence[bool] | np.ndarray) -> Observations:
        """The observations for which `kept` is true, one truth value each."""
        chosen = np.asarray(kept, dtype=np.bool_)
        return Observations(self.values[chosen], self.places.where(chosen))


def _require_parallel(*columns: Sized) -> None:
    lengths = {len(column) for column in columns}
    if len(lengths) != 1:
        raise ValueError(
            f"observations have lengths {sorted(lengths)}; one value, style, content and "
            "category belong to each output. Pass parallel arrays."
        )


def observe(
    values: Sequence[float] | Floats,
    styles: Sequence[str],
    contents: Sequence[str],
    categories: Sequence[str] | None = None,
) -> Observations:
    """Build observations from plain sequences; without categories all contents form one."""
    groups = ["all"] * len(contents) if categories is None else categories
    _require_parallel(values, styles, contents, groups)
    return Observations(np.asarray(values, dtype=np.float64), placed(styles, contents, groups))


def average_seeds(observations: Observations) -> Observations:
    """Average the outputs of each (style, content) cell, sorted by style, then content; skip NaN.

    Repetitions of a cell differ only by the seed, so they are measurements of one datum and never
    add to `n`.
    """
    known = np.flatnonzero(np.isfinite(observations.values))
    values, places = observations.values[known], observations.places
    numbers = places.cells[known]
    counts = np.bincount(numbers)
    sums = np.bincount(numbers, weights=values)
    cells = np.flatnonzero(counts)
    first = np.zeros(len(counts), dtype=np.intp)
    first[numbers[::-1]] = known[::-1]  # of equal numbers the last one stays
    return Observations(sums[cells] / counts[cells], places.where(first[cells]))


def crossing_of(cells: Observations) -> Crossing:
    """The styles, contents and strata of cells as indices."""
    return cells.places.crossing()


def population_of(styles: int) -> Population:
    """What may be generalised to with so many styles: both, or contents on these styles."""
    return "both" if styles >= MIN_STYLES else "contents"


def spread_of(
    observations: Observations,
    population: Population | None = None,
    bounds: Range = UNBOUNDED,
) -> Spread:
    """Mean, standard error, skewness and degrees of freedom for a population.

    Args:
        observations: Scores; seeds are averaged first.
        population: What to generalise to; by default what the number of styles allows.
        bounds: Smallest and largest value that a score can have.
    """
    cells = average_seeds(observations)
    return _spreads(cells.values[None, :], crossing_of(cells), population, bounds)[0]


def spreads_of(
    values: Floats,
    places: Places,
    population: Population | None = None,
    bounds: Range = UNBOUNDED,
) -> list[Spread]:
    """`spread_of` of several scores on the same cells, those that lack the same ones at once.

    Args:
        values: A row per score and a column per cell, seeds averaged; NaN where missing.
        places: The place of each cell, sorted by style, then content.
        population: As in `spread_of`.
        bounds: Smallest and largest value that a score can have.
    """
    known = np.isfinite(values)
    alike: dict[bytes, list[int]] = {}
    for row, own in enumerate(known):
        alike.setdefault(own.tobytes(), []).append(row)
    found: dict[int, Spread] = {}
    for rows in alike.values():
        kept = known[rows[0]]
        cells = np.compress(kept, values[rows], axis=-1)
        crossed = places.where(kept).crossing()
        found |= zip(rows, _spreads(cells, crossed, population, bounds), strict=True)
    return [found[row] for row in range(len(values))]


def _spreads(
    values: Floats, crossed: Crossing, population: Population | None, bounds: Range
) -> list[Spread]:
    """The spread of each row of values, a column per cell, none of which is missing."""
    chosen = population or population_of(crossed.n_styles)
    size = values.shape[-1]
    means = values.mean(axis=-1) if size else np.full(len(values), math.nan)
    degrees = degrees_of(crossed, chosen, size)
    if degrees < 1:
        return [Spread(float(m), math.nan, 0, size, chosen, bounds=bounds) for m in means]
    errors = np.sqrt(variance_of(values, crossed, chosen)).tolist()
    moments = third_moment_of(values, crossed, chosen).tolist()
    return [
        Spread(mean, error, degrees, size, chosen, skewness_of(moment, error), bounds)
        for mean, error, moment in zip(means.tolist(), errors, moments, strict=True)
    ]


def variance_of(values: Floats, crossed: Crossing, population: Population) -> Floats:
    """Variance of the mean along the last axis, by the formulas of `bench.statistics.variances`."""
    if population == "both":
        return two_way_variance(values, crossed)
    if population == "contents":
        return these_styles_variance(values, crossed)
    if population == "styles":
        return one_way_variance(values, crossed.styles, crossed.n_styles)
    return cell_variance(values)


def third_moment_of(values: Floats, crossed: Crossing, population: Population) -> Floats:
    """Third central moment of the mean along the last axis, with clusters as in `variance_of`."""
    if population == "both":
        return two_way_third_moment(values, crossed)
    if population == "contents":
        return these_styles_third_moment(values, crossed)
    if population == "styles":
        return cluster_third_moment(values, crossed.styles, crossed.n_styles)
    size = values.shape[-1]
    return cluster_third_moment(values, np.arange(size), size)


def degrees_of(crossed: Crossing, population: Population, cells: int) -> float:
    """Degrees of freedom of a mean of so many cells; 0 where there is no error to be had."""
    if population == "both":
        smaller = min(crossed.n_styles, crossed.n_contents)
        return smaller - 1 if smaller >= MIN_CLUSTERS else 0
    if population == "contents":
        return crossed.content_degrees
    return max(0, (crossed.n_styles if population == "styles" else cells) - 1)


def interval(
    observations: Observations,
    *,
    bounds: Range = UNBOUNDED,
    population: Population | None = None,
    level: float = LEVEL,
) -> Interval:
    """The interval of a mean, over what the number of styles allows if no population is given.

    Args:
        observations: Scores; seeds are averaged within their cell.
        bounds: Smallest and largest value that a score can have.
        population: What to generalise to.
        level: Confidence level in (0, 1).

    Returns:
        The interval of `bench.statistics.spread.ends`; kind "none" where the cells allow none.

    Example:
        >>> cells = observe([0.2, 0.4, 0.3], ["s"] * 3, ["a", "b", "c"])
        >>> interval(cells, bounds=(0.0, 1.0)).kind
        'on these styles'
    """
    spread = spread_of(observations, population, bounds)
    low, high = ends(spread, level=level)
    kind = kind_of(spread.population) if spread.degrees else "none"
    return Interval(spread.mean, low, high, spread.n, kind)


def share_interval(observations: Observations, *, level: float = LEVEL) -> Interval:
    """The interval of a share: of observations that are each 0 or 1, seeds averaged.

    A share of 0 or 1, or one that is the same in every cluster, shows no variance, and the interval
    of a mean would say that it is certain. This is the score interval of Wilson at the number of
    independent cells with the error of the share (the effective size of Korn and Graubard); where
    no error shows, as many cells are counted as there are clusters, as if each were of one piece.

    References:
        Wilson (1927), JASA 22, 209-212; Korn and Graubard (1998), Survey Methodology 24, 193-201.
        Departure: the quantile is that of t with the degrees of freedom of the design.

    Example:
        >>> cells = observe([1.0, 1.0, 1.0, 1.0], ["s"] * 4, ["a", "b", "c", "d"])
        >>> found = share_interval(cells)
        >>> round(found.low, 2), found.high
        (0.26, 1.0)
    """
    from scipy.special import stdtrit  # scipy takes half a second to import

    cells = average_seeds(observations)
    crossed = crossing_of(cells)
    [spread] = _spreads(cells.values[None, :], crossed, None, UNBOUNDED)
    kind = kind_of(spread.population) if spread.degrees else "none"
    if not spread.degrees:
        return Interval(spread.mean, math.nan, math.nan, spread.n, kind)
    share = spread.mean
    clusters = crossed.n_contents
    if spread.population == "both":
        clusters = min(clusters, crossed.n_styles)
    variance = spread.standard_error**2
    own = share * (1 - share) / variance if variance > 0 else 0.0
    size = min(own, float(spread.n)) if own else float(clusters)
    square = float(stdtrit(spread.degrees, (1 + level) / 2)) ** 2
    middle = (share + square / (2 * size)) / (1 + square / size)
    half = math.sqrt(square * (share * (1 - share) / size + square / (4 * size**2)))
    half /= 1 + square / size
    low, high = min(share, middle - half), max(share, middle + half)  # but for rounding, as it is
    return Interval(share, low, high, spread.n, kind)


def kind_of(population: Population) -> Kind:
    """The word that a table has for what an interval generalises to."""
    return "two-way" if population == "both" else "on these styles"


def paired_differences(candidate: Observations, baseline: Observations) -> Observations:
    """Candidate minus baseline on the (style, content) cells that both have, seeds averaged."""
    ours, theirs = _on_one_grid([average_seeds(candidate), average_seeds(baseline)])
    reference = np.full(theirs.places.grid.size, np.nan)
    reference[theirs.places.cells] = theirs.values
    matched = reference[ours.places.cells]
    differences = replace(ours, values=ours.values - matched)
    return differences.where(np.isfinite(matched))


def on_common_cells(scores: Sequence[Observations]) -> list[Observations]:
    """Several scores on the (style, content) cells that all of them have, seeds averaged."""
    values, places = lined_up(scores)
    shared = np.asarray(np.isfinite(values).all(axis=0))
    common = places.where(shared)
    return [Observations(row[shared], common) for row in values]


def lined_up(scores: Sequence[Observations]) -> tuple[Floats, Places]:
    """Several scores on the cells that any of them has, seeds averaged.

    Returns:
        A row per score and a column per cell, NaN where missing, and the place of each cell, sorted
        by style, then content.
    """
    averaged = _on_one_grid([average_seeds(score) for score in scores])
    grid = joint_grid([cells.places.grid for cells in averaged])
    values = np.full((len(averaged), grid.size), np.nan)
    categories = np.zeros(grid.size, dtype=np.intp)
    for row, score in zip(values[::-1], averaged[::-1], strict=True):  # the first one decides
        row[score.places.cells] = score.values
        categories[score.places.cells] = score.places.categories
    numbers = np.flatnonzero(np.isfinite(values).any(axis=0))
    styles, contents = np.divmod(numbers, max(len(grid.contents), 1))
    places = Places(grid, styles, contents, categories[numbers])
    return np.take(values, numbers, axis=-1), places


def _on_one_grid(scores: Sequence[Observations]) -> list[Observations]:
    grid = joint_grid([score.places.grid for score in scores])
    return [replace(score, places=score.places.on(grid)) for score in scores]


def paired_interval(
    candidate: Observations,
    baseline: Observations,
    *,
    bounds: Range = UNBOUNDED,
    level: float = LEVEL,
) -> Interval:
    """Interval of the paired difference candidate - baseline.

    Pairing removes what a cell's style and content do to both methods, which is most of the
    variance. `bounds` are those of a score, not of the difference.
    """
    cells = paired_differences(candidate, baseline)
    return interval(cells, bounds=difference_bounds(bounds), level=level)

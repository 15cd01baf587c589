"""The two-way bootstrap: uncertainty of trade-offs, which have no formula.

A resample draws styles and contents with replacement, independently of each other, and keeps the
cells at their crossings: a cell counts as often as its style was drawn times its content. So a
resample is held as the weights of its styles and of its contents, and no cell is ever copied.

**Conventions**: weights are non-negative; with fewer than `MIN_STYLES` styles these stay fixed and
contents are redrawn within their stratum, as in `bench.statistics.intervals`. With few clusters
percentile intervals are somewhat narrow; means therefore have their t interval.

References:
    Owen (2007), The pigeonhole bootstrap, Annals of Applied Statistics 1(2): the variance of a mean
    is right for styles and contents and counts the cells' own noise three times, so the intervals
    err on the wide side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench.statistics.intervals import MIN_STYLES, Observations, average_seeds
from bench.statistics.variances import Crossing, Floats, Names, crossing, strata

RESAMPLES = 4000  # the 2.5 % point then rests on 100 draws


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Several scores on the same cells.

    Args:
        values: One row per score (a method's, or a metric's), shape (score, cell); NaN where
            missing.
        styles: The style of each cell.
        contents: The content of each cell.
        categories: The category of each cell's content.
    """

    values: Floats
    styles: np.ndarray
    contents: np.ndarray
    categories: np.ndarray


def panel(scores: Sequence[Observations]) -> Panel:
    """Line up scores on the union of their cells, seeds averaged."""
    averaged = [average_seeds(score) for score in scores]
    places: dict[tuple[str, str], int] = {}
    groups: list[str] = []
    for cells in averaged:
        for style, content, category in zip(
            cells.styles.tolist(), cells.contents.tolist(), cells.categories.tolist(), strict=True
        ):
            if (style, content) not in places:
                places[style, content] = len(places)
                groups.append(category)
    values = np.full((len(averaged), len(places)), np.nan)
    for row, cells in zip(values, averaged, strict=True):
        keys = zip(cells.styles.tolist(), cells.contents.tolist(), strict=True)
        row[[places[key] for key in keys]] = cells.values
    styles = np.array([style for style, _ in places], dtype=np.str_)
    contents = np.array([content for _, content in places], dtype=np.str_)
    return Panel(values, styles, contents, np.array(groups, dtype=np.str_))


def cluster_weights(
    contents: Names, categories: Names, crossed: Crossing, resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """Weights of the styles and of the contents, (resample, each); a cell has their product.

    Args:
        contents: The content of each cell.
        categories: The category of each cell's content.
        crossed: How the cells cross.
        resamples: How many draws.
        seed: Decides them.
    """
    if crossed.n_styles >= MIN_STYLES:
        generator = np.random.default_rng([seed, 1])
        by_style = _counts(generator, crossed.n_styles, resamples)
        return by_style, _counts(generator, crossed.n_contents, resamples)
    _, first = np.unique(contents, return_index=True)
    names = tuple(categories[first].tolist())
    return np.ones((resamples, crossed.n_styles)), content_weights(names, resamples, seed)


@lru_cache(maxsize=4)
def content_weights(categories: tuple[str, ...], resamples: int, seed: int) -> Floats:
    """How often each resample counts each content, shape (resample, content); each sums to C.

    From a stratum of n contents n - 1 are drawn and count n/(n - 1) each: with n draws a resampled
    mean would vary by (n - 1)/n too little, which shows with few contents per category. The result
    is kept, as all methods share the contents.

    References:
        McCarthy, Snowden (1985), The Bootstrap and Finite Population Sampling, Vital and Health
        Statistics 2(95); Rao, Wu (1988), Resampling Inference With Complex Survey Data, JASA
        83(401): n_h - 1 draws make the variance of a mean unbiased.
    """
    index = strata(np.asarray(categories, dtype=np.str_))
    generator = np.random.default_rng(seed)
    weights = np.zeros((resamples, len(categories)))
    for stratum in np.unique(index):
        members = np.flatnonzero(index == stratum)
        size = len(members)
        draws = max(1, size - 1)
        counts = generator.multinomial(draws, np.full(size, 1 / size), resamples)
        weights[:, members] = counts * (size / draws)
    return weights


def _counts(generator: np.random.Generator, size: int, resamples: int) -> Floats:
    return generator.multinomial(size, np.full(size, 1 / size), resamples).astype(np.float64)


def panel_means(
    cells: Panel, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Floats, Floats]:
    """Mean of each score: as it is, shape (score,), and per resample, shape (resample, score).

    All scores see the same draws, so that their differences stay paired. NaN where a resample holds
    no cell of a score.
    """
    known = np.isfinite(cells.values)
    filled = np.where(known, cells.values, 0.0)
    counted = known.astype(np.float64)
    crossed = crossing(cells.styles, cells.contents, cells.categories)
    weight = cluster_weights(cells.contents, cells.categories, crossed, resamples, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        whole = filled.sum(axis=1) / counted.sum(axis=1)
        drawn = _weighted_sums(filled, crossed, weight) / _weighted_sums(counted, crossed, weight)
    return whole, drawn


def _weighted_sums(values: Floats, crossed: Crossing, weight: tuple[Floats, Floats]) -> Floats:
    """Sum of the cells of each score per resample, (resample, score).

    As a cell's weight is a product, this takes a product of matrices of styles and contents; the
    weights of all cells are never laid out.
    """
    by_style, by_content = weight
    place = crossed.styles * crossed.n_contents + crossed.contents
    shape = (crossed.n_styles, crossed.n_contents)
    sums = np.empty((len(by_style), len(values)))
    for score, row in enumerate(values):
        table = np.bincount(place, weights=row, minlength=shape[0] * shape[1]).reshape(shape)
        sums[:, score] = np.einsum("rc,rc->r", by_style @ table, by_content)
    return sums

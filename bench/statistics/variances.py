"""How sure a mean is, when its cells share styles and contents: variances by cluster.

Every function takes values whose last axis is the cell and works along it, so that one table and a
thousand simulated ones take the same path.

**Conventions**: a cell is one (style, content) pair, seeds averaged; `Crossing` says which style
and content each cell has; variances are those of the mean, in squared units of the values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Names = NDArray[np.str_]

SKEWED = 3  # clusters without which nothing is known of skewness


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """Which style, content and category each cell has, as indices from 0 without gaps.

    `strata` gives the category stratum of each *content*, see `strata`.
    """

    styles: Indices
    contents: Indices
    strata: Indices
    n_styles: int
    n_contents: int

    @property
    def n_strata(self) -> int:
        """How many strata the contents form."""
        return int(self.strata.max()) + 1 if len(self.strata) else 0

    @property
    def content_degrees(self) -> float:
        """Degrees of freedom of the contents within their strata.

        Skewed scores make the few contents of a small suite look more alike than they are, and the
        correction for skewness knows it only roughly, or not at all where every stratum is a pair.
        The degrees that are taken off for it were chosen by simulation
        (tests/bench/statistics/simulations.txt).
        """
        sizes = np.bincount(self.strata) if len(self.strata) else np.zeros(0, np.intp)
        pairs = len(sizes) > 1 and int(sizes.max()) < SKEWED
        free = self.n_contents - self.n_strata
        return max(float(min(free, 1)), free - (1.0 if pairs else 0.25))


def crossing(styles: Names, contents: Names, categories: Names) -> Crossing:
    """Index the clusters of parallel names, one style, content and category per cell."""
    style_names, style_index = np.unique(styles, return_inverse=True)
    content_names, first, content_index = np.unique(
        contents, return_index=True, return_inverse=True
    )
    return Crossing(
        style_index.astype(np.intp),
        content_index.astype(np.intp),
        strata(categories[first]),
        len(style_names),
        len(content_names),
    )


def strata(categories: Names | Indices) -> Indices:
    """The stratum of each content: its category, by name or number, those of one content pooled.

    A category with a single content cannot vary, which would make an interval too narrow; such
    categories are pooled, and one alone joins the smallest other stratum.

    References:
        Cochran (1977), Sampling Techniques, section 5A.12 (collapsed strata).
    """
    _, index, counts = np.unique(categories, return_inverse=True, return_counts=True)
    lone = counts == 1
    pooled = np.where(lone, len(counts), np.arange(len(counts)))
    if lone.sum() == 1 and len(counts) > 1:
        pooled[lone] = np.flatnonzero(~lone)[np.argmin(counts[~lone])]
    return np.unique(pooled[index], return_inverse=True)[1].astype(np.intp)


def cluster_sums(values: Floats, index: Indices) -> Floats:
    """Sum the last axis by cluster; clusters are indexed from 0 and none is empty."""
    if not len(index):
        return np.zeros((*values.shape[:-1], 0))
    order = np.argsort(index, kind="stable")
    sorted_out = index[order]
    starts = np.searchsorted(sorted_out, np.arange(sorted_out[-1] + 1))
    return np.asarray(np.add.reduceat(np.take(values, order, axis=-1), starts, axis=-1))


def cell_variance(values: Floats) -> Floats:
    """Variance of a mean over cells that share nothing.

    ``V = N/(N-1) * sum e^2 / N^2`` with residuals e = y - mean.
    """
    size = values.shape[-1]
    residuals = _centred(values)
    return np.asarray(size / (size - 1) * np.sum(residuals**2, axis=-1) / size**2)


def one_way_variance(values: Floats, index: Indices, clusters: int) -> Floats:
    """Cluster-robust variance of a mean over `clusters` clusters.

    ``V = G/(G-1) * sum_g (sum of e in cluster g)^2 / N^2`` with residuals e = y - mean.

    References:
        Liang, Zeger (1986), Longitudinal data analysis using generalized linear models, Biometrika
        73(1), with the small-sample factor G/(G-1).
    """
    sums = cluster_sums(_centred(values), index)
    factor = clusters / (clusters - 1)
    return np.asarray(factor * np.sum(sums**2, axis=-1) / values.shape[-1] ** 2)


def two_way_variance(values: Floats, crossed: Crossing) -> Floats:
    """Two-way cluster-robust variance of a mean over styles x contents.

    With residuals e = y - mean over N cells, S styles and C contents::

        V_style   = S/(S-1) * sum_s (sum of e in style s)^2 / N^2
        V_content = C/(C-1) * sum_c (sum of e in content c)^2 / N^2
        V_cell    = N/(N-1) * sum e^2 / N^2
        V         = max(V_style + V_content - V_cell, V_style, V_content)

    References:
        Cameron, Gelbach, Miller (2011), Robust Inference With Multiway Clustering, JBES 29(2),
        section 2: the estimator and its small-sample factors. Departure: the sum is floored
        at the larger one-way variance, because the estimate itself can be negative.
    """
    by_style = one_way_variance(values, crossed.styles, crossed.n_styles)
    by_content = one_way_variance(values, crossed.contents, crossed.n_contents)
    either = by_style + by_content - cell_variance(values)
    return np.asarray(np.maximum(either, np.maximum(by_style, by_content)))


def these_styles_variance(values: Floats, crossed: Crossing) -> Floats:
    """Variance of a mean on fixed styles: contents vary within their stratum.

    With r_c the sum of the residuals of content c over the styles, and strata h of C_h contents::

        V = sum_h C_h/(C_h-1) * sum_{c in h} (r_c - mean of r in h)^2 / N^2

    Degrees of freedom: contents - strata.

    References:
        Cochran (1977), Sampling Techniques, sections 5.4 and 6.13 (stratified, linearised ratio);
        contents count as drawn from many, so no finite-population factor.
    """
    sums = cluster_sums(_centred(values), crossed.contents)
    sizes = np.bincount(crossed.strata).astype(np.float64)
    means = cluster_sums(sums, crossed.strata) / sizes
    squares = cluster_sums((sums - means[..., crossed.strata]) ** 2, crossed.strata)
    factors = sizes / np.maximum(sizes - 1, 1)
    return np.asarray(np.sum(factors * squares, axis=-1) / values.shape[-1] ** 2)


def cluster_third_moment(values: Floats, index: Indices, clusters: int) -> Floats:
    """Third central moment of a mean over `clusters` clusters; 0 for fewer than three.

    ``K = G^2 / ((G-1)(G-2)) * sum_g (sum of e in cluster g)^3 / N^3`` with residuals e = y - mean:
    unbiased for clusters of one size.
    """
    if clusters < SKEWED:
        return np.zeros(values.shape[:-1])
    sums = cluster_sums(_centred(values), index)
    factor = clusters**2 / ((clusters - 1) * (clusters - 2))
    return np.asarray(factor * np.sum(sums**3, axis=-1) / values.shape[-1] ** 3)


def two_way_third_moment(values: Floats, crossed: Crossing) -> Floats:
    """Third central moment of a mean over styles x contents: those of both clusterings added."""
    return np.asarray(
        cluster_third_moment(values, crossed.styles, crossed.n_styles)
        + cluster_third_moment(values, crossed.contents, crossed.n_contents)
    )


def these_styles_third_moment(values: Floats, crossed: Crossing) -> Floats:
    """Third central moment of a mean on fixed styles, as `these_styles_variance`.

    Strata of two contents add nothing: their residuals are opposite.
    """
    sums = cluster_sums(_centred(values), crossed.contents)
    sizes = np.bincount(crossed.strata).astype(np.float64)
    means = cluster_sums(sums, crossed.strata) / sizes
    cubes = cluster_sums((sums - means[..., crossed.strata]) ** 3, crossed.strata)
    factors = np.where(sizes < SKEWED, 0, sizes**2 / np.maximum((sizes - 1) * (sizes - 2), 1))
    return np.asarray(np.sum(factors * cubes, axis=-1) / values.shape[-1] ** 3)


def _centred(values: Floats) -> Floats:
    return np.asarray(values - values.mean(axis=-1, keepdims=True))

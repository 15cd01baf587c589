"""Do 95 % intervals hold the truth in 95 % of simulated experiments, and tests err in 5 %?

The default run takes fewer experiments and bands that allow for it; the whole count, at the bands
that are promised, is marked slow:
`pytest -m slow tests/bench/statistics/test_coverage.py --log-cli-level=INFO`.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from bench.statistics.bootstrap import percentiles
from bench.statistics.intervals import content_weights, observe
from bench.statistics.paired import Population, paired_p, sign_flip_p, spread_of, variance_of
from bench.statistics.variances import Crossing, crossing

LOG = logging.getLogger(__name__)
QUICK, WHOLE = 1000, 6000
PART = 500  # experiments simulated at a time: 20 MB for 13 x 18 cells, 2 GB never
CROSSED = [(8, 16), (10, 20), (13, 18)]
EFFECTS = {  # standard deviations of style, content and cell effects, then of the seeds
    "both": (0.05, 0.05, 0.05, 0.1),
    "style-dominant": (0.08, 0.02, 0.05, 0.1),
    "content-dominant": (0.02, 0.08, 0.05, 0.1),
    "as measured elsewhere": (0.03, 0.05, 0.08, 0.0),
}
SEEDS = 3


def experiments(
    design: tuple[int, int], effects: tuple[float, float, float, float], count: int, seed: int
) -> np.ndarray:
    """Paired differences (experiment, style x content) with mean 0, seeds averaged."""
    styles, contents = design
    by_style, by_content, by_cell, by_seed = effects
    generator = np.random.default_rng([seed, styles, contents])
    noise = float(np.hypot(by_cell, by_seed / np.sqrt(SEEDS)))
    return np.asarray(
        generator.normal(0, by_style, (count, styles, 1))
        + generator.normal(0, by_content, (count, 1, contents))
        + generator.normal(0, noise, (count, styles, contents))
    ).reshape(count, -1)


def design_of(styles: int, contents: int, categories: int = 1) -> Crossing:
    """A complete design; contents are spread evenly over categories."""
    cells = np.array(list(itertools.product(range(styles), range(contents))))
    names = np.array([f"{content:03d}" for content in cells[:, 1]])
    groups = np.array([f"{content % categories:02d}" for content in cells[:, 1]])
    return crossing(np.array([f"{style:02d}" for style in cells[:, 0]]), names, groups)


def held(
    design: tuple[int, int],
    effects: tuple[float, float, float, float],
    count: int,
    population: Population = "both",
) -> float:
    """Share of experiments whose 95 % t interval holds the true difference, 0."""
    index = design_of(*design)
    degrees = min(design) - 1 if population == "both" else design[1] - 1
    quantile = stats.t.ppf(0.975, degrees)
    hits = 0
    for seed in range(count // PART):
        values = experiments(design, effects, PART, seed)
        spread = np.sqrt(variance_of(values, index, population))
        hits += int(np.sum(np.abs(values.mean(axis=1)) <= quantile * spread))
    return hits / count


def fixed_styles(design: tuple[int, int], count: int, method: str) -> float:
    """The same for fixed styles whose contents lie in 13 categories with levels of their own."""
    styles, contents = design
    index = design_of(styles, contents, 13)
    level = np.random.default_rng(1).normal(0, 0.05, index.n_strata)
    level -= np.average(level, weights=np.bincount(index.strata))
    groups = tuple(f"{stratum:02d}" for stratum in index.strata)
    style = np.linspace(-0.05, 0.05, styles)  # fixed: the same in each experiment, mean 0
    hits = 0
    for seed in range(count // PART):
        values = experiments(design, (0.0, 0.05, 0.05, 0.1), PART, seed)
        values += level[index.strata][index.contents] + style[index.styles]
        hits += _hits(values, index, groups, method)
    return hits / count


def _hits(values: np.ndarray, index: Crossing, groups: tuple[str, ...], method: str) -> int:
    if method == "t":
        margin = stats.t.ppf(0.975, index.n_contents - index.n_strata) * np.sqrt(
            variance_of(values, index, "contents")
        )
        return int(np.sum(np.abs(values.mean(axis=1)) <= margin))
    totals = values.reshape(len(values), index.n_styles, index.n_contents).mean(axis=1)
    means = totals @ content_weights(groups, 1000, 0).T / index.n_contents
    ends = [percentiles(row) for row in means]
    return sum(low <= 0 <= high for low, high in ends)


def _check(name: str, share: float, band: tuple[float, float], count: int) -> None:
    slack = 0.0 if count >= WHOLE else 3 * np.sqrt(0.05 * 0.95 / count)
    LOG.info("%s: %.4f of %d", name, share, count)
    assert band[0] - slack <= share <= band[1] + slack


COUNTS = [pytest.param(QUICK, id="quick"), pytest.param(WHOLE, id="whole", marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("design", CROSSED, ids=str)
def test_two_way_intervals_hold_the_truth(design: tuple[int, int], count: int) -> None:
    for name, effects in EFFECTS.items():
        _check(f"two-way {design} {name}", held(design, effects, count), (0.93, 0.97), count)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("design", CROSSED, ids=str)
def test_two_way_intervals_are_cautious_without_effects(
    design: tuple[int, int], count: int
) -> None:
    share = held(design, (0.0, 0.0, 0.05, 0.1), count)
    _check(f"two-way {design} without effects", share, (0.93, 0.99), count)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("method", ["t", "bootstrap"])
def test_intervals_on_these_styles_hold_the_truth(method: str, count: int) -> None:
    share = fixed_styles((3, 179), count, method)
    _check(f"fixed styles, 179 x 3, {method}", share, (0.93, 0.97), count)


@pytest.mark.parametrize("count", COUNTS)
def test_rows_are_no_unit(count: int) -> None:
    share = held((8, 16), EFFECTS["both"], count, "cells")
    LOG.info("rows as units: %.4f of %d", share, count)
    assert share < 0.75


def false_positives(test: Callable[[np.ndarray], float], values: np.ndarray) -> float:
    """Share of experiments without a difference in which the test finds one at 5 %."""
    return float(np.mean([test(row) <= 0.05 for row in values]))


@pytest.mark.parametrize(
    "count",
    [pytest.param(500, id="quick"), pytest.param(WHOLE, id="whole", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_the_paired_test_seldom_finds_what_is_not_there(name: str, count: int) -> None:
    styles, contents = 8, 16
    cells = list(itertools.product(range(styles), range(contents)))
    names = [f"s{style}" for style, _ in cells], [f"c{content:02d}" for _, content in cells]

    def p_of(row: np.ndarray) -> float:
        return paired_p(spread_of(observe(row, *names), "both"))

    values = experiments((styles, contents), EFFECTS[name], count, 99)
    _check(f"false positives, paired test, {name}", false_positives(p_of, values), (0, 0.06), count)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_sign_flips_as_a_check_are_near_their_level(name: str) -> None:
    cells = list(itertools.product(range(8), range(16)))
    names = [f"s{style}" for style, _ in cells], [f"c{content:02d}" for _, content in cells]
    values = experiments((8, 16), EFFECTS[name], 5000, 98)
    share = false_positives(lambda row: sign_flip_p(observe(row, *names)), values)
    _check(f"false positives, sign flips, {name}", share, (0, 0.08), WHOLE)

"""Weighted rank correlations against scipy's, on samples with real copies of points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from bench.statistics.ranks import rank_correlations, signs


@pytest.mark.parametrize("seed", range(4))
def test_a_weight_is_so_many_copies(seed: int) -> None:
    generator = np.random.default_rng(seed)
    first = generator.integers(0, 6, 25).astype(float)  # ties in both
    second = first + generator.integers(-3, 4, 25)
    weights = generator.multinomial(25, np.full(25, 1 / 25)).astype(float)
    copies = np.repeat(np.arange(25), weights.astype(int))
    found = rank_correlations(signs(first), signs(second), weights)
    wanted = spearmanr(first[copies], second[copies]).statistic
    assert found.spearman == pytest.approx(wanted, abs=1e-12)
    wanted = kendalltau(first[copies], second[copies], variant="b").statistic
    assert found.kendall == pytest.approx(wanted, abs=1e-12)


def test_order_and_scale_do_not_matter_and_the_sign_turns() -> None:
    generator = np.random.default_rng(9)
    first, second, order = generator.random(12), generator.random(12), generator.permutation(12)
    once = np.ones(12)
    found = rank_correlations(signs(first), signs(second), once)
    assert rank_correlations(signs(np.exp(first)[order]), signs(second[order]), once) == found
    turned = rank_correlations(signs(-first), signs(second), once)
    assert turned == (-found.spearman, -found.kendall)
    assert rank_correlations(signs(first), signs(first), once) == pytest.approx((1, 1))


def test_what_is_constant_where_there_is_weight_has_no_correlation() -> None:
    first, second = np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    weights = np.array([2.0, 1.0, 0.0])
    assert np.isnan(rank_correlations(signs(first), signs(second), weights)).all()


def test_means_that_differ_by_rounding_alone_are_ties() -> None:
    assert signs(np.array([0.1 + 0.2, 0.3])).tolist() == [[0, 0], [0, 0]]

"""The area under the curve against counting, and its interval against what must hold of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from bench.statistics.separation import Comparisons, area, separation

RNG = np.random.default_rng(3)


def counted(higher: np.ndarray, lower: np.ndarray) -> float:
    """By looking at every pair."""
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(higher, lower)]
    return float(np.mean(wins))


@pytest.mark.parametrize("levels", [3, 1000])
def test_the_area_is_the_share_of_pairs_that_are_won(levels: int) -> None:
    higher, lower = RNG.integers(1, levels, 30) * 1.0, RNG.integers(0, levels - 1, 40) * 1.0
    assert area(higher, lower) == pytest.approx(counted(higher, lower), abs=1e-12)
    assert area(lower, higher) == pytest.approx(1 - area(higher, lower), abs=1e-12)


def test_a_weight_counts_a_value_so_many_times() -> None:
    higher, lower = RNG.normal(size=8), RNG.normal(size=9)
    often, rarely = RNG.integers(0, 4, 8), RNG.integers(0, 4, 9)
    repeated = counted(np.repeat(higher, often), np.repeat(lower, rarely))
    found = area(higher, lower, (often * 1.0, rarely * 1.0))
    assert found == pytest.approx(repeated, abs=1e-12)


def test_nothing_on_one_side_gives_no_area() -> None:
    assert np.isnan(area(np.array([1.0]), np.array([1.0]), (np.zeros(1), np.ones(1))))
    empty = Comparisons(np.array([np.nan]), np.zeros((1, 1), int), np.zeros((1, 1), int))
    assert np.isnan(separation(empty, empty).value)


def design(effect: float, noise: float = 1.0) -> tuple[Comparisons, Comparisons]:
    """Two kinds of comparison over 6 pieces and 6 instruments, of which pieces differ."""
    cells = np.array(list(itertools.product(range(6), range(6))))
    of_piece = RNG.normal(size=6)
    kinds = []
    for shift in (effect, 0.0):
        values = shift + of_piece[cells[:, 0]] + noise * RNG.normal(size=36)
        kinds.append(Comparisons(values, cells[:, :1], cells[:, 1:]))
    return kinds[0], kinds[1]


def test_an_interval_holds_the_area_and_follows_from_the_seed() -> None:
    kinds = design(1.0)
    first, again, other = (separation(*kinds, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert 0 <= first.low < first.value < first.high <= 1
    assert first.value == area(kinds[0].values, kinds[1].values)


def test_a_perfect_separation_has_no_width() -> None:
    found = separation(*design(100.0))
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_what_has_no_value_is_left_out() -> None:
    ours, theirs = design(1.0)
    holes = ours.values.copy()
    holes[::3] = np.nan
    found = separation(Comparisons(holes, ours.pieces, ours.instruments), theirs)
    assert found.value == area(holes[np.isfinite(holes)], theirs.values)


def test_comparisons_that_share_a_piece_are_no_independent_draws() -> None:
    """The same values, once all alike within a piece and several times dealt out at random."""
    rng = np.random.default_rng(0)
    cells = np.array(list(itertools.product(range(6), range(6))))
    both = ((0, [1.0, 3, 5, 7, 9, 11]), (6, [0.0, 2, 4, 6, 8, 10]))

    def widths(deal: Callable[[np.ndarray], np.ndarray]) -> float:
        ours, theirs = (
            Comparisons(deal(np.repeat(values, 6)), first + cells[:, :1], cells[:, 1:])
            for first, values in both
        )
        found = separation(ours, theirs)
        assert found.value == pytest.approx(21 / 36)
        return found.high - found.low

    dealt = [widths(rng.permutation) for _ in range(10)]
    assert widths(np.asarray) > 1.25 * float(np.mean(dealt))


def test_one_instrument_has_no_interval() -> None:
    ours, theirs = design(1.0)
    alone = [Comparisons(k.values, k.pieces, np.zeros_like(k.instruments)) for k in (ours, theirs)]
    found = separation(*alone)
    assert np.isfinite(found.value)
    assert np.isnan(found.low)

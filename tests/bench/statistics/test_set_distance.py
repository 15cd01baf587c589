"""KAD and FAD against loops over pairs, another route to the root, and simulated truth."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import sqrtm

sys.path.insert(0, str(Path(__file__).parent))

from simulate_sets import Sizes, draw, simulate

from bench.statistics import set_distance
from bench.statistics.intervals import Interval
from bench.statistics.set_distance import (
    SoundSet,
    bandwidth,
    comparable,
    frechet,
    kad,
    kad_difference,
    kad_interval,
    shortage,
)

TABLE = Path(__file__).with_name("sets.txt").read_text(encoding="utf-8").splitlines()
ROUNDING = 1e-9  # of KAD, which is a hundred times a mean of numbers below 1
ONE_STYLE, CROSSED = Sizes(1, 9, 7), Sizes(3, 4, 3, uneven=True)


def experiment(sizes: Sizes = CROSSED, seed: int = 0) -> tuple[SoundSet, SoundSet, float]:
    """Outputs, clips and bandwidth."""
    found = draw(sizes, np.random.default_rng(seed))
    return found.outputs, found.references, bandwidth(found.references.vectors)


def k(x: np.ndarray, y: np.ndarray, s: float) -> float:
    return float(np.exp(-np.sum((x - y) ** 2) / (2 * s**2)))


def by_loops(x: np.ndarray, y: np.ndarray) -> float:
    """KAD as it is defined, pair by pair, with its bandwidth."""
    s = np.median([np.linalg.norm(a - b) for a, b in itertools.combinations(y, 2)])
    mean = [
        np.mean([k(one[i], one[j], s) for i in range(len(one)) for j in range(len(one)) if i != j])
        for one in (x, y)
    ]
    return float(100 * (sum(mean) - 2 * np.mean([k(a, b, s) for a in x for b in y])))


Counted = list[
    tuple[SoundSet, int, float]
]  # a set, the place of a sound in it, how often it counts


def crossed_by_loops(x: Counted, y: Counted, s: float, shares: np.ndarray) -> float:
    """KAD of a crossed design: pairs within styles and of unlike ones apart, each style alike.

    `shares` are those of the styles among independent draws.
    """
    alike = float(np.sum(shares**2))

    def mean(first: Counted, second: Counted) -> float:
        sums = np.zeros((2, 2))
        for (one, i, n), (other, j, m) in itertools.product(first, second):
            if one is other and one.sources[i] == other.sources[j]:
                continue
            near = int(one.styles[i] == other.styles[j])
            size = np.sum(one.styles == one.styles[i]) * np.sum(other.styles == other.styles[j])
            sums[near] += np.array([k(one.vectors[i], other.vectors[j], s), 1]) * n * m / size
        unlike, same = (total / count for total, count in sums)
        return float(alike * same + (1 - alike) * unlike)

    return 100 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


def once(sounds: SoundSet) -> Counted:
    return [(sounds, place, 1.0) for place in range(len(sounds.styles))]


def test_kad_is_its_definition() -> None:
    x, y, s = experiment()
    assert kad(x.vectors, y.vectors, s) == pytest.approx(by_loops(x.vectors, y.vectors), abs=1e-11)


def test_kad_of_two_and_two_numbers_by_hand() -> None:
    x, y = np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])
    s = bandwidth(y)
    assert s == 2.0
    inside, between = np.exp(-1 / 8) + np.exp(-4 / 8), [1, np.exp(-4 / 8), np.exp(-1 / 8)]
    across = (between[0] + between[1] + 2 * between[2]) / 4
    assert kad(x, y, s) == pytest.approx(100 * (inside - 2 * across), abs=1e-12)


def test_one_style_with_one_output_of_each_content_gives_what_was_published() -> None:
    x, y, s = experiment(ONE_STYLE)
    found = kad_interval(x, y, s, resamples=10)
    assert found.mean == pytest.approx(by_loops(x.vectors, y.vectors), abs=1e-11)
    assert found.n == 9


def test_styles_and_contents_that_sounds_share_are_told_apart() -> None:
    x, y, s = experiment()
    wanted = crossed_by_loops(once(x), once(y), s, np.full(3, 1 / 3))
    assert kad_interval(x, y, s, resamples=10).mean == pytest.approx(wanted, abs=1e-11)


def test_a_resample_draws_styles_contents_and_clips_and_leaves_pairs_of_copies_out() -> None:
    x, y, s = experiment(Sizes(6, 4, 3, uneven=True))
    draws = set_distance._draw(x, y, 2, 0)
    rows = kad_rows(x, y, draws, s)
    for row in (1, 2):
        drawn = [draws.outputs[row] * 4, draws.references[row] * clips_of_style(y)]
        assert drawn[0] == pytest.approx(np.round(drawn[0]))  # so many copies of each output
        styles = drawn[0].reshape(6, 4).sum(axis=1) / drawn[0].sum()
        counted = [
            [(one, place, float(n)) for place, n in enumerate(weights)]
            for one, weights in zip((x, y), drawn, strict=True)
        ]
        wanted = crossed_by_loops(*counted, s, styles)
        assert rows[row] == pytest.approx(wanted, abs=1e-10)
        clips = [drawn[1][y.styles == name] for name in np.unique(y.styles)]
        assert [sum(own) / len(own) for own in clips] == pytest.approx(styles * 6)
        assert any(len(set(own.round(6))) > 1 for own in clips)
    assert rows[0] == kad_interval(x, y, s, resamples=10).mean


def clips_of_style(clips: SoundSet) -> np.ndarray:
    return np.array([np.sum(clips.styles == style) for style in clips.styles])


def kad_rows(x: SoundSet, y: SoundSet, draws: set_distance._Draws, s: float) -> np.ndarray:
    outputs, clips = draws.outputs, draws.references
    own = set_distance._pairs(x, x, (outputs, outputs), draws.alike, s)
    theirs = set_distance._pairs(y, y, (clips, clips), draws.alike, s)
    return 100 * (own + theirs - 2 * set_distance._across(x, y, draws, s))


def test_order_place_and_direction_of_the_axes_do_not_matter() -> None:
    x, y, s = experiment()
    wanted = kad_interval(x, y, s)
    rng = np.random.default_rng(1)
    mixed = [one.where(rng.permutation(len(one.styles))) for one in (x, y)]
    turn = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    turned = [SoundSet(m.vectors @ turn + 3, m.styles, m.sources, m.categories) for m in mixed]
    found = kad_interval(*turned, s)
    assert found.mean == pytest.approx(wanted.mean, abs=ROUNDING)
    assert bandwidth(turned[1].vectors) == pytest.approx(s, abs=ROUNDING)


def test_a_sound_that_stands_twice_is_one_sound() -> None:
    x, y, s = experiment(ONE_STYLE)
    twice = x.where(np.repeat(np.arange(9), 2))
    assert twice.n == 9
    wanted, found = kad_interval(x, y, s), kad_interval(twice, y, s)
    assert found.mean == pytest.approx(wanted.mean, abs=ROUNDING)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=ROUNDING)


def test_sets_of_one_origin_are_0_apart_and_shifted_ones_are_not() -> None:
    """Over seeds, within three errors of the mean; plain pairs of a crossed design are not."""
    count = 60
    same = simulate(Sizes(4, 8, 4), count, resamples=4)
    error = same.sd / count**0.5
    assert abs(same.mean) < 3 * error
    assert same.as_published < -3 * error
    shifted = simulate(Sizes(4, 8, 4, shift=0.75), count, resamples=4)
    assert abs(shifted.mean - shifted.true) < 3 * shifted.sd / count**0.5
    assert shifted.true > 10


def test_unlike_numbers_of_clips_move_nothing() -> None:
    found = simulate(Sizes(4, 8, 4, uneven=True), 60, resamples=4)
    assert abs(found.mean) < 3 * found.sd / 60**0.5


def test_intervals_hold_the_truth() -> None:
    count = 80
    for sizes in (Sizes(4, 8, 4, shift=0.75), Sizes(6, 8, 4, of_content=0.5, shift=0.25)):
        found = simulate(sizes, count, resamples=200)
        assert found.held >= 0.93 - 3 * (0.06 * 0.94 / count) ** 0.5


def test_the_whole_table_keeps_what_is_promised() -> None:
    rows = [line.split() for line in TABLE[1:]]
    assert len(rows) == 31
    assert min(float(row[-2]) for row in rows) >= 0.95
    same = [row for row in rows if row[-8] == "0.0"]
    assert max(float(row[-1]) for row in same) <= 0.025
    for row in rows:
        true, mean, _, sd = map(float, row[-7:-3])
        assert abs(mean - true) <= 0.01 + 4 * sd / 600**0.5


def test_a_difference_is_paired_and_has_two_directions() -> None:
    x, y, s = experiment()
    other = SoundSet(x.vectors + 0.3, x.styles, x.sources, x.categories)
    found = kad_difference(other, x, y, s)
    apart = kad_interval(other, y, s).mean - kad_interval(x, y, s).mean
    assert found.mean == pytest.approx(apart, abs=ROUNDING)
    back = kad_difference(x, other, y, s)
    assert (back.mean, back.low, back.high) == pytest.approx(
        (-found.mean, -found.high, -found.low), abs=ROUNDING
    )
    none = kad_difference(x, x, y, s)
    assert (none.mean, none.low, none.high) == (0.0, 0.0, 0.0)
    assert found.high - found.low < width(kad_interval(other, y, s))


def width(found: Interval) -> float:
    return found.high - found.low


def test_a_difference_is_taken_on_the_cells_that_both_have() -> None:
    x, y, s = experiment()
    other = SoundSet(x.vectors + 0.3, x.styles, x.sources, x.categories)
    kept = x.sources != x.sources[0]
    wanted = kad_difference(other.where(kept), x.where(kept), y, s)
    assert kad_difference(other.where(kept), x, y, s) == wanted
    assert wanted.n == 9


@pytest.mark.parametrize(
    ("styles", "kind"), [(1, "on these styles"), (4, "on these styles"), (5, "two-way")]
)
def test_what_an_interval_is_about(styles: int, kind: str) -> None:
    x, y, s = experiment(Sizes(styles, 6, 4))
    assert kad_interval(x, y, s, resamples=50).kind == kind


@pytest.mark.parametrize(("contents", "clips", "degrees"), [(20, 5, 4), (4, 20, 2.75)])
def test_an_interval_has_the_error_of_the_draws_and_the_degrees_of_the_scarcer_side(
    contents: int, clips: int, degrees: float
) -> None:
    x, y, s = experiment(Sizes(1, contents, clips))
    found = kad_interval(x, y, s, resamples=50)
    drawn = kad_rows(x, y, set_distance._draw(x, y, 50, 0), s)[1:]
    error = np.std(drawn[np.isfinite(drawn)])
    half = stats.t.ppf(0.975, degrees) * error
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))


def test_without_freedom_there_is_no_interval() -> None:
    x, y, s = experiment(Sizes(4, 6, 1))  # one clip of each style: nobody knows how clips vary
    found = kad_interval(x, y, s, resamples=50)
    assert found.kind == "none"
    assert np.isnan(found.low)


def test_too_few_sounds_are_said_of_either_side() -> None:
    x, y, _ = experiment(Sizes(4, 4, 3))
    assert shortage(x, y) == "12 held-out clips; at least 16 are needed"
    assert shortage(x.where(x.styles == "00000"), y) == (
        "4 outputs and 12 held-out clips; at least 16 are needed"
    )
    assert shortage(x, y, 12) == ""
    seeds = x.where(np.repeat(np.arange(16), 3)[:24])
    assert shortage(seeds, y, 12) == "8 outputs; at least 12 are needed"
    alone, others, _ = experiment(Sizes(16, 1, 1))
    assert shortage(alone, y, 12) == "no style has two outputs, of which pairs are made"
    assert shortage(x, others) == "no style has two held-out clips, of which pairs are made"


def test_only_styles_that_both_have_are_compared_and_large_sets_are_thinned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y, _ = experiment(Sizes(4, 10, 3))
    outputs, clips = comparable(x.where(x.styles != "00001"), y.where(y.styles != "00002"))
    assert {*outputs.styles.tolist()} == {*clips.styles.tolist()} == {"00000", "00003"}
    monkeypatch.setattr(set_distance, "MOST", 20)
    outputs, clips = comparable(x, y)
    assert (outputs.n, clips.n) == (20, 12)
    assert len(set(outputs.sources.tolist())) == 5  # all styles of half of the contents


def test_references_that_do_not_differ_have_no_bandwidth() -> None:
    with pytest.raises(ValueError, match=r"of 1 references is 0\.0; a kernel needs one above 0"):
        bandwidth(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"of 4 references is 0\.0"):
        bandwidth(np.ones((4, 3)))


@pytest.mark.parametrize("size", [40, 8])  # more and fewer than dimensions
def test_frechet_agrees_with_a_root_of_the_product(size: int) -> None:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(12, 12))
    x, y = rng.normal(size=(size, 12)) @ mix, rng.normal(size=(50, 12)) + 1
    own, other = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.trace(sqrtm(own @ other)).real
    gap = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)
    wanted = gap + np.trace(own) + np.trace(other) - 2 * root
    # An axis without variance has one of rounding, of which the root is taken.
    scale = np.trace(own) + np.trace(other)
    near = scale * 12 * (1e-14 if size > 12 else np.sqrt(12 * np.finfo(float).eps))
    assert frechet(x, y) == pytest.approx(wanted, abs=near)
    assert frechet(y, x) == pytest.approx(frechet(x, y), abs=near)
    assert 0 <= frechet(x, x) <= near
    assert frechet(x + 2, x) == pytest.approx(4 * 12, abs=near)


def test_frechet_of_few_sounds_is_mostly_bias() -> None:
    """Why it is refused: in sets of one origin it falls as 1/n, and is far from 0 at n = d."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4000, 16))
    found = {
        n: np.mean([frechet(rng.normal(size=(n, 16)), y) for _ in range(8)]) for n in (20, 320)
    }
    assert found[20] > 10 * found[320] > 0

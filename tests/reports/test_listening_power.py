"""What a listening test finds, by drawing marks in whole points and the interval of the tables."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import raters

from bench.statistics.multiway import multiway_interval
from reports.listening import power
from reports.listening.blocks import Block, Size, make_blocks, whole
from reports.listening.design import RatedSet

METHODS, HIDDEN = 10, raters.HIDDEN


@pytest.fixture(scope="module")
def planned() -> tuple[tuple[RatedSet, ...], tuple[Block, ...]]:
    """The test of the documentation: 5 contents in 3 styles, 30 listeners of three sets."""
    sets = raters.rated_sets(METHODS)
    return sets, make_blocks(sets, 30, Size(3, METHODS + HIDDEN), 0)


def share_found(
    places: np.ndarray, contents: np.ndarray, difference: float, tests: int = 200
) -> float:
    """In how many tests the interval of a difference of marks, in whole points, is above 0.

    Args:
        places: The sets of each listener; (listener, set).
        contents: The content of each set.
        difference: Of the mean marks of two methods, around the middle of the scale.
        tests: How many are simulated.
    """
    rng = np.random.default_rng(5)
    listeners, each = places.shape
    who = np.repeat(np.arange(listeners), each)
    where = places.ravel()
    clusters = [list(map(str, who)), list(map(str, contents[where]))]
    # Rounding to whole points adds a variance of 1/12, which `REST` is said to hold.
    rest = (power.REST**2 - 1 / 12) ** 0.5
    found = 0
    for _ in range(tests):
        marks = [
            3 + half
            + rng.normal(0, power.LISTENER, listeners)[who]
            + rng.normal(0, power.SET, len(contents))[where]
            + rng.normal(0, rest, len(who))
            for half in (-difference / 2, difference / 2)
        ]  # fmt: skip
        first, second = (np.clip(np.rint(one), 1, 5) for one in marks)
        found += multiway_interval(second - first, clusters, bounds=(-4.0, 4.0)).low > 0
    return found / tests


def crossed(listeners: int, each: int, contents: int, styles: int) -> tuple[np.ndarray, np.ndarray]:
    """Sets in turn, from a shuffled list of them: the sets of each listener, their contents."""
    order = np.random.default_rng(1).permutation(contents * styles)
    turns = np.arange(listeners * each) % len(order)
    return order[turns].reshape(listeners, each), np.arange(contents * styles) // styles


def test_the_difference_that_is_said_to_be_found_is_found_as_often_as_said(
    planned: tuple[tuple[RatedSet, ...], tuple[Block, ...]],
) -> None:
    sets, plan = planned
    said = float(re.findall(r"a difference of (\S+) between", power.words(sets, plan, 20))[0])
    places = np.array([[part.place for part in block] for block in plan])
    contents = np.array([int(one.content[1:]) for one in sets])
    assert 0.72 <= share_found(places, contents, said) <= 0.88  # 80 % of 200: within 2.8 deviations
    assert share_found(places, contents, 0.3) < 0.4


@pytest.mark.slow
def test_what_is_advised_finds_the_smaller_difference(
    planned: tuple[tuple[RatedSet, ...], tuple[Block, ...]],
) -> None:
    told = power.advice(*planned)
    assert told.startswith("A difference of 0.3: no number of listeners finds it over 5 contents")
    first, second = told.split("with 5 methods, of which each rates 4 sets")
    for words, each in ((first, 3), (second, 4)):
        ways = re.findall(r"(\d+) do over (\d+) contents", words)
        assert [contents for _, contents in ways] == ["10", "20"]
        for listeners, contents in ways:
            found = share_found(*crossed(int(listeners), each, int(contents), 3), 0.3)
            assert 0.70 <= found <= 0.92, (listeners, contents)


@pytest.mark.slow
def test_listeners_alone_are_advised_where_they_are_enough() -> None:
    sets = raters.rated_sets(METHODS)
    plan = make_blocks(sets, 30, Size(3, METHODS + HIDDEN), 0)
    told = power.advice(sets, plan, wanted=0.5)
    (listeners,) = re.findall(r"0.5: (\d+) listeners find it over 5 contents", told)
    found = share_found(*crossed(int(listeners), 3, 5, 3), 0.5)
    assert 0.70 <= found <= 0.92
    assert power.advice(sets, plan, wanted=1.0) == ""


def test_nothing_but_more_contents_is_advised_for_one() -> None:
    alone = tuple(one for one in raters.rated_sets(4) if one.content == "c0")
    told = power.advice(alone, (whole(alone),) * 30)
    assert "no number of listeners finds it over 1 content and 3 styles;" in told
    assert "over 2 contents" in told


@pytest.mark.parametrize("study", [power.Study(30, 3, 5, 3), power.Study(90, 3, 20, 3),
                                   power.Study(40, 8, 12, 6)])  # fmt: skip
def test_the_closed_form_agrees_with_the_simulation(study: power.Study) -> None:
    """Within 0.08 of the share: one is normal theory, and the variance of few groups is not."""
    assert study.finds(study.foreseen(), 500) == pytest.approx(power.POWER, abs=0.08)

"""Do 95 % intervals hold the truth in 95 % of simulated experiments, and tests err in 5 %?

The default run takes fewer experiments of fewer designs, and bands that allow for it.
`make simulations` writes the whole table, `simulations.txt`; what it promises is checked here.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from crossed_design import crossed
from simulate import BENDS, Case, Design, cases, dropped, simulate

from bench.statistics.intervals import interval, spread_of
from bench.statistics.paired import sign_flip_p
from bench.statistics.spread import p_value

QUICK = 1000
NORMAL, BENT = 0.93, 0.91  # what is promised for normal scores, and for skewed or bounded ones
TABLE = Path(__file__).with_name("simulations.txt").read_text(encoding="utf-8")
QUICK_CASES = [
    *(Case(Design(3, 4, 4), effects) for effects in ("normal", "exponential")),
    *(Case(Design(3, 8, 4), effects, "contents") for effects in ("normal", "exponential")),
    *(Case(Design(5, 8), effects, "styles") for effects in ("normal", "exponential")),
    *(Case(Design(18, 20, 1, 0.2), effects) for effects in ("normal", "exponential")),
    *(Case(design, bend=bend) for design in (Design(3, 4, 4), Design(8, 16)) for bend in BENDS),
]


def named(case: Case) -> str:
    """The row of a case."""
    return f"{case.design.words} {case.words}"


def promised(case: Case) -> float:
    """The least share of intervals that hold the truth."""
    return NORMAL if case.effects == "normal" and case.bend is None else BENT


@pytest.mark.parametrize("case", QUICK_CASES, ids=named)
def test_intervals_hold_the_truth(case: Case) -> None:
    found = simulate(case, QUICK)
    assert found.held >= promised(case) - 3 * np.sqrt(0.06 * 0.94 / QUICK)
    assert found.outside == 0


@pytest.mark.parametrize(
    "case", list(cases()), ids=lambda case: f"{case.design.words} {case.words}"
)
def test_the_whole_table_keeps_what_is_promised(case: Case) -> None:
    (line,) = [
        line
        for line in TABLE.splitlines()
        if line.startswith(f"{case.design.words:<28}{case.words:<28}")
    ]
    held, _, _, outside = map(float, line[56:].split())
    assert held >= promised(case)
    assert outside == 0


def test_the_whole_table_errs_with_equal_methods_in_five_percent() -> None:
    shares = [float(line.split()[-1]) for line in TABLE.splitlines() if "equal methods" in line]
    assert len(shares) == 8
    assert max(shares) <= 0.05


def test_equal_methods_are_seldom_told_apart() -> None:
    count = 300
    share = dropped(4, Design(6, 12), "normal", count)
    assert share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / count)


def test_rows_are_no_unit() -> None:
    """Where styles and contents have effects, intervals over rows are far too narrow."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        y = rng.normal(0, 1, (8, 1)) + rng.normal(0, 1, (1, 16)) + rng.normal(0, 1, (8, 16))
        found = interval(crossed(y), population="cells")
        hits += found.low <= 0 <= found.high
    assert hits / 300 < 0.75


@pytest.mark.parametrize("test", ["paired", "sign flips"])
def test_tests_seldom_find_what_is_not_there(test: str) -> None:
    rng, count, wrong = np.random.default_rng(1), 400, 0
    for _ in range(count):
        y = rng.normal(0, 0.5, (8, 1)) + rng.normal(0, 0.5, (1, 16)) + rng.normal(0, 1, (8, 16))
        cells = crossed(y)
        wrong += (p_value(spread_of(cells)) if test == "paired" else sign_flip_p(cells)) <= 0.05
    limit = 0.06 if test == "paired" else 0.08
    assert wrong / count <= limit + 3 * np.sqrt(0.05 * 0.95 / count)


def test_every_cell_of_a_design_is_there_once() -> None:
    kept, index = Design(3, 8, 4, 0.25).cells(np.random.default_rng(2))
    places = set(itertools.product(range(index.n_styles), range(index.n_contents)))
    assert len(set(zip(index.styles.tolist(), index.contents.tolist(), strict=True))) == len(kept)
    assert len(kept) < len(places)

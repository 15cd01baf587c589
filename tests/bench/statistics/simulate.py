"""Simulated experiments whose truth is known: how often intervals hold it and tests err.

`python tests/bench/statistics/simulate.py -o tests/bench/statistics/simulations.txt` writes the
whole table (`make simulations`); `test_coverage.py` runs fewer experiments of the same.

An experiment is a crossed design of styles and contents with effects of each and of the cell. The
effects are normal or skewed; scores may then be bent into a range, as those of a metric are.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from bench.statistics.intervals import (
    Observations,
    degrees_of,
    observe,
    population_of,
    third_moment_of,
    variance_of,
)
from bench.statistics.paired import standings
from bench.statistics.spread import UNBOUNDED, Population, Range, Spread, ends, skewness_of
from bench.statistics.variances import Crossing, crossing

PART = 500  # experiments drawn at a time
TRUTH = 400_000  # scores from which the true mean of a bent score is taken
WHOLE = 5000

Draw = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]
SIGMA = 0.75  # of the logarithm of lognormal effects: their skewness is 3.2
EFFECTS: dict[str, Draw] = {
    "normal": lambda size, rng: rng.normal(size=size),
    "exponential": lambda size, rng: rng.exponential(size=size) - 1,
    "lognormal": lambda size, rng: (
        (np.exp(rng.normal(0, SIGMA, size)) - np.exp(SIGMA**2 / 2))
        / np.sqrt((np.exp(SIGMA**2) - 1) * np.exp(SIGMA**2))
    ),
}
BENDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "cosines cut at 0": lambda z: np.clip(0.1 + 0.1 * z, 0, 1),
    "mostly cut at 0": lambda z: np.clip(-0.05 + 0.1 * z, 0, 1),
    "near 1": lambda z: 1 / (1 + np.exp(-(3.5 + 0.8 * z))),
    "cut at 1": lambda z: np.clip(0.93 + 0.06 * z, 0, 1),
    "in the middle": lambda z: np.clip(0.5 + 0.15 * z, 0, 1),
    "at both ends": lambda z: 1 / (1 + np.exp(-4 * z)),
}
SIZES = {  # standard deviations of the effects of styles, contents and cells
    "alike": (1.0, 1.0, 1.0),
    "styles": (1.6, 0.4, 0.4),
    "contents": (0.4, 1.6, 0.4),
}


@dataclass(frozen=True, slots=True)
class Design:
    """Which cells there are.

    Args:
        styles: How many styles.
        contents: How many contents.
        categories: Over how many categories the contents are spread evenly.
        missing: Share of the cells that are missing.
    """

    styles: int
    contents: int
    categories: int = 1
    missing: float = 0.0

    @property
    def words(self) -> str:
        """Its size, as the table has it."""
        gaps = f", {self.missing:.0%} missing" if self.missing else ""
        return f"{self.styles} x {self.contents} in {self.categories}{gaps}"

    def cells(self, rng: np.random.Generator) -> tuple[np.ndarray, Crossing]:
        """Which cells are there, as places in the whole design, and how they cross."""
        every = np.array(list(itertools.product(range(self.styles), range(self.contents))))
        kept = np.flatnonzero(rng.random(len(every)) >= self.missing)
        styles, contents = every[kept].T
        return kept, crossing(
            np.array([f"{style:02d}" for style in styles]),
            np.array([f"{content:03d}" for content in contents]),
            np.array([f"{content % self.categories:02d}" for content in contents]),
        )


FEW = (Design(3, 4, 4), Design(3, 8, 4), Design(4, 8, 4), Design(3, 179, 13))
MANY = (Design(5, 4), Design(5, 8), Design(5, 20), Design(8, 16), Design(13, 18), Design(18, 20))
GAPS = (Design(3, 8, 4, 0.2), Design(5, 8, 1, 0.2), Design(8, 16, 1, 0.2), Design(18, 20, 1, 0.2))


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table: a design with the scores drawn in it."""

    design: Design
    effects: str = "normal"
    sizes: str = "alike"
    bend: str | None = None

    @property
    def words(self) -> str:
        """What is drawn."""
        return self.bend or f"{self.effects}, {self.sizes}"

    @property
    def bounds(self) -> Range:
        """What a score can be."""
        return (0.0, 1.0) if self.bend else UNBOUNDED

    @property
    def population(self) -> Population:
        """What tables generalise to with so many styles."""
        return population_of(self.design.styles)

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Scores of experiments, shape (experiment, style x content)."""
        effect = EFFECTS[self.effects]
        by_style, by_content, by_cell = SIZES[self.sizes]
        styles, contents = self.design.styles, self.design.contents
        if self.population == "contents":
            by_style = 0.0  # fixed: nothing is generalised over them
        z = (
            by_style * effect((count, styles, 1), rng)
            + by_content * effect((count, 1, contents), rng)
            + by_cell * effect((count, styles, contents), rng)
        )
        return (BENDS[self.bend](z) if self.bend else 0.05 * z).reshape(count, -1)

    def truth(self) -> float:
        """The mean of all scores."""
        if self.bend is None:
            return 0.0
        single = replace(self, design=replace(self.design, contents=1))
        count = TRUTH // self.design.styles
        return float(single.draw(count, np.random.default_rng(1)).mean())


@dataclass(frozen=True, slots=True)
class Found:
    """Shares of experiments: the truth inside, above the interval, below it; some end outside."""

    held: float
    above: float
    below: float
    outside: float


def simulate(case: Case, count: int, *, level: float = 0.95) -> Found:
    """How often the interval of a mean holds the truth."""
    rng = np.random.default_rng([2, *map(ord, case.words)])
    truth, spans = case.truth(), []
    for _ in range(count // PART):
        kept, crossed = case.design.cells(rng)
        values = case.draw(PART, rng)[:, kept]
        degrees = degrees_of(crossed, case.population, len(kept))
        variance = variance_of(values, crossed, case.population)
        third = third_moment_of(values, crossed, case.population)
        for mean, v, k in zip(values.mean(axis=1), variance, third, strict=True):
            skewness = skewness_of(k, v**0.5)
            spread = Spread(
                mean, v**0.5, degrees, len(kept), case.population, skewness, case.bounds
            )
            spans.append(ends(spread, level=level))
    low, high = np.array(spans).T
    inside = (case.bounds[0] <= low) & (high <= case.bounds[1])
    shares = (low <= truth) & (truth <= high), high < truth, truth < low, ~inside
    return Found(*(float(np.mean(share)) for share in shares))


def cases() -> Iterator[Case]:
    """The rows of the table."""
    for design in (*FEW, *MANY, *GAPS):
        for effects in EFFECTS:
            for sizes in SIZES:
                if not (sizes == "styles" and population_of(design.styles) == "contents"):
                    yield Case(design, effects, sizes)
        yield from (Case(design, bend=bend) for bend in BENDS)


def dropped(methods: int, design: Design, effects: str, count: int) -> float:
    """Share of experiments with equal methods in which any is called beaten."""
    rng = np.random.default_rng(3)
    case = Case(design, effects)
    names = list(itertools.product(range(design.styles), range(design.contents)))
    wrong = 0
    for _ in range(count):
        shared = case.draw(1, rng)[0]
        scores: dict[str, Observations] = {
            f"{method}": observe(
                shared + case.draw(1, rng)[0],
                [f"{style:02d}" for style, _ in names],
                [f"{content:03d}" for _, content in names],
                [f"{content % design.categories:02d}" for _, content in names],
            )
            for method in range(methods)
        }
        wrong += len(standings(scores, maximize=True).best) < methods
    return wrong / count


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--count", type=int, default=WHOLE)
    given = parser.parse_args()
    begun = time.monotonic()
    lines = [f"{'design':<28}{'scores':<28}{'held':>7}{'above':>7}{'below':>7}{'outside':>9}"]
    for case in cases():
        found = simulate(case, given.count)
        lines.append(
            f"{case.design.words:<28}{case.words:<28}{found.held:>7.3f}{found.above:>7.3f}"
            f"{found.below:>7.3f}{found.outside:>9.3f}"
        )
        sys.stderr.write(lines[-1] + "\n")
    for methods, design, effects in itertools.product(
        (3, 6), (Design(3, 8, 4), Design(6, 20)), ("normal", "exponential")
    ):
        share = dropped(methods, design, effects, given.count // 5)
        lines.append(f"{methods} equal methods, {design.words}, {effects}: any beaten {share:.3f}")
        sys.stderr.write(lines[-1] + "\n")
    sys.stderr.write(f"{time.monotonic() - begun:.0f} s\n")
    text = "\n".join(lines) + "\n"
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

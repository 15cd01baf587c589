"""How many who mark the last set at random any rule could find at most.

`python tests/reports/bounds.py` prints it, for some shares of honest listeners who are left out.
The likelihood ratio under the very model that the listeners are simulated by, which knows from
which set on to look, is the best there is (Neyman, Pearson 1933). The honest are those with a bad
ear of `raters.py`, whose scale is their own and not known.

Agreement with others on the methods is added under a further assumption that the simulation does
not make: that listeners differ in taste by a standard deviation of so many points.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import raters
from raters import KINDS, TESTS, Test

NOISE, LAPSES = 1.2, 0.05  # of "honest, bad ear"
SHIFTS, WIDTHS = np.linspace(-0.9, 0.9, 13), np.linspace(0.7, 1.2, 6)
HIGH, LOW, STRAY = (4.8, 0.2), (1.6, 0.5), ((1.3, 0.3), (1.6, 0.5), (1.8, 0.4))
OTHERS = 6  # listeners of a set, of 30 who rate 3 of 15
OTHER_NOISE = 0.8


def chances(mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Of the marks 1 to 5, last, from means and standard deviations of what is heard."""
    from scipy.special import ndtr

    ends = ndtr((np.array([1.5, 2.5, 3.5, 4.5]) - mean[..., None]) / spread[..., None])
    edge = np.ones((*mean.shape, 1))
    heard = np.diff(np.concatenate([0 * edge, ends, edge], axis=-1), axis=-1)
    return (1 - LAPSES) * heard + LAPSES / 5


def last_marks(test: Test, name: str, listeners: int) -> list[list[tuple[int, int]]]:
    """The marks of the hidden clips of the last set, each with its place in `TRUE`."""
    key, kind = raters.made(test)[0], KINDS[name]
    found = []
    for number in range(listeners):
        given = raters.ratings(test, kind, number)
        marks = []
        for one in given.answers:
            item = key.sets[one.set].items[one.item]
            if one.set == given.sets[-1].set:
                marks += [(0, getattr(one, item.check))] if item.check else []
                marks += [(1, getattr(one, item.low))] if item.low else []
                marks += [(2 + place, getattr(one, q)) for place, q in enumerate(item.stray)]
        found.append(marks)
    return found


TRUE = np.array([HIGH, LOW, *STRAY])


def evidence(found: list[list[tuple[int, int]]]) -> np.ndarray:
    """The logarithm of the likelihood ratio of each listener, over all scales they may have."""
    shift, width = SHIFTS[:, None, None], WIDTHS[None, :, None]
    mean = 3 + shift + width * (TRUE[:, 0] - 3)
    table = np.log(5 * chances(mean, np.hypot(NOISE, width * TRUE[:, 1]) + 0 * shift))
    prior = np.exp(-((SHIFTS[:, None] / 0.3) ** 2) / 2 - ((WIDTHS[None] - 0.95) / 0.1) ** 2 / 2)
    logs = np.stack([sum(table[:, :, kind, mark - 1] for kind, mark in one) for one in found])
    return np.asarray(np.log((np.exp(logs) * prior / prior.sum()).sum(axis=(1, 2))))


def agreement(rng: np.random.Generator, listeners: int, methods: int, taste: float) -> np.ndarray:
    """The same by the marks of methods: of honest listeners, and of as many who mark at random."""
    true = rng.uniform(1.3, 4.7, (listeners, methods, 3))
    error = ((OTHER_NOISE**2 + taste**2 + 0.3**2 + 1 / 12) / OTHERS) ** 0.5
    known = 3.4**2 / 12 / (3.4**2 / 12 + error**2)
    guess = 3 + known * (true + rng.normal(0, error, true.shape) - 3)
    mine = rng.normal(0, 0.3, (listeners, 1, 1)) + 3 + 0.95 * (true - 3)
    heard = mine + rng.normal(0, np.hypot(NOISE, 0.95 * taste), true.shape)
    any_mark = rng.integers(1, 6, (2, *true.shape))
    marks = np.clip(np.rint(heard), 1, 5).astype(int)
    honest = np.where(rng.random(true.shape) < LAPSES, any_mark[0], marks)
    spread = (NOISE**2 + 0.3**2 + (0.95 * taste) ** 2 + 0.95**2 * 3.4**2 / 12 * (1 - known)) ** 0.5
    table = np.log(5 * chances(3 + 0.95 * (guess - 3), np.full(true.shape, spread)))
    return np.stack([
        np.take_along_axis(table, given[..., None] - 1, -1).sum(axis=(1, 2, 3))
        for given in (honest, any_mark[1])
    ])  # fmt: skip


def found_at(honest: np.ndarray, careless: np.ndarray, fail: float) -> float:
    """The share of careless listeners who lie below a share of the honest ones."""
    return float(np.mean(careless < np.quantile(honest, fail)))


def main(listeners: int = 20_000) -> None:
    """Print the bounds."""
    rng = np.random.default_rng(0)
    for test in TESTS:
        honest, careless = (
            evidence(last_marks(test, name, listeners))
            for name in ("honest, bad ear", "random in the last set")
        )
        for fail in (0.003, 0.02):
            shares = {"hidden clips": found_at(honest, careless, fail)}
            for taste in (0.0, 0.5, 1.0):
                more = agreement(rng, listeners, test.methods, taste)
                shares[f"and others, taste {taste:g}"] = found_at(
                    honest + more[0], careless + more[1], fail
                )
            told = ", ".join(f"{name}: {share:.2f}" for name, share in shares.items())
            sys.stdout.write(f"{test.words}, {fail:.1%} of the honest left out: {told}\n")


if __name__ == "__main__":
    main()

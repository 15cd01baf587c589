"""Simulated listeners, careless and honest: how many the rule of a listening test leaves out.

`python tests/reports/raters.py -o tests/reports/raters.txt` writes the whole table;
`test_care.py` simulates fewer of the same.

A clip has a true mark per question, between bad and excellent for a method and near the ends for a
hidden copy. An honest listener hears it through a scale of their own (shifted and narrowed), with
noise, and marks a few clips at random; what is assumed of them is a guess, as in
`reports.listening.power`. Careless ones hear nothing, or nothing after a while.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from reports.listening.blinding import Blind
from reports.listening.blocks import Size, make_blocks
from reports.listening.care import judge, shortfall
from reports.listening.design import QUESTIONS, RatedSet, Stimulus
from reports.listening.records import RULE, Answer, BlindKey, KeyItem, Ratings, SetTime

SECONDS = 10.0
WHOLE, MANY = 1000, 20_000  # listeners of a kind and test, and where it is near a promise
SETS = 15
HIDDEN = 4  # of a set
LISTENERS = 30  # blocks of a test
Rng = np.random.Generator
Marks = tuple[int, int, int]
Mind = Callable[[Rng, list[list[KeyItem]]], list[list[Marks]]]


@dataclass(frozen=True, slots=True)
class Test:
    """A test with blocks of so many sets, each of so many methods."""

    __test__ = False  # for pytest

    sets: int
    methods: int

    @property
    def words(self) -> str:
        """Its size."""
        return f"{self.sets} sets of {self.methods + HIDDEN} clips"


TESTS = (Test(3, 10), Test(5, 4), Test(2, 6))


def rated_sets(methods: int) -> tuple[RatedSet, ...]:
    """Sets of some methods, the two hidden copies, one of these again, and a stray clip."""
    found = []
    for place in range(SETS):
        named = [(f"m{n}", "", "") for n in range(methods)]
        named += [("copy-content", "cp", "sf"), ("copy-style", "sf", "cp")]
        clips = [
            Stimulus(m, f"{place}/{m}", f"{place}/{m}.flac", check, low) for m, check, low in named
        ]
        first = clips[-1 - place % 2]
        clips.append(
            Stimulus(first.method, first.cell_id, first.path, first.check, first.low, True)
        )
        clips.append(Stimulus("copy-content", f"{place}/stray", "stray.flac", "", stray=QUESTIONS))
        found.append(
            RatedSet(f"s{place % 3}", f"c{place // 3}", 0, "style", "content", tuple(clips))
        )
    return tuple(found)


@lru_cache(maxsize=len(TESTS))
def made(test: Test) -> tuple[BlindKey, str]:
    """The key of a test, and what it says that it cannot promise."""
    sets = rated_sets(test.methods)
    plan = make_blocks(sets, LISTENERS, Size(test.sets, test.methods + HIDDEN), 0)
    blind = Blind(sets, None, b"simulated")
    lengths = {s.path: SECONDS for one in sets for s in one.stimuli}
    return blind.key("r", 0, plan, lengths), shortfall(RULE, plan)


# What somebody thinks of clips, set by set.


def random_marks(rng: Rng, shown: list[list[KeyItem]]) -> list[list[Marks]]:
    """Any mark."""
    return [_triples(rng.integers(1, 6, (len(items), 3))) for items in shown]


def middling(rng: Rng, shown: list[list[KeyItem]]) -> list[list[Marks]]:
    """Random marks around the middle."""
    return [_triples(rng.normal(3, 0.8, (len(items), 3))) for items in shown]


def always(*marks: int) -> Mind:
    """The same three marks."""
    return lambda _rng, shown: [_triples(np.tile(marks, (len(items), 1))) for items in shown]


def honest(
    noise: float,
    lapses: float = 0.02,
    narrow: float = 0.95,
    liked: Mapping[str, tuple[float, float, float]] | None = None,
) -> Mind:
    """What is heard, see the head of this module.

    Args:
        noise: The standard deviation of one mark.
        lapses: The share of marks that are any.
        narrow: The scale that is used; 1 is the whole of it.
        liked: True marks of methods, by their labels; by default any.
    """

    def mind(rng: Rng, shown: list[list[KeyItem]]) -> list[list[Marks]]:
        shift, width = rng.normal(0, 0.3), np.clip(rng.normal(narrow, 0.1), 0.5, 1.2)
        found = []
        for items in shown:
            known = {item.cell_id: _true(rng, item, liked or {}) for item in items}
            true = np.array([known[item.cell_id] for item in items])
            heard = 3 + shift + width * (true - 3) + rng.normal(0, noise, true.shape)
            lapse = rng.random(true.shape) < lapses
            found.append(_triples(np.where(lapse, rng.integers(1, 6, true.shape), heard)))
        return found

    return mind


def tired(after: int, then: Mind) -> Mind:
    """Honest for some sets, and then not."""

    def mind(rng: Rng, shown: list[list[KeyItem]]) -> list[list[Marks]]:
        return [*honest(0.8)(rng, shown[:after]), *then(rng, shown[after:])]

    return mind


def _true(rng: Rng, item: KeyItem, liked: Mapping[str, tuple[float, float, float]]) -> np.ndarray:
    if item.stray:
        return np.array([rng.normal(1.3, 0.3), rng.normal(1.6, 0.5), rng.normal(1.8, 0.4)])
    if not item.check:
        return np.array(liked.get(item.method, rng.uniform(1.3, 4.7, 3)))
    ends = {item.check: rng.normal(4.8, 0.2), item.low: rng.normal(1.6, 0.5), "ovl": 3.0}
    return np.array([ends[question] for question in QUESTIONS])


def _triples(values: np.ndarray) -> list[Marks]:
    marks = np.clip(np.rint(values), 1, 5).astype(int)
    return [(cp, sf, ovl) for cp, sf, ovl in marks.tolist()]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of listener: a mind, and the time of a set as a share of how long its clips last."""

    mind: Mind
    careless: bool
    pace: float = 1.4
    whole: bool = True  # careless from the first set on, or not at all


KINDS = {
    "random": Kind(random_marks, True),
    "all 5": Kind(always(5, 5, 5), True),
    "all 3": Kind(always(3, 3, 3), True),
    "5, 1, 3 for each clip": Kind(always(5, 1, 3), True),
    "random around the middle": Kind(middling, True),
    "slow, then random": Kind(random_marks, True, pace=4.0),
    "bot of 3 s a set, random": Kind(random_marks, True, pace=0.03),
    "all 4 after the first set": Kind(tired(1, always(4, 4, 4)), True, whole=False),
    "random after the first set": Kind(tired(1, random_marks), True, whole=False),
    "random after the third set": Kind(tired(3, random_marks), True, whole=False),
    "random in the last set": Kind(tired(-1, random_marks), True, whole=False),
    "middling after the first set": Kind(tired(1, middling), True, whole=False),
    "honest, careful": Kind(honest(0.5), False),
    "honest, usual": Kind(honest(0.8), False),
    "honest, bad ear": Kind(honest(1.2, lapses=0.05), False),
    "honest, narrow scale": Kind(honest(0.8, narrow=0.75), False),
    "honest, looks at other windows": Kind(honest(0.8), False, pace=0.5),
}  # fmt: skip


CLOSE = frozenset({
    ("random after the first set", 3), ("random after the third set", 5),
    ("honest, bad ear", 3), ("honest, bad ear", 5),
})  # fmt: skip


def ratings(test: Test, kind: Kind, number: int) -> Ratings:
    """What a listener of a kind hands in; the number decides who."""
    return handed_in(made(test)[0], kind, number)


def handed_in(key: BlindKey, kind: Kind, number: int) -> Ratings:
    """The same for any test with blocks; the number decides the block as well."""
    rng = np.random.default_rng(number)
    block = number % len(key.blocks) + 1
    given = key.blocks[block - 1]
    parts = [given[place] for place in rng.permutation(len(given))]
    tokens = [[part.items[place] for place in rng.permutation(len(part.items))] for part in parts]
    shown = [
        [key.sets[part.set].items[token] for token in names]
        for part, names in zip(parts, tokens, strict=True)
    ]
    answers = [
        Answer.model_construct(set=part.set, item=token, cp=cp, sf=sf, ovl=ovl, heard=0.97)
        for part, names, marks in zip(parts, tokens, kind.mind(rng, shown), strict=True)
        for token, (cp, sf, ovl) in zip(names, marks, strict=True)
    ]
    lasting = [sum(item.seconds or 0.0 for item in items) for items in shown]
    times = [
        SetTime.model_construct(set=part.set, started_at="a", time_s=kind.pace * seconds)
        for part, seconds in zip(parts, lasting, strict=True)
    ]
    return Ratings.model_construct(
        test=key.test, rater=f"l{number}", training="none", started_at="a", finished_at="b",
        answers=answers, block=block, sets=times,
    )  # fmt: skip


def left_out(test: Test, kind: Kind, listeners: int) -> int:
    """How many of so many listeners the rule leaves out."""
    key, _ = made(test)
    return sum(judge(ratings(test, kind, n), key).left_out for n in range(listeners))


def wilson(found: int, many: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, found / many
    middle = share + z * z / (2 * many)
    half = z * (share * (1 - share) / many + z * z / (4 * many * many)) ** 0.5
    scale = 1 + z * z / many
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def table(share: float = 1.0) -> str:
    """Shares left out with their intervals, kind by kind, of a share of the listeners."""
    lines = [f"{'kind':<32}" + "".join(f"{test.words:>26}" for test in TESTS)]
    for name, kind in KINDS.items():
        cells = []
        for test in TESTS:
            many = round(share * (MANY if (name, test.sets) in CLOSE else WHOLE))
            found = left_out(test, kind, many)
            low, high = wilson(found, many)
            cells.append(f"{found / many:.4f} [{low:.4f}, {high:.4f}]".rjust(26))
        lines.append(f"{name:<32}" + "".join(cells))
    notices = [f"{test.words}: {made(test)[1]}" for test in TESTS if made(test)[1]]
    head = (
        f"Share of simulated listeners of each kind whom the rule leaves out, with its 95 % "
        f"interval (Wilson): of {round(share * WHOLE)}, or of {round(share * MANY)} where that is "
        "near what is promised."
    )
    return "\n".join([head, "", *lines, "", *notices]) + "\n"


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--share", type=float, default=1.0, help="of the listeners")
    given = parser.parse_args()
    given.out.write_text(table(given.share), encoding="utf-8")


if __name__ == "__main__":
    main()

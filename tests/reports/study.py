"""A study of thirty listeners: who they are, and what its tables have to say of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))

from raters import Kind, always, handed_in, honest, random_marks, tired
from sounding import sounding_run

from bench.records.store import Run
from reports.listening.export import Audience, Exported, export
from reports.listening.ratings import Heard, Rating
from reports.listening.records import BlindKey, KeySet, Part

LISTENERS = 30
CONTENTS = ("ode", "reel", "air", "waltz", "hymn")
SETS = 12  # of 15 pairs
BLOCK = 3  # sets of a listener
LIKED = {"tve[strength=0.5]": (3.8, 2.4, 3.0), "rti": (2.2, 3.4, 3.0)}  # true marks
USUAL = Kind(honest(0.8, narrow=1.0, liked=LIKED), careless=False)
BAD_EAR = Kind(honest(1.2, lapses=0.05, narrow=1.0, liked=LIKED), careless=False)
CARELESS = {
    3: Kind(random_marks, careless=True),
    8: Kind(always(4, 4, 4), careless=True),
    13: Kind(random_marks, careless=True, pace=0.05),
    21: Kind(tired(1, always(3, 3, 3)), careless=True),
    26: Kind(tired(1, random_marks), careless=True),
}
KINDS = [CARELESS.get(n, BAD_EAR if n % 10 == 9 else USUAL) for n in range(LISTENERS)]


def planned(folder: Path) -> tuple[Run, Exported]:
    """A run of two methods, and a test of which each listener rates three sets."""
    run = sounding_run(folder / "run", ("harp", "bird", "oud"), CONTENTS)
    done = export(run.folder, folder / "test", SETS, 0, audience=Audience(LISTENERS, 7))
    return run, done


def handed_in_by(key: BlindKey, number: int) -> str:
    """What a listener hands in, as text: the same for every export, whose tokens are its own."""

    def sound(one: KeySet, token: str) -> tuple[str, bool]:
        return one.items[token].cell_id, one.items[token].again

    def ordered(part: Part) -> Part:
        one = key.sets[part.set]
        return part.model_copy(update={"items": sorted(part.items, key=lambda i: sound(one, i))})

    def pair(part: Part) -> tuple[str, str]:
        return key.sets[part.set].style, key.sets[part.set].content

    blocks = [sorted(map(ordered, block), key=pair) for block in key.blocks]
    known = key.model_copy(update={"blocks": blocks})
    return handed_in(known, KINDS[number], number).model_dump_json()


def require_whole(said: Heard, careless: set[str]) -> None:
    """Everybody is known; those who are careless are left out, and the others count once."""
    assert len(said.judged) == LISTENERS
    assert set(said.excluded) == careless
    assert len(said.raters) == LISTENERS - len(careless)
    assert len(said.ratings) == len(said.raters) * BLOCK * 4  # two methods and two copies


def crossed_interval(ratings: list[Rating], question: str) -> tuple[float, float, float]:
    """A mean mark, and half its interval over raters and contents, written out once more.

    The variance of sums by rater plus that by content minus that by both, at least the larger of
    the first two (Cameron, Gelbach, Miller 2011), without the scale that keeps ends within 1 to 5.
    """
    marks = np.array([getattr(one, question) for one in ratings], float)
    rest = marks - marks.mean()

    def variance(names: list[str]) -> float:
        sums = [rest[np.array(names) == name].sum() for name in sorted(set(names))]
        return len(sums) / (len(sums) - 1) * float(np.square(sums).sum()) / len(marks) ** 2

    raters, contents = [r.rater for r in ratings], [r.content for r in ratings]
    single = variance(raters), variance(contents)
    both = variance([f"{a} {b}" for a, b in zip(raters, contents, strict=True)])
    error = max(sum(single) - both, *single) ** 0.5
    degrees = min(len(set(raters)), len(set(contents))) - 1
    return float(marks.mean()), error, float(stats.t.ppf(0.975, degrees) * error)

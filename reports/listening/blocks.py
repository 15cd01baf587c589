"""Which listener rates what: an incomplete block design, one block per planned listener.

A test of fifteen sets of eleven clips has 495 marks, more than anybody gives with care. Each block
holds as many whole sets as its listener can rate in the time that is asked for. Where not even
three sets fit, each holds as many of their methods as let three fit (or two, or one); hidden
controls stay in every set.

**Balance**, at the end and after any number of listeners, since a test may end early:

* sets: the numbers of listeners differ by one at most;
* listeners: all have the same number of sets, and sets meet each other in blocks as evenly as a
  greedy draw can; styles, contents and kinds of attention check are spread within a block;
* methods: with whole sets each meets each other in every set. With parts, the one is drawn next
  that met those drawn before least often, so that pairs of methods share listeners about equally.

**Time**: `REPLAYED` and the other numbers below are what this project assumes; they are no
measurement. The page writes down how long each set took.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from bench.api import ConfigError
from bench.seeds import derive_seed
from reports.listening.design import QUESTIONS, RatedSet, Stimulus

REPLAYED = 1.25  # how often a clip is played: once, and a quarter of it again
MARK_S = 3.0  # to choose one mark
TURN_S = 5.0  # to begin a set
CHECKS_S = 120.0  # to read the introduction, set the volume and check the headphones
FEWEST_SETS = 3  # of a block, where they fit: the hidden clips of the last two tell who stopped
FEWEST_METHODS = 2  # of a set, or there is nothing to compare


@dataclass(frozen=True, slots=True)
class Part:
    """What a listener rates of one set.

    Args:
        place: Which set, from 0.
        stimuli: Those of its clips, in the order of the set.
    """

    place: int
    stimuli: tuple[Stimulus, ...]


Block = tuple[Part, ...]
Durations = Callable[[str], float]  # seconds of a sound, by its path in the run folder


def whole(sets: Sequence[RatedSet]) -> Block:
    """Everything there is to rate."""
    return tuple(Part(place, one.stimuli) for place, one in enumerate(sets))


def seconds_of_set(one: RatedSet, stimuli: Sequence[Stimulus], durations: Durations) -> float:
    """How long a listener needs for some clips of a set, its references included."""
    heard = sum(durations(path) for path in (one.content_path, one.style_path))
    heard += sum(stimulus.heard_s(durations(stimulus.path)) for stimulus in stimuli)
    return TURN_S + REPLAYED * heard + MARK_S * len(QUESTIONS) * len(stimuli)


def minutes(
    block: Block, sets: Sequence[RatedSet], practice: RatedSet | None, durations: Durations
) -> float:
    """How long a listener needs for a block, with introduction, checks and practice."""
    parts = [(sets[part.place], part.stimuli) for part in block]
    if practice is not None:
        parts.append((practice, practice.stimuli))
    return (CHECKS_S + sum(seconds_of_set(one, given, durations) for one, given in parts)) / 60


@dataclass(frozen=True, slots=True)
class Size:
    """How much one listener rates: so many sets, and so many clips of each."""

    sets: int
    clips: int


def fitting_size(
    sets: Sequence[RatedSet], practice: RatedSet | None, durations: Durations, most_minutes: float
) -> Size:
    """The most that fits into the time of one listener, whichever sets these are.

    Raises:
        ConfigError: Not even one set with two methods fits.
    """
    most = max(len(one.stimuli) for one in sets)
    hidden = max(sum(s.is_hidden for s in one.stimuli) for one in sets)
    fewest = min(most, hidden + FEWEST_METHODS)
    left_s = 60 * most_minutes - 60 * minutes((), sets, practice, durations)
    wanted = min(FEWEST_SETS, len(sets))
    sizes = [Size(_sets_in(left_s, sets, n, durations), n) for n in range(most, fewest - 1, -1)]
    enough = [size for least in range(wanted, 0, -1) for size in sizes if size.sets >= least]
    if not enough:
        least = max(_longest_s(one, fewest, durations) for one in sets)
        needed = math.ceil(most_minutes + (least - left_s) / 60)
        raise ConfigError(
            f"--minutes {most_minutes:g} do not hold one set of {fewest} clips with introduction "
            f"and practice; it takes about {needed}. Give --minutes {needed}, or run on shorter "
            "clips."
        )
    return enough[0]


def _sets_in(left_s: float, sets: Sequence[RatedSet], clips: int, durations: Durations) -> int:
    """How many sets fit, even if they are the longest."""
    longest = sorted((_longest_s(one, clips, durations) for one in sets), reverse=True)
    sums = [sum(longest[: n + 1]) for n in range(len(longest))]
    return sum(total <= left_s for total in sums)


def _longest_s(one: RatedSet, clips: int, durations: Durations) -> float:
    """The time of a set with its hidden clips and its longest others."""
    by_length = sorted(one.stimuli, key=lambda s: (not s.is_hidden, -durations(s.path)))
    return seconds_of_set(one, by_length[:clips], durations)


def make_blocks(
    sets: Sequence[RatedSet], listeners: int, size: Size, seed: int
) -> tuple[Block, ...]:
    """Blocks for so many listeners; none where each listener can rate everything.

    Args:
        sets: The sets of the test.
        listeners: How many are planned; more begin with block 1 again.
        size: How much each rates, see `fitting_size`.
        seed: Decides between what is equally balanced.
    """
    if size.sets >= len(sets) and size.clips >= max(len(one.stimuli) for one in sets):
        return ()
    draw = _Draw(sets, size, random.Random(derive_seed("blocks", seed)))  # noqa: S311 - no secret
    return tuple(draw.block() for _ in range(listeners))


class _Draw:
    """What was drawn so far, and the next block."""

    def __init__(self, sets: Sequence[RatedSet], size: Size, chance: random.Random) -> None:
        self.sets, self.size, self.chance = sets, size, chance
        self.rated: Counter[int] = Counter()  # listeners of a set
        self.met: Counter[tuple[int, int]] = Counter()  # listeners of two sets
        self.played: Counter[tuple[int, str]] = Counter()  # listeners of a method in a set
        self.pairs: Counter[tuple[str, str]] = Counter()  # sets in which two methods met

    def block(self) -> Block:
        places: list[int] = []
        for _ in range(self.size.sets):
            left = [place for place in range(len(self.sets)) if place not in places]
            self.chance.shuffle(left)
            places.append(min(left, key=lambda place: self._rank(place, places)))
        self.rated.update(places)
        self.met.update(pair for a, b in combinations(places, 2) for pair in ((a, b), (b, a)))
        return tuple(Part(place, self._stimuli(place)) for place in sorted(places))

    def _rank(self, place: int, places: Sequence[int]) -> tuple[int, int, int]:
        """Smaller is drawn first: a set with few listeners, unlike those of the block so far."""
        traits = Counter(trait for other in places for trait in _traits(self.sets[other]))
        kind, *others = _traits(self.sets[place])
        alike = sum(traits[trait] for trait in others)
        return self.rated[place], traits[kind], alike + sum(self.met[place, o] for o in places)

    def _stimuli(self, place: int) -> tuple[Stimulus, ...]:
        given = self.sets[place].stimuli
        hidden = [stimulus for stimulus in given if stimulus.is_hidden]
        chosen: list[Stimulus] = []
        for _ in range(min(self.size.clips, len(given)) - len(hidden)):
            left = [s for s in given if not s.is_hidden and s not in chosen]
            self.chance.shuffle(left)
            chosen.append(min(left, key=lambda s: self._next(place, s.method, chosen)))
        names = [stimulus.method for stimulus in chosen]
        self.played.update((place, name) for name in names)
        self.pairs.update(pair for a, b in combinations(names, 2) for pair in ((a, b), (b, a)))
        return tuple(s for s in given if s in chosen or s in hidden)

    def _next(self, place: int, method: str, chosen: Sequence[Stimulus]) -> tuple[int, int]:
        met = sum(self.pairs[method, other.method] for other in chosen)
        return (met + self.played[place, method], self.played[place, method])


def _traits(one: RatedSet) -> tuple[tuple[str, str], ...]:
    """The kind of its attention check, then its style and its content."""
    checks = "+".join(sorted(s.check for s in one.stimuli if s.check))
    return (("check", checks), ("style", one.style), ("content", one.content))

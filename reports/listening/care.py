"""Whether somebody listened: what the ratings of one listener show, and the rule for leaving out.

Pure functions of the ratings of one listener and the key of the test. Nothing here depends on what
other listeners say, nor on what the measures under test say of the methods.

| flag | what is looked at | hard |
|---|---|---|
| copies | the contrasts of the hidden copies (`reports.listening.chance`) are too small | yes |
| late | so are those of the later half of the sets, or of the last two: care has ended | yes |
| same | nearly all clips of one set, copies among them, got the same three marks | yes |
| repeats | the two marks of a clip that comes twice are as far apart as random ones | no |
| time | a set took less time than its clips last | no |
| heard | less of a clip was played than the page asks for | no |

One hard flag leaves a listener out, or two others. The others have innocent causes: taste, a set
that was heard while another window was shown, another page. The rule stands in the key from the
export on, and the rule of the key is applied; to a test of before there was one, none is.

Each set hides a copy of its content and one of its style, and one of the two comes twice: a repeat
is another check as well, and so few sets allow for no other clip. Marks of the second time count
nowhere else.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.listening.blocks import Block
from reports.listening.chance import MIDDLE, Copies, Expected, expected, most_apart
from reports.listening.design import QUESTIONS
from reports.listening.records import Answer, BlindKey, CareRule, KeyItem, Ratings
from reports.tables.notes import counted

LAST = 2  # sets that tell whether care has ended
HARD = frozenset({"copies", "late", "same"})
MOST_SETS = 1000  # of which one could say that they are enough
ROUNDED = 0.001  # the page writes shares and times with three decimals


@dataclass(frozen=True, slots=True)
class Contrast:
    """What the marks of some hidden copies sum up to, and what is needed."""

    reached: int
    needed: int
    count: int

    @property
    def mean(self) -> float:
        """Per copy, -4 to 4."""
        return self.reached / self.count if self.count else math.nan


@dataclass(frozen=True, slots=True)
class Care:
    """What the ratings of one listener show; None where it is not known.

    Args:
        copies: The hidden copies.
        late: Those of the later half of the sets or of the last two, whichever is worse, where
            their order is known.
        same: The largest share of the clips of a set with the same three marks, in [0, 1].
        apart: Mean absolute difference of the marks of repeats, in points.
        pace: The least time of a set, as a share of how long its clips last.
        heard: The least share of a clip that was played.
        flags: What is wrong, in the order of the table above.
        left_out: Whether the rule leaves the listener out.
    """

    copies: Contrast
    late: Contrast | None
    same: float
    apart: float | None
    pace: float | None
    heard: float | None
    flags: tuple[str, ...]
    left_out: bool


Marked = tuple[Answer, KeyItem]


def judge(ratings: Ratings, key: BlindKey) -> Care:
    """Look at the ratings of a listener, by the rule of the test.

    Args:
        ratings: Each clip of a block of the test, once.
        key: The key of the test.
    """
    rule = key.rule or CareRule()
    by_set: dict[str, list[Marked]] = defaultdict(list)
    for answer in ratings.answers:
        by_set[answer.set].append((answer, key.sets[answer.set].items[answer.item]))
    copies = _contrast([one for given in by_set.values() for one in given], rule)
    late = _late(ratings, by_set, rule)
    same = max((_same(given) for given in by_set.values()), default=0.0)
    apart = [gap for given in by_set.values() for gap in _gaps(given)]
    pace, heard = _pace(ratings, by_set), _least_heard(ratings)
    found = {
        "copies": copies.reached < copies.needed,
        "late": late is not None and late.reached < late.needed,
        "same": any(_is_alike(given, rule) for given in by_set.values()),
        "repeats": sum(apart) > most_apart(len(apart), rule.again_pass) if apart else False,
        "time": pace is not None and pace < rule.pace,
        "heard": heard is not None and heard < rule.heard - ROUNDED,
    }
    flags = tuple(name for name, is_so in found.items() if is_so)
    careless = bool(HARD & set(flags)) or len(flags) >= rule.flags
    mean_apart = sum(apart) / len(apart) if apart else None
    return Care(copies, late, same, mean_apart, pace, heard, flags, careless and bool(key.rule))


def _contrast(
    marked: Sequence[Marked], rule: CareRule, honest_fail: float | None = None
) -> Contrast:
    hidden = [(answer, item) for answer, item in marked if item.check]
    sums = [
        getattr(answer, item.check) - (getattr(answer, item.low) if item.low else MIDDLE)
        for answer, item in hidden
    ]
    both = sum(bool(item.low) for _, item in hidden)
    fail = rule.honest_fail if honest_fail is None else honest_fail
    needed = expected(Copies(both, len(hidden) - both), rule.random_pass, fail).needed
    return Contrast(sum(sums), needed, len(sums))


def _needed(copies: Copies, rule: CareRule) -> Expected:
    return expected(copies, rule.random_pass, rule.honest_fail)


def _late(
    ratings: Ratings, by_set: Mapping[str, Sequence[Marked]], rule: CareRule
) -> Contrast | None:
    """The copies of the later half of the sets, the middle one included, or of the last `LAST`."""
    order = [one.set for one in ratings.sets]
    if len(order) < LAST or sorted(order) != sorted(by_set):
        return None
    half = order[len(order) // 2 :]
    parts = [half] if len(half) < LAST else [half, order[-LAST:]]
    found = [
        _contrast([one for name in part for one in by_set[name]], rule, rule.late_fail)
        for part in parts
    ]
    return min(found, key=lambda one: one.reached - one.needed)


def _same(marked: Sequence[Marked]) -> float:
    triples = Counter((answer.cp, answer.sf, answer.ovl) for answer, _ in marked)
    return max(triples.values()) / len(marked)


def _is_alike(marked: Sequence[Marked], rule: CareRule) -> bool:
    """Whether the clips of a set that differ are few, and fewer than its hidden copies.

    Somebody who thinks that all of many methods are equally bad still tells the copies.
    """
    same = _same(marked)
    copies = sum(bool(item.check) for _, item in marked)
    return same >= rule.same and round((1 - same) * len(marked)) < copies


def _gaps(marked: Sequence[Marked]) -> list[int]:
    """How far the marks of a clip that comes twice are apart, question by question."""
    first = {item.cell_id: answer for answer, item in marked if not item.again}
    return [
        abs(getattr(answer, question) - getattr(first[item.cell_id], question))
        for answer, item in marked
        if item.again and item.cell_id in first
        for question in QUESTIONS
    ]


def _pace(ratings: Ratings, by_set: dict[str, list[Marked]]) -> float | None:
    """The least time of a set; references count nothing, since one may be known from before."""
    found = []
    for one in ratings.sets:
        lengths = [item.seconds for _, item in by_set.get(one.set, [])]
        known = [seconds for seconds in lengths if seconds]
        if known and len(known) == len(lengths):
            found.append(one.time_s / sum(known))
    return min(found, default=None)


def _least_heard(ratings: Ratings) -> float | None:
    return min((one.heard for one in ratings.answers if one.heard is not None), default=None)


def words(rule: CareRule, plan: Sequence[Block]) -> str:
    """The rule in words, with what it asks of the listeners of a test.

    Args:
        rule: The rule.
        plan: What each listener rates, one for each.
    """
    asked = sorted({copies_of(block) for block in plan}, key=lambda one: one.both + one.own)
    contrasts = (
        "* copies: the hidden copies of content and style are not told apart. The mark of a copy "
        "for its own question minus that for the other (or minus 3, where the run's measures say "
        f"that the copy may fit both) is summed up; {_sums(asked, rule)}."
    )
    alike = (
        f"* same: {rule.same:.0%} of the clips of a set or more, hidden copies among them, have "
        "the same three marks."
    )
    repeats = (
        "* repeats: the marks of clips that come twice are further apart than those of "
        f"{rule.again_pass:.0%} of random raters."
    )
    why = (
        "Why these sums: marking at random reaches that of all copies in at most "
        f"{rule.random_pass:.0%} of cases, unless so high a sum would leave out more than "
        f"{rule.honest_fail:.1%} of honest listeners with a bad ear (late: {rule.late_fail:.1%}), "
        "who go first; what is assumed of them stands in reports/listening/chance.py."
    )
    return "\n".join([
        "A listener is left out for one of these:",
        contrasts,
        "* late: so are those of the later half of the sets, or of the last two.",
        alike,
        f"Or for {rule.flags} of these:",
        repeats,
        f"* time: a set took less than {rule.pace:.0%} of the time that its clips last.",
        f"* heard: less than {rule.heard:.0%} of a clip was played.",
        why,
    ])  # fmt: skip


def _sums(asked: Sequence[Copies], rule: CareRule) -> str:
    needs = {one: _needed(one, rule).needed for one in asked}
    return "needed are " + ", ".join(
        f"{needed} of at most {4 * one.both + 2 * one.own} ({one.both + one.own} copies)"
        for one, needed in needs.items()
    )


def copies_of(block: Block) -> Copies:
    """How many hidden copies a block has."""
    hidden = [s for part in block for s in part.stimuli if s.check]
    both = sum(bool(s.low) for s in hidden)
    return Copies(both, len(hidden) - both)


def shortfall(rule: CareRule, plan: Sequence[Block]) -> str:
    """What a test cannot promise, since its blocks are small; empty where they are large enough.

    Args:
        rule: The rule.
        plan: What each listener rates, one for each.
    """
    block = max(plan, key=lambda one: _needed(copies_of(one), rule).random_pass)
    copies, sets = copies_of(block), len(block)
    found = _needed(copies, rule).random_pass
    if found <= rule.random_pass or not sets:
        return ""
    both, own = copies.both / sets, copies.own / sets
    enough = next(
        n for n in range(sets + 1, MOST_SETS)
        if _needed(Copies(math.floor(n * both), math.ceil(n * own)), rule).random_pass
        <= rule.random_pass
    )  # fmt: skip
    return (
        f"a block of {counted(sets, 'set')} has too few hidden copies: {found:.0%} of random "
        "raters have such marks as an honest listener may have, and are kept. With "
        f"{enough} sets in each block at most {rule.random_pass:.0%} are: give more --minutes or "
        "--sets, or fewer --method."
    )

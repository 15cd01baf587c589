"""Whether somebody listened: what the ratings of one listener show, and the rule for leaving out.

Pure functions of the ratings of one listener and the key of the test. Nothing here depends on what
other listeners say, nor on what the measures under test say of the methods.

| flag | what is looked at | hard |
|---|---|---|
| copies | the evidence of the hidden clips (`reports.listening.chance`) is too small | yes |
| late | so is that of the later half, of the last two or of the last set: care has ended | yes |
| same | nearly all clips of one set, copies among them, got the same three marks | yes |
| repeats | the two marks of a clip that comes twice are as far apart as random ones | no |
| time | a set took less time than its clips last | no |
| heard | less of a clip was played than the page asks for | no |

One hard flag leaves a listener out, or two others. The others have innocent causes: taste, a set
that was heard while another window was shown, another page. The rule stands in the key from the
export on, and the rule of the key is applied; to a test of before there was one, none is.

Each set hides a copy of its content and one of its style; one of the two comes twice, and a stray
clip has nothing of either. Marks of the second time and of the stray clip count nowhere else.

**What limits it**: the hidden clips of two sets are 18 marks, by which one who marks at random and
one who has a bad ear can just be told apart (`tests/reports/raters.txt`). The 9 of the last set are
too few: of those who listen to all sets but the last six in ten are found. No rule over these marks
that leaves out 2 % of honest listeners for them alone finds more than eight in ten
(`tests/reports/bounds.py`). Whether somebody agrees with others on the methods would find more, but
that is what the test is to find out, and who hears differently is not careless.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from reports.listening.blocks import Block
from reports.listening.chance import Asked, Expected, expected, most_apart
from reports.listening.design import QUESTIONS
from reports.listening.records import Answer, BlindKey, CareRule, KeyItem, Ratings
from reports.tables.notes import counted

LAST = 2  # sets that tell for the most part whether care has ended
HARD = frozenset({"copies", "late", "same"})
MOST_SETS = 1000  # of which one could say that they are enough
PROMISED = 0.05  # of random raters may be kept before a test says so
ROUNDED = 0.001  # the page writes shares and times with three decimals


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the marks of some hidden clips sum up to, and what is needed; in decibans.

    By a rule of before marks were weighed it is a sum of marks, see `CareRule`.
    """

    reached: int
    needed: int

    @property
    def is_enough(self) -> bool:
        """Whether the needed sum is reached."""
        return self.reached >= self.needed


@dataclass(frozen=True, slots=True)
class Care:
    """What the ratings of one listener show; None where it is not known.

    Args:
        copies: What all hidden clips tell.
        late: What those of the later half of the sets, of the last two or of the last one tell,
            whichever is worst, where their order is known.
        same: The largest share of the clips of a set with the same three marks, in [0, 1].
        apart: Mean absolute difference of the marks of repeats, in points.
        pace: The least time of a set, as a share of how long its clips last.
        heard: The least share of a clip that was played.
        flags: What is wrong, in the order of the table above.
        left_out: Whether the rule leaves the listener out.
    """

    copies: Evidence
    late: Evidence | None
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
    copies = _evidence(by_set.values(), rule, rule.honest_fail)
    late = _late(ratings, by_set, rule)
    same = max((_same(given) for given in by_set.values()), default=0.0)
    apart = [gap for given in by_set.values() for gap in _gaps(given)]
    pace, heard = _pace(ratings, by_set), _least_heard(ratings)
    found = {
        "copies": not copies.is_enough,
        "late": late is not None and not late.is_enough,
        "same": any(_is_alike(given, rule) for given in by_set.values()),
        "repeats": sum(apart) > most_apart(len(apart), rule.again_pass) if apart else False,
        "time": pace is not None and pace < rule.pace,
        "heard": heard is not None and heard < rule.heard - ROUNDED,
    }
    flags = tuple(name for name, is_so in found.items() if is_so)
    careless = bool(HARD & set(flags)) or len(flags) >= rule.flags
    mean_apart = sum(apart) / len(apart) if apart else None
    return Care(copies, late, same, mean_apart, pace, heard, flags, careless and bool(key.rule))


def _evidence(given: Iterable[Sequence[Marked]], rule: CareRule, honest_fail: float) -> Evidence:
    """What the hidden clips of some sets tell."""
    marked = [one for marks in given for one in marks]
    high = [getattr(answer, item.check) for answer, item in marked if item.check]
    low = [getattr(answer, question) for answer, item in marked for question in item.lows]
    reached = sum(rule.high[mark - 1] for mark in high) + sum(rule.low[mark - 1] for mark in low)
    return Evidence(reached, _expected(Asked(len(high), len(low)), rule, honest_fail).needed)


def _expected(asked: Asked, rule: CareRule, honest_fail: float) -> Expected:
    return expected(asked, (rule.high, rule.low), rule.random_pass, honest_fail)


def _late(
    ratings: Ratings, by_set: Mapping[str, Sequence[Marked]], rule: CareRule
) -> Evidence | None:
    """The later half of the sets, the middle one included, the last `LAST`, or the last one."""
    order = [one.set for one in ratings.sets]
    if sorted(order) != sorted(by_set):
        return None
    parts = []
    if len(order) > LAST:
        parts += [(order[len(order) // 2 :], rule.late_fail), (order[-LAST:], rule.late_fail)]
    if len(order) > 1 and rule.last_fail:
        parts.append((order[-1:], rule.last_fail))
    found = [_evidence([by_set[name] for name in part], rule, share) for part, share in parts]
    return min(found, key=lambda one: one.reached - one.needed, default=None)


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
    """The rule in words, with what it asks of the listeners of a test, and what that finds.

    Args:
        rule: The rule.
        plan: What each listener rates, one for each.
    """
    asked = sorted({asked_of(block) for block in plan}, key=lambda one: one.high + one.low)
    evidence = (
        "* copies: the hidden clips are not told apart. Their marks are evidence in decibans (10: "
        "ten times as likely from somebody who listens as from somebody who does not); a mark of 1 "
        f"to 5 adds {_listed(rule.high)} where it should be high and {_listed(rule.low)} where it "
        f"should be low. {_sums(asked, rule)}."
    )
    late = (
        f"* late: nor are those of the later half of the sets, of the last {LAST}, or of the last "
        f"one. {_late_words(rule, plan)}"
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
        "Why these sums: marking at random reaches that of all hidden clips in at most "
        f"{rule.random_pass:.0%} of cases, unless so high a sum would leave out more than "
        f"{rule.honest_fail:.1%} of honest listeners with a bad ear (late: {rule.late_fail:.1%}; "
        f"by the last set: {rule.last_fail:.1%}), who go first; what is assumed of them stands in "
        "reports/listening/chance.py."
    )
    return "\n".join([
        "A listener is left out for one of these:",
        evidence,
        late,
        alike,
        f"Or for {rule.flags} of these:",
        repeats,
        f"* time: a set took less than {rule.pace:.0%} of the time that its clips last.",
        f"* heard: less than {rule.heard:.0%} of a clip was played.",
        why,
    ])  # fmt: skip


def _listed(scores: Sequence[int]) -> str:
    return ", ".join(map(str, scores))


def _sums(asked: Sequence[Asked], rule: CareRule) -> str:
    needs = {one: _expected(one, rule, rule.honest_fail).needed for one in asked}
    return "Needed are " + ", ".join(
        f"{needed} of at most {one.high * max(rule.high) + one.low * max(rule.low)} "
        f"({one.high + one.low} marks)"
        for one, needed in needs.items()
    )


def _late_words(rule: CareRule, plan: Sequence[Block]) -> str:
    """How many are found who begin with care and end at random."""
    if min(map(len, plan)) < LAST:
        return "Blocks of one set are too short to tell when care ended."
    last = max(
        _expected(asked_of((part,)), rule, rule.last_fail).random_pass
        for block in plan
        for part in block
    )
    told = f"in the last set alone at least {1 - last:.0%} are found"
    if min(map(len, plan)) == LAST:
        return f"Of those who mark at random {told}."
    late = max(
        _expected(asked_of(pair), rule, rule.late_fail).random_pass
        for block in plan
        for pair in combinations(block, LAST)
    )
    return (
        f"Of those who mark at random from the last but one set on at least {1 - late:.0%} are "
        f"found, of those who do so {told}."
    )


def asked_of(block: Block) -> Asked:
    """How many marks of hidden clips a block asks for."""
    hidden = [s for part in block for s in part.stimuli if s.is_hidden]
    low = sum(bool(s.low) + len(s.stray) for s in hidden)
    return Asked(sum(bool(s.check) for s in hidden), low)


def shortfall(rule: CareRule, plan: Sequence[Block]) -> str:
    """What a test cannot promise, since its blocks are small; empty where they are large enough.

    Args:
        rule: The rule.
        plan: What each listener rates, one for each.
    """
    block = max(plan, key=lambda one: _passing(asked_of(one), rule))
    asked, sets = asked_of(block), len(block)
    found = _passing(asked, rule)
    if found <= PROMISED or not sets:
        return ""
    high, low = asked.high / sets, asked.low / sets
    enough = next(
        n for n in range(sets + 1, MOST_SETS)
        if _passing(Asked(math.ceil(n * high), math.floor(n * low)), rule) <= PROMISED
    )  # fmt: skip
    return (
        f"a block of {counted(sets, 'set')} has too few hidden clips: {found:.0%} of random "
        "raters have such marks as an honest listener may have, and are kept. With "
        f"{enough} sets in each block at most {PROMISED:.0%} are: give more --minutes or --sets, "
        "or fewer --method."
    )


def _passing(asked: Asked, rule: CareRule) -> float:
    return _expected(asked, rule, rule.honest_fail).random_pass

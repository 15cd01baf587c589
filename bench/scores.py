"""What a score may be: the gate that every answer of a metric passes.

It is the same for a metric of this catalog, of another package or of a file, in this process or in
a worker; for a run, for `check`, and for a score that was stored long ago. A score is one per
output, carries the name of its metric, and holds either a number (real, finite, inside the declared
range) or a status that says why there is none. One that breaks a rule becomes an `invalid_score`
without a number, whose reason names the metric, the value and the rule.

**Rounding**: a number may lie `ROUNDING` times the scale of its range beyond an end and then counts
as that end, since a cosine in float32 may come out as 1.0000001.

**Detail**: up to `MOST_FACTS` facts beside the number, each a text of up to `LONGEST_FACT`
characters, a finite number, or true or false, under a name that is such a text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias, get_args

from bench.api import Score, ScoreStatus
from bench.outside.wording import visible

Range: TypeAlias = tuple[float, float]
Rule: TypeAlias = Literal["kind", "name", "number", "range"]

UNBOUNDED: Range = (-math.inf, math.inf)
NUMBERED: frozenset[str] = frozenset({"ok", "silent"})  # the statuses that come with a number
INVALID: ScoreStatus = "invalid_score"
# A cosine in float32 rounds in each norm and in the product: sums of 2^10 terms in pairs are 10
# steps deep, so 3 x 10 roundings of 2^-24 each, and a few for the root and the divisions.
ROUNDING = 32 * 2.0**-24
SHOWN = 60  # characters of a value in a reason
MOST_FACTS, LONGEST_FACT = 16, 200


class AnswerError(ValueError):
    """A metric did not answer with one score per output, so none can be told to belong to one."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What is known of a metric's scores before there are any.

    Args:
        name: The metric's name in the catalog, or `file.py:Class`. The first is the name of its
            scores too; the second leaves that name to the class, which must stay with one.
        range: Smallest and largest reported value.
    """

    name: str
    range: Range = UNBOUNDED


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that a score breaks, and how, as a sentence that names the metric and the value."""

    rule: Rule
    words: str


def raw_range(reported: Range) -> Range:
    """What the number before clipping may be: a range that begins at 0 is mirrored there.

    Example:
        >>> raw_range((0.0, 1.0)), raw_range((0.0, math.inf)), raw_range((-3.0, 1.0))
        ((-1.0, 1.0), (0.0, inf), (-3.0, 1.0))
    """
    low, high = reported
    return (-high, high) if low == 0 and math.isfinite(high) else (low, high)


def admit(answer: object, outputs: int, declared: Declared) -> list[Score]:
    """The scores that a metric gave for some outputs, each sound or an `invalid_score`.

    Args:
        answer: What `Metric.score` returned.
        outputs: For how many outputs.
        declared: What the metric declares.

    Raises:
        AnswerError: The answer is not a list with one item per output.

    Example:
        >>> admit([Score("cp", 57.0)], 1, Declared("cp", (0.0, 1.0)))[0].reason
        "metric 'cp' gave the value 57.0; its declared range is 0 to 1"
    """
    scores = counted(answer, outputs, declared)
    called = called_by(scores, declared)
    return [_admitted(score, called, declared) for score in scores]


def counted(answer: object, outputs: int, declared: Declared) -> Sequence[object]:
    """The items of an answer, whatever they are.

    Raises:
        AnswerError: They are not one per output.
    """
    if not isinstance(answer, list | tuple):
        raise AnswerError(
            f"metric {declared.name!r} returned {_shown(answer)}, not a list; a score per output "
            "is wanted"
        )
    if len(answer) != outputs:
        raise AnswerError(
            f"metric {declared.name!r} returned a list of {len(answer)} for {outputs} outputs; a "
            "score per output is wanted"
        )
    return answer


def called_by(scores: Sequence[object], declared: Declared) -> str:
    """The name that all scores of an answer must carry; empty where it should have one."""
    if ":" not in declared.name:
        return declared.name
    names: list[object] = [score.name for score in scores if isinstance(score, Score)]
    return next((name for name in names if isinstance(name, str) and name), "")


def find_fault(score: object, called: str, declared: Declared) -> Fault | None:
    """The first rule that a score breaks; None where it keeps them all.

    Args:
        score: What a metric gave for one output.
        called: The name that it must carry, see `called_by`.
        declared: What the metric declares.
    """
    if not isinstance(score, Score):
        return Fault("kind", f"metric {declared.name!r} gave {_shown(score)}, not a Score")
    misfit = next(_misfits(score, called), None)
    if misfit is not None:
        return Fault(misfit.rule, f"metric {declared.name!r} {misfit.words}")
    return find_number_fault(score.value, score.raw, score.status, declared)


def is_plain(value: object, raw: object, status: str, declared: Declared) -> bool:
    """Whether the numbers of a score keep every rule as they stand: quick, for the many that do."""
    if status not in NUMBERED or type(value) is not float or not math.isfinite(value):
        return False
    low, high = declared.range
    if raw is None or not low <= value <= high:
        return low <= value <= high
    least, most = raw_range(declared.range)
    return type(raw) is float and math.isfinite(raw) and least <= raw <= most


def find_number_fault(value: object, raw: object, status: str, declared: Declared) -> Fault | None:
    """The first rule that the numbers of a score break, given its status."""
    found = next(_misfit_numbers(value, raw, status, declared.range), None)
    return found and Fault(found.rule, f"metric {declared.name!r} {found.words}")


def _misfits(score: Score, called: str) -> Iterator[Fault]:
    """What is wrong with a score beside its numbers, without the name of the metric."""
    known = get_args(ScoreStatus)
    if score.status not in known:
        words = f"gave the status {_shown(score.status)}; there are {', '.join(known)}"
        yield Fault("kind", words)
    if not isinstance(score.reason, str | None):
        yield Fault("kind", f"gave the reason {_shown(score.reason)}; a reason is a text")
    if not _are_facts(score.detail):
        yield Fault(
            "kind",
            f"gave the detail {_shown(score.detail)}; it is a mapping of up to {MOST_FACTS} texts "
            f"to texts, finite numbers or bools, none above {LONGEST_FACT} characters",
        )
    if not called or score.name != called:
        wanted = repr(called) if called else "a text"
        yield Fault("name", f"named a score {_shown(score.name)}; its name must be {wanted}")


def _misfit_numbers(value: object, raw: object, status: str, reported: Range) -> Iterator[Fault]:
    """What is wrong with the numbers of a score, without the name of the metric."""
    if status not in NUMBERED:
        for number in (value, raw):
            if number is not None:
                yield Fault("number", f"gave {_shown(number)} and {status}, which has no number")
    elif value is None:
        yield Fault("number", f"gave no value with the status {status}, which has one")
    else:
        yield from _misfit_number("value", value, reported)
        if raw is not None:
            yield from _misfit_number("value before clipping", raw, raw_range(reported))


def _misfit_number(what: str, number: object, within: Range) -> Iterator[Fault]:
    if _real(number) is None:
        yield Fault("number", f"gave the {what} {_shown(number)}; a score is a finite real number")
    elif bounded(number, within) is None:
        low, high = within
        declared = "its declared range is" if what == "value" else "by its declared range that is"
        words = f"gave the {what} {_shown(number)}; {declared} {low:g} to {high:g}"
        yield Fault("range", words)


def bounded(number: object, within: Range) -> float | None:
    """A number inside a range, brought to the end that rounding alone took it beyond; else None.

    Example:
        >>> bounded(1.0000001, (0.0, 1.0)), bounded(1.001, (0.0, 1.0)), bounded(math.nan, UNBOUNDED)
        (1.0, None, None)
    """
    found = _real(number)
    if found is None:
        return None
    low, high = within
    if low <= found <= high:
        return found
    ends = [abs(end) for end in within if end and math.isfinite(end)]
    slack = ROUNDING * max(ends, default=1.0)
    return min(max(found, low), high) if low - slack <= found <= high + slack else None


def invalid(name: str, reason: str) -> Score:
    """The score of an output that got none which keeps the rules."""
    return Score(name, None, None, INVALID, reason)


def _admitted(score: object, called: str, declared: Declared) -> Score:
    fault = find_fault(score, called, declared)
    if fault is not None or not isinstance(score, Score):
        return invalid(called or declared.name, fault.words if fault else "")
    return Score(
        called,
        bounded(score.value, declared.range),
        bounded(score.raw, raw_range(declared.range)),
        score.status,
        score.reason,
        {visible(name): _plain_fact(fact) for name, fact in score.detail.items()},
    )


def _are_facts(detail: object) -> bool:
    """Whether this may stand beside a number."""
    return (
        isinstance(detail, Mapping)
        and len(detail) <= MOST_FACTS
        and all(_is_short(name) and _is_fact(fact) for name, fact in detail.items())
    )


def _is_fact(fact: object) -> bool:
    return isinstance(fact, bool) or _is_short(fact) or _real(fact) is not None


def _is_short(text: object) -> bool:
    return isinstance(text, str) and len(text) <= LONGEST_FACT


def _plain_fact(fact: Any) -> str | float:  # noqa: ANN401 - what `_is_fact` admits
    """A fact of a plain type, for JSON; a text in which each character can be seen."""
    if isinstance(fact, str):
        return visible(fact)
    if isinstance(fact, bool):
        return fact
    return int(fact) if isinstance(fact, Integral) else float(fact)


def _real(number: object) -> float | None:
    """A finite real number as a float; None for all else: bool, complex, text, NaN, infinity."""
    if isinstance(number, bool) or not isinstance(number, Real):
        return None
    try:
        found = float(number)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _shown(value: object) -> str:
    """A value in a reason; numpy's numbers as plain ones."""
    words = str(value) if isinstance(value, Real) else repr(value)
    return words if len(words) <= SHOWN else f"{words[:SHOWN]}..."

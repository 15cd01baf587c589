"""What the gate says about one method and one quantity, and the exit code that follows from it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bench.errors import ExitCode

Word = Literal[
    "regressed", "changed", "improved", "equivalent", "inconclusive", "blind", "incomparable"
]
Lane = Literal[
    "suite", "cells", "audio", "metric", "quality", "style", "time", "memory", "operations",
    "controls",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict.

    Args:
        lane: What kind of drift was looked for.
        method: Label of the method, or what else it is about.
        subject: The metric or quantity.
        word: The verdict. `changed`: other audio or other scores where they should be the same;
            `blind`: inconclusive, and a drop that must be found would not have been.
        reason: The reason in words, with the numbers that decided.
        delta: Candidate - baseline in the units of the subject; a ratio in the lanes time and
            memory. NaN where nothing was measured.
        low: Lower end of the 95 % interval of `delta`.
        high: Upper end.
        p: Chance of such a drop if there were none, corrected for the number of verdicts (Holm).
        detectable: Smallest drop that would have been found in 4 of 5 cases; infinite where
            nothing could be found.
        needed: About how many cells would decide an inconclusive verdict.
        advisory: True where the verdict informs and never fails the gate.
        style: The style that it is about, in the lane style; empty elsewhere.
    """

    lane: Lane
    method: str
    subject: str
    word: Word
    reason: str = ""
    delta: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    detectable: float = math.nan
    needed: int | None = None
    advisory: bool = False
    style: str = ""

    @property
    def red(self) -> bool:
        """Whether this verdict fails the gate."""
        return self.word in {"regressed", "changed"} and not self.advisory


def exit_code(verdicts: Iterable[Verdict]) -> ExitCode:
    """3 with any red verdict, else 4 with any that is incomparable or blind, else 0."""
    given = list(verdicts)
    if any(verdict.red for verdict in given):
        return ExitCode.REGRESSED
    unsaid = any(v.word in {"incomparable", "blind"} and not v.advisory for v in given)
    return ExitCode.NOT_COMPARABLE if unsaid or not given else ExitCode.DONE


def outcome(verdicts: Iterable[Verdict]) -> str:
    """The result of a gate in words, one of those that its exit code stands for."""
    given = list(verdicts)
    code = exit_code(given)
    if code == ExitCode.NOT_COMPARABLE:
        blind_alone = {v.word for v in given if not v.advisory} & {"incomparable", "blind"}
        return "cannot tell" if blind_alone == {"blind"} else "not comparable"
    return "regressed" if code == ExitCode.REGRESSED else "passed"

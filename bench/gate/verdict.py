"""What the gate says about one method and one quantity, and the exit code that follows from it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bench.errors import ExitCode

Word = Literal["regressed", "changed", "improved", "equivalent", "inconclusive", "incomparable"]
Lane = Literal[
    "suite", "cells", "audio", "metric", "quality", "time", "memory", "operations", "controls"
]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict.

    Args:
        lane: What kind of drift was looked for.
        method: Label of the method, or what else it is about.
        subject: The metric or quantity.
        word: The verdict. `changed`: other audio or other scores where they should be the same.
        reason: The reason in words, with the numbers that decided.
        delta: Candidate - baseline in the units of the subject; a ratio in the lanes time and
            memory. NaN where nothing was measured.
        low: Lower end of the 95 % interval of `delta`.
        high: Upper end.
        p: Chance of such a drop if there were none, corrected for the number of verdicts (Holm).
        detectable: Smallest drop that would have been found in 4 of 5 cases.
        needed: About how many cells would decide an inconclusive verdict.
        advisory: True where the verdict informs and never fails the gate.
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

    @property
    def red(self) -> bool:
        """Whether this verdict fails the gate."""
        return self.word in {"regressed", "changed"} and not self.advisory


def exit_code(verdicts: Iterable[Verdict]) -> ExitCode:
    """3 with any red verdict, else 4 with any that could not be compared, else 0."""
    given = list(verdicts)
    if any(verdict.red for verdict in given):
        return ExitCode.REGRESSED
    uncompared = any(v.word == "incomparable" and not v.advisory for v in given)
    return ExitCode.NOT_COMPARABLE if uncompared or not given else ExitCode.DONE

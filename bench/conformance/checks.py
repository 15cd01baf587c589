"""What a check of the contract is, and running one.

A check is a function that looks at a loaded method or metric and says what is wrong, or None. The
command `check` and the contract tests run the same tables (`bench.conformance.method_checks`,
`bench.conformance.metric_checks`); this module holds what the two tables share.

**Conventions**: a check that cannot be made raises `UnsupportedError` with the reason and counts as
n.a.; anything else that it raises is a fault of what is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Generic, Literal, TypeVar

from bench.api import Clip
from bench.audio import read_audio
from bench.checkout import DATASETS
from bench.failure import STOPS_RUN, contained, failure_of
from bench.files import disk_is_full
from bench.outside.wording import one_line

SubjectT = TypeVar("SubjectT")
CheckStatus = Literal["passed", "failed", "n.a."]

# The clips that everything is tried on: a part of the bundled data, with styles that the mini
# models know by name.
CLIPS = DATASETS / "mini"
STYLE_TEXT = "accordion"
STYLE_CLIPS = tuple(f"style/accordion/accordion_{number}" for number in (1, 2, 3, 4))
OTHER_STYLE_CLIP = "style/bells/bells_1"
CONTENTS = ("content/piano/piano_ode_to_joy", "content/flute/flute_morning_mood")
ODD_RATE = 37_801  # no device records at it, and it divides nothing


@dataclass(frozen=True, slots=True)
class Check(Generic[SubjectT]):
    """One promise of the contract.

    Args:
        name: The promise in a few words.
        why: What goes wrong in a benchmark when it is broken.
        fault: Looks at a subject and says what is wrong, or None.
        note: Says of a subject that passed what one should know all the same, or None.
        essential: Whether nothing after it can be checked when it fails.
    """

    name: str
    why: str
    fault: Callable[[SubjectT], str | None]
    note: Callable[[SubjectT], str | None] | None = None
    essential: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check.

    Args:
        name: The check.
        status: Whether it passed, failed or could not be made.
        reason: Why it failed or could not be made; of one that passed, what one should know.
    """

    name: str
    status: CheckStatus
    reason: str = ""


def run_check(check: Check[SubjectT], subject: SubjectT) -> Outcome:
    """Make one check.

    Raises:
        CheckpointError: Weights are missing, which is for the user to fix and no fault of the
            subject.
        DeviceError: The device is not there.
    """
    try:
        with contained(loading=True):
            fault = check.fault(subject)
            note = check.note(subject) if check.note is not None and fault is None else None
    except STOPS_RUN:
        raise
    except Exception as error:  # whatever a plug-in raises is a finding about it
        if disk_is_full(error):
            raise
        found = failure_of(error)
        status: CheckStatus = "n.a." if found.status == "unsupported" else "failed"
        return Outcome(check.name, status, found.reason)
    if fault is None:
        return Outcome(check.name, "passed", note or "")
    return Outcome(check.name, "failed", f"{one_line(fault)}. Why it matters: {check.why}")


def run_checks(checks: Sequence[Check[SubjectT]], subject: SubjectT) -> Iterator[Outcome]:
    """Make every check in order; after an essential one that did not pass the others are n.a."""
    stopped = ""
    for check in checks:
        if stopped:
            yield Outcome(check.name, "n.a.", f"not tried: {stopped!r} did not pass")
            continue
        outcome = run_check(check, subject)
        if check.essential and outcome.status != "passed":
            stopped = check.name
        yield outcome


def bundled_clip(name: str, seconds: float) -> Clip:
    """A clip of the bundled data by its path without suffix, cut to some seconds."""
    path = CLIPS / f"{name}.flac"
    return Clip(path.stem, path.parent.name, read_audio(path, duration_s=seconds))


def is_frozen_dataclass(kind: type) -> bool:
    """Whether instances of a class have fields that stay as they are."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return is_dataclass(kind) and bool(getattr(parameters, "frozen", False))

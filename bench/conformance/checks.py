"""What a check of the contract is, and running one.

A check is a function that looks at a loaded method or metric and says what is wrong, or None. The
command `check` and the contract tests run the same tables (`bench.conformance.method_checks`,
`bench.conformance.metric_checks`); this module holds what the two tables share.

**Conventions**: a check that cannot be made raises `UnsupportedError` with the reason and counts as
n.a.; anything else that it raises is a fault of what is checked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from bench.api import AXES, Clip, Entry
from bench.audio import read_audio
from bench.checkout import DATASETS
from bench.failure import STOPS_RUN, contained, failure_of
from bench.files import disk_is_full
from bench.outside.wording import one_line
from bench.plugins.fault_places import place_of_fault


class Subject(Protocol):
    """What is checked."""

    @property
    def entry(self) -> Entry:
        """Its line in the catalog."""


SubjectT = TypeVar("SubjectT", bound=Subject)
ValueT = TypeVar("ValueT")
CheckStatus = Literal["passed", "failed", "n.a."]

# The clips that everything is tried on: a part of the bundled data, with styles that the mini
# models know by name.
CLIPS = DATASETS / "mini"
STYLE_TEXT = "accordion"
STYLE_CLIPS = tuple(f"style/accordion/accordion_{number}" for number in (1, 2, 3, 4))
OTHER_STYLE_CLIP = "style/bells/bells_1"
CONTENTS = ("content/piano/piano_ode_to_joy", "content/flute/flute_morning_mood")
AXES_WORDS = f"float32 with the axes ({', '.join(AXES)})"
ODD_RATE = 37_801  # no device records at it, and it divides nothing


@dataclass(frozen=True, slots=True)
class Check(Generic[SubjectT]):
    """One promise of the contract.

    Args:
        name: The promise in a few words.
        why: What goes wrong in a benchmark when it is broken.
        fault: Looks at a subject and says what is wrong, or None.
        note: Says of a subject that passed what one should know all the same, or None.
        needs: The names of other checks, without which this one means nothing.
    """

    name: str
    why: str
    fault: Callable[[SubjectT], str | None]
    note: Callable[[SubjectT], str | None] | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check.

    Args:
        name: The check.
        status: Whether it passed, failed or could not be made.
        reason: Why it failed or could not be made; of one that passed, what one should know.
        root: The check that shows why this one was not tried.
    """

    name: str
    status: CheckStatus
    reason: str = ""
    root: str = ""


class kept(Generic[SubjectT, ValueT]):  # noqa: N801 - a decorator, as `property` is
    """A value of a subject that is made when it is first asked for; so is the fault of making it.

    Every check that needs the value then raises the same exception, by which `Checking` knows that
    it is the same fault.
    """

    def __init__(self, make: Callable[[SubjectT], ValueT]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        """Remember the name of the attribute, under which the instance keeps the value."""
        self._name = name

    def __get__(self, subject: SubjectT, owner: type | None = None) -> ValueT:
        """The value, or the exception that making it has raised."""
        faults: dict[str, Exception] = vars(subject).setdefault("_faults", {})
        if self._name in faults:
            raise faults[self._name]
        try:
            value = self._make(subject)
        except Exception as fault:
            faults[self._name] = fault
            raise
        vars(subject)[self._name] = value  # found before this descriptor from now on
        return value


@dataclass(slots=True)
class Checking(Generic[SubjectT]):
    """Making checks one after another, where what broke in one is not tried in the next.

    Args:
        subject: What is checked.
        broken: Names of checks that did not pass, each with that of the check that shows why.
    """

    subject: SubjectT
    broken: dict[str, str] = field(default_factory=dict)
    _seen: dict[int, tuple[Exception, str]] = field(default_factory=dict)

    def outcomes(self, checks: Sequence[Check[SubjectT]]) -> Iterator[Outcome]:
        """Make every check in order; what needs something that broke before is n.a."""
        for check in checks:
            why = next((self.broken[name] for name in check.needs if name in self.broken), "")
            outcome = _not_tried(check.name, why) if why else self.outcome(check)
            if outcome.status != "passed":
                self.broken[check.name] = outcome.root or check.name
            yield outcome

    def outcome(self, check: Check[SubjectT]) -> Outcome:
        """Make one check.

        Raises:
            CheckpointError: Weights are missing, which is for the user to fix and no fault of the
                subject.
            DeviceError: The device is not there.
        """
        try:
            with contained(loading=True):
                fault = check.fault(self.subject)
                note = check.note(self.subject) if check.note is not None and not fault else None
        except STOPS_RUN:
            raise
        except Exception as error:  # whatever a plug-in raises is a finding about it
            if disk_is_full(error):
                raise
            return self._raised(check.name, error)
        if not fault:
            return Outcome(check.name, "passed", note or "")
        return Outcome(check.name, "failed", f"{one_line(fault)}. Why it matters: {check.why}")

    def _raised(self, name: str, error: Exception) -> Outcome:
        _, first = self._seen.setdefault(id(error), (error, name))
        if first != name:
            return _not_tried(name, first)
        found = failure_of(error)
        if found.status == "unsupported":
            return Outcome(name, "n.a.", found.reason)
        where = place_of_fault(error, self.subject.entry.target.rpartition(":")[0])
        return Outcome(name, "failed", f"{found.reason} ({where})" if where else found.reason)


def run_check(check: Check[SubjectT], subject: SubjectT) -> Outcome:
    """Make one check by itself; raises as `Checking.outcome` does."""
    return Checking(subject).outcome(check)


def run_checks(
    checks: Sequence[Check[SubjectT]], subject: SubjectT, broken: Mapping[str, str] | None = None
) -> Iterator[Outcome]:
    """Make every check in order, see `Checking`; some may have been found broken before."""
    yield from Checking(subject, dict(broken or {})).outcomes(checks)


def _not_tried(name: str, needed: str) -> Outcome:
    return Outcome(name, "n.a.", f"not tried: {needed!r} did not pass", needed)


def bundled_clip(name: str, seconds: float) -> Clip:
    """A clip of the bundled data by its path without suffix, cut to some seconds."""
    path = CLIPS / f"{name}.flac"
    return Clip(path.stem, path.parent.name, read_audio(path, duration_s=seconds))


def complete(kind: Any, contract: type) -> type:  # noqa: ANN401 - whatever was named
    """A class that implements a contract.

    Raises:
        TypeError: It derives from something else, or lacks a method.
    """
    if not issubclass(kind, contract):
        raise TypeError(f"it does not derive from bench.api.{contract.__name__}")
    if inspect.isabstract(kind):
        lacking = ", ".join(sorted(kind.__abstractmethods__))
        raise TypeError(f"it does not implement {lacking}; all methods of the contract are called")
    whole: type = kind
    return whole


def is_frozen_dataclass(kind: type) -> bool:
    """Whether instances of a class have fields that stay as they are."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return is_dataclass(kind) and bool(getattr(parameters, "frozen", False))

"""Checking whether a method or metric keeps the contract, by catalog name or from outside.

What comes from outside is checked in a process of its own.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from bench.api import ConfigError, Entry, Profile, UnknownNameError
from bench.conformance.checks import AXES_WORDS, Check, Outcome, run_checks
from bench.conformance.method_checks import METHOD_CHECKS
from bench.conformance.method_subject import MethodSubject
from bench.conformance.metric_checks import METRIC_CHECKS
from bench.conformance.metric_subject import MetricSubject
from bench.errors import KINDS, nearest, told_as
from bench.failure import STOPS_RUN
from bench.outside.elsewhere import require_made_here
from bench.plugins.catalog import (
    describe,
    find_method,
    find_metric,
    kind_name,
    methods,
    metrics,
)
from bench.plugins.choices import MethodChoice, parse_method
from bench.plugins.inspection import is_outside
from bench.plugins.kinds import with_model
from bench.plugins.process import how_it_ended
from bench.weights import quiet_loaders

SubjectT = TypeVar("SubjectT", MethodSubject, MetricSubject)


Broken = Mapping[str, str] | None  # checks that did not pass, see `Checking`


@dataclass(frozen=True, slots=True)
class Examination:
    """What is checked, and the outcomes of its checks; each is made when it is asked for."""

    title: str
    outcomes: Iterator[Outcome]


def examine(target: str, profile: Profile, device: str) -> Examination:
    """Put a method or metric through its checks.

    Args:
        target: A catalog name, `file.py:Class` or `package.module:Class`; parameters of a method
            in brackets.
        profile: Which checkpoints it loads.
        device: Where it runs: "cpu", "cuda:0", "mps".

    Raises:
        UnknownNameError: No such name, file or class.
        ConfigError: The class is neither a method nor a metric.
        CheckpointError: Its weights are missing (raised by the outcomes).
    """
    subject = wanted(target, profile, device)
    kind = "metric" if subject.is_metric else "method"
    title = f"{kind} {subject.choice.label}, profile {profile} on {device}"
    apart = is_outside(subject.entry.target)
    return Examination(title, outcomes_apart(subject) if apart else outcomes_here(subject))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be checked, as it is told to another process."""

    is_metric: bool
    entry: Entry
    profile: Profile
    device: str
    choice: MethodChoice


def wanted(target: str, profile: Profile, device: str) -> Wanted:
    """Find out what is to be checked; arguments and errors are those of `examine`."""
    choice = parse_method(target)
    require_made_here(choice.name, "checked")
    is_metric = _is_metric(choice)
    if is_metric and choice.overrides:
        choice = MethodChoice(choice.label, choice.label)  # its settings are part of its name
    entry = (
        find_metric(choice.name)
        if is_metric
        else with_model(find_method(choice.name), choice.overrides)
    )
    describe(entry, profile)  # fails here, before any check, where it cannot say that
    return Wanted(is_metric, entry, profile, device, choice)


def outcomes_here(what: Wanted, begin: int = 0, broken: Broken = None) -> Iterator[Outcome]:
    """Run every check in this process; the subject's worker, if any, ends after the last.

    Args:
        what: What is checked.
        begin: The number of the check to begin with.
        broken: Those before it that did not pass, see `Checking`.
    """
    if describe(what.entry, what.profile).weights:
        quiet_loaders()
    name, where = what.choice.name, (what.profile, what.device)
    if what.is_metric:
        metric = MetricSubject(name, what.entry, *where)
        return _outcomes(METRIC_CHECKS[begin:], metric, broken)
    subject = MethodSubject(name, what.entry, *where, what.choice.overrides)
    return _outcomes(METHOD_CHECKS[begin:], subject, broken)


def _outcomes(
    checks: Sequence[Check[SubjectT]], subject: SubjectT, broken: Broken
) -> Iterator[Outcome]:
    try:
        yield from run_checks(checks, subject, broken)
    finally:
        subject.close()


def outcomes_apart(what: Wanted) -> Iterator[Outcome]:
    """Run every check in a process of its own, which what is checked may end as it likes.

    Where it ends before its last check, the check that it was at has failed, and those after it are
    made in a second process. Where that ends too, the rest could not be made.
    """
    checks = METRIC_CHECKS if what.is_metric else METHOD_CHECKS
    made: list[Outcome] = []
    for last_try in (False, True):
        how = yield from _outcomes_of_a_process(what, made)
        if len(made) == len(checks):
            return
        name = checks[len(made)].name
        reason = f"not tried again: here too {how}"
        made.append(Outcome(name, "n.a.", reason) if last_try else Outcome(name, "failed", how))
        yield made[-1]
    for check in checks[len(made) :]:
        yield Outcome(check.name, "n.a.", "not tried: the process had ended")


def _outcomes_of_a_process(what: Wanted, made: list[Outcome]) -> Generator[Outcome, None, str]:
    """Go on with the checks in a new process; adds to those that were made, and says how it ended.

    Raises:
        BenchError: What the user must fix before anything can be checked.
    """
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe(duplex=False)
    broken = {one.name: one.root or one.name for one in made if one.status != "passed"}
    process = context.Process(target=_work_apart, args=(what, len(made), broken, far), daemon=True)
    process.start()
    far.close()
    try:
        for message in _messages(near):
            if message["kind"] == "stop":
                raise KINDS[message["name"]](message["words"])
            made.append(Outcome(*(message[key] for key in ("name", "status", "reason", "root"))))
            yield made[-1]
        process.join()
        return how_it_ended(process.exitcode, "the process of the checks")
    finally:
        near.close()
        process.kill()
        process.join()


def _messages(near: Connection) -> Iterator[dict[str, Any]]:
    """What the other process says, until it ends; JSON, since code from outside runs there."""
    while True:
        try:
            yield json.loads(near.recv_bytes())
        except (EOFError, OSError, ValueError):
            return


def _work_apart(what: Wanted, begin: int, broken: Mapping[str, str], far: Connection) -> None:
    """Check, and say each outcome as it comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    try:
        for outcome in outcomes_here(what, begin, broken):
            _say(far, "outcome", **asdict(outcome))
    except STOPS_RUN as error:
        _say(far, "stop", name=told_as(error), words=str(error))


def _say(far: Connection, kind: str, **more: str) -> None:
    far.send_bytes(json.dumps({"kind": kind, **more}).encode())


def _is_metric(choice: MethodChoice) -> bool:
    """Whether a metric was named, and not a method; raises as `examine` does."""
    name = choice.name
    if ":" not in name:
        if name not in methods() and name not in metrics():
            known = [*methods(), *metrics()]
            raise UnknownNameError(
                f"{name!r} is neither a method ({', '.join(methods())}) nor a metric "
                f"({', '.join(metrics())}).{nearest(name, known)} A class of your own is named "
                "path/to/file.py:Class."
            )
        return name in metrics()
    kind = kind_name(name)
    if kind is None:
        raise ConfigError(
            f"{name} is neither a method nor a metric; it must derive from "
            "bench.api.StyleTransferMethod or bench.api.Metric. Name the class that does."
        )
    return kind == "metric"


def line(outcome: Outcome) -> str:
    """An outcome as one line of the list.

    Example:
        >>> line(Outcome("it loads", "failed", "ImportError: no such module"))
        'failed  it loads: ImportError: no such module'
    """
    reason = f": {outcome.reason}" if outcome.reason else ""
    return f"{outcome.status:<6}  {outcome.name}{reason}"


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many checks passed, failed and could not be made; and, where one failed, what to know.

    Example:
        >>> print(summary([Outcome("it loads", "failed"), Outcome("silence is taken", "n.a.")]))
        0 passed, 1 failed, 1 n.a.
        A waveform is float32 with the axes (channel, sample); methods get and return (1, sample).
    """
    counts = Counter(outcome.status for outcome in outcomes)
    counted = f"{counts['passed']} passed, {counts['failed']} failed, {counts['n.a.']} n.a."
    hint = f"A waveform is {AXES_WORDS}; methods get and return (1, sample)."
    return f"{counted}\n{hint}" if counts["failed"] else counted

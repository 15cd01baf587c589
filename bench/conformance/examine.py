"""Checking whether a method or metric keeps the contract, by catalog name or from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench.api import ConfigError, Metric, Profile, StyleTransferMethod, UnknownNameError
from bench.conformance.checks import Check, Outcome, run_checks
from bench.conformance.method_checks import METHOD_CHECKS
from bench.conformance.method_subject import MethodSubject
from bench.conformance.metric_checks import METRIC_CHECKS
from bench.conformance.metric_subject import MetricSubject
from bench.errors import nearest
from bench.plugins.catalog import describe, find_method, find_metric, methods, metrics
from bench.plugins.choices import MethodChoice, parse_method
from bench.plugins.loading import load_class
from bench.weights import quiet_loaders

SubjectT = TypeVar("SubjectT", MethodSubject, MetricSubject)


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
    choice = parse_method(target)
    where = f"{choice.label}, profile {profile} on {device}"
    is_metric = _is_metric(choice)
    entry = find_metric(choice.name) if is_metric else find_method(choice.name)
    if describe(entry, profile).weights:
        quiet_loaders()
    if is_metric:
        metric = MetricSubject(choice.name, entry, profile, device)
        return Examination(f"metric {where}", _outcomes(METRIC_CHECKS, metric))
    method = MethodSubject(choice.name, entry, profile, device, choice.overrides)
    return Examination(f"method {where}", _outcomes(METHOD_CHECKS, method))


def _outcomes(checks: Sequence[Check[SubjectT]], subject: SubjectT) -> Iterator[Outcome]:
    """Run every check; the subject's worker, where it has one, ends after the last."""
    try:
        yield from run_checks(checks, subject)
    finally:
        subject.close()


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
    kind = load_class(name)
    if issubclass(kind, Metric):
        return True
    if not issubclass(kind, StyleTransferMethod):
        raise ConfigError(
            f"{name} is neither a method nor a metric; it must derive from "
            "bench.api.StyleTransferMethod or bench.api.Metric. Name the class that does."
        )
    return False


def line(outcome: Outcome) -> str:
    """An outcome as one line of the list.

    Example:
        >>> line(Outcome("it loads", "failed", "ImportError: no such module"))
        'failed  it loads: ImportError: no such module'
    """
    reason = f": {outcome.reason}" if outcome.reason else ""
    return f"{outcome.status:<6}  {outcome.name}{reason}"


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many checks passed, failed and could not be made."""
    counts = Counter(outcome.status for outcome in outcomes)
    return f"{counts['passed']} passed, {counts['failed']} failed, {counts['n.a.']} n.a."

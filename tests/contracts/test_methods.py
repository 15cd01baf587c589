"""What the contract promises of every method, asked of each one in the catalog.

A new method gets these tests by being registered. The checks are those of `python -m bench check`;
here they run on every registered name, and what a class from outside may leave open is asked too.
"""

from __future__ import annotations

import pytest

from bench.api import Json
from bench.conformance.checks import CheckStatus, Outcome, run_check
from bench.conformance.method_checks import METHOD_CHECKS
from bench.conformance.method_subject import MethodSubject
from bench.plugins import catalog

# What lacks a mini model is checked in its ablation, with the smallest networks.
_ABLATION: dict[str, Json] = {"weights": "random", "thinning": 16, "griffin_lim_iterations": 5}
OVERRIDES: dict[str, dict[str, Json]] = {
    "vggish": _ABLATION,
    "cnn14": _ABLATION,
    "shallow": {"num_filters": 64, "griffin_lim_iterations": 5},
}
# These have no mini model; their own tests ask the contract of random weights. What lives in an
# environment of its own has none either (tests/backends).
FULL_ALONE = {"musicgen-style", "ace-step", "stable-audio"}
ANOTHER_SEED = "another seed gives other bytes"
# Of one class with zeta, of which the contract is asked every time.
BY_NIGHT = {"ddim-inversion", "sdedit", "steer"}


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(name, marks=[pytest.mark.slow] if name in BY_NIGHT else [])
        for name, entry in catalog.methods().items()
        if name not in FULL_ALONE and entry.environment is None
    ],
)
def subject(request: pytest.FixtureRequest) -> MethodSubject:
    """Each method of the catalog; what it has learnt and made is shared by its checks."""
    name: str = request.param
    return MethodSubject(name, catalog.find_method(name), overrides=OVERRIDES.get(name))


def test_a_method_keeps_the_contract(subject: MethodSubject) -> None:
    """Every check is made, whatever came of those before it."""
    outcomes = [run_check(check, subject) for check in METHOD_CHECKS]
    assert [one for one in outcomes if one.status != wanted(one, subject)] == []


def wanted(outcome: Outcome, subject: MethodSubject) -> CheckStatus:
    """How a check has to end: what draws nothing cannot be asked for another draw."""
    draws_nothing = outcome.name == ANOTHER_SEED and subject.entry.info.deterministic
    return "n.a." if draws_nothing else "passed"


def test_titles_are_unique() -> None:
    titles = [entry.info.title for entry in catalog.methods().values()]
    assert len(set(titles)) == len(titles)

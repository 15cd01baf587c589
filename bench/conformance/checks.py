"""What the contract promises, as a table of checks that anything in it can be put through.

A check is a function that looks at a loaded method or metric and says what is wrong, or nothing.
The command `check` and the contract tests run the same tables (`bench.conformance.method_checks`,
`bench.conformance.metric_checks`); here is what both share.

**Conventions**: a check that cannot be made raises `UnsupportedError` with the reason and counts as
n.a.; anything else that it raises is a fault of what is checked.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

import numpy as np

from bench.api import Audio, CheckpointError, Clip, DeviceError, UnsupportedError
from bench.audio import read_audio
from bench.checkout import DATASETS

SubjectT = TypeVar("SubjectT")
Outcome = Literal["passed", "failed", "n.a."]

# The clips that everything is tried on: a part of the bundled data, whose styles the mini models
# know by name.
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
        fault: Looks at a subject; what is wrong, in words, or None.
        essential: Whether nothing after it can be checked when it fails.
    """

    name: str
    why: str
    fault: Callable[[SubjectT], str | None]
    essential: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a check; `reason` says why it failed or could not be made."""

    name: str
    outcome: Outcome
    reason: str = ""


def judge(check: Check[SubjectT], subject: SubjectT) -> Verdict:
    """Make one check.

    Raises:
        CheckpointError: Weights are missing: the user's to mend, no fault of the subject.
        DeviceError: The device is not there.
    """
    try:
        fault = check.fault(subject)
    except (CheckpointError, DeviceError):
        raise
    except UnsupportedError as declined:
        return Verdict(check.name, "n.a.", str(declined))
    except Exception as error:  # noqa: BLE001 - whatever a plug-in raises is a finding about it
        return Verdict(check.name, "failed", f"{type(error).__name__}: {error}")
    if fault is None:
        return Verdict(check.name, "passed")
    return Verdict(check.name, "failed", f"{fault}. Why it matters: {check.why}")


def judge_all(checks: Sequence[Check[SubjectT]], subject: SubjectT) -> Iterator[Verdict]:
    """Make every check in order; after an essential one that failed the others are n.a."""
    stopped = ""
    for check in checks:
        if stopped:
            yield Verdict(check.name, "n.a.", f"not tried: {stopped!r} did not pass")
            continue
        verdict = judge(check, subject)
        if check.essential and verdict.outcome != "passed":
            stopped = check.name
        yield verdict


def bundled_clip(name: str, seconds: float) -> Clip:
    """A clip of the bundled data by its path without suffix, cut to some seconds."""
    path = CLIPS / f"{name}.flac"
    return Clip(path.stem, path.parent.name, read_audio(path, duration_s=seconds))


def is_frozen_dataclass(kind: type) -> bool:
    """Whether instances of a class have fields that stay as they are."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return is_dataclass(kind) and bool(getattr(parameters, "frozen", False))


# ---------------------------------------------------------------------------- what must not change


@dataclass(slots=True)
class Watch:
    """Notes what calls change that is not theirs: the process around them and what they are given.

    Attributes:
        surroundings: Changes of the working directory and of global random generators.
        inputs: Inputs that were written to.
    """

    surroundings: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)

    @contextmanager
    def over(self, call: str, inputs: Mapping[str, object]) -> Iterator[None]:
        """Watch one call; a working directory that was left is entered again."""
        folder, before, given = Path.cwd(), _surroundings(), _digests(inputs)
        try:
            yield
        finally:
            self.surroundings += [f"{call} changed {what}" for what in _unlike(before)]
            self.inputs += [
                f"{call} wrote to {name}"
                for name, digest in _digests(inputs).items()
                if digest != given[name]
            ]
            os.chdir(folder)


def _surroundings() -> dict[str, str]:
    """Digests of what belongs to the whole process; torch's draws only where torch is loaded."""
    facts: dict[str, object] = {
        "the working directory": str(Path.cwd()),
        "the global generator of `random`": random.getstate(),
        "the global generator of numpy": repr(np.random.get_state()),  # noqa: NPY002 - it is watched
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["the global generator of torch"] = torch.get_rng_state().numpy().tobytes()
    return {name: _digest(fact) for name, fact in facts.items()}


def _unlike(before: Mapping[str, str]) -> list[str]:
    after = _surroundings()
    return [name for name, digest in before.items() if after.get(name) != digest]


def _digests(values: Mapping[str, object]) -> dict[str, str]:
    return {name: _digest(value) for name, value in values.items()}


def _digest(value: object) -> str:
    if isinstance(value, Audio):
        return value.digest
    return hashlib.sha256(pickle.dumps(value)).hexdigest()

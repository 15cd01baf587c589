"""A method and a metric that return and raise what the contract does not know, by name.

The method does what the parameter says: `fit` for what its fit does, `how` for its transfer.
"""

# ruff: noqa: D101, D105, N818 - the names say what is odd

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np

from bench import api
from bench.api import (
    Audio,
    Direction,
    FitRequest,
    Json,
    Metric,
    MetricInfo,
    Output,
    Profile,
    Progress,
    Score,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)

HUGE = 2_000_000


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit(0)


class Wordless(Exception):
    def __str__(self) -> str:
        return 7  # type: ignore[return-value]  # noqa: PLE0307 - which is the test


class CheckpointError(Exception):
    """One that only looks like the contract's."""


class Missing(api.CheckpointError):
    """One of the contract's, by descent."""


class Nameless(type):
    """Exceptions of this kind have no name that can be read."""

    @property
    def __name__(cls) -> str:
        raise ZeroDivisionError


class Hidden(Exception, metaclass=Nameless):
    pass


Escape = type("Red\x1b[31m\u202e", (Exception,), {})


class Farewell(BaseException):
    """No Exception at all."""


def deep(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


def recurse() -> None:
    recurse()


def raising(make: Callable[[], BaseException]) -> Callable[[], None]:
    def deed() -> None:
        raise make()

    return deed


# What is raised, and what its reason begins with.
RAISED: dict[str, tuple[Callable[[], None], str]] = {
    "interrupt": (raising(KeyboardInterrupt), "KeyboardInterrupt"),  # in a worker: here it ends all
    "generator-exit": (raising(GeneratorExit), "GeneratorExit"),
    "exit-0": (raising(lambda: SystemExit(0)), "SystemExit: 0"),
    "farewell": (raising(lambda: Farewell("bye")), "Farewell: bye"),
    "recursion": (recurse, "RecursionError: maximum recursion depth"),
    "memory": (raising(MemoryError), "out of memory"),
    "mute": (raising(Mute), "Mute: no words: they cannot be read"),
    "wordless": (raising(Wordless), "Wordless: no words: they cannot be read"),
    "long": (raising(lambda: ValueError("long " * HUGE)), "ValueError: long long"),
    "surrogates": (raising(lambda: ValueError("half \udc80")), r"ValueError: half \udc80"),
    "odd-name": (raising(lambda: Escape("odd")), r"Red\x1b[31m\u202e: odd"),
    "hidden-name": (raising(lambda: Hidden("who")), "Hidden: who"),
    "group": (
        raising(lambda: ExceptionGroup("two", [ValueError("a"), ValueError("b")])),
        "ExceptionGroup: two (2 sub-exceptions)",
    ),
    "base-group": (
        raising(lambda: BaseExceptionGroup("two", [SystemExit(0)])),
        "BaseExceptionGroup: two (1 sub-exception)",
    ),
    "likeness": (raising(lambda: CheckpointError("not ours")), "CheckpointError: not ours"),
    "ours": (raising(lambda: api.CheckpointError("ours \x1b")), r"ours \x1b"),
    "descendant": (raising(lambda: Missing("its child")), "its child"),
    "device": (raising(lambda: api.DeviceError("no device")), "no device"),
    "config": (raising(lambda: api.ConfigError("bad setting")), "bad setting"),
    "liar": (
        raising(lambda: OSError(28, "No space left on device", "/proc/self/mem")),
        "OSError: [Errno 28]",
    ),
    "no-file": (raising(lambda: OSError(28, "No space left on device")), "OSError: [Errno 28]"),
}


class Sub(Audio):
    """Audio of a class of its own."""


def vast(shape: tuple[int, ...]) -> np.ndarray:
    """A view that claims more than any memory holds."""
    return np.broadcast_to(np.float32(0.5), shape)


def forged(audio: Audio, name: str, value: object) -> Audio:
    """Audio that was changed after it was made."""
    made = Audio(audio.waveform, audio.sample_rate)
    object.__setattr__(made, name, value)
    return made


# What transfer returns for one content, and what the reason holds; None where it is right.
OUTPUTS: dict[str, tuple[Callable[[Audio], Any], str | None]] = {
    "float-rate": (lambda a: [Audio(a.waveform, float(a.sample_rate))], None),  # type: ignore[arg-type]  # which is the test
    "numpy-rate": (lambda a: [Audio(a.waveform, np.int64(a.sample_rate))], None),  # type: ignore[arg-type]  # ditto
    "fraction-rate": (lambda a: [Audio(a.waveform, Fraction(a.sample_rate))], None),  # type: ignore[arg-type]  # ditto
    "derived": (lambda a: [Sub(a.waveform, a.sample_rate)], None),
    "tuple": (lambda a: (a,), None),
    "memmap-like": (lambda a: [Audio(a.waveform.view(np.memmap), a.sample_rate)], None),
    "half-rate": (lambda a: [Audio(a.waveform, 44100.5)], "sample_rate is 44100.5; it must be a"),  # type: ignore[arg-type]  # ditto
    "text-rate": (lambda a: [Audio(a.waveform, "44100")], "sample_rate is '44100'; it must be a"),  # type: ignore[arg-type]  # ditto
    "none": (lambda _: None, "transfer returned None, not a list; one Audio each is wanted"),
    "bare": (lambda a: a, "transfer returned a Audio, not a list"),
    "array": (lambda a: [a.waveform], "transfer returned a list with a ndarray; one Audio each"),
    "pairs": (lambda a: [(a, 8000)], "transfer returned a list with a tuple of 2"),
    "lazy": (lambda a: (one for one in [a]), "transfer returned a generator, not a list"),
    "two": (lambda a: [a, a], "transfer returned a list of 2 for 1"),
    "dictionary": (lambda a: {0: a}, "transfer returned a dict of 1, not a list"),
    "text": (lambda _: "x", "transfer returned 'x', not a list"),
    "long-view": (lambda a: [Audio(vast((1, 1 << 33)), a.sample_rate)], "(1, 8589934592)"),
    "wide-view": (lambda a: [Audio(vast((1 << 33, 1)), a.sample_rate)], "(8589934592, 1)"),
    "forged-rate": (lambda a: [forged(a, "sample_rate", "fast")], "sample_rate is 'fast'"),
    "forged-sound": (lambda a: [forged(a, "waveform", None)], "waveform is a NoneType"),
}

ONE = np.ones(2)


class Held(StyleState):
    """A state of a class of its own."""


# What fit returns for one style, and what the reason holds; None where it is right.
STATES: dict[str, tuple[Callable[[], Any], str | None]] = {
    "nothing": (lambda: [StyleState()], None),
    "nan": (lambda: [StyleState({"a": np.array([np.nan])}, {"loss": float("nan")})], None),
    "scalar": (lambda: [StyleState({"a": np.array(3.5)})], None),
    "big-endian": (lambda: [StyleState({"a": ONE.astype(">f4")})], None),
    "fortran": (lambda: [StyleState({"a": np.asfortranarray(np.eye(3))})], None),
    "view": (lambda: [StyleState({"a": np.eye(4)[::2, ::-1]})], None),
    "proxy": (lambda: [StyleState(MappingProxyType({"a": ONE}), MappingProxyType({"b": 1}))], None),
    "derived": (lambda: [Held({"a": ONE})], None),
    "half-pair": (lambda: [StyleState({}, {"\udc80": "\udc80"})], None),
    "tuples": (lambda: [StyleState({}, {"steps": (1, (2,))})], None),
    "none": (lambda: None, "fit returned None, not a list; one StyleState each is wanted"),
    "lazy": (lambda: (StyleState() for _ in range(1)), "fit returned a generator, not a list"),
    "bare": (StyleState, "fit returned a StyleState, not a list"),
    "dictionary": (lambda: [{"a": ONE}], "fit returned a list with a dict of 1"),
    "too-many": (lambda: [StyleState()] * 3, "fit returned a list of 3 for 1"),
    "objects": (lambda: [StyleState({"a": np.array([{}])})], "the state's 'a' is of object"),
    "texts": (lambda: [StyleState({"a": np.array(["x"])})], "the state's 'a' is of <U1"),
    "dates": (lambda: [StyleState({"a": np.zeros(1, "M8[s]")})], "'a' is of datetime64[s]"),
    "wide": (lambda: [StyleState({"a": np.ones(1, np.longdouble)})], "'a' is of float128"),
    "list": (lambda: [StyleState({"a": [1.0]})], "'a' is a list of 1; it must be a numpy array"),  # type: ignore[dict-item]  # which is the test
    "masked": (lambda: [StyleState({"a": np.ma.masked_array(ONE)})], "'a' is a masked array"),
    "vast": (lambda: [StyleState({"a": vast((1 << 33,))})], "at most 8589934592 can be kept"),
    "number-key": (lambda: [StyleState({1: ONE})], "an array of the state has the name a int"),  # type: ignore[dict-item]  # ditto
    "half-key": (lambda: [StyleState({"\udc80": ONE})], r"has the name '\udc80'"),
    "reserved": (lambda: [StyleState({"__metadata__": ONE})], "has the name '__metadata__'"),
    "meta-key": (lambda: [StyleState({}, {"a": {1: 2}})], "the state's meta has the name a int"),  # type: ignore[dict-item]  # ditto
    "set": (lambda: [StyleState({}, {"a": {1}})], "the state's meta holds a set, which is no"),  # type: ignore[dict-item]  # ditto
    "numpy": (lambda: [StyleState({}, {"a": np.float32(1)})], "holds a numpy.float32, which"),  # type: ignore[dict-item]  # ditto
    "array-meta": (lambda: [StyleState({}, {"a": ONE})], "holds a ndarray, which is no JSON"),  # type: ignore[dict-item]  # ditto
    "digits": (lambda: [StyleState({}, {"a": 10**5000})], "cannot be written as JSON"),
    "deep": (lambda: [StyleState({}, {"a": deep(5000)})], "nested more than 100 levels deep"),
    "heavy": (lambda: [StyleState({}, {"a": "x" * 11_000_000})], "at most 10000000 can be kept"),
    "parts": (lambda: [StyleState(None, [1])], "the state's arrays are None"),  # type: ignore[arg-type]  # ditto
}

# What fit tells while it works; none of it does harm.
TOLD: dict[str, tuple[Any, Any]] = {
    "nan": (float("nan"), "x"),
    "beyond": (7, "x"),
    "half-pair": (0.5, "half \udc80"),
    "long": (0.5, "long " * HUGE),
    "number": (np.float32(0.5), 7),
}


@dataclass(frozen=True, slots=True)
class Oddity:
    """What to do."""

    fit: str = field(default="", metadata={"role": "fit"})
    how: str = field(default="", metadata={"role": "transfer"})


class Odd(StyleTransferMethod[Oddity]):
    """Returns the content, or does what it is told to."""

    def load(self, profile: Profile, device: str) -> None:
        pass

    def fit(self, requests: Sequence[FitRequest[Oddity]], progress: Progress) -> list[StyleState]:
        kind, _, name = requests[0].parameters.fit.partition(":")
        if kind == "raise":
            RAISED[name][0]()
        if kind == "tell":
            progress(*TOLD[name])
        made: list[StyleState] = (
            STATES[name][0]() if kind == "return" else [StyleState() for _ in requests]
        )
        return made

    def transfer(self, requests: Sequence[TransferRequest[Oddity]]) -> list[Audio]:
        kind, _, name = requests[0].parameters.how.partition(":")
        if kind == "raise":
            RAISED[name][0]()
        contents = [request.content.audio for request in requests]
        if kind == "return" and len(contents) == 1:
            made: list[Audio] = OUTPUTS[name][0](contents[0])
            return made
        if kind == "return":
            raise ValueError("one after the other")
        return contents


class Stubborn(Odd):
    """Does not load."""

    def load(self, profile: Profile, device: str) -> None:
        RAISED[os.environ["ODD_LOAD"]][0]()


# What a metric answers for one output, and what the reason holds; None where it is right.
SCORES: dict[str, tuple[Callable[[], Any], str | None]] = {
    "half-pair": (lambda: [Score("odd", None, None, "unsupported", "half \udc80")], None),
    "long": (lambda: [Score("odd", None, None, "unsupported", "long " * HUGE)], None),
    "numpy": (lambda: [Score("odd", np.float32(0.5))], None),
    "none": (lambda: None, "returned None, not a list"),
    "huge": (lambda: [Score("odd", 10**400)], "a score is a finite real number"),
    "object": (lambda: [Score("odd", {})], "a score is a finite real number"),  # type: ignore[arg-type]  # which is the test
    "status": (lambda: [Score("odd", 1.0, None, "\udc80")], "gave the status"),  # type: ignore[arg-type]  # ditto
    "reason": (lambda: [Score("odd", 1.0, None, "ok", 7)], "a reason is a text"),  # type: ignore[arg-type]  # ditto
}


class OddScore(Metric):
    """Answers what the environment says."""

    INFO = MetricInfo("Odd", Direction.MAXIMIZE, (0.0, 1.0), "here")

    def load(self, profile: Profile, device: str) -> None:
        pass

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        kind, _, name = os.environ["ODD_SCORE"].partition(":")
        if kind == "raise":
            RAISED[name][0]()
        made: list[Score] = SCORES[name][0]()
        return made

    def fingerprint(self) -> Mapping[str, Json]:
        return PRINTS[os.environ.get("ODD_PRINT", "plain")][0]()  # type: ignore[no-any-return]  # whatever


PRINTS: dict[str, tuple[Callable[[], Any], str | None]] = {
    "plain": (lambda: {"version": "1"}, None),
    "tuples": (lambda: MappingProxyType({"version": (1, 2), "nan": float("nan")}), None),
    "none": (lambda: None, "the fingerprint is None; a dictionary is wanted"),
    "half-pair": (lambda: {"a": "\udc80"}, "the fingerprint cannot be written as JSON"),
    "numpy": (lambda: {"a": np.int64(1)}, "the fingerprint holds a numpy.int64"),
    "keys": (lambda: {1: "a"}, "the fingerprint has the name a int"),
    "heavy": (lambda: {"a": "x" * HUGE}, "at most 100000 are recorded"),
    "digits": (lambda: {"a": 10**5000}, "cannot be written as JSON"),
}

"""Metrics from outside that break the rules of a score, each in one way; `Peak` keeps them all.

The content `CURSED` sets them off. `FAULTY_FIXED` in the environment stands for a corrected file.
"""

# ruff: noqa: D101 - the names say what is broken

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.api import (
    Direction,
    Json,
    Metric,
    MetricInfo,
    Output,
    Profile,
    Score,
    UnsupportedError,
)

CURSED = "low2"


class Peak(Metric):
    """Mean absolute sample of the output."""

    INFO = MetricInfo("Peak", Direction.MAXIMIZE, (0.0, 1.0), source="here")

    def load(self, profile: Profile, device: str) -> None:
        """Nothing to load."""

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        return [self.one(output) for output in outputs]

    def one(self, output: Output) -> Score:
        found = float(np.abs(output.audio.waveform).mean())
        if output.content.id == CURSED and "FAULTY_FIXED" not in os.environ:
            return self.broken(found)
        return Score("peak", found)

    def broken(self, found: float) -> Any:  # noqa: ANN401 - whatever breaks the contract
        return Score("peak", found)

    def fingerprint(self) -> Mapping[str, Json]:
        return {"version": "1"}


class NotANumber(Peak):
    def broken(self, found: float) -> Score:
        return Score("peak", float("nan"))


class RawNotANumber(Peak):
    def broken(self, found: float) -> Score:
        return Score("peak", 0.0, float("inf"))


class TooLarge(Peak):
    def broken(self, found: float) -> Score:
        return Score("peak", 57.0)


class NoNumber(Peak):
    def broken(self, found: float) -> Score:
        return Score("peak", None)


class Misnamed(Peak):
    def broken(self, found: float) -> Score:
        return Score("peek", found)


class Bare(Peak):
    def broken(self, found: float) -> float:
        return found


class Raising(Peak):
    def broken(self, found: float) -> Score:
        raise ValueError("this clip is cursed")


class Leaving(Peak):
    def broken(self, found: float) -> Score:
        sys.exit(0)


class Quitting(Peak):
    def broken(self, found: float) -> Score:
        os._exit(0)


class Hanging(Peak):
    def broken(self, found: float) -> Score:
        time.sleep(600)
        return Score("hanging", found)


class Declining(Peak):
    def broken(self, found: float) -> Score:
        raise UnsupportedError("not for such clips")


class TooFew(Peak):
    """Leaves the cursed clip out, so that in company nobody knows whose the scores are."""

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        return [self.one(output) for output in outputs if output.content.id != CURSED]


class Unloadable(Peak):
    def load(self, profile: Profile, device: str) -> None:
        if "FAULTY_FIXED" not in os.environ:
            raise RuntimeError("half of the file is gone")

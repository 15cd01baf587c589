"""Counts of costly calls, such as those of a UNet: free of noise, so a change of them is exact.

A method names what it does where it does it; the harness reads the difference over a chunk. The
counts are those of this process. What a method will count is known before, in `Passes`, where the
class of its parameters says so; from that the cost of a run is estimated.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

_CALLS: Counter[str] = Counter()


def count(operation: str, calls: int = 1) -> None:
    """Count calls of an operation, such as "unet" or "stft"."""
    _CALLS[operation] += calls


def counts() -> Counter[str]:
    """All counts of this process so far, as a copy.

    Example:
        >>> before = counts()
        >>> count("stft", 2)
        >>> counts() - before
        Counter({'stft': 2})
    """
    return _CALLS.copy()


@dataclass(frozen=True, slots=True)
class Passes:
    """How often a method repeats its costly step with given settings, in units of its own.

    Only ratios count: twice the passes take twice the time, beside what every call takes.

    Args:
        fit: Of the fit of a style, such as optimiser steps times rows.
        transfer: Of the transfer of a clip, such as rows of a UNet.
        fit_per_clip: Whether those of the fit are meant for each clip of the style.
        unit: What one of them is, such as "rows of the U-Net"; empty where nobody needs to know.
    """

    fit: float = 1.0
    transfer: float = 1.0
    fit_per_clip: bool = False
    unit: str = ""

    def words(self, *, fits: bool) -> str:
        """What they are, for a table; empty without a unit.

        Args:
            fits: Whether the method learns each style.

        Example:
            >>> Passes(400, 65, unit="rows of the U-Net").words(fits=True)
            '400 to fit, 65 for a window: rows of the U-Net'
            >>> Passes(transfer=96, unit="rows of the U-Net").words(fits=False)
            '96 for a window: rows of the U-Net'
        """
        if not self.unit:
            return ""
        each = " each clip" if self.fit_per_clip else ""
        learnt = f"{self.fit:g} to fit{each}, " if fits else ""
        return f"{learnt}{self.transfer:g} for a window: {self.unit}"


@runtime_checkable
class CountsPasses(Protocol):
    """Parameters of a method that know how many passes they ask for."""

    def passes(self) -> Passes:
        """How many they ask for."""


def passes_of(parameters: object) -> Passes:
    """The passes that parameters ask for; one of each where their class does not say.

    Example:
        >>> passes_of(None)
        Passes(fit=1.0, transfer=1.0, fit_per_clip=False, unit='')
    """
    if isinstance(parameters, CountsPasses) and callable(parameters.passes):  # or a field's name
        return parameters.passes()
    return Passes()

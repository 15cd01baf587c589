"""Counts of costly calls, such as those of a UNet: free of noise, so a change of them is exact.

A method names what it does where it does it; the harness reads the difference over a chunk. The
counts are those of this process.
"""

from __future__ import annotations

from collections import Counter

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

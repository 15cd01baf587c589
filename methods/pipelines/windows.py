"""Contents longer than a model's window: windows that overlap and fade into each other.

**Conventions**: waveforms are float32 (sample,); lengths are samples. The weights of a fade add up
to 1, so that windows of one and the same sound give it back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.api import Waveform

_OVERLAP_SHARE = 16  # of a window that two have in common, at least: 3 s of 47


def place_windows(length: int, window: int) -> tuple[int, ...]:
    """First samples of windows that cover a sound, evenly spaced from its start to its end.

    Example:
        >>> place_windows(90, 100), place_windows(250, 100)
        ((0,), (0, 75, 150))
    """
    if length <= window:
        return (0,)
    overlap = max(1, window // _OVERLAP_SHARE)
    count = -(-(length - overlap) // (window - overlap))
    return tuple(round(start) for start in np.linspace(0, length - window, count))


def cut_windows(waveform: Waveform, window: int) -> list[Waveform]:
    """The windows of a sound, all equally long; the sound itself where it needs no cutting."""
    return [waveform[start : start + window] for start in place_windows(len(waveform), window)]


def join_windows(windows: Sequence[Waveform], length: int) -> Waveform:
    """One sound of the windows that `cut_windows` made of a sound of this length."""
    width = len(windows[0])
    starts = place_windows(length, width)
    joined = np.array(windows[0], dtype=np.float64)
    for before, start, window in zip(starts, starts[1:], windows[1:], strict=False):
        overlap = before + width - start
        rise = np.sin(np.pi / 2 * (np.arange(overlap) + 0.5) / overlap) ** 2
        tail = joined[start:] * (1 - rise) + window[:overlap] * rise
        joined = np.concatenate([joined[:start], tail, window[overlap:]])
    return np.asarray(joined, dtype=np.float32)

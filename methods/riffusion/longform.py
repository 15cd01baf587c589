"""Pieces longer than the model's window: cut into windows that overlap, joined by a cross-fade.

The spectrogram of the whole piece is drawn first, so that all windows share one level; each window
is painted on its own; where two meet, their powers fade into each other with weights that add up to
1. Phases are found for the whole piece at once, so no cross-fade of waveforms is needed and nothing
cancels.

**Conventions**: images are uint8 (mel, frame), 255 is silence; grey values are fourth roots of
magnitudes, so powers are eighth powers.

References:
    Riffusion's audio_to_audio cuts pieces of 5.0 s with 0.2 s in common, levels each on its own,
    loses the rest at the end, and fades waveforms linearly. Departures: one level, no rest, equal
    power, spectra in place of waveforms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from methods.riffusion.width import GreyImage

_OVERLAP_SHARE = 16  # of a window that two have in common, at least: 0.32 s
_DARKEST = 255
_TO_POWER = 8


def count_overlap(window: int) -> int:
    """Columns that two windows have in common, at least."""
    return max(1, window // _OVERLAP_SHARE)


def place_windows(columns: int, window: int) -> list[int]:
    """First columns of windows that cover an image, evenly spaced from its start to its end.

    An image that is at most one column wider gets one window, because a clip as long as the window
    has one frame more.

    Example:
        >>> place_windows(250, 256), place_windows(600, 256)
        ([0], [0, 172, 344])
    """
    if columns <= window + 1:
        return [0]
    overlap = count_overlap(window)
    count = -(-(columns - overlap) // (window - overlap))
    return [round(start) for start in np.linspace(0, columns - window, count)]


def cut_windows(image: GreyImage, window: int) -> list[GreyImage]:
    """The windows of an image; the image itself where it needs no cutting."""
    starts = place_windows(image.shape[1], window)
    if len(starts) == 1:
        return [image]
    return [image[:, start : start + window] for start in starts]


def join_windows(windows: Sequence[GreyImage], columns: int) -> GreyImage:
    """One image of the windows that `cut_windows` made of an image with so many columns.

    Equal windows give that very image back.
    """
    if len(windows) == 1:
        return windows[0]
    width = windows[0].shape[1]
    power = np.zeros((windows[0].shape[0], columns))
    total = np.zeros(columns)
    for start, window in zip(place_windows(columns, width), windows, strict=True):
        weights = fade_weights(width, at_start=start == 0, at_end=start + width == columns)
        place = slice(start, start + width)
        power[:, place] += weights * (1 - window / _DARKEST) ** _TO_POWER
        total[place] += weights
    grey = _DARKEST * (1 - (power / total) ** (1 / _TO_POWER))
    return np.asarray(np.rint(grey), dtype=np.uint8)


def fade_weights(width: int, *, at_start: bool, at_end: bool) -> NDArray[np.float64]:
    """Weights of a window's powers: squared sines that rise and fall where it meets another."""
    overlap = count_overlap(width)
    rise = np.sin(np.pi / 2 * (np.arange(overlap) + 0.5) / overlap) ** 2
    weights = np.ones(width)
    if not at_start:
        weights[:overlap] *= rise
    if not at_end:
        weights[-overlap:] *= rise[::-1]
    return weights

"""Width policy: spectrograms have as many columns as frames, the model one width.

**Conventions**: images are uint8 (mel, frame), 255 is silence.

References:
    MusicTI resizes to the model's square and never undoes it, which slows a 5 s clip by 2 %.
    Departures: the output is resized back to the content's columns (`unstretch`), and clips that
    differ from the window by more than 5 % are padded instead.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.api import ConfigError

WidthMode = Literal["resize", "pad", "crop", "report"]
Filter = Literal["lanczos", "bicubic"]
GreyImage = NDArray[np.uint8]

_SILENCE = 255
_LARGEST_STRETCH = 0.05


def choose_mode(columns: int, window: int, mode: WidthMode) -> WidthMode:
    """The mode that is applied: `resize` only within 5 % of the window, `pad` beyond.

    Raises:
        ConfigError: The mode is not known.
    """
    if mode not in ("resize", "pad", "crop", "report"):
        raise ConfigError(
            f"width_mode is {mode!r}; it must be resize, pad, crop or report. Try resize."
        )
    far = abs(columns - window) > _LARGEST_STRETCH * window
    return "pad" if mode == "resize" and far else mode


def resize_columns(image: GreyImage, columns: int, kernel: Filter = "lanczos") -> GreyImage:
    """Resample an image along time; the very same image where nothing changes."""
    if image.shape[1] == columns:
        return image
    kernels = {"lanczos": Image.Resampling.LANCZOS, "bicubic": Image.Resampling.BICUBIC}
    return np.asarray(Image.fromarray(image).resize((columns, image.shape[0]), kernels[kernel]))


def to_window(
    image: GreyImage, window: int, mode: WidthMode, kernel: Filter = "lanczos"
) -> GreyImage:
    """Bring an image to the model's width.

    Args:
        image: (mel, frame).
        window: Columns of the model.
        mode: resize resamples an image within 5 % of the window and pads others; pad adds silence
            at the end, or drops columns there; crop takes the middle; report resamples to a
            multiple of 32 columns, not to the window, as the reproduction report does.
        kernel: Of the resampling.
    """
    columns = image.shape[1]
    applied = choose_mode(columns, window, mode)
    if applied == "resize":
        return resize_columns(image, window, kernel)
    if applied == "report":
        return resize_columns(image, max(32, columns // 32 * 32), kernel)
    first = max(0, columns - window) // 2 if applied == "crop" else 0
    kept = image[:, first : first + window]
    return np.pad(kept, ((0, 0), (0, window - kept.shape[1])), constant_values=_SILENCE)


def from_window(
    image: GreyImage, columns: int, mode: WidthMode, *, unstretch: bool = True
) -> GreyImage:
    """Bring an output back to the content's columns; `unstretch` undoes `resize`."""
    applied = choose_mode(columns, image.shape[1], mode)
    if applied in ("resize", "report"):
        return resize_columns(image, columns) if unstretch else image
    return image[:, :columns]

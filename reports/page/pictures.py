"""Mel spectrograms as small pictures, beside each sound of a page; see `reports.figures.mel`."""

from __future__ import annotations

import io

import numpy as np

from bench.api import Audio
from reports.figures.mel import mel_levels

SIZE = (192, 64)  # pixels, across and up
QUALITY = 70


def mel_picture(audio: Audio, size: tuple[int, int] = SIZE) -> bytes:
    """A WebP of the mel spectrogram, `size` pixels across and up."""
    from matplotlib import colormaps
    from PIL import Image

    levels = mel_levels(audio, *size)
    shades = (colormaps["magma"](levels)[::-1, :, :3] * 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(shades).save(buffer, "WEBP", quality=QUALITY, method=2)
    return buffer.getvalue()

"""Short clips of noise in a folder, for datasets of tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile


def write_noises(folder: Path, names: Iterable[str], rate: int) -> None:
    """Write a second of noise for each name such as "style/hiss/0", each another one."""
    rng = np.random.default_rng(0)
    for name in names:
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.8, 0.8, rate), rate, subtype="PCM_16")

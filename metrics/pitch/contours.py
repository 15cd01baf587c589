"""Contours: the pitch of a sound over time and how clear it is, by swift-f0.

The tracker names a pitch in every frame of 16 ms, whatever is heard, and says beside it how sure it
is that there is one. It hears 46.9 to 2,093.8 Hz, one pitch at a time: of chords, noise and
inharmonic bells it is unsure, or sure of a pitch that nobody hears.

**Conventions**: a contour is float32 (2, frame): the pitch in Hz, and the confidence in [0, 1]; a
frame begins every `HOP_LENGTH` samples at `SAMPLE_RATE`, and a last part of a frame has none.

References:
    Nieradzik (2025), "SwiftF0: Fast and accurate monophonic pitch detection", arXiv 2508.18440;
    package swift-f0 0.3. Departure: sounds are levelled, because its confidence falls with the
    level.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Json, Profile, ProfileInfo
from bench.cache import Cache
from bench.files import remembered_digest
from metrics.level import LEVEL_RMS, QUIETEST_RMS, levelled
from metrics.pitch.extra import RUNTIME, TRACKER, lacking, versions
from metrics.pitch.remembered import Remembered

SAMPLE_RATE = 16000
HOP_LENGTH = 256
VOICED = 0.5  # the confidence from which a frame has a pitch, as the package calibrates it
CLEAR = 0.8  # the confidence that tells a melody from chords, bells and noise

Contour = NDArray[np.float32]


def describe(profile: Profile) -> ProfileInfo:
    """Rate and licence, the same in each profile; the weights are part of the package swift-f0."""
    del profile
    return ProfileInfo(sample_rate=SAMPLE_RATE, licence="MIT (weights in the package swift-f0)")


def voiced(contour: Contour) -> NDArray[np.bool_]:
    """Which frames have a pitch."""
    return np.asarray(contour[1] >= VOICED)


def clear_share(contour: Contour) -> float:
    """The share of frames whose pitch is clear, in [0, 1]; 0 for a sound without a frame."""
    return float(np.mean(contour[1] >= CLEAR)) if contour.shape[1] else 0.0


@lru_cache(maxsize=2)
def open_contours(cache: Cache) -> Remembered:
    """The contours of sounds, with the tracker loaded; one for all metrics of a process."""
    from swift_f0 import SwiftF0

    tracker = SwiftF0(threads=1, spin=False)

    def hear(audio: Audio) -> Contour:
        mono = levelled(audio, SAMPLE_RATE)
        if not len(mono):
            return np.zeros((2, 0), np.float32)
        found = tracker.detect(mono, SAMPLE_RATE)
        return np.stack([found.pitch_hz, found.confidence]).astype(np.float32)

    return Remembered("contours", hear, facts(), cache)


def facts() -> dict[str, Json]:
    """All that decides a contour beside the sound."""
    return {
        "model": None if lacking() else remembered_digest(_model()),
        "sample_rate": SAMPLE_RATE,
        "hop_length": HOP_LENGTH,
        "level_rms": LEVEL_RMS,
        "quietest_rms": QUIETEST_RMS,
        "libraries": versions(TRACKER, RUNTIME, "soxr", "numpy"),
    }


def _model() -> Path:
    """The weights in the package."""
    import swift_f0

    return Path(swift_f0.__file__).with_name("model.onnx")

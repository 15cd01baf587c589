"""The weights of MusicNN, as data; importable without torch.

They are small enough to be shipped and the same in both profiles. `metrics.musicnn.convert` makes
them from what their authors published; the card beside them says what they were trained on.
"""

from __future__ import annotations

from pathlib import Path

from bench import weights
from bench.api import Profile, ProfileInfo

NAME = "metrics/weights/musicnn"
FOLDER = Path(__file__).resolve().parent.parent / "weights" / "musicnn"
FILE = "model.safetensors"
SAMPLE_RATE = 16_000


def locate() -> Path:
    """The folder of the weights.

    Raises:
        CheckpointError: A file is missing or empty.
    """
    return weights.require_files(FOLDER, (FILE,), "the MusicNN model")


def describe(profile: Profile) -> ProfileInfo:
    """Describe a profile: rate, weights, licence, bandwidth; both are alike."""
    del profile
    return ProfileInfo(
        sample_rate=SAMPLE_RATE,
        weights=(NAME,),
        licence="ISC (Music Technology Group, Universitat Pompeu Fabra)",
        bandwidth_hz=SAMPLE_RATE / 2,
    )

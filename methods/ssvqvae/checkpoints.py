"""The checkpoints of SS VQ-VAE, as data; importable without torch."""

from __future__ import annotations

from pathlib import Path

from bench.api import Profile, ProfileInfo
from bench.cache import Cache

MINI_FOLDER = Path(__file__).resolve().parent / "weights"
MINI_FILES = ("config.json", "model.safetensors")

# Released by the authors on a server of their university, which may be down: keep a copy. The
# licence of the code is Apache-2.0; none is stated for the weights.
RELEASED_FILE = "ssvqvae_model_state.pt"
RELEASED_URL = (
    "https://adasp.telecom-paris.fr/rc-ext/demos_companion-pages/vqvae_examples/" + RELEASED_FILE
)
RELEASED_BYTES = 222_800_000


def released_folder() -> Path:
    """Where the released checkpoint is looked for: `checkpoints/ssvqvae` in the bench's cache."""
    return Cache.default().root / "checkpoints" / "ssvqvae"


def describe(profile: Profile) -> ProfileInfo:
    """What depends on the profile: rate, weights, licence, bandwidth; clips of any length."""
    if profile == "mini":
        return ProfileInfo(
            sample_rate=16_000,
            weights=("methods/ssvqvae/weights",),
            licence="MIT (trained by this project on audio it renders)",
            bandwidth_hz=8_000.0,
        )
    folder = released_folder()
    return ProfileInfo(
        sample_rate=16_000,
        weights=(str(folder),) if folder.is_dir() else (),  # without them, `load` says how
        licence="unclear (code Apache-2.0, weights not stated)",
        bandwidth_hz=8_000.0,
    )

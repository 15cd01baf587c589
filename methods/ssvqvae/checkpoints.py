"""The checkpoints of SS VQ-VAE, as data; importable without torch."""

from __future__ import annotations

from pathlib import Path

from bench.api import HubCheckpoint, Profile, ProfileInfo

MINI_FOLDER = Path(__file__).resolve().parent / "weights"
MINI_FILES = ("config.json", "model.safetensors")

# Released by the authors on a server of their university, which may be down: keep a copy. The
# licence of the code is Apache-2.0; none is stated for the weights.
RELEASED_WEIGHTS = HubCheckpoint(
    id="adasp.telecom-paris.fr/vqvae_examples",
    revision="2021",
    files=("ssvqvae_model_state.pt",),
    bytes=222_800_000,
    licence="unclear (code Apache-2.0, weights not stated)",
    part="ssvqvae_model_state",
    url=(
        "https://adasp.telecom-paris.fr/rc-ext/demos_companion-pages/vqvae_examples/"
        "ssvqvae_model_state.pt"
    ),
)


def describe(profile: Profile) -> ProfileInfo:
    """What depends on the profile: rate, weights, licence, bandwidth; clips of any length."""
    if profile == "mini":
        return ProfileInfo(
            sample_rate=16_000,
            weights=("methods/ssvqvae/weights",),
            licence="MIT (trained by this project on audio it renders)",
            bandwidth_hz=8_000.0,
        )
    return ProfileInfo(
        sample_rate=16_000,
        weights=(RELEASED_WEIGHTS.name,),
        licence=RELEASED_WEIGHTS.licence,
        bandwidth_hz=8_000.0,
        checkpoints=(RELEASED_WEIGHTS,),
    )

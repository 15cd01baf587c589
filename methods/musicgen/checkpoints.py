"""The checkpoints of MusicGen melody, as data; importable without torch."""

from __future__ import annotations

from pathlib import Path

from bench.api import HubCheckpoint, Profile, ProfileInfo

MINI_FOLDER = Path(__file__).resolve().parent / "weights"

# What every profile's folder must hold beside the weights themselves, whose names differ.
FILES = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json")

# What only the mini model has: the sounds it was trained on, and its fixed text length.
VOCABULARY = "vocabulary.json"

# Copet et al. (2023), 1.5 billion parameters, as converted for transformers; float32 shards.
MUSICGEN_MELODY = HubCheckpoint(
    id="facebook/musicgen-melody",
    revision="main",
    files=(
        *FILES,
        "tokenizer_config.json",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ),
    optional=("special_tokens_map.json", "spiece.model"),
    bytes=6_130_000_000,
    licence="CC-BY-NC-4.0",
)


def describe(profile: Profile) -> ProfileInfo:
    """What depends on the profile: rate, longest clip, weights, licence, bandwidth."""
    if profile == "mini":
        return ProfileInfo(
            sample_rate=16_000,
            longest_s=5.12,
            weights=("methods/musicgen/weights",),
            licence="MIT (trained by this project on audio it renders)",
            bandwidth_hz=8_000.0,
        )
    return ProfileInfo(
        sample_rate=32_000,
        longest_s=30.0,
        weights=(MUSICGEN_MELODY.name,),
        licence=MUSICGEN_MELODY.licence,
        bandwidth_hz=16_000.0,
        checkpoints=(MUSICGEN_MELODY,),
    )

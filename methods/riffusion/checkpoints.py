"""The checkpoints of the Riffusion family, as data; importable without torch."""

from __future__ import annotations

from pathlib import Path

from bench.api import HubCheckpoint, Profile, ProfileInfo

# What every profile's folder must hold beside the weights themselves, whose suffix differs.
FILES = (
    "vae/config.json",
    "unet/config.json",
    "text_encoder/config.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "scheduler/scheduler_config.json",
)

# One window of the model in both profiles, seconds; longer pieces are cut (`longform`).
WINDOW_S = 5.12
# Phases are found for a whole piece at once: at 44.1 kHz this many seconds take about 10 GB.
LONGEST_S = 300.0

MINI_FOLDER = Path(__file__).resolve().parent / "weights"

# Stable Diffusion v1.5 fine-tuned on spectrograms by Forsgren and Martiros (2022). The weights are
# pickles, read with weights_only; safetensors are preferred should the repository gain them. The
# size is that of float32 parameters (859.5, 123.1 and 83.7 million).
RIFFUSION = HubCheckpoint(
    id="riffusion/riffusion-model-v1",
    revision="main",
    files=FILES,
    either=(
        ("vae/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.bin"),
        ("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin"),
        ("text_encoder/model.safetensors", "text_encoder/pytorch_model.bin"),
    ),
    optional=("tokenizer/special_tokens_map.json", "tokenizer/tokenizer_config.json"),
    bytes=4_270_000_000,
    licence="creativeml-openrail-m",
)


def describe(profile: Profile) -> ProfileInfo:
    """What depends on the profile: rate, longest clip, weights, licence, bandwidth."""
    if profile == "mini":
        return ProfileInfo(
            sample_rate=22_050,
            longest_s=LONGEST_S,
            weights=("methods/riffusion/weights",),
            licence="MIT (trained by this project on audio it renders)",
            bandwidth_hz=10_000.0,
        )
    return ProfileInfo(
        sample_rate=44_100,
        longest_s=LONGEST_S,
        weights=(RIFFUSION.name,),
        licence=RIFFUSION.licence,
        bandwidth_hz=10_000.0,
        checkpoints=(RIFFUSION,),
    )

"""The checkpoints of the Riffusion family, as data; importable without torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.api import ConfigError, HubCheckpoint, Profile, ProfileInfo

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

# AudioLDM 2 by Liu et al. (2024), the model of 1.1 billion weights that the edits' papers measured
# on. The size is that of float32 weights; files are as its pipeline lays them out. None of them has
# been loaded by this project yet.
AUDIOLDM2 = HubCheckpoint(
    id="cvssp/audioldm2",
    revision="main",
    files=(
        "vae/config.json",
        "unet/config.json",
        "vocoder/config.json",
        "text_encoder/config.json",
        "text_encoder_2/config.json",
        "projection_model/config.json",
        "language_model/config.json",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "tokenizer_2/tokenizer.json",
        "scheduler/scheduler_config.json",
    ),
    either=(
        *(
            (f"{part}/diffusion_pytorch_model.safetensors", f"{part}/diffusion_pytorch_model.bin")
            for part in ("vae", "unet", "projection_model")
        ),
        *(
            (f"{part}/model.safetensors", f"{part}/pytorch_model.bin")
            for part in ("vocoder", "text_encoder", "text_encoder_2", "language_model")
        ),
    ),
    optional=(
        "tokenizer/tokenizer.json",
        *(
            f"{folder}/{name}"
            for folder in ("tokenizer", "tokenizer_2")
            for name in ("special_tokens_map.json", "tokenizer_config.json")
        ),
        "tokenizer_2/spiece.model",
    ),
    bytes=4_400_000_000,
    licence="CC-BY-NC-SA-4.0",
)


def describe_edits(profile: Profile, backbone: str = "riffusion") -> ProfileInfo:
    """The same for the edits under a text, which know two models in the full profile.

    Raises:
        ConfigError: The small profile has no such model.
    """
    if backbone == "riffusion":
        info = describe(profile)
        known = (AUDIOLDM2,) if profile == "full" else ()
        return replace(info, checkpoints=(*info.checkpoints, *known))
    if profile == "mini":
        raise ConfigError(
            f"backbone is {backbone!r} in profile mini; there is no small model of it. Add "
            "--profile full, or set backbone=riffusion."
        )
    return ProfileInfo(
        sample_rate=16_000,
        longest_s=LONGEST_S,
        weights=(AUDIOLDM2.name,),
        licence=AUDIOLDM2.licence,
        bandwidth_hz=8_000.0,
        checkpoints=(AUDIOLDM2,),
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


def describe_mini_alone(profile: Profile) -> ProfileInfo:
    """The same for what was trained with the small model, and needs no checkpoint in `full`."""
    return describe("mini") if profile == "mini" else ProfileInfo(longest_s=LONGEST_S)

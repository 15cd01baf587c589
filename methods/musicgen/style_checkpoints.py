"""The checkpoints of MusicGen-Style, as data; importable without torch.

Names, files and licences are as the model pages give them; sizes are estimates from the counts of
parameters. None of them has been loaded by this project yet.
"""

from __future__ import annotations

from bench.api import HubCheckpoint, Profile, ProfileInfo

LANGUAGE_MODEL = HubCheckpoint(
    id="facebook/musicgen-style",
    revision="main",
    files=("state_dict.bin",),
    bytes=3_000_000_000,
    licence="CC-BY-NC-4.0",
)
FEATURES = HubCheckpoint(
    id="m-a-p/MERT-v1-95M",
    revision="main",
    files=("config.json",),
    either=(("model.safetensors", "pytorch_model.bin"),),
    bytes=380_000_000,
    licence="CC-BY-NC-4.0",
)
CODEC = HubCheckpoint(
    id="facebook/encodec_32khz",
    revision="main",
    files=("config.json",),
    either=(("model.safetensors", "pytorch_model.bin"),),
    bytes=240_000_000,
    licence="CC-BY-NC-4.0",
)
TEXT_ENCODER = HubCheckpoint(
    id="google-t5/t5-base",
    revision="main",
    files=("config.json", "tokenizer.json"),
    either=(("model.safetensors", "pytorch_model.bin"),),
    optional=("spiece.model", "tokenizer_config.json"),
    bytes=900_000_000,
    licence="Apache-2.0",
)

HUB_CHECKPOINTS = (LANGUAGE_MODEL, FEATURES, CODEC, TEXT_ENCODER)


def describe(profile: Profile) -> ProfileInfo:
    """What depends on the profile; there is no mini model, and `load` says so."""
    if profile == "mini":
        return ProfileInfo(sample_rate=32_000, licence="no mini model")
    return ProfileInfo(
        sample_rate=32_000,
        longest_s=27.0,  # 30 s in the model, less the longest prompt
        weights=tuple(checkpoint.name for checkpoint in HUB_CHECKPOINTS),
        licence=LANGUAGE_MODEL.licence,
        bandwidth_hz=16_000.0,
        checkpoints=HUB_CHECKPOINTS,
    )

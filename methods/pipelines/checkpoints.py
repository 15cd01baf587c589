"""The checkpoints of these pipelines, as data; importable without torch.

Names, files and licences are as the model pages and the library's own conversion give them; sizes
are those of the listed files where pages list them, else counts of parameters times their bytes.
None of them has been loaded by this project yet.

ACE-Step has 5 billion parameters with its encoders, 4.2 of them in its transformer. In 16 bits, as
the conversion writes them, that is 11.5 GB; the page of the model speaks of 18.8 GB, and a fetch
refuses what is larger than declared, so the larger number stands here.
"""

from __future__ import annotations

from bench.api import HubCheckpoint, Profile, ProfileInfo

_WEIGHTS = "diffusion_pytorch_model.safetensors"
_TOKENIZER = ("tokenizer/special_tokens_map.json", "tokenizer/added_tokens.json")

ACE_STEP_FILES = (
    "vae/config.json",
    "transformer/config.json",
    "condition_encoder/config.json",
    "audio_tokenizer/config.json",
    "audio_token_detokenizer/config.json",
    "text_encoder/config.json",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
)
# The model that is not distilled, because only that one is led by guidance.
ACE_STEP = HubCheckpoint(
    id="ACE-Step/acestep-v15-xl-base-diffusers",
    revision="main",
    files=(
        *ACE_STEP_FILES,
        *(
            f"{part}/{_WEIGHTS}"
            for part in ("vae", "condition_encoder", "audio_tokenizer", "audio_token_detokenizer")
        ),
        "text_encoder/model.safetensors",
    ),
    # One file in 16 bits, as the conversion writes it; the library cuts what is larger than 10 GB.
    either=((f"transformer/{_WEIGHTS}", f"transformer/{_WEIGHTS}.index.json"),),
    optional=(
        *_TOKENIZER,
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        *(
            f"transformer/diffusion_pytorch_model-{number:05}-of-{count:05}.safetensors"
            for count in (2, 3)
            for number in range(1, count + 1)
        ),
    ),
    bytes=18_800_000_000,
    licence="MIT",
)
ACE_STEP_RATE = 48_000

STABLE_AUDIO_FILES = (
    "vae/config.json",
    "transformer/config.json",
    "projection_model/config.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
)
# Its page asks for an account that has accepted the licence: a fetch without one says so.
STABLE_AUDIO = HubCheckpoint(
    id="stabilityai/stable-audio-open-1.0",
    revision="main",
    files=(
        *STABLE_AUDIO_FILES,
        *(f"{part}/{_WEIGHTS}" for part in ("vae", "transformer", "projection_model")),
        "text_encoder/model.safetensors",
    ),
    optional=(*_TOKENIZER, "tokenizer/spiece.model"),
    bytes=5_300_000_000,
    licence="Stability AI Community License (gated: accept it on the model's page)",
)
STABLE_AUDIO_RATE = 44_100


def describe_ace_step(profile: Profile) -> ProfileInfo:
    """What depends on the profile; there is no mini model, and `load` says so."""
    if profile == "mini":
        return ProfileInfo(sample_rate=ACE_STEP_RATE, licence="no mini model")
    return ProfileInfo(
        sample_rate=ACE_STEP_RATE,
        longest_s=600.0,  # as its documentation has it
        weights=(ACE_STEP.name,),
        licence=ACE_STEP.licence,
        bandwidth_hz=ACE_STEP_RATE / 2,
        checkpoints=(ACE_STEP,),
    )


def describe_stable_audio(profile: Profile) -> ProfileInfo:
    """What depends on the profile; there is no mini model, and `load` says so."""
    if profile == "mini":
        return ProfileInfo(sample_rate=STABLE_AUDIO_RATE, licence="no mini model")
    return ProfileInfo(
        sample_rate=STABLE_AUDIO_RATE,
        weights=(STABLE_AUDIO.name,),
        licence=STABLE_AUDIO.licence,
        bandwidth_hz=STABLE_AUDIO_RATE / 2,
        checkpoints=(STABLE_AUDIO,),
    )

"""The checkpoints of CLAP, as data; importable without torch.

The environment variable BENCH_CLAP names a folder to use in the full profile instead of the
hub's: one with a saved `ClapModel`, or one with a laion `.pt` file and the files of its
tokenizer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench import weights
from bench.api import CheckpointError, Profile, ProfileInfo
from bench.weights import HubCheckpoint

ENVIRONMENT = "BENCH_CLAP"
MINI_FOLDER = Path(__file__).resolve().parent / "weights"
MINI_FILES = (
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocabulary.json",
)

# A conversion of laion's 630k-audioset-best.pt (HTSAT-tiny without fusion), the checkpoint behind
# the published scores.
UNFUSED = HubCheckpoint(
    id="laion/clap-htsat-unfused",
    revision="8fa0f1c6d0433df6e97c127f64b2a1d6c0dcda8a",
    files=(
        "config.json",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "vocab.json",
        "merges.txt",
        "*.safetensors",
        "pytorch_model.bin",
    ),
    bytes=615_000_000,
    licence="Apache-2.0",
)

HUB_CHECKPOINTS = (UNFUSED,)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a CLAP model lies.

    Args:
        folder: Its files.
        layout: A saved `ClapModel`, or a laion `.pt` file.
        digest: What identifies it in the keys of cached results.
    """

    folder: Path
    layout: Literal["transformers", "laion"]
    digest: str


def locate(profile: Profile) -> Checkpoint:
    """Find the checkpoint of a profile on this machine.

    Raises:
        CheckpointError: It is missing or not whole.
    """
    if profile == "mini":
        weights.require_files(MINI_FOLDER, MINI_FILES, "the mini CLAP model")
        return Checkpoint(MINI_FOLDER, "transformers", weights.digest(str(MINI_FOLDER)))
    named = os.environ.get(ENVIRONMENT)
    if named:
        return _own_folder(Path(named).expanduser())
    return Checkpoint(weights.hub_folder(UNFUSED), "transformers", weights.digest(UNFUSED.name))


def _own_folder(folder: Path) -> Checkpoint:
    if (folder / "config.json").is_file():
        return Checkpoint(folder, "transformers", weights.digest(str(folder)))
    if len(list(folder.glob("*.pt"))) != 1:
        raise CheckpointError(
            f"{ENVIRONMENT} names {folder}; it must be a folder with a saved ClapModel "
            f"(config.json) or one laion .pt file. Correct it, or unset it to use {UNFUSED.id}."
        )
    weights.require_files(
        folder, ("tokenizer_config.json",), "the tokenizer of the laion checkpoint"
    )
    return Checkpoint(folder, "laion", weights.digest(str(folder)))


def describe(profile: Profile) -> ProfileInfo:
    """What depends on the profile: rate, weights, licence, bandwidth."""
    if profile == "mini":
        return ProfileInfo(
            sample_rate=22_050,
            weights=("metrics/weights",),
            licence="MIT (trained by this project on audio it renders)",
            bandwidth_hz=10_000.0,
        )
    named = os.environ.get(ENVIRONMENT)
    weights_used = (named,) if named else (UNFUSED.name,)
    return ProfileInfo(48_000, None, weights_used, UNFUSED.licence, 14_000.0)

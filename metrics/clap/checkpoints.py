"""The checkpoints of CLAP, as data; importable without torch.

The environment variable BENCH_CLAP chooses another model for the full profile: one of laion's own
checkpoints by name (`630k-audioset-best`, `music_audioset_epoch_15_esc_90.14`), fetched under that
name; or a folder with a saved `ClapModel`, or with a laion `.pt` file and the files of its
tokenizer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bench import weights
from bench.api import CheckpointError, HubCheckpoint, Profile, ProfileInfo
from metrics.clap import laion_constants

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
# the published scores. The library's converter leaves the text tower at the library's defaults, so
# that tower is read with laion's constants (`Checkpoint.laion_text_tower`).
UNFUSED = HubCheckpoint(
    id="laion/clap-htsat-unfused",
    revision="8fa0f1c6d0433df6e97c127f64b2a1d6c0dcda8a",
    files=(
        "config.json",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ),
    either=(("model.safetensors", "pytorch_model.bin"),),
    optional=("special_tokens_map.json", "vocab.json", "merges.txt"),
    bytes=615_000_000,
    licence="Apache-2.0",
)

# laion's own files: pickles, read with weights_only. Sizes and digests as several public projects
# record them for this commit; the digests are what a first fetch is checked against.
_LAION, _LAION_COMMIT = "lukewys/laion_clap", "b3708341862f581175dba5c356a4ebf74a9b6651"
LAION_630K = HubCheckpoint(
    id=_LAION,
    revision=_LAION_COMMIT,
    files=("630k-audioset-best.pt",),
    bytes=1_863_587_645,
    licence="CC0-1.0 (licence of the code; the files carry none)",
    sha256=(
        (
            "630k-audioset-best.pt",
            "8053c9775516af2f4902e1e8281e356cc1bf7a85e8b761908170767b77c3f037",
        ),
    ),
    part="630k-audioset-best",
)
LAION_MUSIC = HubCheckpoint(
    id=_LAION,
    revision=_LAION_COMMIT,
    files=("music_audioset_epoch_15_esc_90.14.pt",),
    bytes=2_352_471_003,
    licence="CC0-1.0 (licence of the code; the files carry none)",
    sha256=(
        (
            "music_audioset_epoch_15_esc_90.14.pt",
            "fae3e9c087f2909c28a09dc31c8dfcdacbc42ba44c70e972b58c1bd1caf6dedd",
        ),
    ),
    part="music_audioset_epoch_15_esc_90.14",
)
# The checkpoint behind published LPAPS. Its digest is recorded nowhere known to us: a first fetch
# sets it.
LAION_MUSIC_SPEECH = HubCheckpoint(
    id=_LAION,
    revision=_LAION_COMMIT,
    files=("music_speech_epoch_15_esc_89.25.pt",),
    bytes=2_352_000_000,
    licence="CC0-1.0 (licence of the code; the files carry none)",
    part="music_speech_epoch_15_esc_89.25",
)
LAION_FILES = {checkpoint.part: checkpoint for checkpoint in (LAION_630K, LAION_MUSIC)}

# laion's files hold no tokenizer; theirs is RoBERTa's, which the conversion carries.
HUB_CHECKPOINTS = (UNFUSED, *LAION_FILES.values())


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a CLAP model lies.

    Args:
        folder: Its files, those of its tokenizer among them unless `tokenizer` says otherwise.
        digest: What identifies it in the keys of cached results.
        weights_file: The laion `.pt` file; None for a saved `ClapModel`.
        tokenizer: Folder of the tokenizer, where that is another one.
        laion_text_tower: Whether it is a saved `ClapModel` with laion's weights, whose text tower
            takes the constants of `laion_constants` in place of those in its own configuration.
    """

    folder: Path
    digest: str
    weights_file: Path | None = None
    tokenizer: Path | None = None
    laion_text_tower: bool = False


def locate(profile: Profile) -> Checkpoint:
    """Find the checkpoint of a profile on this machine.

    Raises:
        CheckpointError: It is missing or incomplete.
    """
    if profile == "mini":
        weights.require_files(MINI_FOLDER, MINI_FILES, "the mini CLAP model")
        return Checkpoint(MINI_FOLDER, weights.digest(str(MINI_FOLDER)))
    named = os.environ.get(ENVIRONMENT)
    if named in LAION_FILES:
        return of_laion(LAION_FILES[named])
    if named:
        return in_folder(Path(named).expanduser(), ENVIRONMENT)
    folder = weights.hub_folder(UNFUSED)
    return Checkpoint(folder, _with_constants(UNFUSED.name), laion_text_tower=True)


def _with_constants(name: str) -> str:
    """The identity of weights that are read with the constants of `laion_constants`."""
    return f"{weights.digest(name)}+{laion_constants.DIGEST}"


def of_laion(checkpoint: HubCheckpoint) -> Checkpoint:
    """One of laion's own files, with the tokenizer of the conversion.

    Raises:
        CheckpointError: One of the two is missing or incomplete.
    """
    folder, tokenizer = weights.hub_folder(checkpoint), weights.hub_folder(UNFUSED)
    file = folder / checkpoint.files[0]
    return Checkpoint(folder, _with_constants(checkpoint.name), file, tokenizer)


def locate_music_speech() -> tuple[Path, str]:
    """The `.pt` file behind published LPAPS, and what identifies it; no tokenizer belongs to it.

    Raises:
        CheckpointError: It is missing or incomplete.
    """
    folder = weights.hub_folder(LAION_MUSIC_SPEECH)
    return folder / LAION_MUSIC_SPEECH.files[0], _with_constants(LAION_MUSIC_SPEECH.name)


def in_folder(folder: Path, named_by: str) -> Checkpoint:
    """A folder with a saved `ClapModel`, or with one laion `.pt` file and its tokenizer.

    Args:
        folder: It.
        named_by: What names it, for messages.

    Raises:
        CheckpointError: It holds neither.
    """
    if (folder / "config.json").is_file():
        return Checkpoint(folder, weights.digest(str(folder)))
    found = list(folder.glob("*.pt"))
    if len(found) != 1:
        raise CheckpointError(
            f"{named_by} names {folder}; it must be a folder with a saved ClapModel "
            f"(config.json) or one laion .pt file, or one of the names {', '.join(LAION_FILES)}. "
            f"Correct it, or unset it to use {UNFUSED.id}."
        )
    weights.require_files(
        folder, ("tokenizer_config.json",), "the tokenizer of the laion checkpoint"
    )
    return Checkpoint(folder, _with_constants(str(folder)), found[0])


def describe(profile: Profile) -> ProfileInfo:
    """Describe a profile: rate, weights, licence, bandwidth."""
    if profile == "mini":
        return ProfileInfo(
            sample_rate=22_050,
            weights=("metrics/clap/weights",),
            licence="MIT (trained by this project on audio it renders)",
            bandwidth_hz=10_000.0,
        )
    return ProfileInfo(
        48_000, None, _names_used(), UNFUSED.licence, 14_000.0, checkpoints=HUB_CHECKPOINTS
    )


def describe_lpaps(profile: Profile) -> ProfileInfo:
    """Describe a profile of LPAPS, whose full checkpoint is not that of the scores."""
    if profile == "mini":
        return describe(profile)
    return ProfileInfo(
        sample_rate=48_000,
        weights=(LAION_MUSIC_SPEECH.name,),
        licence=LAION_MUSIC_SPEECH.licence,
        bandwidth_hz=14_000.0,
        checkpoints=(LAION_MUSIC_SPEECH,),
    )


def _names_used() -> tuple[str, ...]:
    named = os.environ.get(ENVIRONMENT)
    if named in LAION_FILES:
        return (LAION_FILES[named].name, UNFUSED.name)
    return (named,) if named else (UNFUSED.name,)

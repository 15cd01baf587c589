"""The checkpoints of a second CLAP, the columns `@music`, as data; importable without torch.

By default it is laion's music checkpoint, a larger network (HTSAT-base) trained on music, in the
full profile; the mini profile has none. In brackets any other can be named, for both profiles:

* `cp@music[checkpoint=630k-audioset-best]`: one of laion's own files by name, once fetched;
* `cp@music[checkpoint=weights/mine.pt]`: a `.pt` file, with the files of its tokenizer beside it or
  else with those of laion/clap-htsat-unfused; or a folder as BENCH_CLAP takes it;
* `cp@music[checkpoint=laion/larger_clap_music]`: a repository of the hub that holds a saved
  `ClapModel`, at its branch `main` or at what follows an @, once fetched by the metric's name.

What it is told is another model each time, so each such name is a column of its own.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from bench import weights
from bench.api import CheckpointError, HubCheckpoint, Profile, ProfileInfo
from metrics.clap import laion_constants
from metrics.clap.checkpoints import (
    LAION_FILES,
    LAION_MUSIC,
    LAION_MUSIC_SPEECH,
    UNFUSED,
    Checkpoint,
    in_folder,
    of_laion,
)

BY_NAME = {**LAION_FILES, LAION_MUSIC_SPEECH.part: LAION_MUSIC_SPEECH}
NOT_IN_MINI = (
    f"the mini profile has no second CLAP. Run --profile full with {LAION_MUSIC.part}, or name a "
    "checkpoint, as in cp@music[checkpoint=path/to/file.pt]"
)
_HUB = re.compile(r"(?P<id>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>[\w.-]+))?")
_LAION = "laion/"  # whose conversions have a text tower that takes laion's constants


@dataclass(frozen=True, slots=True)
class MusicParameters:
    """What stands in the brackets of a metric `@music`.

    Args:
        checkpoint: A laion checkpoint by name, a path, or a repository of the hub; empty takes
            laion's music checkpoint in the full profile.
    """

    checkpoint: str = ""


def locate_music(profile: Profile, checkpoint: str = "") -> Checkpoint | None:
    """Find the second CLAP on this machine; None in the mini profile unless one is named.

    Raises:
        CheckpointError: It is missing or incomplete, or nothing has this name.
    """
    if not checkpoint:
        return of_laion(LAION_MUSIC) if profile == "full" else None
    if checkpoint in BY_NAME:
        return of_laion(BY_NAME[checkpoint])
    path = Path(checkpoint).expanduser()
    if path.exists():
        return in_folder(path, "a metric") if path.is_dir() else _of_file(path)
    return _on_hub(_repository(checkpoint))


def _of_file(path: Path) -> Checkpoint:
    beside = (path.parent / "tokenizer_config.json").is_file()
    tokenizer = path.parent if beside else weights.hub_folder(UNFUSED)
    identity = f"{weights.digest(str(path))}+{laion_constants.DIGEST}"
    return Checkpoint(path.parent, identity, path, tokenizer)


def _repository(name: str) -> HubCheckpoint:
    """A repository of the hub by its name; what it holds is not known before it is fetched."""
    found = _HUB.fullmatch(name)
    if found is None:
        raise CheckpointError(
            f"checkpoint {name!r} is neither a file, nor a folder, nor a repository of the hub "
            f"(owner/name), nor one of {', '.join(BY_NAME)}. Correct it."
        )
    return HubCheckpoint(
        id=found["id"],
        revision=found["revision"] or "main",
        files=("config.json", "preprocessor_config.json", "tokenizer_config.json"),
        either=(("model.safetensors", "pytorch_model.bin"),),
        optional=("tokenizer.json", "special_tokens_map.json", "vocab.json", "merges.txt"),
        bytes=2_400_000_000,  # at most: laion's largest
        licence="see its page",
    )


def _on_hub(repository: HubCheckpoint) -> Checkpoint:
    try:
        folder = weights.hub_folder(repository)
    except weights.AbsentCheckpointError as error:
        revision = "" if repository.revision == "main" else f"@{repository.revision}"
        metric = shlex.quote(f"cp@music[checkpoint={repository.id}{revision}]")
        raise CheckpointError(
            f"{repository.id} at {repository.revision} is not in the local cache; a metric names "
            f"it as its checkpoint. Fetch it once: `{weights.fetch_line(metric)}`"
        ) from error
    identity = weights.digest(repository.name)
    if not repository.id.startswith(_LAION):
        return Checkpoint(folder, identity)
    return Checkpoint(folder, f"{identity}+{laion_constants.DIGEST}", laion_text_tower=True)


def describe(profile: Profile, checkpoint: str = "") -> ProfileInfo:
    """Describe a profile: the weights that are loaded, and what can be fetched.

    Raises:
        CheckpointError: Nothing has this name.
    """
    if not checkpoint and profile == "mini":
        return ProfileInfo()
    if checkpoint in ("", *BY_NAME):
        chosen = BY_NAME.get(checkpoint, LAION_MUSIC)
        names, held = (chosen.name, UNFUSED.name), (chosen, UNFUSED)
        return ProfileInfo(48_000, None, names, chosen.licence, 14_000.0, checkpoints=held)
    path = Path(checkpoint).expanduser()
    if path.exists():
        return ProfileInfo(weights=(str(path),), licence="that of the file")
    repository = _repository(checkpoint)
    return ProfileInfo(
        weights=(repository.name,), licence=repository.licence, checkpoints=(repository,)
    )

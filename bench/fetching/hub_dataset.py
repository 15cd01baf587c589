"""Fetching a dataset of the hub: its table, the sounds that are used, and clips cut from them.

The commit, sizes and digests of what came first are recorded (`bench.first_use`); from then on
anything else under the same name is refused. Sounds stay in the hub's cache, clips go to the data
folder, where they appear whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.api import Audio, CheckpointError, DatasetError
from bench.audio import fit_length, read_audio, to_mono
from bench.data.card_model import Card
from bench.data.hub_card import HubCard, Take, choose_takes
from bench.fetching.answers import first_line, transport_error
from bench.files import renewed_folder, size_words
from bench.first_use import Locked, facts_of, read_locked, require_same, write_locked
from bench.outside.texts import MOST_JSON_BYTES, read_text
from bench.outside.wording import some

KIND = "dataset"
FORMER = ("content", "style")  # folders that a new fetch replaces
# What may be left of a sum of stems without the other stems, as a share of its level: stems are
# mixed at one gain, and both were brought to 16 bits.
LARGEST_REMAINDER = 0.2


def fetch_from_hub(card: Card, hub: HubCard, root: Path) -> None:
    """Download what a card asks for, and cut it into a dataset.

    Args:
        card: The card.
        hub: Its table `[hub]`.
        root: Where the dataset goes.

    Raises:
        DatasetError: The hub cannot be reached or refuses, the repository is not laid out as the
            card says, is larger, or differs from what was fetched first.
    """
    name = f"dataset:{card.name}"
    locked = read_locked(name)
    with _explained(hub):
        commit, sizes = _announced(hub, locked)
        table = _downloaded(hub, commit, [hub.table], sizes) / hub.table
    contents, styles = choose_takes(hub, read_text(table, MOST_JSON_BYTES), sizes)
    files = sorted({file for take in (*contents, *styles) for file in take.files})
    with _explained(hub):
        folder = _downloaded(hub, commit, [hub.table, *files], sizes)
    facts = facts_of(folder, [hub.table, *files])
    what = f"dataset {card.name}"
    try:
        if locked is not None:
            require_same(facts, locked.files, what)
        _cut(hub, folder, (contents, styles), root)
        write_locked(name, Locked(commit=commit, files=facts), what)
    except CheckpointError as error:
        raise DatasetError(str(error)) from error


def _announced(hub: HubCard, locked: Locked | None) -> tuple[str, dict[str, int]]:
    """The commit and the sizes of all files; the recorded commit, so that a branch stays."""
    from huggingface_hub import HfApi

    revision = hub.revision if locked is None else locked.commit
    info = HfApi().dataset_info(hub.id, revision=revision, files_metadata=True)
    sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or []}
    if hub.table not in sizes:
        raise DatasetError(
            f"{hub.id} has no {hub.table}, which should list its sounds; it holds "
            f"{some(sorted(sizes), ', ')}. The layout of this repository was not known when its "
            "card was written, and nothing is guessed: correct `[hub]` of the card."
        )
    return info.sha or revision, sizes


def _downloaded(hub: HubCard, commit: str, names: Sequence[str], sizes: Mapping[str, int]) -> Path:
    """Files of a commit in the hub's cache; what is there already is not asked for again."""
    from huggingface_hub import snapshot_download

    total = sum(sizes[name] for name in names)
    if total > hub.most_bytes:
        raise DatasetError(
            f"{hub.id} announces {size_words(total)}; its card allows "
            f"{size_words(hub.most_bytes)}. Check HF_ENDPOINT, or correct `[hub]` of the card."
        )
    found = snapshot_download(hub.id, repo_type=KIND, revision=commit, allow_patterns=[*names])
    return Path(found)


@contextmanager
def _explained(hub: HubCard) -> Iterator[None]:
    """Turn what the hub's client raises into an error with a way out."""
    try:
        yield
    except (transport_error(), OSError, ValueError) as error:
        raise DatasetError(
            f"{hub.id} at {hub.revision} cannot be fetched ({type(error).__name__}: "
            f"{first_line(error)}). Check the network, HF_ENDPOINT and HF_HUB_OFFLINE, and fetch "
            "again: complete files are kept."
        ) from error


def _cut(
    hub: HubCard, folder: Path, takes: tuple[Sequence[Take], Sequence[Take]], root: Path
) -> None:
    """Write a clip of every take, laid out as a dataset."""
    import soundfile

    with renewed_folder(root, keep=lambda path: path.parts[0] not in FORMER) as fresh:
        for side, chosen in zip(FORMER, takes, strict=True):
            for take in chosen:
                clip = _clip(hub, folder, take)
                path = fresh / side / take.player / f"{take.player}_{take.piece}.flac"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, clip.waveform[0], clip.sample_rate, subtype="PCM_16")


def _clip(hub: HubCard, folder: Path, take: Take) -> Audio:
    sounds = [to_mono(read_audio(folder / name, hub.start_s, hub.clip_s)) for name in take.files]
    return sounds[0] if len(sounds) == 1 else sounds[find_sum(sounds, f"{hub.id}: {take.files}")]


def find_sum(sounds: Sequence[Audio], what: str) -> int:
    """Which sound is the sum of the others, at any gain.

    Args:
        sounds: At least three, mono, at one rate.
        what: What they are, for the message.

    Raises:
        DatasetError: None is.
    """
    length = min(sound.num_samples for sound in sounds)
    waves = np.stack([fit_length(sound, length).waveform[0] for sound in sounds]).astype(float)
    left = [_remainder(wave, waves.sum(axis=0) - wave) for wave in waves]
    best = int(np.argmin(left))
    if not left[best] <= LARGEST_REMAINDER:
        raise DatasetError(
            f"{what}: none is the sum of the others ({left[best]:.0%} of the nearest is left over, "
            f"at most {LARGEST_REMAINDER:.0%} may be); one is the mixture of its stems. Correct "
            "`sums` in the card."
        )
    return best


def _remainder(wave: np.ndarray, others: np.ndarray) -> float:
    """What is left of a sound without the others, at their best gain, beside its own level."""
    power = float(wave @ wave)
    gain = max(0.0, float(wave @ others) / max(float(others @ others), 1e-30))
    rest = wave - gain * others
    return float(np.sqrt(rest @ rest / power)) if power > 0 else float("inf")

"""Sounds and pictures of a page: equally loud copies, named by digest, made once.

**Conventions**: a page folder has `sounds/<name>.flac` (16 bit, the rate of the output) and
`pictures/<name>.webp`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np

from bench.api import Audio, DatasetError
from bench.audio import read_audio, write_audio
from bench.files import replace_file
from reports.loudness import matched
from reports.page.grid import Grid, Needed, Sound
from reports.page.pictures import mel_picture
from reports.reading import sound_file

SOUNDS, PICTURES = "sounds", "pictures"
WORKERS = 8  # threads: files and transforms leave the interpreter free


def write_media(page: Path, folders: Sequence[Path], needed: Iterable[Needed]) -> dict[str, str]:
    """Write what is not there yet, remove what is no longer needed.

    Args:
        page: The page's folder.
        folders: The run folders; a sound is in the first one that has its file.
        needed: The sounds.

    Returns:
        Name -> reason, for the sounds that cannot be had.
    """
    wanted = {item.name: item for item in needed}
    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        reasons = pool.map(partial(_write_sound, page, folders), wanted.values())
        missing = {name: why for name, why in zip(wanted, reasons, strict=True) if why}
    _remove_others(page / SOUNDS, set(wanted))
    _remove_others(page / PICTURES, set(wanted))
    return missing


def _write_sound(page: Path, folders: Sequence[Path], item: Needed) -> str:
    """Write the files of one sound; returns why that cannot be, else nothing."""
    sound, picture = page / SOUNDS / f"{item.name}.flac", page / PICTURES / f"{item.name}.webp"
    if sound.exists() and picture.exists():
        return ""
    try:
        audio = read_audio(sound_file(folders, item.path))
    except DatasetError as error:
        return f"its file cannot be read: {error}"
    replace_file(picture, mel_picture(audio))
    write_audio(sound, _integer(matched(audio)))
    return ""


def link_inputs(page: Path, folders: Sequence[Path], grid: Grid) -> Grid:
    """Let the page play the inputs that it may not carry from the run folder, at the same level.

    A copy of the page that is passed on finds nothing there. Without folders nothing is linked.
    """
    for sound in (*grid["contents"].values(), *grid["styles"].values()):
        if sound["link"]:
            sound["link"], sound["gain"] = _link(page, folders, sound["link"])
    return grid


def _link(page: Path, folders: Sequence[Path], relative: str) -> tuple[str, float]:
    """The address of a sound of the run as seen from the page, and the gain that it needs."""
    if not folders:
        return "", 1.0
    source = sound_file(folders, relative)
    try:
        audio = read_audio(source)
    except DatasetError:
        return "", 1.0
    peak = float(np.abs(audio.waveform).max(initial=0.0))
    wanted = float(np.abs(matched(audio).waveform).max(initial=0.0))
    gain = round(min(1.0, wanted / peak), 4) if peak else 1.0
    return quote(Path(os.path.relpath(source, page)).as_posix()), gain


def _integer(audio: Audio) -> Audio:
    """Audio that a 16-bit file holds: rounding may lift a sample a hair above full scale."""
    return Audio(audio.waveform.clip(-1.0, 1.0), audio.sample_rate)


def _remove_others(folder: Path, wanted: set[str]) -> None:
    for path in folder.glob("*.*"):
        if path.stem not in wanted:
            path.unlink()


def without(grid: Grid, missing: dict[str, str]) -> Grid:
    """The grid with the sounds that cannot be had replaced by the reason."""
    if missing:
        for sound in _sounds(grid):
            if why := missing.get(sound["audio"]):
                sound["audio"], sound["why"] = "", why
    return grid


def _sounds(grid: Grid) -> Iterable[Sound]:
    yield from grid["contents"].values()
    yield from grid["styles"].values()
    for row in grid["rows"]:
        yield from (output for output in row["outputs"] if output is not None)

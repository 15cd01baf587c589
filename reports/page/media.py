"""The sounds and pictures of a page: equally loud copies, named by their digest and made once.

**Conventions**: a page folder has `sounds/<name>.flac` (16 bit, the rate of the output) and
`pictures/<name>.webp`.
"""

from __future__ import annotations

import io
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
from bench.wording import one_line
from reports.figures.mel import mel_levels
from reports.loudness import matched
from reports.page.grid import Grid, Needed, Sound
from reports.sounds import sound_file

SOUNDS, PICTURES = "sounds", "pictures"
WORKERS = 8  # threads: reading files and transforms release the interpreter's lock
PICTURE = (192, 64)  # pixels, across and up
QUALITY = 70  # of the WebP


def write_media(page: Path, folders: Sequence[Path], needed: Iterable[Needed]) -> dict[str, str]:
    """Write the sounds and pictures that are missing, and remove those no longer needed.

    Args:
        page: The page's folder.
        folders: The run folders; a sound is in the first one that has its file.
        needed: The sounds.

    Returns:
        Name -> reason, for the sounds that cannot be read.
    """
    wanted = {item.name: item for item in needed}
    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        reasons = pool.map(partial(_write_sound, page, folders), wanted.values())
        missing = {name: why for name, why in zip(wanted, reasons, strict=True) if why}
    _remove_others(page / SOUNDS, set(wanted))
    _remove_others(page / PICTURES, set(wanted))
    return missing


def _write_sound(page: Path, folders: Sequence[Path], item: Needed) -> str:
    """Write the files of one sound; returns the reason if that fails, else an empty text."""
    sound, picture = page / SOUNDS / f"{item.name}.flac", page / PICTURES / f"{item.name}.webp"
    if sound.exists() and picture.exists():
        return ""
    try:
        audio = read_audio(sound_file(folders, item.path))
    except DatasetError as error:
        return f"its file cannot be read: {one_line(error)}"
    replace_file(picture, mel_picture(audio))
    write_audio(sound, matched(audio))
    return ""


def mel_picture(audio: Audio, size: tuple[int, int] = PICTURE) -> bytes:
    """A WebP of the mel spectrogram, `size` pixels across and up."""
    from matplotlib import colormaps
    from PIL import Image

    levels = mel_levels(audio, *size)
    shades = (colormaps["magma"](levels)[::-1, :, :3] * 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(shades).save(buffer, "WEBP", quality=QUALITY, method=2)
    return buffer.getvalue()


def link_inputs(page: Path, folders: Sequence[Path], grid: Grid) -> Grid:
    """Let the page play the inputs that it may not carry from the run folder, at the same level.

    A copy of the page elsewhere does not find them. Without folders nothing is linked.
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


def _remove_others(folder: Path, wanted: set[str]) -> None:
    for path in folder.glob("*.*"):
        if path.stem not in wanted:
            path.unlink()


def without(grid: Grid, missing: dict[str, str]) -> Grid:
    """The grid with the reason in place of each sound that is missing."""
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

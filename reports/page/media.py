"""The sounds and pictures of a page: equally loud copies, named by their digest and made once.

**Conventions**: a page folder has `sounds/<name>.flac` (16 bit, the rate of the output) and
`pictures/<name>.webp`.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, DatasetError
from bench.audio import read_audio, write_audio
from bench.files import replace_file
from bench.loudness import matched
from bench.outside.wording import one_line
from reports.figures.mel import mel_levels
from reports.page.grid import NAME_LENGTH, Grid, Needed, Sound
from reports.sounds import sound_file

SOUNDS, PICTURES = "sounds", "pictures"
WORKERS = 8  # threads: reading files and transforms release the interpreter's lock
PICTURE = (384, 80)  # pixels, across and up: a small one, and the wide one of the player
QUALITY = 70  # of the WebP
MADE = re.compile(rf"({SOUNDS}|{PICTURES})/[0-9a-f]{{{NAME_LENGTH}}}\.(flac|webp)")


def keeps(needed: Iterable[Needed]) -> Callable[[PurePosixPath], bool]:
    """Which files of a former page stay: all but the sounds and pictures that are not needed."""
    wanted = {item.name for item in needed}

    def kept(path: PurePosixPath) -> bool:
        return MADE.fullmatch(str(path)) is None or path.stem in wanted

    return kept


def write_media(
    page: Path, former: Path, folders: Sequence[Path], needed: Iterable[Needed]
) -> dict[str, str]:
    """Write the sounds and pictures that a page lacks.

    Args:
        page: The page's folder, which is new.
        former: The folder of the page before; what it has is not made again.
        folders: The run folders; a sound is in the first one that has its file.
        needed: The sounds.

    Returns:
        Name -> reason, for the sounds that cannot be read.
    """
    wanted = {item.name: item for item in needed}
    for name in (SOUNDS, PICTURES):
        (page / name).mkdir()
    write = partial(_write_sound, page, former, folders)
    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        reasons = pool.map(write, wanted.values())
        return {name: why for name, why in zip(wanted, reasons, strict=True) if why}


def _write_sound(page: Path, former: Path, folders: Sequence[Path], item: Needed) -> str:
    """Write the files of one sound; returns the reason if that fails, else an empty text."""
    names = (f"{SOUNDS}/{item.name}.flac", f"{PICTURES}/{item.name}.webp")
    if all((former / name).is_file() and not (former / name).is_symlink() for name in names):
        return ""
    try:
        audio = read_audio(sound_file(folders, item.path))
    except DatasetError as error:
        return f"its file cannot be read: {one_line(error)}"
    sound, picture = (page / name for name in names)
    replace_file(picture, mel_picture(audio))
    write_audio(sound, matched(audio))
    return ""


def mel_picture(audio: Audio, size: tuple[int, int] = PICTURE) -> bytes:
    """A WebP of the mel spectrogram, `size` pixels across and up."""
    from PIL import Image

    shades = _shades()
    place = (mel_levels(audio, *size) * (len(shades) - 1)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(shades[place[::-1]]).save(buffer, "WEBP", quality=QUALITY, method=2)
    return buffer.getvalue()


@cache
def _shades() -> NDArray[np.uint8]:
    """Red, green and blue from the softest level to the loudest, shape (shade, 3)."""
    from matplotlib import colormaps

    magma = colormaps["magma"]
    return (magma(np.arange(magma.N))[:, :3] * 255).round().astype(np.uint8)


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
    try:
        source = sound_file(folders, relative)
        audio = read_audio(source)
    except DatasetError:
        return "", 1.0
    peak = float(np.abs(audio.waveform).max(initial=0.0))
    wanted = float(np.abs(matched(audio).waveform).max(initial=0.0))
    gain = round(min(1.0, wanted / peak), 4) if peak else 1.0
    return quote(Path(os.path.relpath(source, page)).as_posix()), gain


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

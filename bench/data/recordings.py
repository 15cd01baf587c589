"""Which clips of a fetched dataset were cut from one recording, and the file that says so.

The authors of MusicTI cut longer recordings into consecutive five-second clips and published no
list. A clip of a recording that a method has learnt from cannot count as held out, so clips are
grouped here by a rule of our own: two clips of a style belong together where their numbers
follow each other, their rates and channels agree, and their mean spectra differ by less than 3 dB
(root mean square over third octaves from 100 Hz up, levels aside). The rule was not checked on the
set itself; the groups stand in `manifest.json` of the data folder, where they can be corrected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from bench.api import DatasetError
from bench.audio import READABLE, read_audio
from bench.files import file_digest, replace_file
from bench.outside.texts import MOST_JSON_BYTES, parse_json, read_text

MANIFEST = "manifest.json"
ALIKE_DB = 3.0
_LOWEST_HZ = 100.0
_FLOOR = 1e-12

Spectrum = NDArray[np.float64]


class ManifestClip(BaseModel):
    """A clip as it was unpacked; `recording` may be corrected by hand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    sha256: str
    sample_rate: int
    frames: int
    recording: str


class Manifest(BaseModel):
    """What was unpacked into a data folder, and from which archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    archive_sha256: str
    grouping: str
    clips: list[ManifestClip]


def write_manifest(root: Path, archive_sha256: str) -> Manifest:
    """Describe every clip below a data folder and group those of each category and style.

    Raises:
        DatasetError: A clip cannot be decoded.
    """
    folders = sorted({path.parent for path in root.rglob("*") if path.suffix.lower() in READABLE})
    clips = [clip for folder in folders for clip in _describe_folder(root, folder)]
    rule = f"consecutive numbers, same format, mean spectra within {ALIKE_DB:g} dB (unverified)"
    manifest = Manifest(archive_sha256=archive_sha256, grouping=rule, clips=clips)
    text = json.dumps(manifest.model_dump(mode="json"), indent=1)
    replace_file(root / MANIFEST, text + "\n")
    return manifest


def read_recordings(root: Path) -> dict[str, str]:
    """The recording of each clip, by its path below the folder; empty if there is no manifest.

    Raises:
        DatasetError: The manifest is damaged.
    """
    path = root / MANIFEST
    if not path.is_file():
        return {}
    try:
        text = read_text(path, MOST_JSON_BYTES)
        parse_json(text)  # which has limits
        manifest = Manifest.model_validate_json(text)
    except ValueError as error:
        fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise DatasetError(
            f"{path} is damaged ({fault}); it says which clips belong to one "
            "recording. Restore it, or fetch the dataset again."
        ) from error
    return {clip.path: clip.recording for clip in manifest.clips}


def recording_of(root: Path, path: Path) -> str | None:
    """The recording of a clip as the manifest of its data folder has it, or None."""
    manifest = root / MANIFEST
    if not manifest.is_file() or not path.is_relative_to(root):
        return None
    known = _recordings_now(root, manifest.stat().st_mtime_ns)
    return known.get(path.relative_to(root).as_posix())


@lru_cache(maxsize=8)
def _recordings_now(root: Path, mtime_ns: int) -> dict[str, str]:
    del mtime_ns  # only a key of the cache: a corrected manifest is read again
    return read_recordings(root)


def _describe_folder(root: Path, folder: Path) -> list[ManifestClip]:
    paths = [path for path in folder.iterdir() if path.suffix.lower() in READABLE]
    sounds = {path: read_audio(path) for path in paths}
    formats = {path: (a.sample_rate, a.waveform.shape[0]) for path, a in sounds.items()}
    spectra = {path: mean_spectrum(a.mono, a.sample_rate) for path, a in sounds.items()}
    groups = group_clips(paths, formats, spectra)
    return [
        ManifestClip(
            path=path.relative_to(root).as_posix(),
            sha256=file_digest(path),
            sample_rate=sounds[path].sample_rate,
            frames=sounds[path].num_samples,
            recording=groups[path],
        )
        for path in sorted(paths, key=_numbered)
    ]


def group_clips(
    paths: Iterable[Path], formats: Mapping[Path, Any], spectra: Mapping[Path, Spectrum]
) -> dict[Path, str]:
    """Name the recording of each clip of one folder after the first clip of the recording."""
    ordered = sorted(paths, key=_numbered)
    names = {path: path.stem for path in ordered}
    for former, clip in pairwise(ordered):
        follows = _numbered(clip) == (_numbered(former)[0], _numbered(former)[1] + 1)
        if follows and formats[former] == formats[clip]:
            distance = spectral_distance_db(spectra[former], spectra[clip])
            names[clip] = names[former] if distance < ALIKE_DB else clip.stem
    return names


def _numbered(path: Path) -> tuple[str, int]:
    """The name without its last number, and that number (-1 where there is none)."""
    word, number = re.fullmatch(r"(.*?)(\d*)", path.stem, re.DOTALL).groups()  # type: ignore[union-attr]  # matches every name
    return word, int(number) if number else -1


def mean_spectrum(waveform: NDArray[np.float32], sample_rate: int) -> Spectrum:
    """Mean power of a clip in third octaves from 100 Hz to half its rate, in dB."""
    power = np.abs(np.fft.rfft(waveform.astype(np.float64))) ** 2
    frequencies = np.fft.rfftfreq(len(waveform), 1 / sample_rate)
    count = int(3 * np.log2(sample_rate / 2 / _LOWEST_HZ))
    edges = _LOWEST_HZ * 2 ** (np.arange(count + 1) / 3)
    bands = np.split(power, np.searchsorted(frequencies, edges))[1:-1]
    return np.asarray([10 * np.log10(band.sum() + _FLOOR) for band in bands])


def spectral_distance_db(first: Spectrum, second: Spectrum) -> float:
    """Root mean square difference of two spectra in dB, their difference in level aside."""
    difference = first - second
    return float(np.std(difference))

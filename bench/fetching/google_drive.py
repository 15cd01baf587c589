"""Archives from Google Drive.

Google Drive gives a file of this size through a page of its own once it is told to `confirm`; where
its rules change, a page comes instead of the file. That is recognised and said, and the file can
then be downloaded in a browser and given with `--zip`.
"""

from __future__ import annotations

from pathlib import Path

from bench.api import DatasetError
from bench.fetching.https import fetch_part

DRIVE_URL = "https://drive.usercontent.google.com/download?id={id}&export=download&confirm=t"
ZIP_SIGNATURE = b"PK\x03\x04"


def drive_url(file_id: str) -> str:
    """Where Google Drive gives a public file."""
    return DRIVE_URL.format(id=file_id)


def download_archive(url: str, target: Path, by_hand: str) -> Path:
    """Download a zip archive; a part that is there already is continued.

    Args:
        url: https (http only for this machine).
        target: Where it goes; a part of it lies beside it as `<name>.part`.
        by_hand: What to do where this fails, for the message.

    Raises:
        DatasetError: The server cannot be reached, or gives something that is no archive, or the
            disk is full.
    """
    part = fetch_part(url, target, by_hand, DatasetError)
    _require_archive(part, by_hand)
    return part.replace(target)


def _require_archive(part: Path, by_hand: str) -> None:
    with part.open("rb") as file:
        begin = file.read(len(ZIP_SIGNATURE))
    if begin != ZIP_SIGNATURE:
        part.unlink()
        raise DatasetError(
            f"what came is no zip archive (it begins with {begin!r}): most likely a page about "
            f"quotas or viruses. {by_hand}"
        )

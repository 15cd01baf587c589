"""Archives from Google Drive.

Google Drive offers a file of this size on a page of its own until it is told to `confirm`. If its
rules change, a page comes instead of the file. That is recognised and reported, and the file can
then be downloaded in a browser and given with `--zip`.
"""

from __future__ import annotations

from pathlib import Path

from bench.api import DatasetError
from bench.fetching.https import Wanted, fetch_file

DRIVE_URL = "https://drive.usercontent.google.com/download?id={id}&export=download&confirm=t"
ZIP_SIGNATURE = b"PK\x03\x04"


def drive_url(file_id: str) -> str:
    """The address at which Google Drive offers a public file."""
    return DRIVE_URL.format(id=file_id)


def download_archive(url: str, target: Path, by_hand: str, most_bytes: int) -> Path:
    """Download a zip archive; what an earlier try left is continued.

    Args:
        url: The address: https, or http on this machine.
        target: The file.
        by_hand: What the user can do if this fails, for the message.
        most_bytes: It may not be larger.

    Raises:
        DatasetError: The server cannot be reached, or sends something that is not an archive, or
            the disk is full.
    """

    def require_archive(part: Path) -> None:
        with part.open("rb") as file:
            begin = file.read(len(ZIP_SIGNATURE))
        if begin != ZIP_SIGNATURE:
            raise DatasetError(
                f"{url} sent something that is not a zip archive (it begins with {begin!r}), most "
                f"likely a page about quotas or viruses. {by_hand}"
            )

    return fetch_file(Wanted(url, most_bytes, by_hand, DatasetError), target, require_archive)

"""Download of one large file over https, resumed where it broke off.

Google Drive gives a file of this size through a page of its own once it is told to `confirm`; where
its rules change, a page comes instead of the file. That is recognised and said, and the file can
then be downloaded in a browser and given with `--zip`.
"""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from pathlib import Path

from bench.api import DatasetError

DRIVE_URL = "https://drive.usercontent.google.com/download?id={id}&export=download&confirm=t"
ZIP_SIGNATURE = b"PK\x03\x04"
_CHUNK = 1 << 20
_TIMEOUT_S = 30.0
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL = 206

logger = logging.getLogger(__name__)


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
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise DatasetError(f"{url} is not https; archives are fetched over https only. {by_hand}")
    part = target.with_name(f"{target.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part)
    except urllib.error.HTTPError as error:
        if error.code != _RANGE_NOT_SATISFIABLE:
            raise DatasetError(f"{url} answers {error.code} {error.reason}. {by_hand}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise DatasetError(
            f"{url} cannot be reached or broke off ({reason}). Fetch again to go on where it "
            f"stopped. {by_hand}"
        ) from error
    except OSError as error:
        raise DatasetError(
            f"{part} cannot be written ({error.strerror}). Free space, or set BENCH_DATA to "
            "another folder."
        ) from error
    _require_archive(part, by_hand)
    return part.replace(target)


def _fetch(url: str, part: Path) -> None:
    begun = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={begun}-"} if begun else {})  # noqa: S310 - the scheme is checked by the caller
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - ditto
        goes_on = answer.status == _PARTIAL
        stated = answer.headers.get("Content-Length")
        received = 0
        with part.open("ab" if goes_on else "wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                received += len(chunk)
                logger.info("%d MB", (begun * goes_on + received) // 10**6)
    if stated is not None and received < int(stated):
        raise ConnectionError(f"{received} of {stated} bytes came")


def _require_archive(part: Path, by_hand: str) -> None:
    with part.open("rb") as file:
        begin = file.read(len(ZIP_SIGNATURE))
    if begin != ZIP_SIGNATURE:
        part.unlink()
        raise DatasetError(
            f"what came is no zip archive (it begins with {begin!r}): most likely a page about "
            f"quotas or viruses. {by_hand}"
        )

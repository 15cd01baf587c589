"""Download of one large file over https, continued where it broke off."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from bench.api import BenchError

_CHUNK = 1 << 20
_TIMEOUT_S = 30.0
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL = 206

logger = logging.getLogger(__name__)


def fetch_file(
    url: str,
    target: Path,
    by_hand: str,
    kind: type[BenchError],
    check: Callable[[Path], None] | None = None,
) -> Path:
    """Download a file; what an earlier try left in `<name>.part` beside it is continued.

    Args:
        url: The address: https, or http on this machine.
        target: The file, which appears once it is complete and `check` has passed.
        by_hand: What the user can do if this fails, for the message.
        kind: The error to raise.
        check: Called with the complete part; it raises if that is not what was asked for.

    Returns:
        The target.

    Raises:
        BenchError: An error of `kind`: the server cannot be reached or refuses, or the disk is
            full.
    """
    part = _fetch_part(url, target, by_hand, kind)
    if check is not None:
        try:
            check(part)
        except BenchError:
            part.unlink()
            raise
    return part.replace(target)


def _fetch_part(url: str, target: Path, by_hand: str, kind: type[BenchError]) -> Path:
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise kind(f"{url} is not https; files are fetched over https only. {by_hand}")
    part = target.with_name(f"{target.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part)
    except urllib.error.HTTPError as error:
        if error.code != _RANGE_NOT_SATISFIABLE:
            raise kind(f"{url} answers {error.code} {error.reason}. {by_hand}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise kind(
            f"{url} cannot be reached or broke off ({reason}). Fetch again to continue where it "
            f"stopped. {by_hand}"
        ) from error
    except OSError as error:
        raise kind(
            f"{part} cannot be written ({error.strerror}). Free space, or choose another folder: "
            "BENCH_DATA for datasets, BENCH_CHECKPOINTS for weights."
        ) from error
    return part


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

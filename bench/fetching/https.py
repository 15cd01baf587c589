"""Download of one large file over https, continued where it broke off.

What has come lies in `<name>.part`, and beside it in `<name>.part.json` what it is a part of: the
address, and the mark and size that the server gave. A part without such a note, or of something
else, is not continued.
"""

from __future__ import annotations

import errno
import fcntl
import http.client
import json
import logging
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bench.api import BenchError
from bench.fetching.routes import RouteError, opener_for
from bench.files import replace_file, require_plain

_CHUNK = 1 << 20
_TIMEOUT_S = 30.0
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL = 206
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")

logger = logging.getLogger(__name__)


class _TooLargeError(Exception):
    """More comes than was declared."""


class _StalePartError(Exception):
    """What lies here is not a part of what the server has."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be downloaded.

    Args:
        url: The address: https, or http on this machine.
        most_bytes: It may not be larger; that comes from its declaration, not from the server.
        by_hand: What the user can do if this fails, for the message.
        kind: The error to raise.
    """

    url: str
    most_bytes: int
    by_hand: str
    kind: type[BenchError]


def fetch_file(wanted: Wanted, target: Path, check: Callable[[Path], None] | None = None) -> Path:
    """Download a file; what an earlier try left beside it is continued.

    Args:
        wanted: The file.
        target: Where it appears once it is complete and `check` has passed.
        check: Called with the complete part; it raises if that is not what was asked for.

    Returns:
        The target.

    Raises:
        BenchError: An error of `wanted.kind`: the server cannot be reached, refuses, sends more
            than was declared or leads elsewhere; another process fetches the file; or the disk is
            full.
        LinkError: The target or its part is a symbolic link.
    """
    part = target.with_name(f"{target.name}.part")
    for path in (target, part, _note(part)):
        require_plain(path)
    with _explained(wanted, part):
        part.parent.mkdir(parents=True, exist_ok=True)
        with _alone(part) as file:
            _fetch(wanted, part, file)
    try:
        if check is not None:
            check(part)
    except BenchError:
        part.unlink()
        raise
    finally:
        _note(part).unlink(missing_ok=True)
    return part.replace(target)


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


@contextmanager
def _alone(part: Path) -> Iterator[BinaryIO]:
    """The part, open at its end; two processes that both append to it would spoil it."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RouteError("another process fetches it now") from error
        yield file


@contextmanager
def _explained(wanted: Wanted, part: Path) -> Iterator[None]:
    url, by_hand = wanted.url, wanted.by_hand
    try:
        yield
    except RouteError as error:
        raise wanted.kind(
            f"{url} is not fetched: {error}; files are fetched over https only, by one process at "
            f"a time, and from where they were published. {by_hand}"
        ) from error
    except _TooLargeError as error:
        part.unlink(missing_ok=True)
        raise wanted.kind(
            f"{url} sends {error}, but at most {wanted.most_bytes} bytes were declared; it is not "
            f"the file that was asked for. Nothing was kept. {by_hand}"
        ) from error
    except urllib.error.HTTPError as error:
        raise wanted.kind(f"{url} answers {error.code} {error.reason}. {by_hand}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException,
            ValueError, _StalePartError) as error:  # fmt: skip
        words = " ".join(str(getattr(error, "reason", error)).split())[:200]
        raise wanted.kind(
            f"{url} cannot be reached or broke off ({words or type(error).__name__}). Fetch again "
            f"to continue where it stopped. {by_hand}"
        ) from error
    except OSError as error:
        raise wanted.kind(
            f"{part} cannot be written ({error.strerror or error}). Free space, or choose another "
            "folder: BENCH_DATA for datasets, BENCH_CHECKPOINTS for weights."
        ) from error


def _fetch(wanted: Wanted, part: Path, file: BinaryIO) -> None:
    """Continue the part, or begin anew where it is not a part of what the server has."""
    known = _known(part, wanted.url)
    if known is None:
        file.truncate(0)
    try:
        _receive(wanted, part, file, known or {})
    except _StalePartError:
        file.truncate(0)
        _receive(wanted, part, file, {})


def _known(part: Path, url: str) -> dict[str, str] | None:
    """What the part is a part of, or None where that is not known or is another file."""
    try:
        found = json.loads(_note(part).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("url") != url:
        return None
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _receive(wanted: Wanted, part: Path, file: BinaryIO, known: Mapping[str, str]) -> None:
    opener, begun = opener_for(wanted.url), os.fstat(file.fileno()).st_size
    headers = {"Range": f"bytes={begun}-"} if begun else {}
    if begun and known.get("mark"):
        headers["If-Range"] = known["mark"]
    request = urllib.request.Request(wanted.url, headers=headers)  # noqa: S310 - the opener checks the scheme, of redirects too
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            if answer.status == _PARTIAL:
                _require_next(answer.headers, begun, known)
            else:
                file.truncate(0)
                _remember(part, wanted.url, answer.headers)
            _copy(wanted, answer, file)
    except urllib.error.HTTPError as error:
        if error.code != _RANGE_NOT_SATISFIABLE or not begun:
            raise
        if error.headers.get("Content-Range") != f"bytes */{begun}":
            raise _StalePartError("the part is longer than the file") from error


def _remember(part: Path, url: str, headers: Mapping[str, str]) -> None:
    mark = headers.get("ETag") or headers.get("Last-Modified") or ""
    facts = {"url": url, "mark": "" if mark.startswith("W/") else mark}
    replace_file(_note(part), json.dumps(facts | {"bytes": headers.get("Content-Length") or ""}))


def _require_next(headers: Mapping[str, str], begun: int, known: Mapping[str, str]) -> None:
    """Check that what comes follows what is here, and is of the same file."""
    said = re.fullmatch(
        r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", headers.get("Content-Range", "")
    )
    mark = headers.get("ETag") or known.get("mark")
    total = known.get("bytes")
    other = said is not None and total and said[2] not in {"*", total}
    if said is None or int(said[1]) != begun or mark != known.get("mark") or other:
        raise _StalePartError("the server has another file now")


def _copy(wanted: Wanted, answer: http.client.HTTPResponse, file: BinaryIO) -> None:
    stated = answer.headers.get("Content-Length") or ""
    length = int(stated) if re.fullmatch(r"\d{1,18}", stated) else None
    held, received = os.fstat(file.fileno()).st_size, 0
    if length is not None and held + length > wanted.most_bytes:
        raise _TooLargeError(f"{held + length} bytes")
    while chunk := answer.read(_CHUNK):
        received += len(chunk)
        if held + received > wanted.most_bytes:
            raise _TooLargeError("more")
        file.write(chunk)
        logger.info("%d MB", (held + received) // 10**6)
    file.flush()
    os.fsync(file.fileno())
    if length is not None and received < length:
        raise ConnectionError(errno.ECONNRESET, f"{received} of {stated} bytes came")

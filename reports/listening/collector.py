"""A small web server for a lab: it hands out the blocks of a listening test and keeps the ratings.

Meant for machines of one room. It listens on this machine alone unless told otherwise, knows
nothing but the files of one exported test, and takes nothing but ratings of that test:

* `GET /` leads to the block that fewest listeners have: of those who handed in, and of those who
  opened it within the last hour. So a listener who gives up leaves no gap.
* `POST /ratings` takes the JSON of `reports.listening.records.Ratings`, as plain text or as JSON,
  from the page that this server sent and from no other. A file is named by a digest of what it
  holds, so the same ratings twice are one file, and no word of a listener becomes part of a path.

A browser that asks for a part of a sound gets it; else it could not go to another place in it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from bench.api import ConfigError, RecordError
from bench.files import make_folder, replace_file
from bench.outside.texts import parse_json
from reports.listening.page import COLLECTOR, FILES, collecting
from reports.listening.records import LARGEST_RATINGS_BYTES, Ratings, read_json

MOST_FILES = 10_000  # of ratings; nobody fills a disk with them
OPEN_S = 3600.0  # as long a block counts as taken by somebody who has opened it
SLOWEST_S = 30.0  # that a connection may be silent
LOCAL = ("127.0.0.1", "localhost")
KINDS = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8", ".wav": "audio/wav", ".ogg": "audio/ogg",
}  # fmt: skip
_FACTS = re.compile(r'<script type="application/json" id="test">(.*?)</script>', re.DOTALL)
_RANGE = re.compile(r"bytes=(\d{1,12})-(\d{0,12})", re.ASCII)
logger = logging.getLogger(__name__)


class RefusedError(Exception):
    """A request that is not served.

    Args:
        status: What HTTP calls the reason.
        why: The reason in words.
    """

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Shelf:
    """What is served and what has come in; the state that all connections share.

    Args:
        folder: An exported test.
        into: Where ratings are written.
        clock: Seconds that only grow.

    Raises:
        RecordError: The folder is no exported test.
    """

    def __init__(self, folder: Path, into: Path, clock: Callable[[], float]) -> None:
        self.files, facts = _served(folder)
        self.test: str = facts["test"]
        self.blocks = len(facts["blocks"])
        self.into, self.clock = into, clock
        self.lock = threading.Lock()
        self.opened: list[tuple[float, int]] = []
        make_folder(into)
        self.kept = {path.name: self._block_of(path) for path in sorted(into.glob("*.json"))}

    def _block_of(self, path: Path) -> int | None:
        ratings = read_json(path, Ratings)
        return ratings.block if ratings.test == self.test else None

    def next_block(self) -> int | None:
        """The block of the next listener, which counts as taken; None where all rate everything."""
        if not self.blocks:
            return None
        with self.lock:
            now = self.clock()
            self.opened = [(at, block) for at, block in self.opened if now - at < OPEN_S]
            taken = Counter(block for block in self.kept.values() if block is not None)
            taken.update(block for _, block in self.opened)
            block = min(range(1, self.blocks + 1), key=lambda one: (taken[one], one))
            self.opened.append((now, block))
        return block

    def keep(self, body: bytes) -> int:
        """Write ratings down; how many files there are then.

        Raises:
            RefusedError: They are no ratings of this test, or there are too many.
        """
        ratings = self._checked(body)
        text = ratings.model_dump_json(indent=1)
        name = f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
        with self.lock:
            if len(self.kept) >= MOST_FILES and name not in self.kept:
                raise RefusedError(HTTPStatus.INSUFFICIENT_STORAGE, "there are too many ratings")
            replace_file(self.into / name, text)
            self.kept[name] = ratings.block
            done = next((one for one in self.opened if one[1] == ratings.block), None)
            if done is not None:
                self.opened.remove(done)
            return len(self.kept)

    def _checked(self, body: bytes) -> Ratings:
        try:
            text = body.decode()
            parse_json(text)  # which has limits
            ratings = Ratings.model_validate_json(text)
        except (ValidationError, ValueError) as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "these are no ratings") from error
        if ratings.test != self.test:
            raise RefusedError(HTTPStatus.CONFLICT, "these are ratings of another test")
        return ratings


def _served(folder: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of a test by their addresses, and what its page knows."""
    try:
        page = collecting((folder / "index.html").read_text(encoding="utf-8"))
        (text,) = _FACTS.findall(page)
        facts = json.loads(text)
        files = {f"/{name}": (folder / name).read_bytes() for name in FILES}
    except (OSError, ValueError) as error:
        raise RecordError(
            f"{folder} is not an exported test ({error}); a collector serves one. Name a folder "
            "that `listen export` wrote."
        ) from error
    sounds = [path for path in (folder / "sounds").iterdir() if path.suffix in {".wav", ".ogg"}]
    files |= {f"/sounds/{path.name}": path.read_bytes() for path in sounds if path.is_file()}
    files["/index.html"] = page.encode()
    return files, facts


class Collector:
    """A collector that listens as long as the block of its `with` lasts.

    Args:
        folder: An exported test.
        into: Where ratings are written.
        place: The address and the port to listen on; port 0 takes any that is free.
        told: Is told of everybody who hands in.
        clock: Seconds that only grow.

    Raises:
        RecordError: The folder is no exported test.
        ConfigError: The address or the port cannot be had.
    """

    def __init__(
        self,
        folder: Path,
        into: Path,
        place: tuple[str, int],
        *,
        told: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        shelf = Shelf(folder, into, clock)
        try:
            self.server = _Server(place, shelf, told)
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"port {place[1]} of {place[0]!r} cannot be listened on ({error}); a collector "
                "needs a free port of this machine. Give another --port, or --host."
            ) from error
        self.host = place[0]

    @property
    def address(self) -> str:
        """Where listeners find the test."""
        return f"http://{self.host}:{self.server.server_address[1]}/"

    @property
    def is_local(self) -> bool:
        """Whether no other machine reaches it."""
        return self.server.is_local

    def serve_forever(self) -> None:
        """Serve until something ends this, as Ctrl-C does."""
        self.server.serve_forever()

    def __enter__(self) -> Self:
        """Hold the port."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the port back."""
        self.server.server_close()


class _Server(ThreadingHTTPServer):
    """A server whose connections share a shelf."""

    def __init__(self, place: tuple[str, int], shelf: Shelf, told: Callable[[str], None]) -> None:
        super().__init__(place, _Request)
        self.shelf, self.told = shelf, told

    def is_ours(self, host: str, origin: str) -> bool:
        """Whether a request is from our own page; a local server goes by its local names alone."""
        known = {f"{name}:{self.server_address[1]}" for name in LOCAL}
        return origin == f"http://{host}" and (not self.is_local or host in known)

    @property
    def is_local(self) -> bool:
        """Whether no other machine reaches it."""
        return self.server_address[0] == LOCAL[0]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in the base
        """A browser that goes away in the middle of a sound is no fault; anything else is ours."""
        if isinstance(sys.exception(), ConnectionError | TimeoutError):
            logger.info("%s went away", client_address)
        else:
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "collector", ""
    timeout = SLOWEST_S

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/" and "block=" not in query:
            self._lead(query)
            return
        data = self.server.shelf.files.get("/index.html" if path == "/" else path)
        if data is None:
            self._answer(HTTPStatus.NOT_FOUND, b"not here", ".html")
        else:
            self._send_part(data, Path(path).suffix or ".html")

    def _lead(self, query: str) -> None:
        """To the next block, with what the address says otherwise."""
        block = self.server.shelf.next_block()
        if block is None:
            self._send_part(self.server.shelf.files["/index.html"], ".html")
            return
        rest = f"&{query}" if re.fullmatch(r"[\w=&.%-]{1,1000}", query, re.ASCII) else ""
        self._answer(HTTPStatus.SEE_OTHER, b"", ".html", Location=f"/?block={block}{rest}")

    def _send_part(self, data: bytes, suffix: str) -> None:
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        if found is None:
            self._answer(HTTPStatus.OK, data, suffix, **{"Accept-Ranges": "bytes"})
            return
        first, last = int(found[1]), min(int(found[2] or len(data)), len(data) - 1)
        if first > last:
            whole = {"Content-Range": f"bytes */{len(data)}"}
            self._answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", suffix, **whole)
            return
        part = {"Content-Range": f"bytes {first}-{last}/{len(data)}", "Accept-Ranges": "bytes"}
        self._answer(HTTPStatus.PARTIAL_CONTENT, data[first : last + 1], suffix, **part)

    def do_POST(self) -> None:
        self.close_connection = True  # what is not read must not be taken for another request
        try:
            count = self.server.shelf.keep(self._body())
        except RefusedError as error:
            self._answer(error.status, f"{error}\n".encode(), ".html")
            return
        except OSError as error:
            self.server.told(f"ratings could not be written: {error}")
            self._answer(HTTPStatus.INSUFFICIENT_STORAGE, b"they could not be written\n", ".html")
            return
        self.server.told(f"ratings came in; {count} in all")
        self._answer(HTTPStatus.CREATED, b"kept\n", ".html")

    def _body(self) -> bytes:
        """What was sent, once everything about it is as it should be."""
        if self.path != f"/{COLLECTOR}":
            raise RefusedError(HTTPStatus.NOT_FOUND, "not here")
        if not self.server.is_ours(self.headers.get("Host", ""), self.headers.get("Origin", "")):
            raise RefusedError(HTTPStatus.FORBIDDEN, "ratings come from the page of this server")
        if self.headers.get_content_type() not in {"text/plain", "application/json"}:
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "ratings are text/plain")
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"\d{1,12}", length, re.ASCII) or "Transfer-Encoding" in self.headers:
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "say how long they are")
        if int(length) > LARGEST_RATINGS_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "ratings are smaller")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "they were cut off")
        return body

    def _answer(self, status: HTTPStatus, data: bytes, suffix: str, **headers: str) -> None:
        self.send_response(status)
        kind = KINDS[suffix] if status < HTTPStatus.BAD_REQUEST else "text/plain; charset=utf-8"
        headers |= {
            "Content-Type": kind, "Content-Length": str(len(data)),
            "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
        }  # fmt: skip
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base
        logger.info(format, *args)

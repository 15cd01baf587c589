"""A model hub on 127.0.0.1: as much of the hub's web interface as its own client asks for.

Repository facts and file lists as JSON, files under `resolve/` with the headers that the client
reads, large files behind a redirect as on the hub, ranges, and on request the faults that a
download meets: a transfer that breaks off, sizes that lie, files that are gone, closed doors. Data
sets are repositories whose names begin with `datasets/`; `uploads.py` has what writes.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from uploads import Uploads

COMMIT = "c0ffee" * 6 + "abcd"
PIECE = 1 << 14  # bytes
_LARGE = (".bin", ".safetensors", ".pt", ".ckpt", ".parquet", ".flac")


@dataclass
class Repository:
    """A repository with one commit.

    Args:
        files: Bytes by path.
        commit: Its commit.
        closed: Status that every file answers with, for a gated repository.
        gone: Files that are listed and not there.
        listed_sizes: Sizes that the lists state, where they lie.
        broken_at: Bytes after which the transfer of a file breaks off, once.
        pause_s: Seconds between the pieces of a transfer, which have `PIECE` bytes.
        private: As it was made; everybody may read it all the same.
    """

    files: dict[str, bytes]
    commit: str = COMMIT
    closed: int | None = None
    gone: set[str] = field(default_factory=set)
    listed_sizes: dict[str, int] = field(default_factory=dict)
    broken_at: dict[str, int] = field(default_factory=dict)
    pause_s: float = 0.0
    private: bool = False

    def facts(self, name: str) -> dict[str, Any]:
        """Size and digests as the hub lists them."""
        data = self.files[name]
        size = self.listed_sizes.get(name, len(data))
        sha256 = hashlib.sha256(data).hexdigest()
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 - git's own
        large = {"size": size, "sha256": sha256, "oid": sha256, "pointerSize": 134}
        return {"size": size, "blob": blob, "lfs": large if name.endswith(_LARGE) else None}


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    range: str | None


class Hub(ThreadingHTTPServer):
    """The server; `repositories` by id, `uploads` and `seen` requests are its whole state."""

    daemon_threads = True

    def __init__(self, repositories: dict[str, Repository]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories = repositories
        self.uploads = Uploads(repositories, Repository, _LARGE)
        self.seen: list[Request] = []

    @property
    def url(self) -> str:
        """What HF_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self.server_port}"

    def downloads(self, name: str) -> list[Request]:
        """The requests for the bytes of a file."""
        return [r for r in self.seen if r.method == "GET" and r.path.endswith(f"/{name}")]


@contextmanager
def serving(repositories: dict[str, Repository]) -> Iterator[Hub]:
    """Serve repositories until the block ends."""
    hub = Hub(repositories)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet."""

    def do_HEAD(self) -> None:
        """Answer with the head alone."""
        self._answer()

    def do_GET(self) -> None:
        """Answer with head and body."""
        self._answer()

    def do_POST(self) -> None:
        """Answer to a step of an upload."""
        self._take()

    def do_PUT(self) -> None:
        """Take a large file."""
        self._take()

    def _take(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.seen.append(Request(self.command, path, None))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        status, value = self.server.uploads.answer(self.command, path, token, body)
        text = "" if value is None else json.dumps(value)
        data = text.replace("{port}", str(self.server.server_port)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.seen.append(Request(self.command, path, self.headers.get("Range")))
        for pattern, answer in (
            (r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", self._info),
            (r"/api/models/([^/]+/[^/]+)/tree/([^/]+)/?", self._tree),
            (r"/api/(datasets/[^/]+/[^/]+)(?:/revision/(.+))?", self._info),
            (r"/api/(datasets/[^/]+/[^/]+)/tree/([^/]+)/?", self._tree),
            (r"/((?:datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)", self._resolve),
            (r"/cdn/((?:datasets/)?[^/]+/[^/]+)/(.+)", self._bytes),
            (r"/files/(.+)", self._plain),
        ):
            found = re.fullmatch(pattern, path)
            if found:
                answer(*found.groups())
                return
        self._refuse(404, "")

    def _repository(self, name: str, revision: str | None) -> Repository | None:
        repository = self.server.repositories.get(name)
        if repository is None:
            self._refuse(404, "RepoNotFound")
        elif revision not in {None, "main", repository.commit}:
            self._refuse(404, "RevisionNotFound")
        else:
            return repository
        return None

    def _info(self, name: str, revision: str | None) -> None:
        repository = self._repository(name, revision)
        if repository is None:
            return
        siblings = [
            {"rfilename": path, "size": facts["size"], "blobId": facts["blob"], "lfs": facts["lfs"]}
            for path in repository.files
            if (facts := repository.facts(path))
        ]
        plain = name.removeprefix("datasets/")
        about = {"id": plain, "modelId": plain, "tags": [], "downloads": 0}
        about["private"] = repository.private
        gated = "auto" if repository.closed else False
        self._json({**about, "sha": repository.commit, "gated": gated, "siblings": siblings})

    def _tree(self, name: str, revision: str) -> None:
        repository = self._repository(name, revision)
        if repository is None:
            return
        entries = []
        for path in repository.files:
            facts = repository.facts(path)
            entry = {"type": "file", "path": path, "size": facts["size"], "oid": facts["blob"]}
            entries.append(entry | ({"lfs": facts["lfs"]} if facts["lfs"] else {}))
        self._json(entries)

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repository = self._repository(name, revision)
        if repository is None:
            return
        if repository.closed is not None:
            self._refuse(repository.closed, "GatedRepo")
        elif path not in repository.files or path in repository.gone:
            self._refuse(404, "EntryNotFound")
        elif repository.facts(path)["lfs"]:
            self._redirect(name, path, repository)
        else:
            self._send(repository, path)

    def _redirect(self, name: str, path: str, repository: Repository) -> None:
        """Large files lie on another host (this one by another name); size and digest are told."""
        large = repository.facts(path)["lfs"]
        self.send_response(302)
        self.send_header(
            "Location", f"http://localhost:{self.server.server_port}/cdn/{name}/{path}"
        )
        self.send_header("X-Repo-Commit", repository.commit)
        self.send_header("X-Linked-Size", str(large["size"]))
        self.send_header("X-Linked-ETag", f'"{large["sha256"]}"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _bytes(self, name: str, path: str) -> None:
        self._send(self.server.repositories[name], path)

    def _plain(self, path: str) -> None:
        """A file of no repository, as a release page or a university's server gives it."""
        files = self.server.repositories.get("files")
        if files is None or path not in files.files:
            self._refuse(404, "")
        elif files.closed is not None:
            self._refuse(files.closed, "")
        else:
            self._send(files, path)

    def _send(self, repository: Repository, path: str) -> None:
        data = repository.files[path]
        plain = repository is self.server.repositories.get("files")
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        begin = int(asked.group(1)) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("X-Repo-Commit", repository.commit)
        self.send_header("ETag", f'"{repository.facts(path)["blob"]}"')
        self.send_header("Accept-Ranges", "bytes")
        stated = repository.listed_sizes.get(path, len(data)) if plain else len(data)
        self.send_header("Content-Length", str(stated - begin))
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "GET":
            self._write(data[begin:], repository.broken_at.pop(path, None), repository.pause_s)

    def _write(self, data: bytes, broken_at: int | None, pause_s: float) -> None:
        whole = data[:broken_at]
        pieces = range(0, len(whole), PIECE if pause_s else len(whole) or 1)
        with suppress(ConnectionError):  # whoever asked was killed
            for begin in pieces:
                self.wfile.write(whole[begin : begin + pieces.step])
                self.wfile.flush()
                time.sleep(pause_s)
        self.close_connection = self.close_connection or broken_at is not None

    def _json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

"""Downloads over https: continued where they broke off, refused where something else comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.api import DatasetError
from bench.data.card_model import read_card
from bench.data.cards import datasets
from bench.fetching.google_drive import download_archive, drive_url

BY_HAND = "Download it by hand."


@contextmanager
def web(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A web server that gives one answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer."""
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/file"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, stated: int) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(stated))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    data = b"PK\x03\x04" + bytes(range(256)) * 40
    asked: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.headers.get("Range"))
        if asked[-1] is None:
            send(handler, 200, data[:5000], len(data))
        else:
            send(handler, 206, data[5000:], len(data) - 5000)

    with web(answer) as url:
        with pytest.raises(DatasetError, match=r"broke off .*Fetch again.*Download it by hand"):
            download_archive(url, tmp_path / "a.zip", BY_HAND)
        assert download_archive(url, tmp_path / "a.zip", BY_HAND).read_bytes() == data
    assert asked == [None, "bytes=5000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_page_in_place_of_the_archive_is_recognised(tmp_path: Path) -> None:
    with (
        web(lambda handler: send(handler, 200, b"<html>quota</html>", 18)) as url,
        pytest.raises(DatasetError, match=r"is not a zip archive .*quotas.*Download it by hand"),
    ):
        download_archive(url, tmp_path / "a.zip", BY_HAND)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_and_a_closed_door_are_told_with_the_way_round(tmp_path: Path) -> None:
    with (
        web(lambda handler: send(handler, 403, b"", 0)) as url,
        pytest.raises(DatasetError, match=r"answers 403 .*Download it by hand"),
    ):
        download_archive(url, tmp_path / "a.zip", BY_HAND)
    with pytest.raises(DatasetError, match=r"cannot be reached .*Download it by hand"):
        download_archive(url, tmp_path / "a.zip", BY_HAND)
    with pytest.raises(DatasetError, match="is not https"):
        download_archive("ftp://example.org/a.zip", tmp_path / "a.zip", BY_HAND)


def test_the_address_carries_the_id_of_the_card() -> None:
    archive = read_card(datasets()["musicti"]).archive
    assert archive is not None
    assert f"id={archive.drive_id}&" in drive_url(archive.drive_id)

"""Downloads over https: continued where they broke off, refused where something else comes."""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.api import DatasetError
from bench.data.card_model import read_card
from bench.data.cards import datasets
from bench.fetching import routes
from bench.fetching.google_drive import download_archive, drive_url
from bench.files import LinkError

BY_HAND = "Download it by hand."
MOST = 1_000_000


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


def send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    stated: int | None,
    more: dict[str, str] | None = None,
) -> None:
    handler.send_response(status)
    headers = {} if stated is None else {"Content-Length": str(stated)}
    for name, value in (headers | (more or {})).items():
        handler.send_header(name, value)
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
            said = f"bytes 5000-{len(data) - 1}/{len(data)}"
            send(handler, 206, data[5000:], len(data) - 5000, {"Content-Range": said})

    with web(answer) as url:
        with pytest.raises(DatasetError, match=r"broke off .*Fetch again.*Download it by hand"):
            download_archive(url, tmp_path / "a.zip", BY_HAND, MOST)
        assert download_archive(url, tmp_path / "a.zip", BY_HAND, MOST).read_bytes() == data
    assert asked == [None, "bytes=5000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_page_in_place_of_the_archive_is_recognised(tmp_path: Path) -> None:
    with (
        web(lambda handler: send(handler, 200, b"<html>quota</html>", 18)) as url,
        pytest.raises(DatasetError, match=r"is not a zip archive .*quotas.*Download it by hand"),
    ):
        download_archive(url, tmp_path / "a.zip", BY_HAND, MOST)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_and_a_closed_door_are_told_with_the_way_round(tmp_path: Path) -> None:
    with (
        web(lambda handler: send(handler, 403, b"", 0)) as url,
        pytest.raises(DatasetError, match=r"answers 403 .*Download it by hand"),
    ):
        download_archive(url, tmp_path / "a.zip", BY_HAND, MOST)
    with pytest.raises(DatasetError, match=r"cannot be reached .*Download it by hand"):
        download_archive(url, tmp_path / "a.zip", BY_HAND, MOST)
    with pytest.raises(DatasetError, match=r"is not https.*over https only"):
        download_archive("ftp://example.org/a.zip", tmp_path / "a.zip", BY_HAND, MOST)


DATA = b"PK\x03\x04" + bytes(range(256)) * 40


def fetched(url: str, folder: Path) -> Path:
    return download_archive(url, folder / "a.zip", BY_HAND, MOST)


def ranged(handler: BaseHTTPRequestHandler, data: bytes = DATA, mark: str = "") -> None:
    """Answer as a server that knows ranges: 200, 206 or 416."""
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range") or "")
    begin, tag = int(asked[1]) if asked else 0, {"ETag": mark} if mark else {}
    if begin >= len(data):
        send(handler, 416, b"", 0, {"Content-Range": f"bytes */{len(data)}"})
    elif asked:
        said = {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"}
        send(handler, 206, data[begin:], len(data) - begin, said | tag)
    else:
        send(handler, 200, data, len(data), tag)


def left_by_a_kill(folder: Path, served: str, held: bytes, facts: dict[str, str]) -> None:
    (folder / "a.zip.part").write_bytes(held)
    note = {"url": served, "mark": "", "bytes": str(len(DATA))} | facts
    (folder / "a.zip.part.json").write_text(json.dumps(note))


@pytest.mark.parametrize(
    ("held", "facts"),
    [
        (DATA[:3000], {}),
        (DATA, {}),
        (DATA + b"more", {}),
        (b"other" * 9000, {}),
        (b"other", {"url": "https://example.org/other"}),
        (b"other", {"mark": '"former"'}),
        (b"other", {"bytes": "77"}),
    ],
    ids=["begun", "complete", "too long", "much too long", "of another address", "of a former file",
         "of a file of another size"],
)  # fmt: skip
def test_whatever_part_lies_here_the_file_is_the_one_of_the_server(
    tmp_path: Path, held: bytes, facts: dict[str, str]
) -> None:
    with web(lambda handler: ranged(handler, mark='"now"' if "mark" in facts else "")) as url:
        left_by_a_kill(tmp_path, url, held, facts)
        assert fetched(url, tmp_path).read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("note", [None, b"", b"[1]", b'{"url": 3}', b"[" * 100_000, b"\xff"])
def test_a_part_without_a_note_is_not_trusted(tmp_path: Path, note: bytes | None) -> None:
    (tmp_path / "a.zip.part").write_bytes(b"other")
    if note is not None:
        (tmp_path / "a.zip.part.json").write_bytes(note)
    with web(ranged) as url:
        assert fetched(url, tmp_path).read_bytes() == DATA


def test_a_process_that_was_killed_is_continued(tmp_path: Path) -> None:
    asked: list[str | None] = []
    hold = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.headers.get("Range"))
        if asked[-1] is not None:
            ranged(handler, LARGE)
            return
        send(handler, 200, LARGE[: 3 << 20], len(LARGE))
        handler.wfile.flush()
        hold.wait(60)

    code = (
        "import sys; from pathlib import Path; from bench.fetching.google_drive import *; "
        "download_archive(sys.argv[1], Path(sys.argv[2]), '', 1 << 24)"
    )
    part = tmp_path / "a.zip.part"
    with web(answer) as url:
        process = subprocess.Popen([sys.executable, "-c", code, url, str(tmp_path / "a.zip")])
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size >= 1 << 20):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.wait()
        hold.set()
        done = download_archive(url, tmp_path / "a.zip", BY_HAND, 1 << 24)
    assert done.read_bytes() == LARGE
    assert asked[0] is None
    assert asked[1] is not None
    assert int(asked[1].removeprefix("bytes=").removesuffix("-")) >= 1 << 20


LARGE = DATA * 800


def chunked(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.close_connection = True
    send(handler, 200, body, None, {"Transfer-Encoding": "chunked"})


ENDLESS = b"%x\r\n" % len(DATA) + DATA + b"\r\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda h: send(h, 200, DATA, 10**12), r"sends 1000000000000 bytes, but at most 1000000"),
        (lambda h: send(h, 200, DATA * 200, None), r"sends more, but at most 1000000"),
        (lambda h: chunked(h, ENDLESS * 200), r"sends more, but at most 1000000"),
        (lambda h: chunked(h, ENDLESS + b"zz\r\n"), r"cannot be reached or broke off"),
        (lambda h: chunked(h, b"fffff\r\nshort"), r"cannot be reached or broke off"),
        (lambda h: chunked(h, b"9" * 70_000), r"cannot be reached or broke off"),
        (lambda h: h.wfile.write(b"nonsense\r\n\r\n"), r"cannot be reached or broke off"),
        (lambda h: h.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200), "broke off"),
        (lambda h: send(h, 416, b"", 0), r"answers 416"),
    ],
    ids=["announced", "unbounded", "unbounded chunks", "chunk head", "chunk short", "chunk line",
         "no protocol", "headers", "416"],
)  # fmt: skip
def test_a_broken_or_endless_answer_is_an_error(
    tmp_path: Path, answer: Callable[[BaseHTTPRequestHandler], None], words: str
) -> None:
    with web(answer) as url, pytest.raises(DatasetError, match=words):
        fetched(url, tmp_path)
    kept = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert kept < 2 * MOST
    with web(ranged) as url:
        assert fetched(url, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("file:///etc/passwd", "is not allowed"),
        ("ftp://127.0.0.1/a", "is not https"),
        ("http://example.org/a", "is not https"),
        ("http://10.0.0.1/a", "is not https"),
        ("https://[::1/a", "is no address|broke off"),
        ("data:text/plain,PK", "is not allowed"),
    ],
)
def test_a_redirect_to_another_scheme_is_refused(tmp_path: Path, target: str, words: str) -> None:
    with (
        web(lambda handler: send(handler, 302, b"", 0, {"Location": target})) as url,
        pytest.raises(DatasetError, match=words),
    ):
        fetched(url, tmp_path)
    assert not (tmp_path / "a.zip").exists()


def test_a_redirect_within_this_machine_is_followed_when_it_began_here(tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/file":
            send(handler, 302, b"", 0, {"Location": "/elsewhere"})
        else:
            ranged(handler)

    with web(answer) as url:
        assert fetched(url, tmp_path).read_bytes() == DATA


def test_a_circle_of_redirects_ends(tmp_path: Path) -> None:
    with (
        web(lambda handler: send(handler, 302, b"", 0, {"Location": "/file"})) as url,
        pytest.raises(DatasetError, match="answers 302"),
    ):
        fetched(url, tmp_path)


PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.1.2.3", "[::1]",
    "[fd00::1]", "[fe80::1]", "[::ffff:10.0.0.1]", "localhost", "LOCALHOST", "a.localhost",
    "localhost.",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_a_public_server_may_not_lead_into_a_private_network(host: str) -> None:
    """By its name here, and by the address that a name turns out to have below."""
    route = routes._Route(named=False)
    with pytest.raises(routes.RouteError, match="an address of a private network"):
        route.require_name(f"https://{host}/a")
    routes._Route(named=True).require_name(f"https://{host}/a")


def test_a_name_that_turns_out_to_be_private_is_refused_unless_the_first_was() -> None:
    led, at_home = routes._Route(named=False), routes._Route(named=False)
    led.require_peer("93.184.216.34")
    with pytest.raises(routes.RouteError, match=r"10\.0\.0\.1, an address of a private network"):
        led.require_peer("10.0.0.1")
    at_home.require_peer("10.0.0.1")
    at_home.require_peer("10.0.0.2")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:80@example.org/a", "http://127.0.0.1.example.org/a", "https:///a", "a.zip",
     "https://[/a", "file:///etc/passwd"],
)  # fmt: skip
def test_an_address_that_only_looks_like_this_machine_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(DatasetError, match="is not fetched: "):
        fetched(url, tmp_path)


@pytest.mark.parametrize("name", ["a.zip", "a.zip.part", "a.zip.part.json"])
def test_a_download_does_not_follow_a_link(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("keep")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).symlink_to(victim)
    with web(ranged) as url, pytest.raises(LinkError, match="nothing is written or deleted"):
        fetched(url, tmp_path / "data")
    assert victim.read_text() == "keep"


def test_two_processes_do_not_write_one_part(tmp_path: Path) -> None:
    with (
        web(ranged) as url,
        (tmp_path / "a.zip.part").open("ab") as other,
    ):
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DatasetError, match="another process fetches it now"):
            fetched(url, tmp_path)


def test_the_address_carries_the_id_of_the_card() -> None:
    archive = read_card(datasets()["musicti"]).archive
    assert archive is not None
    assert f"id={archive.drive_id}&" in drive_url(archive.drive_id)

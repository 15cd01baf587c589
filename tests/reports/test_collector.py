"""The collector of a lab, asked over a socket: what it serves, what it keeps, what it refuses."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from answering import sheet
from sounding import sounding_run

from bench.api import ConfigError, RecordError
from bench.errors import ExitCode
from bench.records.store import Run
from reports.listening.collector import OPEN_S, Collector
from reports.listening.export import Audience, Exported, export
from reports.listening.handing_in import HandIn
from reports.listening.ratings import heard, import_ratings
from reports.listening.records import LARGEST_RATINGS_BYTES, BlindKey, read_json

BLOCKS = 4


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("collecting") / "run"
    return sounding_run(folder, ("harp", "bird"), ("c1", "c2"))


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A test whose page would send ratings elsewhere, were it not served."""
    whom = Audience(BLOCKS, 4.5, hand_in=HandIn(post="https://elsewhere.example.org/take"))
    return export(run.folder, tmp_path_factory.mktemp("test") / "test", 3, 0, audience=whom)


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


class Answer(NamedTuple):
    """What a collector answers."""

    status: int
    headers: Message
    data: bytes


class Desk:
    """A collector that runs, and how to ask it."""

    def __init__(self, made: Exported, into: Path) -> None:
        self.clock, self.told, self.into = Clock(), list[str](), into
        self.collector = Collector(
            made.folder, into, ("127.0.0.1", 0), told=self.told.append, clock=self.clock
        )
        self.host = self.collector.address.removeprefix("http://").rstrip("/")

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """An answer; `_` stands for `-` in the names of headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection(self.host, timeout=30)) as connection:
            connection.request(method, path, body, named)
            with connection.getresponse() as answer:
                return Answer(answer.status, answer.headers, answer.read())

    def hand_in(self, text: str | bytes, **headers: str) -> int:
        """Post ratings as the page does; the status of the answer."""
        body = text.encode() if isinstance(text, str) else text
        usual = {"Origin": f"http://{self.host}", "Content_Type": "text/plain;charset=UTF-8"}
        return self.ask("POST", "/ratings", body, **(usual | headers)).status

    def block(self) -> int:
        """The block that is handed out to somebody who opens the address."""
        answer = self.ask("GET", "/")
        assert answer.status == 303
        return int(answer.headers["Location"].removeprefix("/?block="))


@pytest.fixture
def desk(made: Exported, tmp_path: Path) -> Iterator[Desk]:
    one = Desk(made, tmp_path / "ratings")
    thread = threading.Thread(target=one.collector.serve_forever)
    with one.collector:
        thread.start()
        yield one
        one.collector.server.shutdown()
        thread.join()


def test_blocks_are_handed_out_in_turn_and_again_where_nobody_came_back(
    made: Exported, desk: Desk
) -> None:
    assert [desk.block() for _ in range(6)] == [1, 2, 3, 4, 1, 2]
    key = read_json(made.key, BlindKey)
    assert desk.hand_in(sheet(key, "ada", 1)) == 201
    desk.clock.now = OPEN_S + 1  # everybody but Ada has gone
    assert [desk.block() for _ in range(4)] == [2, 3, 4, 1]


def test_a_collector_that_begins_again_knows_what_came_in(made: Exported, desk: Desk) -> None:
    key = read_json(made.key, BlindKey)
    assert [desk.hand_in(sheet(key, f"p{n}", n)) for n in (1, 2)] == [201, 201]
    again = Desk(made, desk.into)
    with again.collector:
        assert again.collector.server.shelf.next_block() == 3


def test_what_an_address_says_of_a_participant_stays(desk: Desk) -> None:
    led = desk.ask("GET", "/?PROLIFIC_PID=5f3&STUDY_ID=9").headers["Location"]
    assert led == "/?block=1&PROLIFIC_PID=5f3&STUDY_ID=9"
    assert desk.ask("GET", "/?x=%0d%0aSet-Cookie:a").headers["Location"] == "/?block=2"


def test_the_page_that_is_served_sends_ratings_to_its_server_alone(
    made: Exported, desk: Desk
) -> None:
    page = desk.ask("GET", "/?block=1").data.decode()
    assert "connect-src 'self';" in page
    assert '<meta name="collector" content="ratings">' in page
    assert "elsewhere" not in page
    assert "connect-src https://elsewhere.example.org/take;" in (
        made.folder / "index.html"
    ).read_text("utf-8")


def test_nothing_but_the_files_of_a_test_is_served(made: Exported, desk: Desk) -> None:
    sounds = sorted((made.folder / "sounds").iterdir())
    for name in (
        "listen.js",
        "playing.js",
        "handing-in.js",
        "listen.css",
        f"sounds/{sounds[0].name}",
    ):
        answer = desk.ask("GET", f"/{name}")
        assert answer.data == (made.folder / name).read_bytes()
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for name in ("README.txt", "webmushra.yaml", "../run/header.json", "%2e%2e/x", "sounds/", ""):
        assert desk.ask("GET", f"/{name}/../" if name == "" else f"/{name}").status == 404


def test_a_part_of_a_sound_is_served(made: Exported, desk: Desk) -> None:
    sound = sorted((made.folder / "sounds").iterdir())[0]
    data, path = sound.read_bytes(), f"/sounds/{sound.name}"
    answer = desk.ask("GET", path, Range="bytes=100-199")
    assert (answer.status, answer.data) == (206, data[100:200])
    assert answer.headers["Content-Range"] == f"bytes 100-199/{len(data)}"
    assert desk.ask("GET", path, Range="bytes=100-").data == data[100:]
    assert desk.ask("GET", path, Range=f"bytes={len(data)}-").status == 416
    assert desk.ask("GET", path, Range="bytes=a-b").status == 200


def test_ratings_are_kept_once_under_a_name_that_no_listener_chooses(
    made: Exported, desk: Desk
) -> None:
    key = read_json(made.key, BlindKey)
    text = sheet(key, "../../etc/passwd", 1)
    assert [desk.hand_in(text), desk.hand_in(text.encode())] == [201, 201]
    (kept,) = desk.into.iterdir()
    assert re.fullmatch(r"[0-9a-f]{32}\.json", kept.name)
    assert desk.told == ["ratings came in; 1 in all"] * 2


def test_what_is_no_rating_of_this_test_is_refused(made: Exported, desk: Desk) -> None:
    text = sheet(read_json(made.key, BlindKey), "eve", 1)
    statuses = {
        "another test": (desk.hand_in(text.replace(json.loads(text)["test"], "0" * 12)), 409),
        "no JSON": (desk.hand_in("{"), 400),
        "no text": (desk.hand_in(b"\xff\xfe\x00"), 400),
        "deep": (desk.hand_in("[" * 10_000), 400),
        "a mark of 6": (desk.hand_in(text.replace('"cp": 3', '"cp": 6')), 400),
        "too large": (desk.hand_in("", Content_Length=f"{LARGEST_RATINGS_BYTES + 1}"), 413),
        "a form": (desk.hand_in(text, Content_Type="application/x-www-form-urlencoded"), 415),
        "another page": (desk.hand_in(text, Origin="https://elsewhere.example.org"), 403),
        "a file": (desk.hand_in(text, Origin="null"), 403),
        "another name": (desk.hand_in(text, Origin="http://evil.org", Host="evil.org"), 403),
        "no length": (desk.hand_in(text, Transfer_Encoding="chunked", Content_Length="9"), 411),
        "another place": (desk.ask("POST", "/", b"{}").status, 404),
        "another method": (desk.ask("PUT", "/ratings", b"{}").status, 501),
    }
    assert {name: got for name, (got, _) in statuses.items()} == {
        name: wanted for name, (_, wanted) in statuses.items()
    }
    assert list(desk.into.iterdir()) == []
    assert desk.told == []


def test_listeners_of_a_lab_come_into_the_tables(run: Run, made: Exported, desk: Desk) -> None:
    """Eight people at once, each with the block that was handed out."""
    key = read_json(made.key, BlindKey)
    blocks = [desk.block() for _ in range(8)]
    assert Counter(blocks) == dict.fromkeys(range(1, BLOCKS + 1), 2)
    people = [
        threading.Thread(target=desk.hand_in, args=(sheet(key, f"person {n}", block),))
        for n, block in enumerate(blocks)
    ]
    for one in people:
        one.start()
    for one in people:
        one.join()
    import_ratings(sorted(desk.into.iterdir()), run.folder)
    said = heard([run.folder])
    assert len(said.raters) == 8
    assert Counter(rating.rater for rating in said.ratings) == {
        f"person {n}": sum(
            len(part.items) - 2 for part in key.blocks[block - 1]
        )  # without repeat and stray
        for n, block in enumerate(blocks)
    }


def test_a_folder_that_is_no_test_and_a_port_that_is_taken_are_named(
    made: Exported, desk: Desk, tmp_path: Path
) -> None:
    with pytest.raises(RecordError, match="is not an exported test"):
        Collector(tmp_path, tmp_path / "r", ("127.0.0.1", 0), told=print)
    port = int(desk.host.rpartition(":")[2])
    with pytest.raises(ConfigError, match=rf"port {port} of '127.0.0.1' cannot be listened on"):
        Collector(made.folder, tmp_path / "r", ("127.0.0.1", port), told=print)
    with pytest.raises(ConfigError, match="of 'no such host' cannot be listened on"):
        Collector(made.folder, tmp_path / "r", ("no such host", 0), told=print)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED),
        pytest.param(signal.SIGTERM, ExitCode.TERMINATED, marks=pytest.mark.slow),
    ],
)
def test_the_command_serves_until_it_is_asked_to_end(
    made: Exported, tmp_path: Path, checkout: Path, number: int, code: ExitCode
) -> None:
    words = ["listen", "serve", str(made.folder), "--port", "0", "--into", str(tmp_path / "r")]
    # What starts the tests in the background may have them ignore Ctrl-C, which children inherit.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "from bench.cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, *words], cwd=checkout, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as serving:  # fmt: skip
        assert serving.stdout is not None
        address = re.search(r"http://(127\.0\.0\.1:\d+)/", serving.stdout.readline())
        assert address is not None
        with closing(http.client.HTTPConnection(address[1], timeout=30)) as connection:
            connection.request("GET", "/?block=1")
            with connection.getresponse() as answer:
                assert (answer.status, len(answer.read()) > 1000) == (200, True)
        serving.send_signal(number)
        _, said = serving.communicate(timeout=60)
    assert serving.returncode == code
    assert "Traceback" not in said

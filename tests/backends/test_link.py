"""What a worker may send: bounded in time and size, and believed in nothing."""

from __future__ import annotations

import itertools
import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bench.api import Audio, Score, StyleState
from bench.plugins.wire import (
    MOST_ARRAY_BYTES,
    MOST_BYTES,
    GarbledError,
    Message,
    Wire,
)


class OverError(Exception):
    """The waiting was ended."""


def until(seconds: float) -> Callable[[], None]:
    """Ends the waiting of a wire after some seconds."""
    end = time.monotonic() + seconds

    def asked() -> None:
        if time.monotonic() >= end:
            raise OverError("the limit is over")

    return asked


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tuple[Wire, socket.socket]]:
    """The run's end of a link, and the bare socket of what should be a worker."""
    near, far = socket.socketpair()
    (tmp_path / "files").mkdir()
    wire = Wire(near, tmp_path / "files", "run")
    yield wire, far
    wire.close()
    far.close()


@pytest.mark.parametrize("begun", [b"", b'{"number": 1, "ki', b'{"number": 1, "kind": "done"}'])
def test_half_a_message_does_not_outlast_the_limit(
    run: tuple[Wire, socket.socket], begun: bytes
) -> None:
    wire, far = run
    far.sendall(begun)
    with pytest.raises(OverError, match="the limit"):
        wire.receive(until(0.2))


def test_a_message_that_trickles_in_does_not_outlast_the_limit(
    run: tuple[Wire, socket.socket],
) -> None:
    """Each byte comes well before the limit, and the message never."""
    wire, far = run
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.01):
            far.sendall(b" ")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        with pytest.raises(OverError, match="the limit"):
            wire.receive(until(0.2))
    finally:
        stop.set()
        thread.join()


def test_messages_without_a_pause_do_not_outlast_the_limit(
    run: tuple[Wire, socket.socket],
) -> None:
    """Whoever reads one after the other never has to wait for the next."""
    wire, far = run
    line = b'{"number": 1, "kind": "progress", "value": [0.5, "x"]}\n'
    stop = threading.Event()

    def flood() -> None:
        far.settimeout(0.05)
        while not stop.is_set():
            try:
                far.sendall(100 * line)
            except OSError:
                continue

    thread = threading.Thread(target=flood)
    thread.start()
    asked, count = until(0.3), itertools.count()

    def read() -> None:
        while next(count) >= 0:
            wire.receive(asked)

    try:
        with pytest.raises(OverError, match="the limit"):
            read()
    finally:
        stop.set()
        thread.join()
    assert next(count) > 1, "messages had come"


def test_one_that_does_not_read_does_not_outlast_the_limit(
    run: tuple[Wire, socket.socket],
) -> None:
    wire, _ = run
    with pytest.raises(OverError, match="the limit"):
        wire.send(1, "fit", "x" * (MOST_BYTES // 2), until(0.2))


def test_a_message_without_an_end_is_not_read_for_ever(run: tuple[Wire, socket.socket]) -> None:
    wire, far = run

    def endless() -> None:
        block = bytes(1 << 20)
        for _ in range(MOST_BYTES // len(block) + 8):
            try:
                far.sendall(block)
            except OSError:
                return

    thread = threading.Thread(target=endless)
    thread.start()
    with pytest.raises(GarbledError, match=f"a message of more than {MOST_BYTES} bytes"):
        wire.receive(until(60))
    wire.close()
    thread.join()


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"garbage", b"\xff\xfe", b"[]", b"null", b"7", b'"text"', b"{}", b'{"number": 1}'),
        b'{"number": 1, "kind": "done", "value": 1, "more": 2}',
        b'{"number": "1", "kind": "done", "value": 1}',
        b'{"number": true, "kind": "done", "value": 1}',
        b'{"number": 1, "kind": 2, "value": 1}',
        b'{"number": 1, "kind": "done", "value": ' + b"[" * 100_000 + b"}",
        b'{"number": 1, "kind": "done", "value": ' + b"9" * 100_000 + b"}",
    ],
    ids=lambda line: repr(line[:50]),
)
def test_what_is_no_message_is_named_so(run: tuple[Wire, socket.socket], line: bytes) -> None:
    wire, far = run
    far.sendall(line + b"\n")
    with pytest.raises(GarbledError, match="no message: "):
        wire.receive()


@pytest.mark.parametrize(
    "value",
    [
        *({}, {"$": "Audio"}, {"of": 1}, {"$": [], "of": 1}, {"$": "unknown", "of": []}),
        {"$": "Audio", "of": {"waveform": None, "sample_rate": 44100}},
        {"$": "Audio", "of": {}},
        {"$": "Score", "of": {"name": "a", "value": 1.0, "more": 2}},
        {"$": "scalar", "of": [1]},
        {"$": "path", "of": 3},
        {"$": "array", "of": ["worker-0.npy"]},
    ],
)
def test_a_value_that_cannot_be_rebuilt_is_named_so(
    run: tuple[Wire, socket.socket], value: object
) -> None:
    with pytest.raises(GarbledError, match="a value that cannot be rebuilt: "):
        run[0].value_of(Message(1, "done", value))


def array_of(run: tuple[Wire, socket.socket], name: object) -> object:
    return run[0].value_of(Message(1, "done", {"$": "array", "of": name}))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../secret.npy",
            "../files/worker-0.npy",
            "./worker-0.npy",
            "worker-0.npy/",
            "/etc/passwd",
        ),
        *("/etc/passwd", "run-0.npy", "worker-.npy", "worker-0.npy\n", "worker--1.npy", "", "."),
        *("worker-0.npz", "worker-0.npy\x00", "WORKER-0.npy", "worker-\u0660.npy", 3, None),
    ],
)
def test_arrays_are_read_from_files_of_the_worker_alone(
    run: tuple[Wire, socket.socket], tmp_path: Path, name: object
) -> None:
    for place in ("secret.npy", "files/worker-0.npy", "files/run-0.npy"):
        np.save(tmp_path / place, np.ones(3))
    with pytest.raises(GarbledError, match="a value that cannot be rebuilt"):
        array_of(run, name)
    assert len(list(tmp_path.rglob("*.npy"))) == 3, "nothing was removed"


def link(path: Path) -> None:
    np.save(path.parent.parent / "secret.npy", np.ones(3))
    path.symlink_to(path.parent.parent / "secret.npy")


def short(path: Path) -> None:
    """A head that claims 8 PB."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)}
        )


def objects(path: Path) -> None:
    np.save(path, np.array([Path("x")], dtype=object), allow_pickle=True)


def archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, np.ones(3))


@pytest.mark.parametrize(
    "put",
    [
        *(link, short, objects, archive, os.mkfifo, Path.mkdir, Path.touch),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path),
        lambda _: None,
    ],
)
def test_only_plain_files_of_arrays_are_read(
    run: tuple[Wire, socket.socket], tmp_path: Path, put: Callable[[Path], None]
) -> None:
    put(tmp_path / "files" / "worker-0.npy")
    with pytest.raises(GarbledError, match="a value that cannot be rebuilt"):
        array_of(run, "worker-0.npy")
    if put is link:
        assert (tmp_path / "secret.npy").is_file()


def test_the_threads_of_a_plug_in_may_send_at_once(tmp_path: Path) -> None:
    """Long messages are written in parts, which must not mix."""
    near, far = socket.socketpair()
    sender, reader = Wire(far, tmp_path, "worker"), Wire(near, tmp_path, "run")
    text = "x" * 500_000
    threads = [
        threading.Thread(target=sender.send, args=(number, "progress", [0.0, text]))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    read = [reader.receive(until(60)) for _ in threads]
    for thread in threads:
        thread.join()
    assert {message.number for message in read} == set(range(8))
    assert all(message.value == [0.0, text] for message in read)
    for wire in (sender, reader):
        wire.close()


@dataclass(frozen=True)
class Richer(Score):
    """A score with a field more."""

    extra: str = "more"


class Louder(Audio):
    """Audio of a class of its own."""


def test_derived_classes_arrive_as_those_of_the_contract(
    run: tuple[Wire, socket.socket], tmp_path: Path
) -> None:
    wire, far = run
    worker = Wire(far, tmp_path / "files", "worker")
    sound = np.ones((1, 4), np.float32)
    worker.send(1, "done", [Richer("a", 1.0), Louder(sound, 8000)])
    score, audio = wire.value_of(wire.receive())
    assert (type(score), type(audio)) == (Score, Audio)
    assert audio.waveform.tolist() == sound.tolist()


TOO_MUCH = {
    "a number as a name": (StyleState({}, {"a": {1: 2}}), "the name 1 cannot leave its process"),  # type: ignore[dict-item]  # refused, which is the point
    "None as a name": ({None: 2}, "the name None cannot leave its process; names are texts"),
    "text": ("x" * MOST_BYTES, f"at most {MOST_BYTES} can, beside arrays"),
    "a view": (np.broadcast_to(np.float32(0), (1, 1 << 33)), f"at most {MOST_ARRAY_BYTES} can"),
    "two views": ([np.zeros(1), np.broadcast_to(np.int8(0), 1 << 33)], "arrays of 8589934600 by"),
    "digits": (10**5000, "Exceeds the limit"),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_what_is_too_much_does_not_leave(
    run: tuple[Wire, socket.socket], tmp_path: Path, what: str
) -> None:
    wire, far = run
    value, rule = TOO_MUCH[what]
    with pytest.raises((TypeError, ValueError), match=rule):
        wire.send(1, "fit", value)
    far.setblocking(False)
    with pytest.raises(BlockingIOError, match="unavailable"):
        far.recv(1)
    assert sum(path.stat().st_size for path in (tmp_path / "files").iterdir()) < 1000


def test_what_goes_round_in_circles_does_not_leave(run: tuple[Wire, socket.socket]) -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(RecursionError, match="recursion"):
        run[0].send(1, "fit", circle)


def test_numbers_of_every_kind_arrive_as_they_were(
    run: tuple[Wire, socket.socket], tmp_path: Path
) -> None:
    wire, far = run
    worker = Wire(far, tmp_path / "files", "worker")
    values = [2**70, -0.0, math.inf, "\udc80", "\x00\x1b", {"\udc80": 1}]
    worker.send(1, "done", values)
    assert wire.value_of(wire.receive()) == values
    assert json.dumps(values)

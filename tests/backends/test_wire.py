"""What travels between a run and its workers arrives as it was, or does not leave."""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bench.api import Audio, Clip, FitRequest, Output, Score, Style, StyleState, TransferRequest
from bench.failure import Failure
from bench.plugins.wire import GarbledError, Message, Wire

Ends = tuple[Wire, Wire]


@dataclass(frozen=True)
class Settings:
    """A method's parameters."""

    gain: float
    layers: tuple[int, ...]


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    near, far = socket.socketpair()
    pair = Wire(near, tmp_path, "run"), Wire(far, tmp_path, "worker")
    pair[1].parameters = Settings
    yield pair
    for wire in pair:
        wire.close()


def sent(ends: Ends, value: object) -> object:
    """A value after its way."""
    ends[0].send(7, "fit", value)
    message = ends[1].receive()
    assert (message.number, message.kind) == (7, "fit")
    return ends[1].value_of(message)


PLAIN = [None, True, 0, -3, 2.5, "", "a\nline\u2028é", [], [1, [2, None]], (1, ("a",)), {"$": 1}]


@pytest.mark.parametrize("value", [*PLAIN, Path("a/b"), {"a": (Path("x"), {"of": [1.0]})}])
def test_plain_values_keep_their_types(ends: Ends, value: object) -> None:
    made = sent(ends, value)
    assert made == value
    assert type(made) is type(value)


def test_numbers_that_json_has_not_arrive_too(ends: Ends) -> None:
    made = sent(ends, [math.inf, -math.inf, math.nan])
    assert isinstance(made, list)
    assert made[:2] == [math.inf, -math.inf]
    assert math.isnan(made[2])


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array([], np.int64),
        np.array(3.5),
        np.array([[np.nan, -0.0], [np.inf, 1e-310]]),
        np.array(["a", "béta"]),
        np.asfortranarray(np.ones((2, 3), np.complex64)),
    ],
)
def test_arrays_arrive_to_the_last_bit(ends: Ends, array: np.ndarray, tmp_path: Path) -> None:
    made = sent(ends, {"x": array})
    assert isinstance(made, dict)
    assert made["x"].dtype == array.dtype
    assert made["x"].shape == array.shape
    assert made["x"].tobytes("A") == array.tobytes("A")
    assert list(tmp_path.iterdir()) == []


def test_a_scalar_of_numpy_stays_one(ends: Ends) -> None:
    made = sent(ends, [np.int16(-4), np.bool_(1)])
    assert isinstance(made, list)
    assert [type(item) for item in made] == [np.int16, np.bool_]


def test_the_types_of_the_contract_arrive(ends: Ends) -> None:
    sound = Audio(np.linspace(-1, 1, 8, dtype=np.float32)[None], 8000)
    clip = Clip("c", "cat", sound)
    style = Style("s", (clip, clip), (), "a bell")
    state = StyleState({"v": np.ones(3)}, {"steps": 3, "none": None})
    settings = Settings(0.5, (1, 2))
    fit = FitRequest(style, settings, 2**62, Path("folder"))
    made = sent(ends, [fit, TransferRequest(clip, state, settings, 1), Output(clip, style, sound)])
    assert isinstance(made, list)
    assert made[0].parameters == made[1].parameters == settings
    assert made[0].style.clips[1].audio.digest == sound.digest
    assert (made[0].style.text, made[0].seed, made[0].checkpoint) == (
        "a bell",
        2**62,
        Path("folder"),
    )
    assert made[1].state.meta == state.meta
    assert not made[2].audio.waveform.flags.writeable


def test_scores_and_failures_arrive(ends: Ends) -> None:
    values = [Score("cp", None, None, "silent", "quiet"), Failure("oom", "too much", "MemoryError")]
    assert sent(ends, values) == values


def test_an_array_that_stands_twice_travels_once(ends: Ends, tmp_path: Path) -> None:
    array = np.ones(4)
    ends[0].send(1, "fit", [array, array])
    assert len(list(tmp_path.iterdir())) == 1
    first, second = ends[1].value_of(ends[1].receive())
    assert first is second


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j, [lambda: None]])
def test_what_cannot_travel_is_refused_before_anything_is_written(
    ends: Ends, value: object
) -> None:
    with pytest.raises(TypeError, match="cannot leave its process"):
        ends[0].send(1, "done", value)
    assert not ends[1].poll(0)


def test_an_array_of_objects_is_refused(ends: Ends) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        ends[0].send(1, "done", np.array([object()]))


def test_lines_that_come_in_pieces_or_together_are_told_apart(tmp_path: Path) -> None:
    near, far = socket.socketpair()
    wire = Wire(far, tmp_path, "worker")
    text = b'{"number": 1, "kind": "a", "value": 1}\n{"number": 2, "kind": "b", "value": 2}\n{"nu'
    thread = threading.Thread(
        target=lambda: [near.sendall(text[n : n + 1]) for n in range(len(text))]
    )
    thread.start()
    assert [wire.receive().number, wire.receive().number] == [1, 2]
    thread.join()
    near.close()
    with pytest.raises(EOFError):
        wire.receive()
    wire.close()


def test_waiting_ends_when_nothing_comes(ends: Ends) -> None:
    assert not ends[0].poll(0.01)
    ends[1].send(1, "done", os.getpid())
    assert ends[0].poll(1)


def test_a_message_that_came_with_another_can_be_read_at_once(tmp_path: Path) -> None:
    near, far = socket.socketpair()
    wire = Wire(far, tmp_path, "worker")
    line = b'{"number": 1, "kind": "a", "value": 1}\n'
    near.sendall(line + line.replace(b"1", b"2"))
    assert wire.receive().number == 1
    assert wire.poll(0)
    assert wire.receive().number == 2
    assert not wire.poll(0)
    near.close()
    wire.close()


def test_a_file_that_would_run_code_is_not_opened(ends: Ends, tmp_path: Path) -> None:
    np.save(tmp_path / "run-0.npy", np.array([Path("x")], dtype=object), allow_pickle=True)
    forged = Message(1, "done", {"$": "array", "of": "run-0.npy"})
    with pytest.raises(GarbledError, match="Object arrays cannot be loaded"):
        ends[1].value_of(forged)


def test_arrays_of_both_ends_do_not_take_each_others_place(ends: Ends) -> None:
    ends[0].send(1, "fit", np.zeros(3))
    ends[1].send(1, "done", np.ones(3))
    assert ends[1].value_of(ends[1].receive()).tolist() == [0, 0, 0]
    assert ends[0].value_of(ends[0].receive()).tolist() == [1, 1, 1]


def test_many_scalars_keep_their_values(ends: Ends) -> None:
    values = [np.int16(n) for n in range(50)]
    assert sent(ends, values) == values

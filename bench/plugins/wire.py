"""Messages between the run and its workers: one line of JSON each, arrays in files beside it.

The two ends may have different versions of Python and of every library, so nothing is pickled:
values are JSON, numpy arrays (`.npy`, exact to the last bit), and the contract's own types by name.
This module needs no library but numpy.

**Conventions**: a message is a flat object with `number`, `kind` and `value`. In a value an object
with the key `$` stands for what JSON does not have: `array` names a file in the folder of the
wire, which the reader removes; any other kind is a type of this module or of `bench.api`.

The run believes nothing that comes from a worker: a message is of bounded size, names only plain
files that the other end may have written, and whatever is otherwise is a `GarbledError`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import select
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bench import api, description
from bench.failure import Failure
from bench.files import naming

_MARK, _CONTENT = "$", "of"
_CHUNK_BYTES = 65_536
MOST_BYTES = 1 << 26  # of one message; numbers by the million belong into arrays
MOST_ARRAY_BYTES = 1 << 33  # of all arrays of one message
ASK_EVERY_S = 0.05  # how soon the end of waiting is seen; messages are seen at once
_OTHER_SIDE = {"run": "worker", "worker": "run"}
# Asked while a wire waits, by an end that will not wait for ever: it raises to end the waiting.
Asked = Callable[[], None]
# Files of the arrays that stand in a message already, by the identity of the array.
Sent = dict[int, tuple[str, NDArray[Any]]]
_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(api.Audio, api.Clip, api.Style, api.StyleState, api.FitRequest, api.TransferRequest),
        *(api.Output, api.Score, Failure),
        *(description.MethodInfo, description.MetricInfo, description.ProfileInfo),
        *(description.HubCheckpoint, description.Entry),
    )
}
# Types that are neither JSON nor of the contract: how each is taken apart, and put together again.
_APART: tuple[tuple[str, type, Callable[[Any], object]], ...] = (
    ("map", Mapping, dict),
    ("tuple", tuple, list),
    ("path", Path, str),
    ("direction", description.Direction, lambda value: value.value),
    ("scalar", np.generic, lambda value: [np.asarray(value)]),
)
_TOGETHER: dict[str, Callable[[Any], Any]] = {
    "map": dict,
    "tuple": tuple,
    "path": Path,
    "direction": description.Direction,
    "scalar": lambda parts: parts[0][()],
}


class GarbledError(Exception):
    """What came over a wire is no message, or none that this end can use."""


@dataclasses.dataclass(frozen=True)
class Values:
    """The parameters of a method whose class is not imported in this process.

    Args:
        values: By name, as the class has checked them.
        fit: Those that the fit uses, as JSON.
        transfer: Those that the transfer uses, as JSON.
        files: Names of those that are paths of files.
    """

    values: Mapping[str, object]
    fit: Mapping[str, api.Json]
    transfer: Mapping[str, api.Json]
    files: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Message:
    """A message as it was received: the number of its call, its kind, and its value as JSON."""

    number: int
    kind: str
    value: Any


class Wire:
    """One end of a connection; several threads may send.

    Args:
        channel: A connected stream socket.
        folder: Where the files of arrays lie until they are read; both ends see it.
        side: "run" or "worker": the beginning of the names of files, which keeps those of the two
            ends apart.
        parameters: What makes an object of a method's parameters, once the method is known.
    """

    def __init__(self, channel: socket.socket, folder: Path, side: str) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._folder = folder
        self._side = side
        self._files = count()
        self._received = bytearray()
        self._sending = threading.Lock()
        self.parameters: Callable[..., object] = dict

    def send(self, number: int, kind: str, value: object, asked: Asked | None = None) -> None:
        """Write one message.

        Args:
            number: That of the call.
            kind: What the message is.
            value: What it says.
            asked: Ends the waiting for an end that does not read; None waits for ever.

        Raises:
            TypeError: The value holds something that cannot be sent; nothing was written.
            ValueError: It is too large or too deep; nothing was written.
            OSError: The other end is gone, or the disk of the arrays is full.
        """
        packed = self._packed(value, {})
        text = json.dumps({"number": number, "kind": kind, "value": packed})
        if len(text) >= MOST_BYTES:
            raise ValueError(
                f"a message of {len(text)} bytes cannot leave its process; at most {MOST_BYTES} "
                "can, beside arrays. Put numbers into arrays."
            )
        with self._sending:
            left = memoryview(text.encode() + b"\n")
            while left:
                self._wait(select.POLLOUT, asked)
                try:
                    left = left[self._channel.send(left) :]
                except BlockingIOError:
                    continue

    def poll(self, patience_s: float) -> bool:
        """Whether a message, or the end of the connection, can be read now or soon."""
        return b"\n" in self._received or self._is_ready(select.POLLIN, patience_s)

    def receive(self, asked: Asked | None = None) -> Message:
        """Wait for one message and read it.

        Args:
            asked: Ends the waiting for the whole of a message; None waits for ever.

        Raises:
            EOFError: The other end is gone.
            GarbledError: What came is no message.
        """
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > MOST_BYTES:
                raise GarbledError(f"a message of more than {MOST_BYTES} bytes")
            self._wait(select.POLLIN, asked)
            try:
                data = self._channel.recv(_CHUNK_BYTES)
            except BlockingIOError:
                continue
            if not data:
                raise EOFError
            self._received += data
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return _message(line)

    def _wait(self, event: int, asked: Asked | None) -> None:
        """Wait until the channel can be read or written."""
        if asked is not None:
            asked()
        while not self._is_ready(event, None if asked is None else ASK_EVERY_S):
            if asked is not None:
                asked()

    def _is_ready(self, event: int, patience_s: float | None) -> bool:
        events = select.poll()
        events.register(self._channel, event)
        return bool(events.poll(None if patience_s is None else 1000 * patience_s))

    def close(self) -> None:
        """Close this end."""
        self._channel.close()

    def _packed(self, value: object, sent: Sent) -> object:
        """JSON of a value."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, list):
            return [self._packed(item, sent) for item in value]
        if isinstance(value, np.ndarray):
            return {_MARK: "array", _CONTENT: self._file(value, sent)}
        name, content = _taken_apart(value)
        if isinstance(content, dict):
            content = {_key(key): self._packed(item, sent) for key, item in content.items()}
        else:
            content = self._packed(content, sent)
        return {_MARK: name, _CONTENT: content}

    def _file(self, array: NDArray[Any], sent: Sent) -> str:
        if id(array) not in sent:
            total = array.nbytes + sum(other.nbytes for _, other in sent.values())
            if total > MOST_ARRAY_BYTES:
                raise ValueError(
                    f"arrays of {total} bytes cannot leave their process together; at most "
                    f"{MOST_ARRAY_BYTES} can. Give fewer or smaller ones."
                )
            name = f"{self._side}-{next(self._files)}.npy"
            path = self._folder / name
            with naming(path), path.open("xb") as file:
                np.save(_Writer(file), array, allow_pickle=False)
            sent[id(array)] = (name, array)  # held, so that nothing else gets its number
        return sent[id(array)][0]

    def value_of(self, message: Message) -> Any:  # noqa: ANN401 - whatever was sent
        """Rebuild the value of a message, once, as this removes the files of its arrays.

        Raises:
            GarbledError: It cannot be rebuilt.
        """
        with _garbled("a value that cannot be rebuilt"):
            return self._unpacked(message.value, {})

    def _unpacked(self, value: Any, read: dict[str, NDArray[Any]]) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, list):
            return [self._unpacked(item, read) for item in value]
        if not isinstance(value, dict):
            return value
        name, content = value[_MARK], value[_CONTENT]
        return self._array(content, read) if name == "array" else self._made(name, content, read)

    def _made(self, name: str, content: Any, read: dict[str, NDArray[Any]]) -> object:  # noqa: ANN401
        if not isinstance(content, dict):
            return _TOGETHER[name](self._unpacked(content, read))
        parts = {key: self._unpacked(item, read) for key, item in content.items()}
        if name in _TOGETHER:
            return _TOGETHER[name](parts)
        return _KINDS[name](**parts) if name in _KINDS else self.parameters(**parts)

    def _array(self, name: str, read: dict[str, NDArray[Any]]) -> NDArray[Any]:
        if name not in read:
            if not re.fullmatch(rf"{_OTHER_SIDE[self._side]}-[0-9]+\.npy", name):
                raise ValueError(f"{name!r} is not the name of an array's file")
            read[name] = _read_array(self._folder / name)
            (self._folder / name).unlink()
        return read[name]


class _Writer:
    """A file for numpy, which writes to one of its own kind without saying what went wrong."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write


def _read_array(path: Path) -> NDArray[Any]:
    """The array in a plain file, which must be as long as its head says."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError(f"{path.name} is no plain file")
        heads = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, _, dtype = heads[np.lib.format.read_magic(file)](file)
        if not dtype.hasobject and math.prod(shape) * dtype.itemsize > facts.st_size - file.tell():
            raise ValueError(f"{path.name} is shorter than its head says")
        file.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


@contextmanager
def _garbled(what: str) -> Iterator[None]:
    """Whatever fails in understanding what came is a fault of it."""
    try:
        yield
    except Exception as error:
        raise GarbledError(f"{what}: {type(error).__name__}: {error}") from error


def _message(line: bytes) -> Message:
    with _garbled("no message"):
        made = Message(**json.loads(line))
        if type(made.number) is not int or not isinstance(made.kind, str):
            raise TypeError("its number or kind is of another type")
        return made


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the name {key!r:.60} cannot leave its process; names are texts")
    return key


def _taken_apart(value: object) -> tuple[str, object]:
    """The kind of a value and what it is made of; one of a derived class becomes one of ours."""
    for name, kind, take_apart in _APART:
        if isinstance(value, kind):
            return name, take_apart(value)
    if isinstance(value, Values):
        return "parameters", dict(value.values)
    if not dataclasses.is_dataclass(value):
        raise TypeError(f"a {type(value).__name__} cannot leave its process; give numpy and JSON")
    for name, kind in _KINDS.items():
        if isinstance(value, kind):
            return name, _fields(value, kind)
    return "parameters", _fields(value, value)


def _fields(value: object, kind: Any) -> dict[str, object]:  # noqa: ANN401 - any dataclass or one of it
    return {item.name: getattr(value, item.name) for item in dataclasses.fields(kind)}

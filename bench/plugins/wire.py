"""Messages between the run and its workers: one line of JSON each, arrays in files beside it.

The two ends may have different versions of Python and of every library, so nothing is pickled:
values are JSON, numpy arrays (`.npy`, exact to the last bit), and the contract's own types by name.
This module needs no library but numpy.

**Conventions**: a message is a flat object with `number`, `kind` and `value`. In a value an object
with the key `$` stands for what JSON does not have: `array` names a file in the folder of the
wire, which the reader removes; any other kind is a type of this module or of `bench.api`.
"""

from __future__ import annotations

import dataclasses
import json
import select
import socket
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import api, description
from bench.failure import Failure

_MARK, _CONTENT = "$", "of"
_CHUNK_BYTES = 65_536
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


@dataclasses.dataclass(frozen=True)
class Values:
    """The parameters of a method whose class is not imported in this process.

    Args:
        values: By name, as the class has checked them.
        fit: Those that the fit uses, as JSON.
        transfer: Those that the transfer uses, as JSON.
    """

    values: Mapping[str, object]
    fit: Mapping[str, api.Json]
    transfer: Mapping[str, api.Json]


@dataclasses.dataclass(frozen=True)
class Message:
    """A message as it was received: the number of its call, its kind, and its value as JSON."""

    number: int
    kind: str
    value: Any


class Wire:
    """One end of a connection.

    Args:
        channel: A connected stream socket.
        folder: Where the files of arrays lie until they are read; both ends see it.
        side: The beginning of file names, which keeps the files of the two ends apart.
        parameters: What makes an object of a method's parameters, once the method is known.
    """

    def __init__(self, channel: socket.socket, folder: Path, side: str) -> None:
        self._channel = channel
        self._folder = folder
        self._side = side
        self._files = count()
        self._received = bytearray()
        self.parameters: Callable[..., object] = dict

    def send(self, number: int, kind: str, value: object) -> None:
        """Write one message.

        Raises:
            TypeError: The value holds something that cannot be sent; nothing was written.
            OSError: The other end is gone.
        """
        packed = self._packed(value, {})
        text = json.dumps({"number": number, "kind": kind, "value": packed})
        self._channel.sendall(text.encode() + b"\n")

    def poll(self, patience_s: float) -> bool:
        """Whether a message, or the end of the connection, can be read now or soon."""
        if b"\n" in self._received:
            return True
        ready, _, _ = select.select([self._channel], [], [], patience_s)
        return bool(ready)

    def receive(self) -> Message:
        """Wait for one message and read it.

        Raises:
            EOFError: The other end is gone.
        """
        while (end := self._received.find(b"\n")) < 0:
            data = self._channel.recv(_CHUNK_BYTES)
            if not data:
                raise EOFError
            self._received += data
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return Message(**json.loads(line))

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
            content = {str(key): self._packed(item, sent) for key, item in content.items()}
        else:
            content = self._packed(content, sent)
        return {_MARK: name, _CONTENT: content}

    def _file(self, array: NDArray[Any], sent: Sent) -> str:
        if id(array) not in sent:
            name = f"{self._side}-{next(self._files)}.npy"
            np.save(self._folder / name, array, allow_pickle=False)
            sent[id(array)] = (name, array)  # held, so that nothing else gets its number
        return sent[id(array)][0]

    def value_of(self, message: Message) -> Any:  # noqa: ANN401 - whatever was sent
        """Rebuild the value of a message, once, as this removes the files of its arrays."""
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
            path = self._folder / name
            read[name] = np.load(path, allow_pickle=False)
            path.unlink()
        return read[name]


def _taken_apart(value: object) -> tuple[str, object]:
    """The kind of a value and what it is made of."""
    for name, kind, take_apart in _APART:
        if isinstance(value, kind):
            return name, take_apart(value)
    if isinstance(value, Values):
        return "parameters", dict(value.values)
    if not dataclasses.is_dataclass(value):
        raise TypeError(f"a {type(value).__name__} cannot leave its process; give numpy and JSON")
    ours = (name for name, kind in _KINDS.items() if isinstance(value, kind))
    return next(ours, "parameters"), _fields(value)


def _fields(value: Any) -> dict[str, object]:  # noqa: ANN401 - of any dataclass
    return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}

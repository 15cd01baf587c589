"""A content-addressed store of what is expensive to compute: fits, outputs, embeddings.

A key is a hash of everything that decides the value, so an entry is never wrong, only absent.
Each entry carries checksums: if it was cut short, or altered in any byte that matters, it counts as
absent and is computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Json, StyleState
from bench.files import replace_file

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of entries, shared by all runs.

    Args:
        root: The folder; it is created when the first entry is saved.
    """

    root: Path

    @classmethod
    def default(cls) -> Cache:
        """The folder named by BENCH_CACHE, else ~/.cache/music-style-bench."""
        named = os.environ.get("BENCH_CACHE")
        root = Path(named).expanduser() if named else Path.home() / ".cache" / "music-style-bench"
        return cls(root.absolute())  # methods may change the directory

    def state_path(self, key: str) -> Path:
        """The file of the state of a fit, whether or not it exists."""
        return self._path("fits", key, ".safetensors")

    def has_state(self, key: str) -> bool:
        """Whether there is an entry of a fit, which may still turn out to be broken."""
        return self.state_path(key).is_file()

    def state_bytes(self, key: str) -> int:
        """What the state of a fit takes on the disk; 0 where there is none."""
        path = self.state_path(key)
        return path.stat().st_size if path.is_file() else 0

    def load_state(self, key: str) -> StyleState | None:
        """The state of a fit, or None."""
        path = self.state_path(key)
        entry = _absent_if_broken(path, lambda: _read_state(path))
        return entry[0] if entry else None

    def save_state(self, key: str, state: StyleState, cost: Mapping[str, float]) -> None:
        """Keep a fit and what it cost (seconds, bytes), by name."""
        from safetensors.numpy import save

        arrays = {name: np.asarray(array, order="C") for name, array in state.arrays.items()}
        words = {"meta": json.dumps(dict(state.meta)), "cost": json.dumps(dict(cost))}
        words["sha256"] = state_checksum(words, arrays)
        replace_file(self.state_path(key), save(arrays, words), self.root)

    def load_cost(self, key: str) -> dict[str, float] | None:
        """What the fit of a key cost when it was computed, or None."""
        path = self.state_path(key)
        return _absent_if_broken(path, lambda: _numbers(_read_state(path)[1]))

    def has_audio(self, key: str) -> bool:
        """Whether there is an entry of an output, which may still turn out to be broken."""
        return self._path("outputs", key, ".npz").is_file()

    def load_audio(self, key: str) -> tuple[Audio, dict[str, float]] | None:
        """An output and what it cost, or None."""
        path = self._path("outputs", key, ".npz")
        return _absent_if_broken(path, lambda: _read_audio(path))

    def save_audio(self, key: str, audio: Audio, cost: Mapping[str, float]) -> None:
        """Keep an output exactly as the method made it, and what it cost."""
        head = json.dumps({"sample_rate": audio.sample_rate, "cost": dict(cost)})
        replace_file(self._path("outputs", key, ".npz"), _packed(audio.waveform, head), self.root)

    def load_array(self, kind: str, key: str) -> NDArray[np.generic] | None:
        """An array of a kind, such as "clap", or None."""
        path = self._path(kind, key, ".npz")
        return _absent_if_broken(path, lambda: _unpacked(path)[0])

    def save_array(self, kind: str, key: str, array: NDArray[np.generic]) -> None:
        """Keep an array under a kind and a key."""
        replace_file(self._path(kind, key, ".npz"), _packed(array, ""), self.root)

    def _path(self, kind: str, key: str, suffix: str) -> Path:
        if not re.fullmatch(r"[\w.@+=-]+", key) or not re.fullmatch(r"[\w.-]+", kind):
            raise ValueError(
                f"cache key {kind!r}/{key!r} is not a plain name; use only letters, digits and "
                ". _ -"
            )
        return self.root / kind / key[:2] / f"{key}{suffix}"


def _absent_if_broken(path: Path, read: Callable[[], ValueT]) -> ValueT | None:
    if not path.is_file():
        return None
    try:
        return read()
    except Exception:  # noqa: BLE001 - whatever a damaged file makes a decoder raise, the value is computed again
        return None


def _read_state(path: Path) -> tuple[StyleState, str]:
    """The state and the JSON text of what it cost."""
    from safetensors.numpy import load

    data = path.read_bytes()
    words, arrays = _metadata(data), load(data)
    if words.pop("sha256") != state_checksum(words, arrays):
        raise ValueError(f"{path} was altered after it was written")
    return StyleState(arrays, json.loads(words["meta"])), words["cost"]


def _metadata(data: bytes) -> dict[str, str]:
    """The text part of a safetensors file: its first 8 bytes give the length of a JSON head."""
    length = int.from_bytes(data[:8], "little")
    head: dict[str, dict[str, str]] = json.loads(data[8 : 8 + length])
    return head["__metadata__"]


def state_checksum(words: Mapping[str, str], arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """SHA-256 over texts, names, types, shapes and bytes, 64 hex digits.

    Safetensors itself keeps none.
    """
    state = hashlib.sha256(json.dumps(dict(words), sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        state.update(f"{name}:{array.dtype}:{array.shape}:".encode())
        state.update(array.tobytes())
    return state.hexdigest()


def _numbers(text: str) -> dict[str, float]:
    values: dict[str, Json] = json.loads(text)
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def _read_audio(path: Path) -> tuple[Audio, dict[str, float]]:
    waveform, head = _unpacked(path)
    facts = json.loads(head)
    return Audio(waveform, facts["sample_rate"]), _numbers(json.dumps(facts["cost"]))


def _packed(array: NDArray[np.generic], head: str) -> bytes:
    """An array with a line of text, as an npz archive: every member of it has a CRC."""
    buffer = BytesIO()
    np.savez(buffer, array=array, head=np.array(head))
    return buffer.getvalue()


def _unpacked(path: Path) -> tuple[NDArray[Any], str]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as entry:
        return entry["array"], str(entry["head"])

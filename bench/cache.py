"""A content-addressed store of what is dear to compute: fits, outputs, embeddings.

A key is a hash of everything that decides the value, so an entry is never wrong, only absent.
Entries are written to a scratch file and renamed; one that cannot be read counts as absent and is
computed again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Json, StyleState

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
        return cls(
            Path(named).expanduser() if named else Path.home() / ".cache" / "music-style-bench"
        )

    def state_path(self, key: str) -> Path:
        """Where the state of a fit lies, whether or not it is there."""
        return self._path("fits", key, ".safetensors")

    def load_state(self, key: str) -> StyleState | None:
        """The state of a fit, or None."""
        path = self.state_path(key)
        return _absent_if_broken(path, lambda: _read_state(path))

    def save_state(self, key: str, state: StyleState, cost: Mapping[str, float]) -> None:
        """Keep a fit and what it cost (seconds, bytes), by name."""
        from safetensors.numpy import save

        arrays = {name: np.ascontiguousarray(array) for name, array in state.arrays.items()}
        meta = {"meta": json.dumps(dict(state.meta)), "cost": json.dumps(dict(cost))}
        _write(self.state_path(key), save(arrays, meta))

    def load_cost(self, key: str) -> dict[str, float] | None:
        """What the fit of that key cost when it was computed, or None."""
        path = self.state_path(key)
        return _absent_if_broken(path, lambda: _numbers(_read_metadata(path)["cost"]))

    def load_audio(self, key: str) -> tuple[Audio, dict[str, float]] | None:
        """An output with what it cost, or None."""
        path = self._path("outputs", key, ".npz")
        return _absent_if_broken(path, lambda: _read_audio(path))

    def save_audio(self, key: str, audio: Audio, cost: Mapping[str, float]) -> None:
        """Keep an output exactly as the method made it, and what it cost."""
        head = json.dumps({"sample_rate": audio.sample_rate, "cost": dict(cost)})
        _write_output(self._path("outputs", key, ".npz"), audio.waveform, head)

    def load_array(self, kind: str, key: str) -> NDArray[np.generic] | None:
        """An array of a kind, such as "clap", or None."""
        path = self._path(kind, key, ".npy")
        return _absent_if_broken(path, lambda: _read_array(path))

    def save_array(self, kind: str, key: str, array: NDArray[np.generic]) -> None:
        """Keep an array under a kind and a key."""
        path = self._path(kind, key, ".npy")
        scratch = _scratch(path)
        with scratch.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        scratch.replace(path)

    def _path(self, kind: str, key: str, suffix: str) -> Path:
        if not re.fullmatch(r"[\w.@+=-]+", key) or not re.fullmatch(r"[\w.-]+", kind):
            raise ValueError(
                f"cache key {kind!r}/{key!r} is no plain name; use letters, digits and . _ - only."
            )
        return self.root / kind / key[:2] / f"{key}{suffix}"


def _absent_if_broken(path: Path, read: Callable[[], ValueT]) -> ValueT | None:
    if not path.is_file():
        return None
    try:
        return read()
    except Exception:  # noqa: BLE001 - whatever a damaged file makes a decoder raise, the value is computed again
        return None


def _read_state(path: Path) -> StyleState:
    from safetensors.numpy import load

    meta = json.loads(_read_metadata(path)["meta"])
    return StyleState(load(path.read_bytes()), meta)


def _read_metadata(path: Path) -> dict[str, str]:
    """The text part of a safetensors file: its first 8 bytes give the length of a JSON head."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        head: dict[str, dict[str, str]] = json.loads(file.read(length))
    return head["__metadata__"]


def _numbers(text: str) -> dict[str, float]:
    values: dict[str, Json] = json.loads(text)
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def _read_audio(path: Path) -> tuple[Audio, dict[str, float]]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as entry:
        head = json.loads(str(entry["head"]))
        return Audio(entry["waveform"], head["sample_rate"]), _numbers(json.dumps(head["cost"]))


def _read_array(path: Path) -> NDArray[np.generic]:
    array: NDArray[np.generic] = np.load(path, allow_pickle=False)
    return array


def _scratch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _write(path: Path, data: bytes) -> None:
    scratch = _scratch(path)
    scratch.write_bytes(data)
    scratch.replace(path)


def _write_output(path: Path, waveform: NDArray[np.float32], head: str) -> None:
    scratch = _scratch(path)
    with scratch.open("wb") as file:
        np.savez(file, waveform=waveform, head=np.array(head))
    scratch.replace(path)

"""What the doctor finds out about the weights of both profiles; no model is loaded."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import BenchError, HubCheckpoint, Profile, ProfileInfo
from bench.checkout import CHECKOUT, restore_line
from bench.doctor.findings import Finding
from bench.weights import fetch_line, is_here

FULL_SUITE = "table2"


@dataclass(slots=True)
class Needed:
    """Weights by name, with the methods and metrics that load them."""

    profile: ProfileInfo
    users: list[str]


def needed(profile: Profile) -> dict[str, Needed]:
    """Every checkpoint that a method or metric of the catalogs loads in a profile, by its name."""
    from bench.plugins.catalog import describe, methods, metrics

    found: dict[str, Needed] = {}
    for name, entry in {**methods(), **metrics()}.items():
        info = describe(entry, profile)
        for weights in info.weights:
            found.setdefault(weights, Needed(info, [])).users.append(name)
    return found


def mini_checkpoints() -> list[Finding]:
    """The weights in this checkout: whether they are complete, their size, licence and users."""
    lost = deleted(CHECKOUT)
    return [_own_folder(name, held, lost) for name, held in needed("mini").items()]


def _own_folder(name: str, held: Needed, lost: Sequence[str]) -> Finding:
    """A checkpoint folder of the project, by its path in it."""
    gone = [path for path in lost if path.startswith(name)]
    return folder_finding(name, CHECKOUT / name, held, gone)


def folder_finding(name: str, folder: Path, held: Needed, lost: Sequence[str]) -> Finding:
    """Whether a checkpoint folder is complete.

    Args:
        name: Path of the folder in the checkout.
        folder: The folder.
        held: The methods and metrics that need it.
        lost: Files of it that were committed and are gone.
    """
    faults = [f"{path} is gone" for path in lost] or list(broken(folder))
    if faults:
        users = f"needed by {', '.join(held.users)}"
        return Finding(name, f"{faults[0]}; {users}", "wrong", restore_line(name))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    words = f"{size / 1e6:.1f} MB, {held.profile.licence}; {', '.join(held.users)}"
    return Finding(name, words)


def broken(folder: Path) -> Iterator[str]:
    """What is wrong with the weights in a folder, as far as their headers tell."""
    weights = sorted(path for kind in _PROMISED for path in folder.rglob(f"*{kind}"))
    if not weights:
        yield f"{folder} holds no weights"
    for path in weights:
        size, promised = path.stat().st_size, _PROMISED[path.suffix](path)
        if promised is None:
            yield f"{path.name} ({size} bytes) is not a weights file"
        elif promised != size:
            yield f"{path.name} has {size} bytes, but its header promises {promised}"


def _safetensors_bytes(path: Path) -> int | None:
    """The size of a safetensors file by its own header: 8 bytes, a JSON table, the tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            return None
        try:
            table: dict[str, dict[str, list[int]]] = json.loads(file.read(length))
        except ValueError:
            return None
    ends = [entry["data_offsets"][1] for key, entry in table.items() if key != "__metadata__"]
    return 8 + length + max(ends, default=0)


def _onnx_bytes(path: Path) -> int | None:
    """Where the last field of an ONNX file ends, by the lengths that stand before them.

    The file is a protobuf message of numbers (kind 0) and of texts and parts (kind 2); the first
    field, with the number 1, is the version of the format.
    """
    data, place = path.read_bytes(), 0
    if not data.startswith(b"\x08"):
        return None
    while place < len(data):
        tag, place = _varint(data, place)
        number, place = _varint(data, place)
        if tag & 7 not in {0, 2}:
            return None
        place += number if tag & 7 == 2 else 0  # noqa: PLR2004 - see above
    return place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, low ones first, and the place behind it."""
    number = shift = 0
    while place < len(data):
        byte = data[place]
        number, shift, place = number | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:  # noqa: PLR2004 - the high bit says that more follow
            break
    return number, place


_PROMISED = {".safetensors": _safetensors_bytes, ".onnx": _onnx_bytes}


def deleted(root: Path) -> list[str]:
    """Files that are committed but missing; none if this is not a git checkout."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with literal arguments
            ["git", "-C", str(root), "ls-files", "--deleted"],  # noqa: S607 - git is looked up on PATH on purpose
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def full_checkpoints() -> list[Finding]:
    """The hub checkpoints: whether they are present, their size, licence and users, and the fetch.

    The mini profile runs without them.
    """
    from bench.plan.needed import checkpoints_of_suite
    from bench.plan.suite import load_suite
    from bench.plugins.checkpoints import checkpoint_table

    by_name = {checkpoint.name: checkpoint for checkpoint in checkpoint_table().values()}
    shipped, lost = needed("mini"), deleted(CHECKOUT)  # what both profiles load is said there
    wanted = {name: held for name, held in needed("full").items() if name not in shipped}
    found = [
        _hub_finding(by_name[name], held) if name in by_name else _folder_of_full(name, held, lost)
        for name, held in wanted.items()
    ]
    lacking = {n for n, f in zip(wanted, found, strict=True) if f.severity != "ok"}
    suite = checkpoints_of_suite(load_suite(FULL_SUITE))
    absent = [checkpoint.bytes for checkpoint in suite if checkpoint.name in lacking]
    if absent:
        words = f"{len(absent)} to fetch, {sum(absent) / 1e9:.1f} GB"
        found.append(Finding(f"for {FULL_SUITE}", words, "note", fetch_line(FULL_SUITE)))
    return found


def _folder_of_full(name: str, held: Needed, lost: Sequence[str]) -> Finding:
    """A folder of weights that the full profile reads: one of the project's, or of the user's."""
    if not Path(name).is_absolute() and (CHECKOUT / name).is_dir():
        return _own_folder(name, held, lost)
    return Finding(name, f"a folder of yours; {', '.join(held.users)}")


def _hub_finding(checkpoint: HubCheckpoint, held: Needed) -> Finding:
    words = f"{checkpoint.bytes / 1e9:.1f} GB, {checkpoint.licence}; {', '.join(held.users)}"
    fix = fetch_line(checkpoint.title)
    try:
        if is_here(checkpoint):
            return Finding(checkpoint.title, f"present, {words}")
    except BenchError as error:
        return Finding(checkpoint.title, str(error), "note", fix)
    return Finding(checkpoint.title, f"absent, {words}", "note", fix)

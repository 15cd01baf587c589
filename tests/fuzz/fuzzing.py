"""Damaged files, read until the time is up, in a process of its own with little memory.

`python tests/fuzz/fuzzing.py KINDS SECONDS SEED FOLDER` damages valid files of each of these kinds
(comma-separated) for so many seconds and reads them as a command would. It ends with 1 at the first
exception that is none of the tree's own errors (the file stays in the folder), and where something
outside `FOLDER/inside` is written, moved or removed; it says the seed that gives this example at
once. Else it prints for each kind how many files were read, how many were refused, and the most
memory that the process has held so far, in MiB.
"""

from __future__ import annotations

import importlib
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.errors import BenchError
from bench.files import LinkError

Attempt = Callable[[random.Random], None]
HOMES = {
    **dict.fromkeys(
        ("cards", "tables", "suites", "ratings", "publications", "deliveries"), "tests.fuzz.texts"
    ),
    **dict.fromkeys(
        ("records", "embeddings", "archives", "checkpoints", "audio", "answers", "fits"),
        "tests.fuzz.containers",
    ),
}
# Of address space: what asks for more gets a MemoryError, which is a fault. The libraries reserve
# more than they use, so that a part of it is left for the files in any case.
MOST_BYTES, ROOM_BYTES = 2 << 30, 1 << 30
FEWEST = 12  # examples of a kind, however little time there is
PLENTY = 1000  # a reader that has refused none of them by then refuses nothing
# Where the paths stand among the facts of an event, each with its folder's number if it has one.
CHANGES = {
    "os.remove": ((0, 1),), "os.rmdir": ((0, 1),), "os.mkdir": ((0, 2),), "os.symlink": ((1, 2),),
    "os.rename": ((0, 2), (1, 3)), "os.link": ((1, 3),), "os.truncate": ((0, None),),
}  # fmt: skip


def prepared(kind: str, folder: Path) -> Attempt:
    """What damages and reads one file of a kind in a folder."""
    prepare: Callable[[Path], Attempt] = getattr(importlib.import_module(HOMES[kind]), kind)
    folder.mkdir(parents=True)
    return prepare(folder)


def watch_changes(inside: Path) -> list[str]:
    """The paths outside a folder that are written, made, moved or removed from now on."""
    found: list[str] = []

    def note(path: object, folder: object = None) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # an open file, whose opening was looked at
        numbered = isinstance(folder, int) and folder >= 0
        base = Path(f"/proc/self/fd/{folder}" if numbered else ".").resolve()
        place = base / os.fsdecode(path)
        # A link is itself what is moved or removed, so that only its folder is resolved.
        if not (place.parent.resolve() / place.name).is_relative_to(inside):
            found.append(str(place))

    def hook(event: str, facts: tuple[object, ...]) -> None:
        if event == "open" and isinstance(facts[2], int) and facts[2] & (os.O_WRONLY | os.O_RDWR):
            path = facts[0]
            if isinstance(path, str | bytes) and os.fsdecode(path) != os.devnull:
                note(os.path.realpath(path))
        for place, folder in CHANGES.get(event, ()):
            note(facts[place], None if folder is None else facts[folder])

    sys.addaudithook(hook)
    return found


def limit_memory() -> None:
    """Let the process have 2 GiB, or what it has and one more."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = max(MOST_BYTES, used + ROOM_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def peak_mib() -> int:
    """The most memory that this process has held.

    Not `ru_maxrss`, which begins with what the process that started this one held.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


def fuzz(attempt: Attempt, seconds: float, seed: int, outside: list[str]) -> tuple[int, int] | None:
    """How many files were read and how many refused; nothing where an example failed.

    However short the time, it goes on until one is refused, or plenty are read.
    """
    end, read, refused = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end or read + refused < FEWEST or (not refused and read < PLENTY):
        number = seed + read + refused
        try:
            attempt(random.Random(number))  # noqa: S311 - damage needs no secrecy
            read += 1
        except (BenchError, LinkError) as error:
            str(error).encode()  # it can be shown
            refused += 1
        except Exception:  # noqa: BLE001 - what must not happen, shown with its seed
            sys.stderr.write(f"seed {number}\n{traceback.format_exc()}")
            return None
        if outside:
            sys.stderr.write(f"seed {number}\nchanged outside the folder: {outside}\n")
            return None
    return read, refused


def main(kinds: str, seconds: str, seed: str, place: str) -> int:
    """Read damaged files of each kind; 1 where something happened that must not."""
    inside = Path(place).resolve() / "inside"
    attempts = {kind: prepared(kind, inside / kind) for kind in kinds.split(",")}
    (inside / "scratch").mkdir()
    tempfile.tempdir = str(inside / "scratch")
    limit_memory()
    outside = watch_changes(inside)
    for kind, attempt in attempts.items():
        counts = fuzz(attempt, float(seconds), int(seed), outside)
        if counts is None:
            return 1
        sys.stdout.write(f"{kind} {counts[0]} {counts[1]} {peak_mib()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

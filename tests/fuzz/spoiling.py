"""Spoil files at random and hand them to what reads them, with 2 GiB of memory, for some seconds.

`python spoiling.py PART SECONDS SEED FOLDER`; see `test_strange_files.py`.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sys
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "reports")]
MEMORY = 2 << 30
STRANGE = (
    None, True, -1, 0, 10**30, 1e308, float("nan"), float("inf"), "", "\0", "../../x", "/etc/x",
    "audio/../x", "x" * 5000, "a\nb\x1b[31m", "\u202e\U0001f3b8", [], [[[[]]]],
    {}, {"a": {"b": []}},
)  # fmt: skip
ODD_BYTES = (b"\0", b"\xff", b"\n", b"{", b"}", b"[", b'"', b",", b"-", b"1e9", b"NaN", b"\\ud800")


def spoilt_bytes(chance: random.Random, data: bytes) -> bytes:
    """Cut, double, flip or insert at a few places."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at, length = chance.randrange(len(out) + 1), chance.choice((1, 2, 4, 8, 64))
        kind = chance.randrange(5)
        if kind == 0:
            out[at : at + length] = chance.randbytes(length)
        elif kind == 1:
            del out[at : at + length]
        elif kind == 2:
            out[at:at] = out[at : at + length]
        elif kind == 3:
            out[at:at] = chance.choice(ODD_BYTES)
        else:
            out[at : at + 4] = chance.choice((0, 1, 2**31 - 1, 2**32 - 1)).to_bytes(4, "little")
    return bytes(out)


def spoilt_json(chance: random.Random, value: object) -> object:
    """Put something strange into the place of one value anywhere in it."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        return value | {key: spoilt_json(chance, value[key])}
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        return [*value[:place], spoilt_json(chance, value[place]), *value[place + 1 :]]
    return chance.choice(STRANGE)


def spoilt_lines(chance: random.Random, data: bytes) -> bytes:
    """One strange value in one line, or strange bytes."""
    if chance.random() < 0.3:
        return spoilt_bytes(chance, data)
    lines = data.splitlines()
    place = chance.randrange(len(lines))
    lines[place] = json.dumps(spoilt_json(chance, json.loads(lines[place]))).encode()
    return b"\n".join(lines) + b"\n"


def spoilt(chance: random.Random, name: str, data: bytes) -> bytes:
    """A file of a run folder, spoilt."""
    if name != "run.json":
        return spoilt_lines(chance, data)
    return json.dumps(spoilt_json(chance, json.loads(data))).encode()


def records(folder: Path) -> Callable[[random.Random], None]:
    """A whole run folder, of which one file of records is spoilt, through report and gate."""
    from sounding import sounding_run

    from bench.gate.snapshot import snapshot
    from bench.records.frame import frame
    from bench.records.store import load_run
    from reports.page.write import write_page
    from reports.write import failures, read_report, terminal_summary, write_report

    run = sounding_run(folder / "run", ["harp"], ["c1", "c2"]).folder
    names = ("plan.jsonl", "cells.jsonl", "scores.jsonl", "run.json")
    whole = {name: (run / name).read_bytes() for name in names}

    def example(chance: random.Random) -> None:
        for name, data in whole.items():
            (run / name).write_bytes(data)
        name = chance.choice(names)
        (run / name).write_bytes(spoilt(chance, name, whole[name]))
        read = load_run(run)
        snapshot(read)
        frame(read)
        failures(read)
        if chance.random() < 0.1:  # seconds: all tables and the page
            report = read_report(run)
            write_report(report)
            terminal_summary(report)
            write_page(report)

    return example


def archives(folder: Path) -> Callable[[random.Random], None]:
    """A small zip archive of each way to pack, spoilt anywhere."""
    from bench.data.archive import ArchiveCard, unpack

    card = ArchiveCard(
        drive_id="x", page="x", bytes=1, most_bytes=1 << 22, most_files=9, counts={"contents": 1}
    )
    path, noise = folder / "a.zip", random.Random(0).randbytes(2000)  # noqa: S311 - noise

    def example(chance: random.Random) -> None:
        method = chance.choice((0, 8, 12, 14))
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("content/piano/p1.wav", noise)
            archive.writestr("style/bell/b1.wav", b"\0" * 100_000)
        path.write_bytes(spoilt_bytes(chance, path.read_bytes()))
        unpack(path, folder / "in" / "set", card)

    return example


def checkpoints(folder: Path) -> Callable[[random.Random], None]:
    """A file of torch.save with its pickle spoilt."""
    import torch

    from methods.riffusion.released.styles import import_style

    saved, path = folder / "saved.pt", folder / "a.pt"
    layer = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.SiLU())
    names = ("attention", "time_embed", "emb_layers", "initial_embeddings")
    torch.save(dict.fromkeys(names, layer), saved)
    with zipfile.ZipFile(saved) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    pickled = next(name for name in members if name.endswith("/data.pkl"))

    def example(chance: random.Random) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, spoilt_bytes(chance, data) if name == pickled else data)
        if chance.random() < 0.2:
            path.write_bytes(spoilt_bytes(chance, path.read_bytes()))
        import_style(path, 4, "bird")

    return example


def main(part: str, seconds: float, seed: int, folder: Path) -> int:
    """Run examples until the time is over; 1 at the first that ends in no error of ours."""
    import numpy as np  # noqa: F401 - before the limit, as its threads reserve memory

    inside, victim = folder / "inside", folder / "victim"
    inside.mkdir()
    victim.mkdir()
    example = {"records": records, "archives": archives, "checkpoints": checkpoints}[part](inside)
    from bench.api import BenchError
    from bench.files import LinkError

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = max(MEMORY, used + (1 << 30))
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end or not count:
        number, count = seed + count, count + 1
        try:
            example(random.Random(number))  # noqa: S311 - a seed that can be told
        except (BenchError, LinkError):
            pass
        except Exception:  # noqa: BLE001 - that is what is looked for
            print(f"seed {number}\n{traceback.format_exc()}")  # noqa: T201 - the answer
            return 1
        if sorted(path.name for path in folder.iterdir()) != ["inside", "victim"]:
            print(f"seed {number} wrote outside")  # noqa: T201 - the answer
            return 1
    shutil.rmtree(inside)
    print(f"{count} examples")  # noqa: T201 - the answer
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))

"""Damaged cards, suites, ratings, audio and answers of workers, read until the time is up.

A fuzzer is a process of its own.

`python tests/faults/fuzzing.py KIND SECONDS SEED FOLDER` damages a valid file of that kind at
random and reads it as a command would. It ends with 1 at the first exception that is none of the
tree's own errors (the file stays in the folder), or where a file outside the folder is opened for
writing; else it prints how many files were read, how many were refused, and the most memory in MiB.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from bench.audio import measure, read_audio
from bench.data.cards import load_dataset
from bench.errors import BenchError
from bench.plan.suite import load_suite
from bench.plugins.process import told
from bench.plugins.wire import GarbledError, Wire
from reports.listening.ratings import heard, import_ratings
from reports.listening.records import BlindKey

MOST_BYTES = 2 << 30  # of address space: what asks for more gets a MemoryError
RATE = 16_000
TEST = "abc123"
CARD = """\
schema_version = 1
name = "small"
licence = "CC0-1.0"
redistributable = true
[contents.a]
category = "tones"
path = "content/tones/a.wav"
start_s = 0.0
duration_s = 0.75
[styles.bells]
text = "bells"
kind = "natural"
clips = [{path = "style/bells/b.wav", recording = "evening"}, {path = "style/bells/c.wav"}]
[sha256]
"""
SUITE = """\
schema_version = 1
name = "own"
version = 1
dataset = "mini"
profile = "mini"
methods = ["copy-content", "mix[gain_db=3|4]", "'./a, b.py:C'"]
controls = ["noise"]
metrics = ["chroma"]
styles = ["bells"]
contents = 2
seeds = 1
duration_s = 2.5
chunk_size = 4
[parameters.mix.styles.bells]
gain_db = 2.0
[family]
pairs = [["copy-content", "noise"]]
metrics = ["chroma"]
"""
WORDS = (
    *("inf", "nan", "-inf", "1e999", "9" * 5000, "-1", "0", "true", "null", '""', "{}", "[]"),
    *("[" * 3000, '{"a":' * 3000, "a." * 3000 + "a = 1\n", "../../../etc", "/dev/zero", "\\u0000"),
    *(
        "\\ud800",
        "\u200b",
        "e\u0301",
        "\x00",
        "'''",
        '"',
        "=",
        "\n[a.b]\n",
        "|",
        "1_0",
        "0x" + "f" * 99,
    ),
)
NUMBERS = (
    b"\xff" * 4,
    b"\0" * 4,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\xff\xfb\x90\xc4",
    b"OggS",
)


def tones(folder: Path) -> None:
    """A dataset of one content and one style of two clips."""
    rng = np.random.default_rng(0)
    for name in ("content/tones/a.wav", "style/bells/b.wav", "style/bells/c.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, rng.uniform(-0.5, 0.5, RATE), RATE)


def ratings() -> str:
    answers = [
        {"schema_version": 1, "set": "s1", "item": item, "cp": 3, "sf": 4, "ovl": 5}
        for item in ("i1", "i2")
    ]
    facts = {"schema_version": 1, "test": TEST, "rater": "ann", "training": "none"}
    return json.dumps({**facts, "started_at": "", "finished_at": "", "answers": answers})


def beaqle() -> str:
    """The same from BeaqleJS, one question after the other."""
    pages = [
        {
            "TestID": f"{TEST}-s1-{question}",
            "rating": {"A": 3, "B": 4, "Reference": 5},
            "filename": {"A": "sounds/i1.flac", "B": "sounds/i2.flac"},
        }
        for question in ("cp", "sf", "ovl")
    ]
    return json.dumps([*pages, {"UserName": "ben"}])


def webmushra() -> str:
    rows = [
        f"{TEST},cleo,s1-{question},{item},4"
        for question in ("cp", "sf", "ovl")
        for item in ("i1", "i2")
    ]
    return "\n".join(
        ["session_test_id,name,trial_id,stimuli,rating_stimulus,stimuli_rating", *rows]
    )


def key(folder: Path) -> None:
    items = {
        name: {"method": name, "cell_id": name, "check": check}
        for name, check in (("i1", ""), ("i2", "cp"))
    }
    one = {"style": "bells", "content": "a", "repetition": 0, "items": items}
    text = BlindKey.model_validate({"test": TEST, "run_id": "r", "seed": 0, "sets": {"s1": one}})
    (folder / "listening").mkdir(exist_ok=True)
    (folder / "listening" / f"{TEST}.key.json").write_text(text.model_dump_json(), encoding="utf-8")


def sounds() -> dict[str, bytes]:
    """A second of noise in each container that is read, by suffix."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, 2)).astype(np.float32)
    kinds = {
        "wav": ("WAV", "PCM_16"),
        "aiff": ("AIFF", "PCM_24"),
        "flac": ("FLAC", "PCM_16"),
        "ogg": ("OGG", "VORBIS"),
        "opus": ("OGG", "OPUS"),
        "mp3": ("MP3", "MPEG_LAYER_III"),
    }
    made = {}
    for suffix, (container, subtype) in kinds.items():
        buffer = io.BytesIO()
        soundfile.write(buffer, noise, RATE, format=container, subtype=subtype)
        made[suffix] = buffer.getvalue()
    return made


def damaged(data: bytes, rng: random.Random, words: tuple[bytes, ...]) -> bytes:
    """One to four random faults: a bit, a cut, a part twice, a part gone, a strange word."""
    for _ in range(rng.randint(1, 4)):
        # Headers decide more than what follows, so half of the faults lie there.
        reach = len(data) if rng.random() < 0.5 else min(len(data), 128)
        place = rng.randrange(reach + 1)
        end = min(len(data), place + rng.choice((1, 2, 4, 40, 4000)))
        fault = rng.randrange(5)
        if fault == 0 and place < len(data):
            data = data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
        elif fault == 1 and rng.random() < 0.3:
            data = data[:place]
        elif fault == 2:
            data = data[:end] + data[place:]
        elif fault == 3:
            data = data[:place] + data[end:]
        else:
            word = rng.choice(words)
            over = place + len(word) if rng.random() < 0.5 else place
            data = data[:place] + word + data[over:]
    return data


def damaged_text(text: str, rng: random.Random) -> bytes:
    """As `damaged`; half of the time whole values are replaced, so that it can still be parsed."""
    words = tuple(word.encode("utf-8", "surrogatepass") for word in WORDS)
    if rng.random() < 0.5:
        return damaged(text.encode(), rng, words)
    marks = [place for place, letter in enumerate(text) if letter in "=:,"]
    begin = rng.choice(marks) + 1
    end = min(
        (text.find(stop, begin) for stop in ",}\n" if stop in text[begin:]), default=len(text)
    )
    return (text[:begin] + rng.choice(WORDS) + text[end:]).encode("utf-8", "surrogatepass")


def cards(folder: Path, rng: random.Random) -> None:
    (folder / "dataset.toml").write_bytes(damaged_text(CARD, rng))
    load_dataset(str(folder))


def suites(folder: Path, rng: random.Random) -> None:
    path = folder / "own.toml"
    path.write_bytes(damaged_text(SUITE, rng))
    suite = load_suite(str(path))
    assert suite.choices
    assert suite.digest


def rated(folder: Path, rng: random.Random) -> None:
    for former in (folder / "listening").glob("*.ratings.json"):
        former.unlink()
    path = folder / "given.json"
    path.write_bytes(damaged_text(rng.choice((ratings, beaqle, webmushra))(), rng))
    import_ratings([path], folder)
    heard([folder])


def audio(folder: Path, rng: random.Random) -> None:
    suffix, data = rng.choice(list(SOUNDS.items()))
    path = folder / f"clip.{suffix}"
    other = rng.choice(list(SOUNDS.values()))
    path.write_bytes(damaged(data + other if rng.random() < 0.1 else data, rng, NUMBERS))
    form = measure(path)
    sound = read_audio(path)
    assert sound.waveform.shape == (form.channels, form.num_samples)


def prepare_link(folder: Path) -> None:
    np.save(folder / "array.npy", np.ones((1, 40), np.float32))


ARRAY = {"$": "array", "of": "worker-0.npy"}
AUDIO = {"$": "Audio", "of": {"waveform": ARRAY, "sample_rate": 8000}}
STATE = {"$": "StyleState", "of": {"arrays": {"$": "map", "of": {"a": ARRAY}}, "meta": AUDIO}}
FAILURE = {"$": "Failure", "of": {"status": "error", "reason": "x", "exception": "E"}}
ANSWERS = (
    ("progress", [0.5, "half"]),
    ("done", {"$": "map", "of": {"value": [AUDIO, STATE], "peak_bytes": 7}}),
    ("failed", {"$": "map", "of": {"failure": FAILURE, "trace": "", "passed_on": None}}),
    ("failed", {"$": "map", "of": {"passed_on": ["disk", 28, "full", "/x"]}}),
    ("failed", {"$": "map", "of": {"passed_on": ["CheckpointError", "gone"]}}),
)


def link(folder: Path, rng: random.Random) -> None:
    """An answer of a worker and the file of its array, one of them damaged."""
    array = (folder / "array.npy").read_bytes()
    kind, value = rng.choice(ANSWERS)
    line = json.dumps({"number": 1, "kind": kind, "value": value})
    whole = rng.random() < 0.3
    (folder / "worker-0.npy").write_bytes(damaged(array, rng, NUMBERS) if whole else array)
    near, far = socket.socketpair()
    wire = Wire(near, folder, "run")
    with far:
        far.sendall((line.encode() if whole else damaged_text(line, rng)) + b"\n")
    try:
        message = wire.receive()
        told(message.kind, wire.value_of(message))
    except GarbledError as error:
        raise BenchError("garbled") from error
    finally:
        wire.close()
        (folder / "worker-0.npy").unlink(missing_ok=True)


SOUNDS = sounds()
KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path, random.Random], None]]] = {
    "cards": (tones, cards),
    "suites": (tones, suites),
    "link": (prepare_link, link),
    "ratings": (key, rated),
    "audio": (tones, audio),
}


def watch_writes(folder: Path) -> list[str]:
    """The files outside a folder that are opened for writing from now on."""
    found: list[str] = []
    inside = str(folder.resolve())

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
            if (
                writes
                and isinstance(path, str)
                and not str(Path(path).resolve()).startswith(inside)
            ):
                found.append(path)
        elif event in {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.symlink"}:
            path = os.fsdecode(arguments[0])  # type: ignore[arg-type]  # a path, by these events
            if not str(Path(path).resolve()).startswith(inside):
                found.append(path)

    sys.addaudithook(hook)
    return found


def main() -> int:
    kind, seconds, seed, place = sys.argv[1:]
    folder = Path(place)
    prepare, attempt = KINDS[kind]
    prepare(folder)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    outside = watch_writes(folder)
    rng = random.Random(seed)  # noqa: S311 - faults need no secrecy, and are to come again
    end, counts = time.monotonic() + float(seconds), [0, 0]
    while time.monotonic() < end and not outside:
        try:
            attempt(folder, rng)
            counts[0] += 1
        except BenchError as error:
            str(error).encode()  # it can be shown
            counts[1] += 1
        except Exception:  # noqa: BLE001 - what must not happen, shown with its file
            traceback.print_exc()
            return 1
    if outside:
        sys.stderr.write(f"written outside the folder: {outside}\n")
        return 1
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(f"{counts[0]} {counts[1]} {peak_mib}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

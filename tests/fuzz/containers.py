"""Damaged run folders, archives, checkpoints, audio and answers, read as the commands read them.

Each function prepares a folder and returns what damages and reads one file there.
"""

from __future__ import annotations

import io
import json
import random
import socket
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib.font_manager  # noqa: F401 - its list of fonts is written when it is imported
import numpy as np
import soundfile
import torch
from safetensors.numpy import load, save

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))

from building import save as save_run
from building import toy
from sounding import sounding_run

from bench.api import StyleState
from bench.audio import measure, read_audio
from bench.cache import state_checksum
from bench.data.archive import ArchiveCard, unpack
from bench.errors import BenchError
from bench.gate.snapshot import snapshot
from bench.plugins.process import told
from bench.plugins.wire import GarbledError, Wire
from bench.records.embeddings import known_places, to_text
from bench.records.frame import frame
from bench.records.schema import EmbeddingRecord
from bench.records.store import EMBEDDINGS, append, load_run
from bench.transfer.fit_files import FitFile, LearntClip, Origin, read_fit, write_fit
from methods.riffusion.released.styles import import_style
from reports.page.write import write_page
from reports.tables.sets import sets
from reports.write import failures, read_report, terminal_summary, write_report
from tests.fuzz.spoiling import (
    NUMBER_BYTES,
    TEXT_BYTES,
    damaged,
    damaged_lines,
    damaged_text,
    strange_within,
)

RATE = 16_000
PAGE_SHARE = 0.04  # of the run folders: all tables and the page take seconds


def records(folder: Path) -> Callable[[random.Random], None]:
    """A whole run folder, of which one file of records is damaged, through report and gate."""
    run = sounding_run(folder / "run", ["harp"], ["c1", "c2"]).folder
    names = ("plan.jsonl", "cells.jsonl", "scores.jsonl", "run.json")
    whole = {name: (run / name).read_bytes() for name in names}
    write_page(read_report(run))  # so that everything is imported before memory is limited

    def spoilt(name: str, chance: random.Random) -> bytes:
        if name != "run.json":
            return damaged_lines(whole[name], chance)
        return json.dumps(strange_within(json.loads(whole[name]), chance)).encode()

    def attempt(chance: random.Random) -> None:
        for name, data in whole.items():
            (run / name).write_bytes(data)
        name = chance.choice(names)
        (run / name).write_bytes(spoilt(name, chance))
        read = load_run(run)
        snapshot(read)
        frame(read)
        failures(read)
        if chance.random() < PAGE_SHARE:
            report = read_report(run)
            write_report(report)
            terminal_summary(report)
            write_page(report)

    return attempt


def embeddings(folder: Path) -> Callable[[random.Random], None]:
    """The vectors of a run, of which some are damaged, through the table of distances."""
    run, mark = toy(), "0" * 12
    metrics = [one.model_copy(update={"fingerprint": mark}) for one in run.header.metrics]
    styles = {s: {**f, "heldout_clips": ["1", "2", "3"]} for s, f in run.header.styles.items()}
    header = run.header.model_copy(update={"metrics": metrics, "styles": styles})
    known = load_run(save_run(replace(run, header=header), folder / "run"))
    numbers = np.random.default_rng(0).normal(size=(400, 3))
    vectors = iter(numbers / np.linalg.norm(numbers, axis=1, keepdims=True))
    sounds = [(record.audio_digest, None, None) for record in known.cells.values()]
    clips = [(f"{n}{place}" * 32, s, f"{n}") for place, s in enumerate(styles) for n in (1, 2, 3)]
    append(known.folder / EMBEDDINGS, [
        EmbeddingRecord(
            embedding="CLAP", metric="cp", fingerprint=mark, audio_digest=str(sound),
            style=style, clip=clip, vector=to_text(next(vectors)),
        )
        for sound, style, clip in (*sounds, *clips)
    ])  # fmt: skip
    path = known.folder / EMBEDDINGS
    whole = path.read_bytes()
    assert (table := sets(known, [known.folder])) is not None
    assert table.rows

    def attempt(chance: random.Random) -> None:
        path.write_bytes(damaged_lines(whole, chance))
        sets(known, [known.folder])
        known_places(known.folder, "cp", mark)

    return attempt


def archives(folder: Path) -> Callable[[random.Random], None]:
    """A small zip archive of each way to pack, damaged anywhere."""
    card = ArchiveCard(
        drive_id="x", page="x", bytes=1, most_bytes=1 << 22, most_files=9, counts={"contents": 1}
    )
    path, noise = folder / "a.zip", random.Random(0).randbytes(2000)  # noqa: S311 - noise

    def attempt(chance: random.Random) -> None:
        method = chance.choice((0, 8, 12, 14))
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("content/piano/p1.wav", noise)
            archive.writestr("style/bell/b1.wav", b"\0" * 100_000)
        path.write_bytes(damaged(path.read_bytes(), chance, NUMBER_BYTES))
        unpack(path, folder / "in" / "set", card)

    return attempt


def checkpoints(folder: Path) -> Callable[[random.Random], None]:
    """A file of torch.save with its pickle damaged, now and then the zip archive around it too."""
    saved, path = folder / "saved.pt", folder / "a.pt"
    layer = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.SiLU())
    names = ("attention", "time_embed", "emb_layers", "initial_embeddings")
    torch.save(dict.fromkeys(names, layer), saved)
    with zipfile.ZipFile(saved) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    pickled = next(name for name in members if name.endswith("/data.pkl"))

    def attempt(chance: random.Random) -> None:
        spoilt = {**members, pickled: damaged(members[pickled], chance, TEXT_BYTES)}
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in spoilt.items():
                archive.writestr(name, data)
        if chance.random() < 0.2:
            path.write_bytes(damaged(path.read_bytes(), chance, NUMBER_BYTES))
        import_style(path, 4, "bird")

    return attempt


def fits(folder: Path) -> Callable[[random.Random], None]:
    """A file of a learnt style: damaged anywhere, or with strange facts and a digest of them."""
    path = folder / "a.safetensors"
    clip = LearntClip(name="a.wav", file_sha256="0" * 64, heard_sha256="1" * 64)
    origin = Origin(
        method="tve", version="1", source="2" * 64, profile="mini", weights={"w": "3" * 64},
        device_type="cpu", parameters={"steps": 3}, style="s", text="a bell", clips=(clip,), seed=1,
        made_at="2026-01-01T00:00:00+00:00", bench_version="0",
    )  # fmt: skip
    write_fit(path, FitFile(origin, StyleState({"a": np.zeros((3, 4), np.float32)}, {"b": [1]})))
    whole, arrays = path.read_bytes(), load(path.read_bytes())
    length = int.from_bytes(whole[:8], "little")
    words = json.loads(whole[8 : 8 + length])["__metadata__"]
    del words["sha256"]

    def sealed(chance: random.Random) -> bytes:
        strange = {**words}
        for name in ("origin", "meta"):
            strange[name] = json.dumps(strange_within(json.loads(words[name]), chance))
        strange["sha256"] = state_checksum(strange, arrays)
        return save(arrays, strange)

    def attempt(chance: random.Random) -> None:
        is_sealed = chance.random() < 0.5
        path.write_bytes(sealed(chance) if is_sealed else damaged(whole, chance, NUMBER_BYTES))
        read_fit(path)

    return attempt


def audio(folder: Path) -> Callable[[random.Random], None]:
    """A second of noise in each container that is read, now and then with another behind it."""
    kept = _sounds()

    def attempt(chance: random.Random) -> None:
        suffix, data = chance.choice(list(kept.items()))
        behind = chance.choice(list(kept.values())) if chance.random() < 0.1 else b""
        path = folder / f"clip.{suffix}"
        path.write_bytes(damaged(data + behind, chance, NUMBER_BYTES))
        form, sound = measure(path), read_audio(path)
        assert sound.waveform.shape == (form.channels, form.num_samples)

    return attempt


def _sounds() -> dict[str, bytes]:
    """The bytes of a file by its suffix."""
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


def answers(folder: Path) -> Callable[[random.Random], None]:
    """An answer of a worker with the file of its array, one of them damaged."""
    array, place = folder / "array.npy", folder / "worker-0.npy"
    np.save(array, np.ones((1, 40), np.float32))

    def attempt(chance: random.Random) -> None:
        kind, value = chance.choice(_ANSWERS)
        line = json.dumps({"number": 1, "kind": kind, "value": value})
        whole = chance.random() < 0.3
        data = array.read_bytes()
        place.write_bytes(damaged(data, chance, NUMBER_BYTES) if whole else data)
        near, far = socket.socketpair()
        with far:
            far.sendall((line.encode() if whole else damaged_text(line, chance)) + b"\n")
        _hear(Wire(near, folder, "run"))

    return attempt


def _hear(wire: Wire) -> None:
    """Take one message as a run does."""
    try:
        message = wire.receive()
        told(message.kind, wire.value_of(message))
    except GarbledError as error:
        raise BenchError(str(error).encode(errors="backslashreplace").decode()) from error
    finally:
        wire.close()


_ARRAY = {"$": "array", "of": "worker-0.npy"}
_AUDIO = {"$": "Audio", "of": {"waveform": _ARRAY, "sample_rate": 8000}}
_STATE = {"$": "StyleState", "of": {"arrays": {"$": "map", "of": {"a": _ARRAY}}, "meta": _AUDIO}}
_FAILURE = {"$": "Failure", "of": {"status": "error", "reason": "x", "exception": "E"}}
_ANSWERS = (
    ("progress", [0.5, "half"]),
    ("done", {"$": "map", "of": {"value": [_AUDIO, _STATE], "peak_bytes": 7}}),
    ("failed", {"$": "map", "of": {"failure": _FAILURE, "trace": "", "passed_on": None}}),
    ("failed", {"$": "map", "of": {"passed_on": ["disk", 28, "full", "/x"]}}),
    ("failed", {"$": "map", "of": {"passed_on": ["CheckpointError", "gone"]}}),
)

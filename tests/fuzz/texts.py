"""Damaged cards, suites and ratings, read as the commands read them.

Each function prepares a folder and returns what damages and reads one file there.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from bench.checkout import DATASETS
from bench.data.card_model import read_card
from bench.data.cards import load_dataset
from bench.data.hub_card import choose_takes
from bench.delivery.folder import read_folder
from bench.delivery.listing import LIST, list_text
from bench.delivery.matching import match
from bench.plan.suite import load_suite
from bench.publishing.hub import parse_target
from bench.publishing.publication import MARKER, bytes_digest, read_publication
from bench.records.store import RECORDS
from reports.listening.golisten import OPTIONS, RATER
from reports.listening.mushra.marks import marked
from reports.listening.mushra.records import KEY, OWN, MushraKey
from reports.listening.ratings import heard, import_ratings
from reports.listening.records import BlindKey
from tests.fuzz.spoiling import TEXT_BYTES, damaged, damaged_text

RATE = 16_000
TEST = "abc123"
CARD = """\
schema_version = 1
name = "small"
licence = "CC0-1.0"
redistributable = true
targets = "{piece}"
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


def cards(folder: Path) -> Callable[[random.Random], None]:
    """The card of a dataset of one content and one style of two clips."""
    rng = np.random.default_rng(0)
    for name in ("content/tones/a.wav", "style/bells/b.wav", "style/bells/c.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, rng.uniform(-0.5, 0.5, RATE), RATE)

    def attempt(chance: random.Random) -> None:
        (folder / "dataset.toml").write_bytes(damaged_text(CARD, chance))
        load_dataset(str(folder))

    return attempt


def tables(folder: Path) -> Callable[[random.Random], None]:
    """The table of a dataset of the hub."""
    del folder
    hub = read_card(DATASETS / "choralebricks.toml").hub
    assert hub is not None
    held = [f"{song}/{part}.wav" for song in range(12) for part in "SB"]
    rows = [f"{name[:-6]};{name[-5]};flute;{name}" for name in held]
    text = "\n".join([";".join((hub.work, *hub.part, hub.player, hub.file)), *rows])

    def attempt(chance: random.Random) -> None:
        spoilt = damaged(text.encode(), chance, (*TEXT_BYTES, b";", b"\r"))
        choose_takes(hub, spoilt.decode(errors="replace"), held)

    return attempt


def suites(folder: Path) -> Callable[[random.Random], None]:
    """A suite with every kind of key."""
    path = folder / "own.toml"

    def attempt(chance: random.Random) -> None:
        path.write_bytes(damaged_text(SUITE, chance))
        suite = load_suite(str(path))
        assert suite.choices
        assert suite.digest

    return attempt


def ratings(folder: Path) -> Callable[[random.Random], None]:
    """What a listener sends: from our page, BeaqleJS, webMUSHRA or Go Listen."""
    _write_key(folder)
    path = folder / "given.json"

    def attempt(chance: random.Random) -> None:
        for former in (folder / "listening").glob("*.*.*.json"):
            former.unlink()
        forms = (_ours, _beaqle, _webmushra, _mushra, _golisten)
        path.write_bytes(damaged_text(chance.choice(forms)(), chance))
        import_ratings([path], folder)
        heard([folder])
        marked([folder])

    return attempt


def publications(folder: Path) -> Callable[[random.Random], None]:
    """The marker of a published run beside its records."""
    for name in RECORDS:
        (folder / name).write_bytes(name.encode())
    digests = {name: bytes_digest(name.encode()) for name in RECORDS}
    facts = {"schema_version": 1, "repository": "alice/run", "run_id": "r", "suite": "mini"}
    text = json.dumps({**facts, "setting": "0" * 64, "tool": "bench 1", "files": digests})

    def attempt(chance: random.Random) -> None:
        (folder / MARKER).write_bytes(damaged_text(text, chance))
        found = read_publication(folder)
        assert found is not None
        parse_target(found.repository)

    return attempt


def deliveries(folder: Path) -> Callable[[random.Random], None]:
    """The list of a folder of outputs that were made elsewhere."""
    names = [f"bells/{name}.wav" for name in ("a", "b", "a.1")]
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / name, np.full(RATE, 0.5), RATE)
    places = [("bells", "a", 0), ("bells", "b", 0), ("bells", "a", 1)]
    text = list_text(zip(places, names, strict=True))

    def attempt(chance: random.Random) -> None:
        (folder / LIST).write_bytes(damaged_text(text, chance))
        found = match(read_folder(folder), places)
        assert all(one.path.is_relative_to(folder) for one in found.files.values())

    return attempt


def _ours() -> str:
    answers = [
        {"schema_version": 1, "set": "s1", "item": item, "cp": 3, "sf": 4, "ovl": 5}
        for item in ("i1", "i2")
    ]
    facts = {"schema_version": 1, "test": TEST, "rater": "ann", "training": "none", "block": 1}
    who = {"service": "prolific", "person": "5f3"}
    times = [{"set": "s1", "started_at": "", "time_s": 61.5}]
    beside = {"sets": times, "headphones": 3, "comment": "fine", "participant": who}
    return json.dumps({**facts, "started_at": "", "finished_at": "", "answers": answers, **beside})


def _beaqle() -> str:
    """One question after the other."""
    pages = [
        {
            "TestID": f"{TEST}-s1-{question}",
            "rating": {"A": 3, "B": 4, "Reference": 5},
            "filename": {"A": "sounds/i1.flac", "B": "sounds/i2.flac"},
        }
        for question in ("cp", "sf", "ovl")
    ]
    return json.dumps([*pages, {"UserName": "ben"}])


def _webmushra() -> str:
    heading = "session_test_id,name,trial_id,stimuli,rating_stimulus,stimuli_rating"
    rows = [
        f"{TEST},cleo,s1-{question},{item},4"
        for question in ("cp", "sf", "ovl")
        for item in ("i1", "i2")
    ]
    return "\n".join([heading, *rows])


def _mushra() -> str:
    heading = "session_test_id,rater,trial_id,rating_stimulus,rating_score"
    rows = [f"{TEST},eve,s1,{item},{60 + n}" for n, item in enumerate(("i1", *OWN))]
    return "\n".join([heading, *rows])


def _golisten() -> str:
    fields = [{"type": 3}, *({"type": 1, "value": OPTIONS[mark]} for mark in (2, 3, 4))]
    pages = [
        {"id": f"{TEST}-s1-{item}", "type": 2, "example": {"fields": fields}}
        for item in ("i1", "i2")
    ]
    who = {"id": RATER, "type": 1, "questionControl": {"type": 0, "value": "dora"}}
    return json.dumps([{"name": "Listening test", "items": [who, {"id": "results"}, *pages]}])


def _write_key(folder: Path) -> None:
    items = {
        name: {"method": name, "cell_id": name, "check": check, "low": low, "seconds": 10.0}
        for name, check, low in (("i1", "", ""), ("i2", "cp", "sf"))
    }
    one = {"style": "bells", "content": "a", "repetition": 0, "items": items}
    facts = {"test": TEST, "run_id": "r", "seed": 0, "sets": {"s1": one}, "rule": {}}
    blocks = [[{"set": "s1", "items": ["i1", "i2"]}]]
    text = BlindKey.model_validate({**facts, "blocks": blocks})
    (folder / "listening").mkdir()
    (folder / "listening" / f"{TEST}.key.json").write_text(text.model_dump_json(), encoding="utf-8")
    page = {**one, "items": {"i1": {"method": "i1", "cell_id": "i1"}}}
    key = MushraKey.model_validate({**facts, "sets": {"s1": page}})
    path = folder / "listening" / f"{TEST}.{KEY}.json"
    path.write_text(key.model_dump_json(), encoding="utf-8")

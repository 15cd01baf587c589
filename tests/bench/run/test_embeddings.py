"""A run keeps the vectors of its sounds, once each, and whoever goes on with it adds what lacks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from noises import write_noises
from small_run import RATE, SUITE, Small, command

from bench.audio import read_audio
from bench.publishing.records import record_items
from bench.records.embeddings import Embedded, from_text, read_embeddings
from bench.records.schema import EmbeddingRecord
from bench.records.store import EMBEDDINGS, load_run, read
from reports.tables.sets import sets

METRICS = Path(__file__).parents[1] / "embedding.py"
STYLES = ("hiss", "rush")
NAMES = [f"style/{style}/{n}" for style in STYLES for n in range(4)]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """Two styles of four clips, of which two are held out, and two contents."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    write_noises(tmp_path / "data", ["content/low/l1", "content/low/l2", *NAMES], RATE)
    text = SUITE.format(data=tmp_path / "data").replace('"all"', '"split"')
    (tmp_path / "small.toml").write_text(text, encoding="utf-8")
    return Small(tmp_path)


def run(small: Small, *words: str, metric: str = "Bands", out: str = "run") -> None:
    """Run in this process, where metrics embed."""
    assert small.run("--metrics", f"{METRICS}:{metric}", "--no-isolate", *words, out=out) == 0


def heard(folder: Path) -> Embedded:
    found = load_run(folder)
    faults: list[str] = []
    (only,) = read_embeddings([folder], found.header, found.cells.values(), faults)
    assert faults == []
    return only


def test_outputs_and_held_out_clips_have_vectors_which_going_on_does_not_repeat(
    small: Small,
) -> None:
    run(small)
    found, done = heard(small.folder), small.load()
    assert found.embedding == "bands"
    outputs = {record.audio_digest for record in done.cells.values()}
    clips = {
        style: tuple(
            read_audio(small.home / "data" / "style" / style / f"{clip.rsplit('/')[-1]}.wav").digest
            for clip in done.header.styles[style]["heldout_clips"]
        )
        for style in STYLES
    }
    assert found.clips == clips
    assert found.rows.keys() == outputs | {digest for own in clips.values() for digest in own}
    assert len(outputs) == 6  # of 8 cells: a content is copied into both styles
    before = (small.folder / EMBEDDINGS).read_bytes()
    run(small)
    assert (small.folder / EMBEDDINGS).read_bytes() == before


def test_a_run_without_vectors_gains_them_and_renders_nothing(small: Small) -> None:
    run(small)
    wanted, cells = heard(small.folder), (small.folder / "cells.jsonl").read_bytes()
    (small.folder / EMBEDDINGS).unlink()
    scores = (small.folder / "scores.jsonl").read_bytes()
    run(small)
    assert heard(small.folder).rows.keys() == wanted.rows.keys()
    assert (small.folder / "cells.jsonl").read_bytes() == cells
    assert (small.folder / "scores.jsonl").read_bytes() == scores


def test_torn_damaged_and_stale_lines_cost_themselves_and_are_made_again(small: Small) -> None:
    run(small)
    path = small.folder / EMBEDDINGS
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    cut = json.loads(lines[1])
    cut["vector"] = cut["vector"][:-2]
    old = json.dumps(json.loads(lines[2]) | {"fingerprint": "0" * 12}) + "\n"
    bad = ["no record\n", json.dumps(cut) + "\n", old, *lines[3:-1], lines[-1][:40]]
    path.write_text("".join(bad), encoding="utf-8")
    run(small)
    again = read(path, EmbeddingRecord, [])
    whole = [one for one in again if from_text(one.vector) is not None]
    assert len(whole) == len(lines) + 1  # one of another fingerprint stays, and counts nowhere
    known = load_run(small.folder)
    faults: list[str] = []
    (found,) = read_embeddings([small.folder], known.header, known.cells.values(), faults)
    assert len(found.rows) == len({one.audio_digest for one in whole})
    assert len(faults) == 2
    assert "is left out, since it is not a EmbeddingRecord" in faults[0]
    assert faults[1].endswith("holds no vector")


def test_shards_join_their_vectors_in_whatever_order(small: Small, tmp_path: Path) -> None:
    run(small, out="whole")
    for number in (1, 2):
        run(small, "--shard", f"{number}/2", out="run")
        run(small, "--shard", f"{number}/2", out=f"half{number}")
    wanted = heard(tmp_path / "whole")
    shared = heard(tmp_path / "run")
    assert (shared.rows.keys(), shared.clips) == (wanted.rows.keys(), wanted.clips)
    for out, order in (("a", (1, 2)), ("b", (2, 1))):
        halves = [str(tmp_path / f"half{number}") for number in order]
        assert command("merge", *halves, "-o", str(tmp_path / out)) == 0
    joined = (tmp_path / "a" / EMBEDDINGS).read_bytes()
    assert joined == (tmp_path / "b" / EMBEDDINGS).read_bytes()
    assert heard(tmp_path / "a").clips == wanted.clips
    assert len(joined.splitlines()) == len(wanted.rows)  # each sound once
    (tmp_path / "a" / EMBEDDINGS).write_bytes(b"")
    assert command("merge", str(tmp_path / "half1"), "-o", str(tmp_path / "a")) == 0
    assert command("merge", str(tmp_path / "half2"), "-o", str(tmp_path / "a")) == 0
    assert (tmp_path / "a" / EMBEDDINGS).read_bytes() == joined


def test_silent_outputs_have_no_vector_and_are_not_asked_for_again(small: Small) -> None:
    silence = small.home / "data" / "content" / "low" / "l2.wav"
    faint = np.random.default_rng(0).uniform(-3e-4, 3e-4, RATE)  # of which a vector could be made
    soundfile.write(silence, faint, RATE, subtype="PCM_16")
    run(small, "--methods", "copy-content")
    done, found = small.load(), heard(small.folder)
    statuses = {
        score.status: done.cells[cell].audio_digest in found.rows
        for (cell, _), score in done.scores.items()
    }
    assert statuses == {"ok": True, "silent": False}
    before = (small.folder / EMBEDDINGS).read_bytes()
    run(small, "--methods", "copy-content")
    assert (small.folder / EMBEDDINGS).read_bytes() == before


def test_a_metric_that_embeds_badly_costs_vectors_and_nothing_else(
    small: Small, caplog: pytest.LogCaptureFixture
) -> None:
    run(small, metric="Long")
    assert not (small.folder / EMBEDDINGS).exists()
    assert "gave no vector of some sound: embed gave numbers of shape (1, 6)" in caplog.text
    assert {score.value for score in small.load().scores.values()} == {0.5}
    assert sets(small.load(), [small.folder]) is None
    run(small, metric="Choosy", out="choosy")
    some = heard(small.home / "choosy")
    assert 0 < len(some.rows) < 10


def test_a_metric_in_a_worker_leaves_no_vectors(small: Small) -> None:
    assert small.run("--metrics", f"{METRICS}:Bands", "--methods", "copy-content") == 0
    assert not (small.folder / EMBEDDINGS).exists()


def test_vectors_are_published_with_the_records_where_there_are_any(small: Small) -> None:
    run(small)
    with (small.folder / EMBEDDINGS).open("ab") as file:
        file.write(b'{"torn')
    items = {item.place: item for item in record_items(small.load())}
    content = items[EMBEDDINGS].content
    assert isinstance(content, bytes)
    assert content.endswith(b"}\n")
    (small.folder / EMBEDDINGS).unlink()
    assert EMBEDDINGS not in {item.place for item in record_items(small.load())}

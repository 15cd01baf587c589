"""Vectors on the disk: what is read back, what counts, and what is damaged."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "reports"))

from building import header, method

from bench.records.embeddings import Embedded, from_text, read_embeddings, to_text, write_joined
from bench.records.schema import CellRecord, EmbeddingRecord, RunHeader
from bench.records.store import EMBEDDINGS, append

MARK, SOUND, OTHER, CLIP = "0" * 12, "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def head() -> RunHeader:
    """A run of one style with two held-out clips, whose metric cp embeds."""
    found = header([method("tve")], ["harp"], metrics=["cp"])
    styles = {"harp": found.styles["harp"] | {"heldout_clips": ["h1", "h2"]}}
    metrics = [found.metrics[0].model_copy(update={"fingerprint": MARK})]
    return found.model_copy(update={"styles": styles, "metrics": metrics})


def record(sound: str = SOUND, **changes: object) -> EmbeddingRecord:
    facts: dict[str, object] = {
        "embedding": "CLAP", "metric": "cp", "fingerprint": MARK, "audio_digest": sound,
        "vector": to_text(np.array([0.6, 0.8])),
    }  # fmt: skip
    return EmbeddingRecord.model_validate(facts | changes)


def found_in(
    folder: Path, head: RunHeader, *records: EmbeddingRecord
) -> tuple[list[Embedded], list[str]]:
    """What a run with one output is heard as, and the faults."""
    append(folder / EMBEDDINGS, records)
    faults: list[str] = []
    cells = [CellRecord(cell_id="0" * 16, status="ok", audio_digest=SOUND)]
    return read_embeddings([folder], head, cells, faults), faults


def test_float32_numbers_come_back_to_the_last_bit() -> None:
    vector = np.random.default_rng(0).normal(size=128)
    vector /= np.linalg.norm(vector)
    found = from_text(to_text(vector))
    assert found is not None
    assert found.dtype == np.float32
    assert np.array_equal(found, vector.astype(np.float32))


@pytest.mark.parametrize(
    "vector",
    ["", "%", "AACAPw", to_text(np.array([np.nan, 1])), to_text(np.array([1.0, 1.0])), "AAAA"],
)
def test_what_is_no_vector_costs_its_line(tmp_path: Path, head: RunHeader, vector: str) -> None:
    (found,), faults = found_in(tmp_path, head, record(vector=vector), record())
    assert faults == [f"the embedding of {SOUND[:12]} holds no vector"]
    assert found.of([SOUND]).tolist() == np.array([[0.6, 0.8]], np.float32).tolist()


def test_vectors_of_one_metric_have_one_length(tmp_path: Path, head: RunHeader) -> None:
    clip = record(CLIP, style="harp", clip="h1", vector=to_text(np.array([1.0, 0.0, 0.0])))
    (found,), faults = found_in(tmp_path, head, record(), clip)
    assert faults == [f"the embedding of {CLIP[:12]} holds 3 numbers, not 2"]
    assert (found.rows.keys(), found.clips) == ({SOUND}, {"harp": ()})


def test_only_sounds_of_the_run_count(tmp_path: Path, head: RunHeader) -> None:
    (found,), faults = found_in(
        tmp_path,
        head,
        record(OTHER),  # no cell has it
        record(fingerprint="1" * 12),
        record(metric="chroma"),
        record(OTHER, style="harp", clip="h3"),  # not held out
        record(OTHER, style="lute", clip="h1"),
        record(CLIP, style="harp", clip="h2"),
        record(),
    )
    assert faults == []
    assert (found.embedding, found.metric) == ("CLAP", "cp")
    assert (found.rows, found.clips) == ({CLIP: 0, SOUND: 1}, {"harp": (CLIP,)})


def test_an_output_that_is_a_clip_shares_its_vector(tmp_path: Path, head: RunHeader) -> None:
    clips = [record(style="harp", clip=clip) for clip in ("h2", "h1")]
    (found,), _ = found_in(tmp_path, head, *clips)
    assert (found.rows, found.clips) == ({SOUND: 0}, {"harp": (SOUND, SOUND)})


def test_joining_keeps_what_counts_once_and_knows_no_order(tmp_path: Path, head: RunHeader) -> None:
    cells = [CellRecord(cell_id="0" * 16, status="ok", audio_digest=SOUND)]
    folders = [tmp_path / "a", tmp_path / "b"]
    turned = record(vector=to_text(np.array([0.8, 0.6])))  # by another machine, say
    for folder, own in zip(folders, (record(), turned), strict=True):
        folder.mkdir()
        append(folder / EMBEDDINGS, [own, record(OTHER), record(CLIP, style="harp", clip="h1")])
    written = []
    for order in (folders, folders[::-1]):
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        write_joined(order, head, cells, out)
        written.append((out / EMBEDDINGS).read_bytes())
        (out / EMBEDDINGS).unlink()
    assert written[0] == written[1]
    assert [one.count(b"\n") for one in written] == [2, 2]
    write_joined([], head, cells, tmp_path / "out")
    assert not (tmp_path / "out" / EMBEDDINGS).exists()


def test_ids_are_no_other_words(tmp_path: Path, head: RunHeader) -> None:
    (tmp_path / EMBEDDINGS).write_text(
        record().model_dump_json().replace(SOUND, "../x") + "\n", encoding="utf-8"
    )
    found, faults = found_in(tmp_path, head)
    assert found == []
    assert "audio_digest is '../x' and not 64 hex digits" in faults[0]

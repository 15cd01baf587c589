"""The table of distances between sets: its numbers from the vectors on disk, and what it lacks."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import CONTENTS, STYLES, as_written, fail, header, method, row, run_of, save

from bench.records.embeddings import to_text
from bench.records.schema import EmbeddingRecord, RunHeader
from bench.records.store import EMBEDDINGS, Run, append, load_run
from bench.statistics.intervals import Interval
from bench.statistics.set_distance import (
    SoundSet,
    bandwidth,
    frechet,
    kad_difference,
    kad_interval,
)
from reports.tables.sets import sets
from reports.text.result_table import Estimate, Missing, ResultTable
from reports.write import read_report, write_report

METHODS = ("tve", "copy-content")
MARK = "0" * 12
CLIPS = 4


def digest(*words: object) -> str:
    return hashlib.sha256(repr(words).encode()).hexdigest()


def vector(size: int, *words: object) -> np.ndarray:
    """A direction that its words decide; those of a style lie near each other."""
    _, style, *_ = words
    place, own = (
        np.random.default_rng(int(digest(*one)[:12], 16)).normal(size=size)
        for one in ([style], words)
    )
    found = place + own
    return np.asarray(found / np.linalg.norm(found))


def head(clips: int, contents: tuple[str, ...], styles: tuple[str, ...]) -> RunHeader:
    entries = [method(label, control=label == "copy-content") for label in METHODS]
    found = header(entries, styles, contents, ("cp", "sf.heldout"))
    facts = {
        style: known | {"heldout_clips": [f"{style}/{n}" for n in range(clips)]}
        for style, known in found.styles.items()
    }
    metrics = [metric.model_copy(update={"fingerprint": MARK}) for metric in found.metrics]
    return found.model_copy(update={"styles": facts, "metrics": metrics})


def made(
    folder: Path,
    sizes: Mapping[str, int],
    *,
    clips: int = CLIPS,
    contents: tuple[str, ...] = CONTENTS,
    styles: tuple[str, ...] = STYLES,
) -> Run:
    """A run on the disk whose metrics have vectors of so many dimensions."""
    run = run_of(
        head(clips, contents, styles),
        {label: {"cp": 0.2, "sf.heldout": 0.2} for label in METHODS},
        style_step=0.05,
    )
    save(run, folder)
    for metric, size in sizes.items():
        append(folder / EMBEDDINGS, records(run, metric, size, clips))
    return load_run(folder)


def records(run: Run, metric: str, size: int, clips: int) -> list[EmbeddingRecord]:
    outputs = [
        (as_written(run.cells[cell.cell_id]).audio_digest, None, None, (cell.method, cell.style,
         cell.content)) for cell in run.plan
    ]  # fmt: skip
    heldout = [
        (digest(style, n), style, f"{style}/{n}", ("clip", style, n))
        for style in run.header.styles
        for n in range(clips)
    ]
    return [
        EmbeddingRecord(
            embedding=metric.upper(), metric=metric, fingerprint=MARK, audio_digest=str(sound),
            style=style, clip=clip, vector=to_text(vector(size, *words)),
        )
        for sound, style, clip, words in (*outputs, *heldout)
    ]  # fmt: skip


def by_hand(run: Run, label: str, size: int, style: str | None = None) -> tuple[SoundSet, SoundSet]:
    """Outputs of a method and all clips, from the words that made them."""
    cells = [(c.style, c.content, c.category) for c in run.plan if c.method == label]
    outputs = [(vector(size, label, s, c), s, c, group) for s, c, group in cells]
    clips = [
        (vector(size, "clip", s, n), s, digest(s, n), s)
        for s, facts in run.header.styles.items()
        for n in range(len(facts["heldout_clips"]))
    ]
    pair = []
    for one in (outputs, clips):
        vectors, *names = zip(*(r for r in one if style in {None, r[1]}), strict=True)
        stored = np.array(vectors, np.float32).astype(np.float64)
        pair.append(SoundSet(stored, *(np.array(name, np.str_) for name in names)))
    return pair[0], pair[1]


def table_of(run: Run) -> ResultTable:
    found = sets(run, [run.folder])
    assert found is not None
    return found


def shown(found: Interval) -> tuple[float, float, float, int]:
    return found.mean, found.low, found.high, found.n


def as_tuple(value: object) -> tuple[float, float, float, int]:
    assert isinstance(value, Estimate)
    return value.value, value.low, value.high, value.n


def test_the_numbers_are_those_of_the_vectors_on_the_disk(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"cp": 16, "sf.heldout": 8})
    table = table_of(run)
    columns = ["method", "style", "kad.cp", "gain.cp", "kad.sf.heldout", "gain.sf.heldout"]
    assert [column.key for column in table.columns] == [*columns, "n", "clips"]
    for metric, size in (("cp", 16), ("sf.heldout", 8)):
        pairs = {label: by_hand(run, label, size) for label in METHODS}
        clips = pairs["tve"][1]
        s = bandwidth(clips.vectors)
        for label, (outputs, _) in pairs.items():
            found = row(table, "method", label)
            wanted = shown(kad_interval(outputs, clips, s))
            assert as_tuple(found[f"kad.{metric}"]) == pytest.approx(wanted, abs=1e-9)
            assert (found["n"], found["clips"]) == (48, 24)
        gain = kad_difference(pairs["tve"][0], pairs["copy-content"][0], clips, s)
        shown_gain = row(table, "method", "tve")[f"gain.{metric}"]
        assert as_tuple(shown_gain) == pytest.approx(shown(gain), abs=1e-9)
        assert row(table, "method", "copy-content")[f"gain.{metric}"] is None
        assert any(f"{s:.4f} ({metric.upper()})" in note for note in table.notes)
    assert any("FAD (CP): n/a below 160 sounds on each side" in note for note in table.notes)


def test_a_style_with_sounds_enough_has_a_row_of_its_own(tmp_path: Path) -> None:
    contents = tuple(f"c{n}" for n in range(16))
    run = made(tmp_path / "run", {"cp": 8}, clips=16, contents=contents, styles=("harp", "bird"))
    table = table_of(run)
    assert table.column("style") == ("all", "all", "harp", "harp", "bird", "bird")
    outputs, clips = by_hand(run, "tve", 8, "harp")
    wanted = shown(kad_interval(outputs, clips, bandwidth(clips.vectors)))
    assert as_tuple(table.rows[2].cells[2]) == pytest.approx(wanted, abs=1e-9)
    assert table.rows[2].cells[-2:] == (16, 16)


def test_what_a_method_lacks_is_said_where_others_have_it(tmp_path: Path) -> None:
    contents = tuple(f"c{n}" for n in range(16))
    run = made(tmp_path / "run", {"cp": 8}, clips=16, contents=contents, styles=("harp", "bird"))
    cells = {c.cell_id for c in run.plan if c.method == "tve" and c.style == "harp"}
    for cell in sorted(cells)[:3]:
        run = fail(run, cell)
    found = [r for r in table_of(run).rows if r.method == "tve"]
    assert found[1].cells[2] == Missing("n/a", "13 outputs; at least 16 are needed")
    assert found[1].cells[-2:] == (13, 16)
    assert isinstance(found[0].cells[2], Estimate)
    for cell in cells:
        run = fail(run, cell)
    assert "tve: without outputs of harp, so compared with other clips" in table_of(run).notes


def test_frechet_has_a_column_where_there_are_sounds_enough(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"cp": 2})
    found = row(table_of(run), "method", "tve")["fad.cp"]
    outputs, clips = by_hand(run, "tve", 2)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(frechet(outputs.vectors, clips.vectors), abs=1e-9)


def test_too_few_sounds_are_one_sentence(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"cp": 8, "sf.heldout": 8}, clips=2)
    table = table_of(run)
    assert table.rows == ()
    lack = "12 held-out clips; at least 16 are needed"
    said = f"no distance between sets: {lack} (CP); {lack} (SF.HELDOUT)"
    assert said in table.notes


def test_a_run_without_vectors_has_no_such_table(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {})
    assert sets(run, [run.folder]) is None
    assert "sets.md" not in {path.name for path in write_report(run.folder)}


def test_vectors_of_another_fingerprint_or_of_other_audio_count_nowhere(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"cp": 8})
    other = [m.model_copy(update={"fingerprint": "1" * 12}) for m in run.header.metrics]
    changed = replace(run, header=run.header.model_copy(update={"metrics": other}))
    assert sets(changed, [run.folder]) is None
    first = next(cell for cell in run.plan if cell.method == "tve").cell_id
    record = run.cells[first].model_copy(update={"audio_digest": "f" * 64})
    again = replace(run, cells=run.cells | {first: record})
    assert row(table_of(again), "method", "tve")["n"] == 47


def test_reports_have_it_in_every_format_and_join_runs(tmp_path: Path) -> None:
    whole = made(tmp_path / "run", {"cp": 8})
    wanted = table_of(whole).rows
    names = {path.name for path in write_report(whole.folder)}
    assert {"sets.md", "sets.tex", "sets.csv"} <= names
    halves = []
    for label in METHODS:
        folder = tmp_path / label
        entries = [entry for entry in whole.header.methods if entry.label == label]
        plan = tuple(cell for cell in whole.plan if cell.method == label)
        part = replace(
            whole, header=whole.header.model_copy(update={"methods": entries}), plan=plan,
            cells={c.cell_id: whole.cells[c.cell_id] for c in plan}, scores={},
        )  # fmt: skip
        save(part, folder)
        (folder / EMBEDDINGS).write_bytes((whole.folder / EMBEDDINGS).read_bytes())
        halves.append(folder)
    joined = next(table for table in read_report(halves).tables if table.label == "sets")
    assert joined.rows == wanted


def test_damaged_lines_are_counted(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"cp": 8})
    with (run.folder / EMBEDDINGS).open("ab") as file:
        file.write(b"no record\n")
    said = f"lines of {EMBEDDINGS} that are damaged and left out: 1"
    assert said in table_of(run).notes

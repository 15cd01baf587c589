"""Own style against swapped styles: the numbers by plain loops, and what counts as what."""

from __future__ import annotations

import hashlib
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import as_written, fail, header, method, planned, row, run_of, save

from bench.records.embeddings import to_text
from bench.records.schema import EmbeddingRecord
from bench.records.store import EMBEDDINGS, Run, append, load_run
from reports.tables.retrieval import swapped
from reports.text.result_table import Estimate, Missing, ResultTable
from reports.write import read_report, write_report

METHODS = ("tve", "rti", "copy-content")
STYLES = ("harp", "bird", "bell")
CONTENTS = ("c1", "c2", "c3", "c4")
MARK = "0" * 12
SIZE = 6


def vector(*words: object) -> np.ndarray:
    """A direction that its words decide; an output of tve lies near the clips of its style."""
    kind, style, *_ = words
    seed = int(hashlib.sha256(repr(words).encode()).hexdigest()[:12], 16)
    found = np.random.default_rng(seed).normal(size=SIZE)
    if kind in {"clip", "tve"}:
        found[STYLES.index(str(style))] += 2.0
    if kind == "copy-content":
        found = np.arange(1.0, SIZE + 1)
    stored = (found / np.linalg.norm(found)).astype(np.float32)
    return np.asarray(stored, np.float64)


def made(
    folder: Path, *, clips: int = 2, silent: str = "", unheard: str = "", clipless: str = ""
) -> Run:
    """A run on the disk of two seeds, with vectors by one metric.

    Args:
        folder: Where it is written.
        clips: Held-out clips of each style.
        silent: The cell whose output is silent, and so has no vector.
        unheard: The cell whose vector is missing.
        clipless: The style that has no held-out clips.
    """
    entries = [method(label, control=label == "copy-content") for label in METHODS]
    head = header(entries, STYLES, CONTENTS, ("cp", "sf.heldout"))
    facts = {
        style: known
        | {"heldout_clips": [f"{style}/{n}" for n in range(clips) if style != clipless]}
        for style, known in head.styles.items()
    }
    metrics = [metric.model_copy(update={"fingerprint": MARK}) for metric in head.metrics]
    head = head.model_copy(update={"styles": facts, "metrics": metrics})
    levels = {label: {"cp": 0.2, "sf.heldout": 0.2} for label in METHODS}
    run = run_of(head, levels, repetitions=2, style_step=0.05)
    if silent:
        score = run.scores[silent, "sf.heldout"].model_copy(
            update={"status": "silent", "value": 0.0, "raw": 0.0, "reason": "it is silent"}
        )
        run = replace(run, scores=run.scores | {(silent, "sf.heldout"): score})
    save(run, folder)
    outputs = [
        (str(as_written(run.cells[c.cell_id]).audio_digest), None, None, output_of(c.cell_id, run))
        for c in run.plan
        if c.cell_id not in {silent, unheard}
    ]
    heldout = [
        (hashlib.sha256(f"{style}{n}".encode()).hexdigest(), style, f"{style}/{n}",
         vector("clip", style, n))
        for style in STYLES for n in range(clips) if style != clipless
    ]  # fmt: skip
    records = [
        EmbeddingRecord(
            embedding="CLAP", metric="sf.heldout", fingerprint=MARK, audio_digest=sound,
            style=style, clip=clip, vector=to_text(heard),
        )
        for sound, style, clip, heard in (*outputs, *heldout)
    ]  # fmt: skip
    append(folder / EMBEDDINGS, records)
    return load_run(folder)


def output_of(cell_id: str, run: Run) -> np.ndarray:
    cell = next(cell for cell in run.plan if cell.cell_id == cell_id)
    return vector(cell.method, cell.style, cell.content, cell.repetition)


def prototype(style: str) -> np.ndarray:
    """The mean of the clips of a style, as a direction."""
    total = np.sum([vector("clip", style, n) for n in range(2)], axis=0)
    return np.asarray(total / math.sqrt(float(total @ total)))


def by_hand(label: str, style: str, content: str, seed: int) -> tuple[float, float]:
    """How much better the own output fits than the mean of the swapped ones; if it is first."""
    fits = {o: float(vector(label, o, content, seed) @ prototype(style)) for o in STYLES}
    own = fits.pop(style)
    return own - sum(fits.values()) / len(fits), float(all(own > fit for fit in fits.values()))


def table_of(run: Run) -> ResultTable:
    found = swapped(run, [run.folder])
    assert found is not None
    return found


def value(found: dict[str, object], key: str) -> float:
    estimate = found[f"sf.heldout.{key}"]
    assert isinstance(estimate, Estimate)
    return estimate.value


def test_the_numbers_are_those_of_plain_loops(tmp_path: Path) -> None:
    table = table_of(made(tmp_path / "run"))
    for label in METHODS:
        found = row(table, "method", label)
        cells = [
            by_hand(label, style, content, seed)
            for style in STYLES
            for content in CONTENTS
            for seed in (0, 1)
        ]
        difference, first = np.mean(cells, axis=0)
        assert value(found, "own") == pytest.approx(difference, abs=1e-6)
        assert value(found, "first") == pytest.approx(first)
        assert (found["style"], found["n"]) == ("all", 24)
    assert value(row(table, "method", "tve"), "own") > 0.3
    alone = next(r for r in table.rows if r.cells[:2] == ("rti", "bell"))
    wanted = np.mean([by_hand("rti", "bell", c, seed)[0] for c in CONTENTS for seed in (0, 1)])
    assert isinstance(alone.cells[2], Estimate)
    assert alone.cells[2].value == pytest.approx(wanted, abs=1e-6)


def test_a_method_that_hears_no_style_has_0_and_is_never_first(tmp_path: Path) -> None:
    found = row(table_of(made(tmp_path / "run")), "method", "copy-content")
    assert (value(found, "own"), value(found, "first")) == (0, 0)


def test_a_failed_cell_counts_as_the_worst_and_is_nobodys_rival(tmp_path: Path) -> None:
    whole = made(tmp_path / "run")
    lost = next(c for c in whole.plan if c.method == "tve" and c.style == "harp")
    table = table_of(fail(whole, lost.cell_id))
    places = [(s, c, r) for s in STYLES for c in CONTENTS for r in (0, 1)]
    here = (lost.content, lost.repetition)
    expected = []
    for style, content, seed in places:
        if (style, content, seed) == (lost.style, *here):
            expected.append(-2.0)
        elif (content, seed) == here:
            [other] = [s for s in STYLES if s not in {style, lost.style}]
            own, rival = (
                vector("tve", s, content, seed) @ prototype(style) for s in (style, other)
            )
            expected.append(own - rival)
        else:
            expected.append(by_hand("tve", style, content, seed)[0])
    found = row(table, "method", "tve")
    assert value(found, "own") == pytest.approx(np.mean(expected), abs=1e-6)
    assert found["n"] == 24


def test_silence_is_near_nothing(tmp_path: Path) -> None:
    cell = planned("tve", "harp", "c2", 1)
    run = made(tmp_path / "run", silent=cell.cell_id)
    at = (cell.content, cell.repetition)
    rivals = [vector("tve", style, *at) @ prototype("harp") for style in STYLES[1:]]
    others = [by_hand("tve", "harp", c, s)[0] for c in CONTENTS for s in (0, 1) if (c, s) != at]
    [harp] = [r for r in table_of(run).rows if r.cells[:2] == ("tve", "harp")]
    assert isinstance(harp.cells[2], Estimate)
    assert harp.cells[2].value == pytest.approx(np.mean([*others, -np.mean(rivals)]), abs=1e-6)


def test_an_output_without_a_vector_is_left_out(tmp_path: Path) -> None:
    run = made(tmp_path / "run", unheard=planned("tve", "harp", "c2", 1).cell_id)
    assert row(table_of(run), "method", "tve")["n"] == 23


def test_one_style_or_none_with_clips_is_said(tmp_path: Path) -> None:
    table = table_of(made(tmp_path / "run", clips=0))
    assert table.rows == ()
    assert "It needs a style with held-out clips" in table.empty


def test_a_style_without_clips_has_no_row_and_is_a_rival_all_the_same(tmp_path: Path) -> None:
    table = table_of(made(tmp_path / "run", clipless="harp"))
    found = row(table, "method", "tve")
    cells = [
        by_hand("tve", style, content, seed)
        for style in ("bird", "bell")
        for content in CONTENTS
        for seed in (0, 1)
    ]
    difference, first = np.mean(cells, axis=0)
    assert value(found, "own") == pytest.approx(difference, abs=1e-6)
    assert value(found, "first") == pytest.approx(first)
    assert found["n"] == 16
    assert not [r for r in table.rows if r.cells[1] == "harp"]


def test_a_method_without_styles_to_swap_has_no_number(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    plan = tuple(c for c in run.plan if c.method != "rti" or c.style == "harp")
    found = row(table_of(replace(run, plan=plan)), "method", "rti")
    assert found["sf.heldout.own"] == Missing("n/a", "no score")
    assert found["n"] == 0


def test_reports_have_it_after_the_confusion_where_there_are_vectors(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    labels = [table.label for table in read_report(run.folder).tables]
    assert labels[labels.index("confusion") + 1] == "swapped"
    assert {"swapped.md", "swapped.tex", "swapped.csv"} <= {
        p.name for p in write_report(run.folder)
    }
    (run.folder / EMBEDDINGS).unlink()
    assert swapped(load_run(run.folder), [run.folder]) is None
    assert "swapped.md" not in {path.name for path in write_report(run.folder)}

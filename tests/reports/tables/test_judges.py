"""Several judges of style: planes, margins, what outputs are taken for, and disagreement."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import CONTENTS, JUDGED, STYLES, header, jittered, method, row, run_of

from bench.records.store import Run
from reports.figures.plates import plates
from reports.tables import reading
from reports.tables.comparisons import comparisons
from reports.tables.gains import gains
from reports.tables.retrieval import confusion, retrieval
from reports.tables.table2 import table2
from reports.tables.tradeoff import tradeoff
from reports.text.result_table import Estimate

LEVELS = {  # tve fits better by CLAP; MusicNN hears no difference to copying, and rti in front
    "tve": {"sf.heldout": 0.7, "sf.musicnn": 0.3, "sf.margin": 0.2, "sf.musicnn.margin": -0.1},
    "rti": {"sf.heldout": 0.5, "sf.musicnn": 0.6, "sf.margin": 0.1, "sf.musicnn.margin": 0.3},
    "copy-content": {
        "sf.heldout": 0.1, "sf.musicnn": 0.3, "sf.margin": -0.3, "sf.musicnn.margin": -0.4
    },
}  # fmt: skip


def judged(**more: float) -> Run:
    """A finished run of two competitors and a control; `more` are levels that all of them have."""
    levels = {label: {"cp": 0.5, "chroma": 0.6, **more, **own} for label, own in LEVELS.items()}
    names = list(levels["tve"])
    entries = [method(label, control=label == "copy-content") for label in LEVELS]
    head = header(entries, STYLES, CONTENTS, names)
    return jittered(run_of(head, levels, style_step=0.0))


def test_methods_are_read_by_notes_and_margin_first_and_then_by_cp_and_sf() -> None:
    run = judged(notes=0.4)
    pairs = [(plane.content.name, plane.fit.name) for plane in reading.planes(run)]
    assert pairs == [("notes", "sf.musicnn.margin"), ("cp", "sf.heldout")]
    labels = [plate.label for plate in plates(run, {"table2": table2(run)})]
    assert labels == ["notes-sf-musicnn-margin", "cp-sf-heldout"]


def test_chroma_stands_for_notes_where_more_outputs_have_it() -> None:
    run = judged(notes=0.4)
    fewer = {key: s for key, s in run.scores.items() if key[1] != "notes" or "c1" not in key[0]}
    first, _ = reading.planes(replace(run, scores=fewer))
    assert first.content.name == "chroma"
    old = {key: s for key, s in run.scores.items() if "margin" not in key[1]}
    assert [p.fit.name for p in reading.planes(replace(run, scores=old))] == ["sf.heldout"]


def test_a_setting_on_the_line_of_both_planes_is_named() -> None:
    labels = ("tve[strength=0.4]", "tve[strength=0.7]", "rti[strength=0.4]")
    levels = {
        labels[0]: {"cp": 0.8, "sf.heldout": 0.2, "chroma": 0.8, "sf.musicnn.margin": 0.2},
        labels[1]: {"cp": 0.5, "sf.heldout": 0.6, "chroma": 0.5, "sf.musicnn.margin": 0.1},
        labels[2]: {"cp": 0.4, "sf.heldout": 0.5, "chroma": 0.6, "sf.musicnn.margin": 0.5},
    }
    head = header([method(label) for label in labels], STYLES, CONTENTS, tuple(levels[labels[0]]))
    table = tradeoff(run_of(head, levels, style_step=0.01))
    assert f"Pareto in each: {labels[0]}" in table.notes
    planes = dict.fromkeys(table.column("plane"))
    assert list(planes) == ["Chroma, MusicNN margin", "CP, SF-audio (held-out)"]


def test_each_judge_gives_its_verdict_and_disagreement_is_named() -> None:
    table = gains(judged())
    said = {str(r.cells[0]): str(r.cells[-1]) for r in table.rows}
    assert said["tve"].startswith("CLAP: gain; MusicNN: no gain shown")
    assert said["rti"] == "CLAP: gain; MusicNN: gain"
    assert "judges disagree about tve: CLAP: gain; MusicNN: not" in table.notes
    assert not [note for note in table.notes if "disagree about rti" in note]


def test_one_judge_alone_speaks_without_its_name() -> None:
    run = judged()
    alone = {key: s for key, s in run.scores.items() if "musicnn" not in key[1]}
    metrics = [m for m in run.header.metrics if "musicnn" not in m.name]
    head = run.header.model_copy(update={"metrics": metrics})
    table = gains(replace(run, header=head, scores=alone))
    assert {str(r.cells[-1]) for r in table.rows} == {"gain"}
    assert not [note for note in table.notes if "disagree" in note]


def test_a_finding_that_another_judge_contradicts_says_so_where_it_stands() -> None:
    run = judged()
    table = comparisons(run)
    found = dict(zip(table.column("metric"), table.column("finding"), strict=True))
    assert found["SF-audio (held-out)"] == "tve is better (MusicNN: rti is better)"
    assert found["MusicNN"] == "rti is better (CLAP: tve is better)"
    assert found["MusicNN margin"] == "rti is better"  # a margin is no judge of its own
    notes = table2(run).notes
    assert "judges of style disagree about the best (CLAP: tve; MusicNN: rti)" in notes


def with_nearest(run: Run) -> Run:
    """The run with what each output is nearest to: the own style above 0, else the first."""
    scores = {
        key: score.model_copy(
            update={"detail": {"nearest": key[0].split("/")[1] if score.value > 0 else STYLES[0]}}
        )
        if "margin" in key[1] and score.value is not None
        else score
        for key, score in run.scores.items()
    }
    return replace(run, scores=scores)


def test_the_share_of_outputs_nearest_to_their_own_style() -> None:
    table = retrieval(with_nearest(judged()))
    shown = row(table, "method", "tve")
    assert shown["style"] == "all"
    for key, share in (("sf.margin.nearest", 1.0), ("sf.musicnn.margin.nearest", 0.0)):
        value = shown[key]
        assert isinstance(value, Estimate)
        assert value.value == share
    margin = shown["sf.musicnn.margin"]
    assert isinstance(margin, Estimate)
    assert margin.value == pytest.approx(-0.065, abs=0.01)
    assert len(table.rows) == 3 * (1 + len(STYLES))
    assert any("by chance it would be 0.17 (1 of 6 styles)" in note for note in table.notes)


def test_rows_of_the_confusion_matrix_add_up_to_one() -> None:
    table = confusion(with_nearest(judged()))
    assert {str(r.cells[0]) for r in table.rows} == {"CLAP", "MusicNN"}
    for line in table.rows:
        own = STYLES.index(str(line.cells[2]))
        shares = [float(share) for share in line.cells[3:-1]]  # type: ignore[arg-type] # numbers
        assert sum(shares) == pytest.approx(1)
        wrong = line.cells[:2] == ("MusicNN", "tve")
        assert shares[0 if wrong else own] == 1


def test_without_margins_there_is_no_such_table() -> None:
    run = judged()
    scores = {key: s for key, s in run.scores.items() if "margin" not in key[1]}
    for build in (retrieval, confusion):
        assert build(replace(run, scores=scores)).rows == ()


def test_titles_of_the_tables_cover_every_known_metric() -> None:
    assert set(JUDGED) <= set(reading.COLUMN_ORDER)

"""Scores that are none, in records of older versions or other tools: every reader goes on.

The numbers of the other cells are those of the same run without the spoilt ones.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import (
    CONTENTS,
    STYLES,
    header,
    hexadecimal,
    jittered,
    method,
    row,
    run_of,
    save,
    scored,
)

import bench
from bench.cli.main import cli
from bench.gate.history import read_history
from bench.gate.snapshot import read_snapshot
from bench.records.store import Run, load_run
from reports.tables.table2 import table2
from reports.text.result_table import Estimate, Missing

LABELS = ("tve", "rti", "musicgen")
SPOILT = hexadecimal("tve/style1/c3/0", 16)  # as it is on disk
STORED = {"NaN": "NaN", "infinite": "Infinity", "null": "null", "beyond": "57.0"}


def toy() -> Run:
    """A finished run of three methods whose scores all lie inside their range."""
    head = header([method(m) for m in LABELS], STYLES[:3], CONTENTS, ("cp", "sf.heldout"))
    levels = {m: {"cp": 0.5 - 0.05 * n, "sf.heldout": 0.4} for n, m in enumerate(LABELS)}
    return jittered(run_of(head, levels))


def spoil(folder: Path, stored: str, *cells: str) -> Path:
    """Put a number (as JSON) in place of the value and raw value of cp of cells."""
    log, ids = folder / "scores.jsonl", {hexadecimal(cell, 16) for cell in cells}
    lines = []
    for line in log.read_text(encoding="utf-8").splitlines():
        facts = json.loads(line)
        if facts["metric"] == "cp" and facts["cell_id"] in ids:
            facts |= {"value": "X", "raw": "X"}
        lines.append(json.dumps(facts).replace('"X"', stored))
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(
    params=[
        pytest.param(value, id=name, marks=() if name == "NaN" else pytest.mark.slow)
        for name, value in STORED.items()
    ]
)
def folders(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """A sound run, and the same with one cp spoilt."""
    sound, spoilt = (save(toy(), tmp_path / name) for name in ("sound", "spoilt"))
    return sound, spoil(spoilt, request.param, SPOILT)


def call(*words: str | Path) -> int:
    """The exit code of a command; runs written by hand have no audio that could be verified."""
    if words[0] in {"gate", "baseline"} or words[1] == "add":
        words += ("--records-only",)
    try:
        cli.main([str(word) for word in words], standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def without(run: Run, cell: str) -> Run:
    """The run with no cp of a cell."""
    run.scores.pop((cell, "cp"))
    return run


def test_a_spoilt_score_has_no_number_and_a_reason(folders: tuple[Path, Path]) -> None:
    sound, spoilt = map(load_run, folders)
    found = spoilt.scores.pop((SPOILT, "cp"))
    assert (found.status, found.value, found.raw) == ("invalid_score", None, None)
    assert str(found.reason).startswith("metric 'cp' gave ")
    assert spoilt.scores == without(sound, SPOILT).scores


def test_table2_counts_it_out_and_says_so(folders: tuple[Path, Path]) -> None:
    sound, spoilt = map(load_run, folders)
    expected = row(table2(without(sound, SPOILT)), "method", "tve")
    table = table2(spoilt)
    found = row(table, "method", "tve")
    assert found["cp"] == expected["cp"]
    assert isinstance(found["cp"], Estimate)
    assert found["cp"].n == len(spoilt.plan) // 3 - 1
    assert found["coverage"] == "23/24"
    (note,) = (note for note in table.notes if "invalid score" in note)
    assert note.startswith("tve: CP: 1 of 24 cells with an invalid score (metric 'cp' gave ")
    assert not [cell for cell in table.column("method") if "failed at 0" in str(cell)]


def test_a_metric_whose_every_score_is_invalid_has_a_mark_and_a_reason(tmp_path: Path) -> None:
    run = toy()
    cells = [cell.cell_id for cell in run.plan if cell.method == "tve"]
    value = row(table2(load_run(spoil(save(run, tmp_path), "57.0", *cells))), "method", "tve")["cp"]
    assert isinstance(value, Missing)
    assert value.mark == "invalid"


def test_many_reasons_make_one_note(tmp_path: Path) -> None:
    run = save(toy(), tmp_path)
    for number, content in enumerate(("c0", "c1", "c2")):
        spoil(run, f"{57 + number}.0", f"tve/style0/{content}/0")
    (note,) = (note for note in table2(load_run(run)).notes if "invalid score" in note)
    assert note == (
        "tve: CP: 3 of 24 cells with an invalid score (metric 'cp' gave the value 57.0; its "
        "declared range is 0 to 1; and 2 other reasons)"
    )


def test_report_page_and_compare_go_on(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    sound, spoilt = folders
    assert call("report", spoilt, "--without-sounds") == 0
    page = (spoilt / "report" / "page" / "index.html").read_text(encoding="utf-8")
    assert "1 score invalid (cp 1)" in page
    failed = (spoilt / "report" / "failures.md").read_text(encoding="utf-8")
    assert "tve / style1 / c3 / repetition 0: invalid_score: CP: metric 'cp' gave" in failed
    capsys.readouterr()
    assert call("compare", sound, spoilt) == 0
    assert "B: 1 score invalid (cp 1)" in " ".join(capsys.readouterr().out.split())
    assert call("compare", "tve", "rti", "--run", spoilt) == 0
    assert "nan" not in capsys.readouterr().out.lower()


def test_the_gate_reads_it_as_a_lost_score(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound, spoilt = folders
    kept = tmp_path / "baseline.json"
    call("baseline", sound, "--reason", "first", "-o", kept)
    capsys.readouterr()
    assert call("gate", spoilt, "--baseline", kept) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "no score any more: 1 of 24 lost: style1/c3/0" in said
    call("baseline", spoilt, "--reason", "older", "-o", kept)
    assert call("gate", sound, "--baseline", kept) == 0


@pytest.mark.parametrize("stored", ["NaN", "Infinity", "null"])
def test_a_number_of_a_baseline_or_a_history_that_is_none_is_left_out(
    tmp_path: Path, stored: str
) -> None:
    run, kept, lines = save(toy(), tmp_path / "run"), tmp_path / "kept.json", tmp_path / "h.jsonl"
    call("baseline", run, "--reason", "first", "-o", kept)
    first = next(cell for cell in read_snapshot(kept).cells if cell.method == "tve")
    text = kept.read_text(encoding="utf-8")
    kept.write_text(text.replace(f'"cp":{first.values["cp"]}', f'"cp":{stored}', 1), "utf-8")
    again = next(cell for cell in read_snapshot(kept).cells if cell.method == "tve")
    assert again.values == {**first.values, "cp": None}
    assert call("gate", run, "--baseline", kept) == 0
    call("history", "add", run, "-o", lines)
    facts = json.loads(lines.read_text(encoding="utf-8"))
    facts["levels"]["tve"]["cp"] = "X"
    lines.write_text(json.dumps(facts).replace('"X"', stored) + "\n", encoding="utf-8")
    (line,) = read_history(lines)
    assert set(line.levels["tve"]) == {"sf.heldout"}
    assert call("history", "show", lines) == 0


def test_notebooks_get_no_number_and_the_status(folders: tuple[Path, Path]) -> None:
    table = bench.load_records(folders[1]).set_index("cell_id")
    assert np.isnan(table.loc[SPOILT, "cp"])
    assert table.loc[SPOILT, "cp.status"] == "invalid_score"
    assert "invalid_score" in table.attrs["columns"]["cp.status"]


def test_a_cosine_that_rounding_took_beyond_1_is_1(tmp_path: Path) -> None:
    run = load_run(spoil(save(toy(), tmp_path), "1.0000001", SPOILT))
    assert (run.scores[SPOILT, "cp"].status, run.scores[SPOILT, "cp"].value) == ("ok", 1.0)


def test_a_metric_that_could_not_be_loaded_is_no_other_measure(tmp_path: Path) -> None:
    """Its invalid scores have no fingerprint, beside those of a session before."""
    run = toy()
    lost = scored(
        SPOILT, "cp", None, raw=None, status="invalid_score", fingerprint="", reason="not loaded"
    )
    run.scores[SPOILT, "cp"] = lost
    table = table2(load_run(save(run, tmp_path)))
    assert row(table, "method", "tve")["coverage"] == "23/24"

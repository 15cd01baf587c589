"""The plan of a run is whole, or it is said everywhere, and the same command restores it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_run import Small, command

from bench.api import RecordError
from bench.records.integrity import require_judgeable
from bench.records.store import load_run
from bench.run.continuing import lay_out
from bench.run.request import RunRequest, prepare

Lines = list[bytes]


def rename(lines: Lines) -> Lines:
    """A cell of another content."""
    return [lines[0].replace(b'"content":"l1"', b'"content":"l3"'), *lines[1:]]


def relabel(lines: Lines) -> Lines:
    """A cell of another method."""
    return [lines[0].replace(b'"method":"mix"', b'"method":"noise"'), *lines[1:]]


DEEDS: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "shortened": (lambda lines: lines[:3], "holds 3 of 8 planned cells"),
    "one line": (lambda lines: lines[:-1], "holds 3 of 4 planned cells (copy-content)"),
    "in the middle": (lambda lines: [*lines[:1], *lines[2:]], "holds 3 of 4 planned cells (mix)"),
    "emptied": (lambda _: [], "holds 0 of 8 planned cells"),
    "renamed": (rename, "plan.jsonl was altered (mix)"),
    "relabelled": (relabel, "plan.jsonl holds 4 of 4"),
    "bad line": (lambda lines: [b"no json", *lines[1:]], "holds 3 of 4 planned cells (mix)"),
    "torn": (lambda lines: [*lines[:-1], lines[-1][:50]], "holds 3 of 4 planned cells"),
}


def spoil(small: Small, deed: str) -> None:
    path = small.folder / "plan.jsonl"
    lines = DEEDS[deed][0](path.read_bytes().splitlines())
    path.write_bytes(b"".join(line + b"\n" for line in lines))


@pytest.mark.parametrize("deed", [deed for deed in DEEDS if deed != "relabelled"])
def test_a_plan_that_is_not_whole_is_said_and_restored(
    small: Small, deed: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path, table, cells = small.folder / "plan.jsonl", small.table(), small.lines("cells.jsonl")
    whole, words = set(path.read_bytes().splitlines()), DEEDS[deed][1]
    spoil(small, deed)
    page = deed == "shortened"
    assert command("report", str(small.folder), "--html" if page else "--no-html") == 0
    assert words in caplog.text
    report = small.folder / "report"
    pages = [report / "page" / "index.html"] if page else []
    for text in (report / "table2.md", report / "table2.tex", *pages):
        shown = " ".join(text.read_text(encoding="utf-8").split())
        assert "the same" in shown, text
        assert words.partition(" (")[0] in shown.replace("\\_", "_"), text
    assert command("report", str(small.folder), "--verify", "--no-html") == 2
    assert words in capsys.readouterr().out
    assert small.run() == 0
    said = capsys.readouterr().out
    assert ("plan.jsonl was not whole" in said) is (deed != "emptied")
    assert set(path.read_bytes().splitlines()) == whole
    assert small.lines("cells.jsonl") == cells  # nothing is rendered again
    assert small.table() == table
    assert small.load().plan_faults == ()


def test_an_older_plan_is_told_what_contents_draw_from(small: Small) -> None:
    lines = small.lines("plan.jsonl")
    small.write_lines("plan.jsonl", [{**line, "content_seed": None} for line in lines])
    request = RunRequest(argv=(), suite=str(small.home / "small.toml"), device="cpu")
    plan = prepare(replace(request, out=small.home / "new")).plan
    layout = lay_out(small.folder, None, plan)
    assert layout.added == ()
    assert {cell.cell_id: cell.content_seed for cell in layout.cells} == {
        line["cell_id"]: line["content_seed"] for line in lines
    }


@pytest.mark.parametrize("deed", DEEDS)
def test_a_run_without_its_whole_plan_cannot_be_judged(small: Small, deed: str) -> None:
    require_judgeable(small.load())
    spoil(small, deed)
    with pytest.raises(RecordError, match=r"plan\.jsonl"):
        require_judgeable(small.load(), records_only=True)


@pytest.mark.parametrize(
    "words",
    [
        ("baseline", "RUN", "--reason", "x", "-o", "HOME/known.json"),
        ("gate", "RUN", "--baseline", "HOME/known.json"),
        ("history", "add", "RUN", "-o", "HOME/history.jsonl"),
    ],
    ids=lambda words: words[0],
)
def test_every_command_that_judges_asks_for_the_whole_plan(
    small: Small, words: tuple[str, ...]
) -> None:
    known = ("baseline", str(small.folder), "--reason", "x", "-o", str(small.home / "known.json"))
    assert command(*known) == 0
    spoil(small, "one line")
    put = [w.replace("RUN", str(small.folder)).replace("HOME", str(small.home)) for w in words]
    with pytest.raises(RecordError, match=r"plan\.jsonl"):
        command(*put, "--records-only")


def test_cells_that_nobody_planned_are_counted_in_an_older_run(
    small: Small, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing states its plan there: what is known are the cells that have an outcome."""
    header = json.loads((small.folder / "run.json").read_text(encoding="utf-8"))
    del header["plan"]
    (small.folder / "run.json").write_text(json.dumps(header), encoding="utf-8")
    assert small.load().plan_faults == ()
    spoil(small, "shortened")
    assert small.load().plan_faults == (
        "cells of cells.jsonl in no line of plan.jsonl, which count nowhere: 5",
    )
    assert "count nowhere: 5" in caplog.text
    assert small.run() == 0
    assert small.load().plan_faults == ()
    assert len(small.load().plan) == 8


def test_a_missing_plan_is_an_error_until_the_same_command_restores_it(small: Small) -> None:
    """As a kill between the header and the plan leaves it."""
    table = small.table()
    (small.folder / "plan.jsonl").unlink()
    for words in (("report", str(small.folder)), ("compare", "mix", "copy-content", "--run")):
        with pytest.raises(RecordError, match=r"plan\.jsonl is missing.*same `run` command again"):
            command(*words, *([str(small.folder)] if words[0] == "compare" else []))
    assert small.run() == 0
    assert small.table() == table


def test_what_an_extension_lost_its_own_command_restores(small: Small) -> None:
    """Another command neither restores nor forgets it."""
    methods = ("--methods", "copy-style")
    assert small.run(*methods) == 0
    path = small.folder / "plan.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 12
    path.write_bytes(b"".join(lines[:8]))  # as a kill before the lines of the extension leaves it
    assert "holds 0 of 4 planned cells (copy-style)" in small.load().plan_faults[0]
    assert small.run() == 0
    assert "holds 0 of 4 planned cells (copy-style)" in small.load().plan_faults[0]
    assert small.run(*methods) == 0
    assert small.load().plan_faults == ()
    assert path.read_bytes() == b"".join(lines)


def test_a_restored_cell_is_rendered_in_its_former_company(small: Small) -> None:
    """One line of a chunk is lost with its sound: the chunk is rendered whole, under its name."""
    lines = small.lines("plan.jsonl")
    spoil(small, "in the middle")
    for path in (small.folder / "audio").iterdir():
        if path.stem == lines[1]["cell_id"]:
            path.unlink()
    assert small.run() == 0
    chunks = {line["cell_id"]: line["chunk"] for line in small.lines("plan.jsonl")}
    assert chunks == {line["cell_id"]: line["chunk"] for line in lines}
    again = [line["cell_id"] for line in small.lines("cells.jsonl") if line["status"] == "ok"][8:]
    mates = [one["cell_id"] for one in lines if one["chunk"] == lines[1]["chunk"]]
    assert sorted(again) == sorted(mates)


@pytest.mark.parametrize("method", ["mix", "ghost"])
def test_a_line_that_nobody_planned_is_told_and_goes(small: Small, method: str) -> None:
    path = small.folder / "plan.jsonl"
    odd = {"cell_id": "0" * 16, "content": "l9", "method": method}
    strange = small.lines("plan.jsonl")[0] | odd
    path.write_text(path.read_text() + json.dumps(strange) + "\n", encoding="utf-8")
    (fault,) = small.load().plan_faults
    assert fault.startswith(f"plan.jsonl was altered ({method})")
    assert small.run() == 0
    assert len(small.load().plan) == 8
    assert small.load().plan_faults == ()


def test_merged_and_compared_runs_tell_it_too(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small.run("--methods", "copy-style", out="other") == 0
    spoil(small, "one line")
    other = str(small.home / "other")
    assert command("report", str(small.folder), other, "--no-html") == 0
    assert "holds 3 of 4 planned cells" in " ".join(capsys.readouterr().out.split())
    assert command("compare", str(small.folder), str(small.folder)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "A: plan.jsonl holds 3 of 4 planned cells" in said
    assert load_run(other).plan_faults == ()

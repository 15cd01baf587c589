"""Whole runs through the command line: methods from outside on a small folder of sounds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import bench
from bench.api import BenchError, ConfigError, RecordError, UnknownNameError
from bench.cli.main import cli
from bench.plan.suite import Suite
from bench.records.store import load_run
from bench.run.request import RunRequest, prepare

TOYS = Path(__file__).parents[1] / "toys.py"
RATE = 8000
SUITE = """
schema_version = 1
name = "toy"
dataset = "{dataset}"
profile = "mini"
methods = ["{toys}:Gain"]
controls = []
metrics = ["chroma"]
chunk_size = 2
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of 2 x 2 contents and 2 styles of 2 clips, a suite over it, and a private cache."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(["low/low1", "low/low2", "high/high1", "high/high2"]):
        tone = 0.5 * np.sin(2 * np.pi * (220 * 2**number) * np.arange(RATE) / RATE)
        write(tmp_path / "data" / "content" / f"{name}.wav", tone)
    for style in ("noise", "click"):
        for number in range(2):
            sound = rng.uniform(-0.8, 0.8, RATE)
            write(tmp_path / "data" / "style" / style / f"{number}.wav", sound)
    suite = SUITE.format(dataset=tmp_path / "data", toys=TOYS)
    (tmp_path / "toy.toml").write_text(suite, encoding="utf-8")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "calls"))
    return tmp_path


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="PCM_16")


def test_stereo_contents_are_recorded_and_said_to_give_mono_outputs(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two of four contents are stereo: header, outputs and the note below the table say so."""
    for name in ("low/low1", "high/high2"):
        path = toy / "data" / "content" / f"{name}.wav"
        tone, _ = soundfile.read(path)
        write(path, np.stack([tone, 0.3 * tone], axis=1))
    assert run(toy) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "2 of 4 contents have several channels; methods receive their mean" in told
    found = load_run(toy / "run")
    channels = {name: facts["channels"] for name, facts in found.header.contents.items()}
    assert channels == {"low1": 2, "low2": 1, "high1": 1, "high2": 2}
    for record in found.cells.values():
        assert soundfile.info(toy / "run" / str(record.audio)).channels == 1


def test_a_quiet_run_prints_nothing_and_writes_everything(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(toy, "--quiet", "--html") == 0
    assert capsys.readouterr() == ("", "")
    assert (toy / "run" / "report" / "page" / "index.html").is_file()


def test_a_run_without_its_page_writes_the_tables_and_names_no_page(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(toy, "--no-html") == 0
    said = capsys.readouterr().out
    assert "Tables (md, tex, csv):" in said
    assert "Page:" not in said
    assert (toy / "run" / "report" / "table2.csv").is_file()
    assert not (toy / "run" / "report" / "page").exists()


def test_mono_contents_need_no_note(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(toy) == 0
    assert "several channels" not in capsys.readouterr().out


def run(toy: Path, *arguments: str, out: str = "run") -> int:
    """Run the command; the exit code."""
    words = ["run", "--suite", str(toy / "toy.toml"), "--device", "cpu", "--out", str(toy / out)]
    words.append("--no-html")
    try:
        cli.main([*words, *arguments], standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def calls(toy: Path) -> list[str]:
    log = toy / "calls"
    return log.read_text(encoding="utf-8").split("\n")[:-1] if log.exists() else []


def test_a_method_from_outside_runs_and_its_tables_are_written(toy: Path) -> None:
    assert run(toy) == 0
    done = load_run(toy / "run")
    assert {cell.status for cell in done.cells.values()} == {"ok"}
    assert len(done.plan) == len(done.cells) == len(done.scores) == 8
    for name in ("table2.md", "table2.tex", "table2.csv", "timing.md"):
        assert (toy / "run" / "report" / name).stat().st_size > 0


def test_the_plan_is_shown_and_nothing_is_written(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(toy, "--dry-run") == 0
    assert "8 cells in 4 chunks" in capsys.readouterr().out
    assert not (toy / "run").exists()


def test_a_finished_run_is_not_repeated(toy: Path) -> None:
    run(toy)
    before = calls(toy)
    assert run(toy) == 0
    assert calls(toy) == before


def test_a_new_folder_takes_everything_from_the_cache(toy: Path) -> None:
    run(toy)
    before = calls(toy)
    run(toy, out="again")
    assert calls(toy) == before
    first, again = load_run(toy / "run"), load_run(toy / "again")
    assert {c.audio_digest for c in first.cells.values()} == {
        c.audio_digest for c in again.cells.values()
    }
    cached = {(cell.transfer_cached, cell.fit_cached) for cell in again.cells.values()}
    assert cached == {(True, True)}


def test_a_transfer_parameter_does_not_refit(toy: Path) -> None:
    run(toy)
    run(toy, "--methods", f"{TOYS}:Gain[gain=0.25]", out="quieter")
    assert sum(call.startswith("fit") for call in calls(toy)) == 2
    assert sum(call.startswith("transfer") for call in calls(toy)) == 8


def test_a_fit_parameter_refits(toy: Path) -> None:
    run(toy)
    run(toy, "--methods", f"{TOYS}:Gain[offset=1.0]", out="other")
    assert sum(call.startswith("fit") for call in calls(toy)) == 4


def test_another_method_extends_a_run_without_repeating_the_first(toy: Path) -> None:
    run(toy)
    before = calls(toy)
    assert run(toy, "--methods", "copy-content") == 0
    done = load_run(toy / "run")
    assert [method.label for method in done.header.methods] == [f"{TOYS}:Gain", "copy-content"]
    assert len(done.cells) == 16
    assert calls(toy) == before


def test_a_sound_that_was_deleted_is_made_again(toy: Path) -> None:
    run(toy)
    done = load_run(toy / "run")
    lost = toy / "run" / str(next(iter(done.cells.values())).audio)
    before = lost.read_bytes()
    lost.unlink()
    assert run(toy) == 0
    assert lost.read_bytes() == before


def test_misbehaviour_becomes_records_and_exit_code_5(toy: Path) -> None:
    assert run(toy, "--methods", f"{TOYS}:Picky") == 5
    done = load_run(toy / "run")
    status = {(c.style, c.content): done.cells[c.cell_id] for c in done.plan}
    assert {status["noise", name].status for name in ("low1", "high2")} == {"unsupported"}
    assert status["noise", "low1"].reason == "text unknown to this model"
    assert status["click", "low1"].status == "error"
    assert status["click", "low1"].reason == "RuntimeError: this clip is cursed"
    assert status["click", "low2"].status == "invalid_output"
    assert "NaN" in str(status["click", "low2"].reason)
    assert "0.500 s, not 1.000 s" in str(status["click", "high1"].reason)
    assert status["click", "high2"].status == "ok"
    assert "cursed" in (toy / "run" / "report" / "failures.md").read_text(encoding="utf-8")


def test_failed_cells_are_tried_again_only_when_asked(toy: Path) -> None:
    run(toy, "--methods", f"{TOYS}:Picky")
    size = (toy / "run" / "cells.jsonl").stat().st_size
    run(toy, "--methods", f"{TOYS}:Picky")
    assert (toy / "run" / "cells.jsonl").stat().st_size == size
    run(toy, "--methods", f"{TOYS}:Picky", "--retry")
    assert (toy / "run" / "cells.jsonl").stat().st_size > size


def test_a_torn_record_is_run_again(toy: Path) -> None:
    run(toy)
    expected = (toy / "run" / "report" / "table2.csv").read_bytes()
    for name in ("cells.jsonl", "scores.jsonl"):
        log = toy / "run" / name
        log.write_bytes(log.read_bytes()[:-9])
    assert run(toy) == 0
    assert (toy / "run" / "report" / "table2.csv").read_bytes() == expected


def test_a_folder_holds_one_comparison(toy: Path) -> None:
    run(toy)
    with pytest.raises(RecordError, match=r"differs in styles.*--out"):
        run(toy, "--styles", "click")


def test_an_unknown_name_comes_with_the_nearest(toy: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'clik'.*click"):
        run(toy, "--styles", "clik")
    with pytest.raises(UnknownNameError, match="musicgen"):
        run(toy, "--methods", "musicgn")


def test_a_device_that_is_absent_is_named(toy: Path) -> None:
    with pytest.raises(BenchError, match="cuda"):
        run(toy, "--device", "cuda:7")


def test_a_file_in_the_way_of_the_run_folder_is_named(toy: Path) -> None:
    (toy / "run").write_text("not a folder", encoding="utf-8")
    with pytest.raises(BenchError, match=r"run.*--out"):
        run(toy)


def test_notebooks_get_one_row_per_cell(toy: Path) -> None:
    run(toy)
    table = bench.load_records(toy / "run")
    assert len(table) == 8
    assert set(table["status"]) == {"ok"}
    assert table["chroma"].between(0, 1).all()
    assert list(table["suite"].unique()) == ["toy"]
    assert set(table.attrs["columns"]) == set(table.columns)


def test_runs_of_one_setting_are_reported_together(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(toy, "--methods", "copy-content", out="a")
    run(toy, "--methods", "noise", out="b")
    run(toy, "--methods", "copy-content,noise", out="whole")
    capsys.readouterr()
    cli.main(["report", str(toy / "a"), str(toy / "b"), "--no-html"], standalone_mode=False)
    together = (toy / "a" / "report" / "merged" / "table2.csv").read_text(encoding="utf-8")
    whole = (toy / "whole" / "report" / "table2.csv").read_text(encoding="utf-8")
    assert without_run(together) == without_run(whole)
    assert load_run(toy / "whole").header.suite_digest[:12] in capsys.readouterr().out


def without_run(table: str) -> list[str]:
    """A table as CSV without the line that says when it was run."""
    return [line for line in table.splitlines() if "created" not in line]


def test_runs_of_unlike_settings_are_not_reported_together(toy: Path) -> None:
    run(toy, "--methods", "copy-content", out="a")
    run(toy, "--methods", "copy-content", "--contents", "2", out="b")
    with pytest.raises(RecordError, match=r"differ in contents; one table holds one setting"):
        cli.main(["report", str(toy / "a"), str(toy / "b")], standalone_mode=False)


def test_the_header_says_what_was_run(toy: Path) -> None:
    run(toy)
    header = json.loads((toy / "run" / "run.json").read_text(encoding="utf-8"))
    assert header["suite_name"] == "toy"
    assert header["styles"]["click"]["heldout_clips"]
    assert header["provenance"]["packages"]["torch"]


def test_the_header_says_where_methods_depart_and_for_which_styles(toy: Path) -> None:
    tables = f"""
        [parameters."{TOYS}:Gain"]
        gain = 1.0
        [parameters."{TOYS}:Gain".styles.click]
        gain = 0.25
    """
    (toy / "toy.toml").write_text((toy / "toy.toml").read_text() + tables)
    assert run(toy, "--contents", "1", "--methods", f"{TOYS}:Gain,copy-content") == 0
    header = load_run(toy / "run").header
    gain, copy = header.methods
    assert gain.departures == ["a toy in profile mini", "a gain of 0.25, for click"]
    assert copy.departures == []
    assert [len(metric.departures) for metric in header.metrics] == [1]  # chroma's own weights


def test_random_pairs_are_run_and_tabulated(toy: Path) -> None:
    text = (toy / "toy.toml").read_text()
    (toy / "toy.toml").write_text(f"pairs = 5\n{text}")
    assert run(toy) == 0
    done = load_run(toy / "run")
    assert {cell.status for cell in done.cells.values()} == {"ok"}
    assert len(done.plan) == len(done.scores) == 5
    assert "5/5" in (toy / "run" / "report" / "table2.md").read_text()


def test_peaks_beyond_full_scale_are_said_after_the_tables(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tones of half of full scale: a gain of 20 on a level near 0.8 takes all four of them up."""
    methods = f"{TOYS}:Gain[gain=0.5|20]"
    assert run(toy, "--methods", methods, "--styles", "noise") == 0
    lines = capsys.readouterr().out.splitlines()
    peak = max(cell.peak or 0.0 for cell in load_run(toy / "run").cells.values())
    tables = next(number for number, line in enumerate(lines) if line.startswith("Tables (md"))
    (said,) = [line for line in lines[tables:] if "full scale" in line]
    assert said == (
        f"Gain[gain=20]: 4 of 4 outputs with a peak beyond full scale, at most {peak:.3g}: "
        "integer files would clip them"
    )


def choice(toy: Path, changes: str, **asked: str) -> Suite:
    """What is chosen of another folder by a suite with changes: 4 contents, 2 styles are there."""
    text = (toy / "toy.toml").read_text(encoding="utf-8") + changes
    (toy / "other.toml").write_text(text, encoding="utf-8")
    request = RunRequest(
        suite=str(toy / "other.toml"), dataset=str(toy / "data"), device="cpu", **asked
    )
    return prepare(request).plan.suite


@pytest.mark.parametrize(
    ("changes", "contents", "pairs"),
    [
        ("contents = 9\n", None, None),
        ("contents = 4\n", 4, None),
        ("contents = 3\n", 3, None),
        ("contents = ['low1', 'high2']\n", ("low1", "high2"), None),
        ("contents = ['low1', 'elsewhere']\n", None, None),
        ("pairs = 9\n", None, None),
        ("pairs = 7\n", None, 7),
        ("contents = 2\npairs = 4\n", 2, 4),
        ("contents = 2\npairs = 5\n", 2, None),
    ],
)
def test_of_another_dataset_as_many_are_taken_as_there_are(
    toy: Path, changes: str, contents: object, pairs: int | None
) -> None:
    suite = choice(toy, f"{changes}styles = ['gong']\n")
    assert (suite.contents, suite.pairs, suite.styles) == (contents, pairs, None)


def test_more_than_a_dataset_has_is_refused_where_it_was_asked_for(toy: Path) -> None:
    with pytest.raises(ConfigError, match="contents is 9; dataset data has 4"):
        choice(toy, "contents = 2\n", contents="9")

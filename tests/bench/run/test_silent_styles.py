"""Runs over styles with silent clips: what is left out is named, what has nothing left is n/a."""

from __future__ import annotations

import html
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1]))

from noises import write_noises

from bench.api import RecordError
from bench.cli.main import cli
from bench.records.store import Run, load_run

RATE = 8000
SILENT = "is silent (below -60 dBFS)"
METHODS = "mix,copy-content"
SUITE = """
schema_version = 1
name = "toy"
dataset = "{dataset}"
profile = "mini"
methods = ["mix"]
controls = []
metrics = ["cp", "sf.heldout", "sf.seen", "sf.text"]
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two contents, and four clips of one style with a text that the mini model knows."""
    names = [*(f"content/low/low{n}" for n in (1, 2)), *(f"style/organ/{n}" for n in range(4))]
    write_noises(tmp_path / "data", names, RATE)
    (tmp_path / "data/style/organ/text.txt").write_text("organ music", encoding="utf-8")
    suite = SUITE.format(dataset=tmp_path / "data")
    (tmp_path / "toy.toml").write_text(suite, encoding="utf-8")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def silence(toy: Path, *numbers: int) -> None:
    """Make clips of the style silent, each of another length."""
    for number in numbers:
        path = toy / f"data/style/organ/{number}.wav"
        soundfile.write(path, np.zeros(RATE + number), RATE, subtype="PCM_16")


def run(toy: Path, *more: str, out: str = "run") -> Run:
    words = ["run", "--suite", str(toy / "toy.toml"), "--device", "cpu", "--methods", METHODS]
    words.append("--no-html")
    with pytest.raises(SystemExit, match="0"):
        cli.main([*words, "--out", str(toy / out), *more], standalone_mode=False)
    return load_run(toy / out)


def statuses(done: Run, method: str, metric: str) -> set[tuple[str, str]]:
    """Status and reason of a metric over the cells of a method."""
    own = {cell.cell_id for cell in done.plan if cell.method == method}
    return {
        (score.status, score.reason or "")
        for (cell, name), score in done.scores.items()
        if cell in own and name == metric
    }


def test_a_run_is_that_of_the_dataset_without_its_silent_clips(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cells, sounds and scores; the log, run.json and the notes name what was left out."""
    silence(toy, 1, 2)
    done = run(toy, "--html")
    words = f"style 'organ' is used without 2 clips: 1.wav {SILENT}; 2.wav {SILENT}"
    assert capsys.readouterr().out.split("cells in")[0].count(words) == 1
    facts = done.header.styles["organ"]
    assert facts["left_out"] == [{"clip": f"{n}.wav", "reason": SILENT} for n in (1, 2)]
    assert {*facts["clips"], *facts["heldout_clips"]} == {"0", "3"}
    note = (toy / "run/report/table2.md").read_text(encoding="utf-8")
    assert words in " ".join(note.split())
    page = html.unescape((toy / "run/report/page/index.html").read_text(encoding="utf-8"))
    assert words in " ".join(page.split())
    for number in (1, 2):
        (toy / f"data/style/organ/{number}.wav").unlink()
    plain = run(toy, out="plain")
    assert plain.plan == done.plan
    assert plain.header.dataset == done.header.dataset
    assert {i: c.audio_digest for i, c in plain.cells.items()} == {
        i: c.audio_digest for i, c in done.cells.items()
    }
    assert {k: (s.value, s.status) for k, s in plain.scores.items()} == {
        k: (s.value, s.status) for k, s in done.scores.items()
    }


def test_three_silent_clips_of_four_leave_no_held_out_score(toy: Path) -> None:
    silence(toy, 0, 1, 2)
    done = run(toy)
    left_out = "; ".join(f"{n}.wav {SILENT}" for n in range(3))
    reason = f"style 'organ' has no held-out clips; left out: {left_out}"
    for method in METHODS.split(","):
        assert statuses(done, method, "sf.heldout") == {("unsupported", reason)}
        for metric in ("cp", "sf.seen", "sf.text"):
            assert statuses(done, method, metric) == {("ok", "")}


def test_without_any_clip_only_what_needs_none_is_done(toy: Path) -> None:
    silence(toy, 0, 1, 2, 3)
    done = run(toy)
    left_out = "; ".join(f"{n}.wav {SILENT}" for n in range(4))
    ends = {
        cell.method: (done.cells[cell.cell_id].status, done.cells[cell.cell_id].reason)
        for cell in done.plan
    }
    assert ends == {
        "mix": ("unsupported", f"style 'organ' has no clip to learn from: {left_out}"),
        "copy-content": ("ok", None),
    }
    for metric, what in (("sf.heldout", "held-out clips"), ("sf.seen", "clips")):
        reason = f"style 'organ' has no {what}; left out: {left_out}"
        assert statuses(done, "copy-content", metric) == {("unsupported", reason)}
    for metric in ("cp", "sf.text"):
        assert statuses(done, "copy-content", metric) == {("ok", "")}


def test_a_dry_run_says_what_would_be_left_out(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silence(toy, 3)
    words = ["run", "--suite", str(toy / "toy.toml"), "--device", "cpu", "--methods", METHODS]
    cli.main([*words, "--dry-run", "--out", str(toy / "run")], standalone_mode=False)
    assert f"style 'organ' is used without 1 clip: 3.wav {SILENT}" in capsys.readouterr().out
    assert not (toy / "run").exists()


def test_a_run_does_not_go_on_with_other_clips(toy: Path) -> None:
    """A held-out clip is in no cell's identity, so the dataset has to tell."""
    run(toy)
    for number in range(4):
        original = (toy / f"data/style/organ/{number}.wav").read_bytes()
        silence(toy, number)
        with pytest.raises(RecordError, match="differs in the clips of the dataset"):
            run(toy)
        (toy / f"data/style/organ/{number}.wav").write_bytes(original)
    assert run(toy).plan

"""Audio is what its record says: whatever was done to it, a run renders it again or says so."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))

from small_run import RATE, Small, command

from bench.api import Audio, RecordError
from bench.audio import write_audio
from bench.records.integrity import altered_of_run
from bench.records.schema import CellRecord, ScoreRecord
from bench.records.store import read

OTHER = Audio(np.full((1, RATE), 0.25, np.float32), RATE)


def swap(path: Path) -> None:
    write_audio(path, OTHER)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def least_bit(path: Path) -> None:
    samples, rate = soundfile.read(path, dtype="int16")
    samples[7] ^= 1
    soundfile.write(path, samples, rate, subtype="PCM_16")


def rate_alone(path: Path) -> None:
    samples, _ = soundfile.read(path, dtype="int16")
    soundfile.write(path, samples, RATE + 1, subtype="PCM_16")


DEEDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "swapped": (swap, "is not the sound that was recorded"),
    "one bit": (least_bit, "is not the sound that was recorded"),
    "rate": (rate_alone, "is not the sound that was recorded"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "cut": (cut, "cannot be read"),
    "text": (lambda path: path.write_text("no sound"), "cannot be read"),
    "gone": (lambda path: path.unlink(), "is missing"),
}


def sound_of(small: Small) -> Path:
    """The file of a cell of `mix`."""
    run = small.load()
    cell = next(cell for cell in run.plan if cell.method == "mix")
    return small.folder / str(run.cells[cell.cell_id].audio)


@pytest.mark.parametrize("deed", DEEDS)
def test_what_is_not_what_was_recorded_is_rendered_again_and_said(
    small: Small, deed: str, caplog: pytest.LogCaptureFixture
) -> None:
    do, words = DEEDS[deed]
    before, table, path = small.sounds(), small.table(), sound_of(small)
    do(path)
    assert small.run() == 0
    assert f"audio/{path.name} {words}; rendered again" in caplog.text
    assert small.sounds() == before
    assert small.table() == table
    assert altered_of_run(small.load()) == []


def test_all_audio_may_be_gone(small: Small, caplog: pytest.LogCaptureFixture) -> None:
    before, table = small.sounds(), small.table()
    for path in (small.folder / "audio").iterdir():
        path.unlink()
    assert small.run() == 0
    assert "and 5 more; rendered again" in caplog.text
    assert (small.sounds(), small.table()) == (before, table)


def test_a_link_to_a_sound_of_this_run_is_not_the_sound(small: Small) -> None:
    path = sound_of(small)
    path.unlink()
    path.symlink_to(next(one for one in path.parent.iterdir() if one != path))
    with pytest.raises(OSError, match="nothing is written or deleted through one"):
        small.run()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_among_the_audio_is_named_before_any_work(
    small: Small, make: Callable[[Path], object]
) -> None:
    path = sound_of(small)
    path.unlink()
    make(path)
    with pytest.raises(RecordError, match=rf"{path.name} is not a file.*Remove it"):
        small.run()


def test_audio_that_is_swapped_before_it_is_scored_gets_no_score(
    small: Small, caplog: pytest.LogCaptureFixture
) -> None:
    """A metric that swaps the second sound while it scores the first stands for anybody else."""
    metric = small.home / "swapping.py"
    metric.write_text(SWAPPING.replace("AUDIO", str(small.folder / "audio")), encoding="utf-8")
    before, scored = small.sounds(), chroma_of(small)
    (small.folder / "scores.jsonl").unlink()
    assert small.run("--metrics", f"{metric}:Swapping,chroma", "--no-isolate") == 5
    (gone,) = [line for line in small.lines("cells.jsonl") if line["status"] == "cancelled"]
    assert gone["reason"].endswith("is not the sound that was recorded")
    assert "not scored, the next run renders it again" in caplog.text
    assert chroma_of(small) == {k: v for k, v in scored.items() if k != gone["cell_id"]}
    assert small.run() == 0
    assert small.sounds() == before
    assert chroma_of(small) == scored


SWAPPING = """
from pathlib import Path
from bench.api import Direction, Metric, MetricInfo, Score

class Swapping(Metric):
    INFO = MetricInfo("Swapping", Direction.MAXIMIZE, (0.0, 1.0), "a test")

    def load(self, profile, device):
        pass

    def score(self, outputs):
        first, second, *_ = sorted(Path("AUDIO").iterdir())
        second.write_bytes(first.read_bytes())
        return [Score("swapping", 0.5) for _ in outputs]

    def fingerprint(self):
        return {}
"""


def chroma_of(small: Small) -> dict[str, tuple[float | None, float | None]]:
    """What chroma says of each cell."""
    scores = read(small.folder / "scores.jsonl", ScoreRecord)
    return {one.cell_id: (one.value, one.raw) for one in scores if one.metric == "chroma"}


def test_scores_of_other_audio_count_nowhere_and_are_made_again(
    small: Small, caplog: pytest.LogCaptureFixture
) -> None:
    scores, table = small.lines("scores.jsonl"), small.table()
    scores[0] |= {"audio_digest": "0" * 64, "value": 0.123, "raw": 0.123}
    small.write_lines("scores.jsonl", scores)
    key = scores[0]["cell_id"], "chroma"
    run = small.load()
    assert key not in run.scores
    assert len(run.scores) == 7
    assert any("have, which count nowhere: 1" in words for words in run.remarks)
    assert "have, which count nowhere: 1" in caplog.text
    assert small.run() == 0
    assert small.table() == table
    assert small.load().scores[key].value != 0.123
    assert small.load().remarks == ()


def test_scores_of_older_runs_belong_to_whatever_audio_there_is(small: Small) -> None:
    scores = [one | {"audio_digest": None} for one in small.lines("scores.jsonl")]
    small.write_lines("scores.jsonl", scores)
    assert len(small.load().scores) == 8
    assert small.run() == 0
    assert small.lines("scores.jsonl") == scores


def test_a_score_of_a_cell_that_failed_since_counts_nowhere(small: Small) -> None:
    cells = small.lines("cells.jsonl")
    last = cells[-1]
    small.write_lines("cells.jsonl", [*cells, last | {"status": "error", "audio": None}])
    run = small.load()
    assert (last["cell_id"], "chroma") not in run.scores
    assert len(run.scores) == 7
    assert run.remarks == ()


JUDGING = {
    "baseline": ("baseline", "{run}", "--reason", "x", "-o", "{home}/known.json"),
    "gate": ("gate", "{run}", "--baseline", "{home}/first.json", "--least-drop", "1"),
    "history": ("history", "add", "{run}", "-o", "{home}/history.jsonl"),
}


@pytest.mark.parametrize("what", JUDGING)
@pytest.mark.parametrize("deed", ["swapped", "gone"])
def test_altered_audio_is_not_judged(small: Small, what: str, deed: str) -> None:
    first = ("baseline", str(small.folder), "--reason", "x", "-o", str(small.home / "first.json"))
    assert command(*first) == 0
    words = [part.format(run=small.folder, home=small.home) for part in JUDGING[what]]
    assert command(*words) == 0
    path, (do, said) = sound_of(small), DEEDS[deed]
    do(path)
    with pytest.raises(RecordError, match=rf"{path.name} {said}.*--records-only"):
        command(*words)
    assert command(*words, "--records-only") == 0


def test_records_that_came_without_audio_are_judged_alone(small: Small) -> None:
    for path in (small.folder / "audio").iterdir():
        path.unlink()
    (small.folder / "audio").rmdir()
    words = ("baseline", str(small.folder), "--reason", "x", "-o", str(small.home / "known.json"))
    with pytest.raises(RecordError, match=r"is missing.*and 5 more.*--records-only"):
        command(*words)
    assert command(*words, "--records-only") == 0


def test_report_verifies_when_asked(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("report", str(small.folder), "--no-html", "--verify")
    assert command(*words) == 0
    assert f"{small.folder}: 8 cells, faults: none" in capsys.readouterr().out
    path = sound_of(small)
    swap(path)
    assert command("report", str(small.folder), "--no-html") == 0
    capsys.readouterr()
    assert command(*words) == 2
    said = capsys.readouterr().out
    assert f"audio/{path.name} is not the sound that was recorded" in said
    assert "8 cells, faults: 1" in said


def test_an_older_record_without_a_digest_is_read_only(small: Small) -> None:
    cells = [one | {"audio_digest": None} for one in small.lines("cells.jsonl")]
    small.write_lines("cells.jsonl", cells)
    assert altered_of_run(small.load()) == []
    sound_of(small).write_bytes(b"")
    assert len(altered_of_run(small.load())) == 1


def test_a_record_without_audio_is_a_fault_where_runs_are_judged(small: Small) -> None:
    cells = [one | {"audio": None} for one in small.lines("cells.jsonl")]
    small.write_lines("cells.jsonl", cells)
    assert all("names no audio" in fault for fault in altered_of_run(small.load()))


def test_the_records_say_what_the_files_hold(small: Small) -> None:
    records = [r for r in read(small.folder / "cells.jsonl", CellRecord) if r.status == "ok"]
    digests = {record.cell_id: record.audio_digest for record in records}
    scores = read(small.folder / "scores.jsonl", ScoreRecord)
    assert {score.cell_id: score.audio_digest for score in scores} == digests

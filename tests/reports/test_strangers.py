"""Run folders that come from elsewhere: nothing outside of them is written, deleted or copied."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sounding import sounding_run

from bench.api import BenchError, RecordError
from bench.audio import read_audio, write_audio
from bench.files import LinkError
from bench.gate.snapshot import snapshot, write_snapshot
from bench.records.store import Run, load_run
from reports.gate.history import add_run
from reports.gate.lane import judge_and_write
from reports.listening.export import export
from reports.page.write import write_page
from reports.paper.write import write_paper
from reports.write import read_report, write_report

SECRET = "keep"
REFUSED = "nothing is written or deleted through one"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return sounding_run(tmp_path / "run", ["harp"], ["c1"], figures=False)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the user's outside of the run."""
    folder = tmp_path / "victim"
    folder.mkdir()
    for name in ("a.flac", "page.js", "table2.md", "paper.tex", "index.html"):
        (folder / name).write_text(SECRET)
    return folder


def untouched(victim: Path) -> bool:
    return [path.read_text() for path in victim.iterdir()] == [SECRET] * 5


def spoil(run: Run, place: int = 0, **change: object) -> None:
    """Change one record of a finished cell, as an editor would."""
    path = run.folder / "cells.jsonl"
    lines = path.read_text().splitlines()
    lines[place] = json.dumps(json.loads(lines[place]) | change)
    path.write_text("\n".join(lines) + "\n")


def page(folder: Path) -> None:
    """The tables as `report` has them, and the page."""
    write_page(read_report(folder))


def paper(folder: Path) -> None:
    """The tables as `report` has them, and the paper."""
    write_paper(read_report(folder))


def everything(folder: Path) -> None:
    """All that `report --paper` does."""
    report = read_report(folder)
    write_report(report)
    write_page(report)
    write_paper(report)


def test_records_that_name_a_place_outside_cost_their_lines(tmp_path: Path, victim: Path) -> None:
    run = sounding_run(tmp_path / "run", ["harp"], ["c1", "c2"], figures=False)
    changes: list[dict[str, object]] = [
        {"audio_digest": f"{victim}/x"},
        {"audio_digest": "../../../../victim/x"},
        {"audio": f"{victim}/a.flac"},
        {"audio": "../victim/a.flac"},
        {"cell_id": "../../victim/a"},
    ]
    for place, change in enumerate(changes):
        spoil(run, place, **change)
    everything(run.folder)
    assert untouched(victim)
    left = load_run(run.folder)
    assert len(left.cells) == len(run.cells) - len(changes)
    table = (run.folder / "report" / "table2.md").read_text()
    html = (run.folder / "report" / "page" / "index.html").read_text()
    assert f"{len(changes)} lines of the records broke a rule" in table
    assert "cells.jsonl:1" in html
    for line, fault in enumerate(left.faults, 1):
        assert f"cells.jsonl:{line}" in fault


@pytest.mark.parametrize(
    ("table", "fact", "words"),
    [
        ("provenance", {"git": 7}, "git is 7 and not a table or null"),
        ("provenance", {"packages": "numpy"}, "packages is 'numpy' and not a table or null"),
        ("suite", {"gate": [1]}, r"gate is \[1\] and not a table or null"),
        ("contents", {"c1": {"channels": "x"}}, "channels is 'x' and not a whole number or null"),
        ("contents", {"c1": {"category": {}}}, "category is {} and not a text or null"),
        ("contents", {"c1": {"duration_s": []}}, r"duration_s is \[\] and not a number or a whole"),
    ],
)
def test_a_header_with_a_fact_of_another_kind_is_refused(
    run: Run, table: str, fact: dict[str, object], words: str
) -> None:
    path = run.folder / "run.json"
    header = json.loads(path.read_text())
    header[table] |= fact
    path.write_text(json.dumps(header))
    with pytest.raises(RecordError, match=words):
        load_run(run.folder)


@pytest.mark.parametrize(
    ("write", "place", "aim"),
    [
        (everything, "report", ""),
        (page, "report", ""),
        (paper, "report", ""),
        pytest.param(everything, "report/table2.md", "table2.md", marks=pytest.mark.slow),
        (page, "report/page", ""),
        pytest.param(page, "report/page/sounds", "", marks=pytest.mark.slow),
        pytest.param(page, "report/page/pictures", "", marks=pytest.mark.slow),
        pytest.param(page, "report/page/page.js", "page.js", marks=pytest.mark.slow),
        (page, "report/page/index.html", "index.html"),
        (paper, "report/paper", ""),
        pytest.param(paper, "report/paper/figures", "", marks=pytest.mark.slow),
        (paper, "report/paper/paper.tex", "paper.tex"),
    ],
)
def test_a_link_where_a_report_is_written_is_refused(
    run: Run, victim: Path, write: Callable[[Path], None], place: str, aim: str
) -> None:
    (run.folder / place).parent.mkdir(parents=True, exist_ok=True)
    (run.folder / place).symlink_to(victim / aim)
    with pytest.raises(LinkError, match=REFUSED):
        write(run.folder)
    assert untouched(victim)
    assert (run.folder / place).is_symlink()


@pytest.mark.parametrize(
    "place", ["audio", pytest.param("audio/0000.flac", marks=pytest.mark.slow)]
)
def test_audio_behind_a_link_that_leads_out_is_not_played(
    run: Run, tmp_path: Path, place: str
) -> None:
    """Else a report, or a test for listeners, would publish any sound of this machine."""
    outside = tmp_path / "outside"
    (run.folder / place).rename(outside)
    (run.folder / place).symlink_to(outside)
    everything(run.folder)
    text = (run.folder / "report" / "page" / "index.html").read_text()
    assert "is not played: it leads out of" in text
    with pytest.raises(BenchError, match="leads out of"):
        export(run.folder, tmp_path / "test", 1, 0)
    assert not (tmp_path / "test").exists()


def test_a_link_within_the_run_may_be_played(run: Run, tmp_path: Path) -> None:
    (run.folder / "audio").rename(run.folder / "sounds")
    (run.folder / "audio").symlink_to("sounds")
    assert len(export(run.folder, tmp_path / "test", 1, 0).sets) == 1


@pytest.mark.parametrize("place", ["listening", "listening-test"])
def test_a_link_where_a_listening_test_is_written_is_refused(
    run: Run, tmp_path: Path, victim: Path, place: str
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (run.folder / place).symlink_to(victim if place == "listening" else empty)
    with pytest.raises(LinkError, match=REFUSED):
        export(run.folder, run.folder / "listening-test", 1, 0)
    assert untouched(victim)
    assert list(empty.iterdir()) == []


def test_a_listening_test_that_cannot_be_finished_leaves_no_folder(
    run: Run, tmp_path: Path
) -> None:
    (run.folder / "audio" / "0001.flac").write_bytes(b"no audio")
    with pytest.raises(BenchError, match="cannot be decoded"):
        export(run.folder, tmp_path / "test", 1, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_history_gate_and_baseline_write_through_no_link(
    run: Run, tmp_path: Path, victim: Path
) -> None:
    known = tmp_path / "baseline.json"
    write_snapshot(known, snapshot(run, reason="first"))
    (tmp_path / "history.jsonl").symlink_to(victim / "new.jsonl")
    (tmp_path / "gate").symlink_to(victim)
    (tmp_path / "linked.json").symlink_to(victim / "a.flac")
    with pytest.raises(LinkError, match=REFUSED):
        add_run(run.folder, tmp_path / "history.jsonl")
    with pytest.raises(LinkError, match=REFUSED):
        judge_and_write(run.folder, known, outputs={"report": tmp_path / "gate"})
    with pytest.raises(LinkError, match=REFUSED):
        write_snapshot(tmp_path / "linked.json", snapshot(run, reason="first"))
    assert untouched(victim)


def test_what_a_user_put_beside_a_report_stays(run: Run) -> None:
    mine = ["report/notes.txt", "report/page/mine.html", "report/page/sounds/mine.flac",
            "report/paper/refs.bib", "report/paper/figures/mine.pdf"]  # fmt: skip
    for name in mine:
        (run.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / name).write_text(SECRET)
    everything(run.folder)
    assert {(run.folder / name).read_text() for name in mine} == {SECRET}
    assert not list(run.folder.rglob(".*"))


def test_audio_is_not_written_through_a_link(run: Run, victim: Path) -> None:
    sound = run.folder / "audio" / "0000.flac"
    audio = read_audio(sound)
    sound.unlink()
    sound.symlink_to(victim / "a.flac")
    with pytest.raises(LinkError, match=REFUSED):
        write_audio(sound, audio)
    assert untouched(victim)


def test_the_command_ends_with_bad_input_and_says_what_to_do(run: Run, victim: Path) -> None:
    spoil(run, audio="../victim/a.flac")
    (run.folder / "report").symlink_to(victim)
    done = subprocess.run(
        [sys.executable, "-m", "bench", "report", str(run.folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "cells.jsonl:1 is left out, since it is not a CellRecord (audio is" in done.stderr
    assert f"{run.folder / 'report'} cannot be used (it is a link to {victim};" in done.stderr
    assert untouched(victim)

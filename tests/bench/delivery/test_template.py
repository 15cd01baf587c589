"""What is handed out: the list, the sounds that may be learnt from, and what `check` says of it."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from noises import write_noises
from small_run import NAMES, RATE, Small, command, made

from bench.api import ConfigError, RecordError
from bench.audio import read_audio
from bench.delivery.checking import check_folder
from bench.delivery.listing import read_list
from bench.delivery.template import _paths, write_template


def handed_out(small: Small, *words: str) -> Path:
    assert command("outputs", "template", str(small.folder), "-o", "hand", *words) == 0
    return small.home / "hand"


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "clips.csv").read_text(encoding="utf-8").splitlines()))


def test_a_template_asks_for_every_cell_of_the_run_once(small: Small) -> None:
    folder = handed_out(small)
    places = {(cell.style, cell.content, cell.repetition) for cell in small.load().plan}
    listed = read_list(folder / "outputs" / "outputs.csv")
    assert {one.place for one in listed} == places
    assert len({one.name for one in listed}) == len(listed) == 8


def test_its_sounds_are_the_contents_and_what_may_be_learnt_from(
    small: Small, finished: Small
) -> None:
    folder = handed_out(small, "--sounds")
    header = small.load().header
    clips = {(row["kind"], row["name"], row["clip"]) for row in rows(folder)}
    assert {(name, clip) for kind, name, clip in clips if kind == "style"} == {
        (style, clip) for style, facts in header.styles.items() for clip in facts["clips"]
    }
    assert {name for kind, name, _ in clips if kind == "content"} == set(header.contents)
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.wav")}
    assert written == {row["path"] for row in rows(folder)}
    original = read_audio(finished.home / "data" / "content" / "low" / "l1.wav")
    assert read_audio(folder / "contents" / "l1.wav").digest == original.digest
    assert (folder / "styles" / "hiss" / "text.txt").read_text(encoding="utf-8") == "hiss\n"


def test_clips_that_are_kept_for_scoring_are_handed_to_nobody(tmp_path: Path) -> None:
    small = made(tmp_path)
    more = [f"style/hiss/{number}" for number in range(1, 8)]
    write_noises(tmp_path / "data", [*NAMES, *more], RATE)
    suite = (tmp_path / "small.toml").read_text(encoding="utf-8").replace('"all"', '"split"')
    (tmp_path / "small.toml").write_text(suite, encoding="utf-8")
    assert small.run("--duration", "0.5") == 0
    write_template(small.folder, tmp_path / "hand", with_sounds=True)
    facts = small.load().header.styles["hiss"]
    assert facts["heldout_clips"]
    styles = {row["clip"] for row in rows(tmp_path / "hand") if row["name"] == "hiss"}
    assert styles == set(facts["clips"])
    assert not styles & set(facts["heldout_clips"])
    sounds = [read_audio(path) for path in (tmp_path / "hand").rglob("*.wav")]
    assert {sound.duration_s for sound in sounds} == {0.5}


def test_clips_that_may_not_be_passed_on_stay_here(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = handed_out(small)  # a folder without a card allows nothing
    assert not list(folder.rglob("*.wav"))
    assert "may not be passed on; --sounds adds them" in capsys.readouterr().out
    assert len(rows(folder)) == 4
    assert all(len(row["sha256"]) == 64 for row in rows(folder))


def test_a_folder_that_holds_something_is_left_alone(small: Small) -> None:
    folder = handed_out(small)
    (folder / "outputs" / "mine.wav").write_bytes(b"x")
    write_template(small.folder, folder)  # again, as where it was interrupted
    with (folder / "outputs" / "outputs.csv").open("a", encoding="utf-8") as edited:
        edited.write("hiss,more,0,more.wav\n")
    before = sorted(folder.rglob("*"))
    assert folder / "outputs" / "mine.wav" in before
    with pytest.raises(ConfigError, match=r"hand holds something; .* Name another with -o"):
        write_template(small.folder, folder)
    assert sorted(folder.rglob("*")) == before


def test_a_run_of_other_clips_gives_no_template(small: Small) -> None:
    path = small.folder / "run.json"
    digest = str(small.load().header.dataset["digest"])
    text = path.read_text(encoding="utf-8").replace(digest, "0" * 64)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match="was made with other clips of dataset"):
        write_template(small.folder, small.home / "hand")
    assert not (small.home / "hand").exists()


def test_a_filled_template_is_whole_and_scored_through_its_list(small: Small, theirs: Path) -> None:
    folder = handed_out(small) / "outputs"
    text = (folder / "outputs.csv").read_text(encoding="utf-8").replace(".wav", ".flac")
    (folder / "outputs.csv").write_text(text, encoding="utf-8")
    shutil.copytree(theirs, folder, dirs_exist_ok=True)
    assert command("outputs", "check", str(folder), "--run", str(small.folder)) == 0
    assert check_folder(folder).is_sound
    assert small.run("--seeds", "2", "--methods", "mix,outputs:hand/outputs[title=X]") == 0


def test_check_names_all_that_is_missing_left_over_or_wrong(
    small: Small, theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("l1", "l2", "l1.1"):
        (theirs / "rush" / f"{name}.flac").unlink()
    shutil.copy(theirs / "hiss" / "l1.flac", theirs / "hiss" / "more.flac")
    (theirs / "hiss" / "l2.flac").write_bytes(b"no sound")
    assert command("outputs", "check", "theirs", "--run", str(small.folder)) == 5
    said = capsys.readouterr().out.splitlines()
    assert said[:5] == [
        "5 of 8 outputs are there, of which 1 cannot be scored",
        "  not delivered: rush/l1",
        "  not delivered: rush/l2",
        "  not delivered: rush/l1.1",
        "  not asked for: hiss/more.flac",
    ]
    assert said[5].startswith("  hiss/l2.flac: the file cannot be decoded")
    assert "  4 of 5: 8000 Hz" in said


def test_check_and_run_refuse_the_same_files(small: Small, theirs: Path) -> None:
    for name, samples in (("l1", 8400), ("l2", 8401), ("l1.1", 7600), ("l2.1", 7599)):
        soundfile.write(theirs / "hiss" / f"{name}.flac", np.full(samples, 0.1), 8000)
    faults = check_folder(theirs, small.folder).faults
    assert small.run("--seeds", "2", "--methods", "outputs:theirs") == 5
    run = small.load()
    reasons = [run.cells[c.cell_id].reason for c in run.plan if c.method == "outputs:theirs"]
    assert sorted(f"{name}: {why}" for name, why in faults.items()) == sorted(
        reason for reason in reasons if reason
    )
    assert set(faults) == {"hiss/l2.flac", "hiss/l2.1.flac"}


def test_paths_are_those_of_the_cells_unless_two_would_be_alike() -> None:
    places = [("bells", "a", 0), ("bells", "a", 1), ("bells", "a.1", 0), ("bells", "A", 0),
              ("bells", "../a", 0), ("be:lls", "a", 0), ("bells", "set/a", 0)]  # fmt: skip
    assert _paths(places) == [
        "bells/a.wav", "bells/a.1.wav", "numbered/3.wav", "numbered/4.wav", "numbered/5.wav",
        "numbered/6.wav", "bells/set/a.wav",
    ]  # fmt: skip

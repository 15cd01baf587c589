"""Outputs that were made elsewhere are scored as if they had been rendered here."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_run import RATE, Small, command

from bench.api import ConfigError, RecordError
from bench.records.schema import CellRecord, PlannedCell, ScoreRecord
from bench.records.store import Run

CHOICE = "outputs:theirs[title=MuseTimbre]"
METHODS = f"mix,copy-content,{CHOICE}"
TIMES = ("fit_key", "fit_s", "load_s", "transfer_s", "calibration_s", "peak_memory_bytes")
IDENTITY = ("suite", "group", "kind", "method")  # of a row of a CSV
FIRST, SECOND = ("hiss", "l1", 0), ("hiss", "l2", 1)


def scored(small: Small, *words: str, methods: str = METHODS) -> int:
    return small.run("--seeds", "2", "--methods", methods, *words)


def cells(run: Run, label: str) -> dict[tuple[str, str, int], CellRecord]:
    return {place(cell): run.cells[cell.cell_id] for cell in run.plan if cell.method == label}


def place(cell: PlannedCell) -> tuple[str, str, int]:
    return cell.style, cell.content, cell.repetition


def scores(run: Run, label: str) -> dict[tuple[str, str, int], ScoreRecord]:
    return {
        place(cell): run.scores[cell.cell_id, "chroma"]
        for cell in run.plan
        if cell.method == label and (cell.cell_id, "chroma") in run.scores
    }


@pytest.mark.usefixtures("theirs")
def test_a_method_handed_in_again_has_the_very_scores_of_the_method(small: Small) -> None:
    assert scored(small) == 0
    run = small.load()
    ours, again = scores(run, "mix"), scores(run, CHOICE)
    assert len(again) == 8
    assert {p: (s.value, s.raw, s.status) for p, s in again.items()} == {
        p: (s.value, s.raw, s.status) for p, s in ours.items()
    }
    rendered, read = cells(run, "mix"), cells(run, CHOICE)
    assert {p: c.audio_digest for p, c in read.items()} == {
        p: c.audio_digest for p, c in rendered.items()
    }


@pytest.mark.usefixtures("theirs")
def test_what_it_has_cost_is_unknown_and_never_nothing(small: Small) -> None:
    assert scored(small) == 0
    for record in cells(small.load(), CHOICE).values():
        assert [getattr(record, name) for name in TIMES] == [None] * len(TIMES)
    text = (small.folder / "report" / "timing.csv").read_text(encoding="utf-8")
    (row,) = [one for one in csv.DictReader(text.splitlines()) if one["method"] == "MuseTimbre"]
    said = {key: words for key, words in row.items() if words and key not in IDENTITY}
    assert set(said.values()) == {"n/a: made elsewhere"}
    assert len(said) == 8


@pytest.mark.usefixtures("theirs")
def test_tables_call_it_by_its_title_and_say_what_nobody_has_told(small: Small) -> None:
    assert scored(small) == 0
    table = (small.folder / "report" / "table2.md").read_text(encoding="utf-8")
    assert "| MuseTimbre " in table
    assert "sees not said: MuseTimbre" in table
    assert "theirs" not in table.partition("provenance")[0]
    entry = next(one for one in small.load().header.methods if one.label == CHOICE)
    assert entry.source.startswith("made elsewhere; the digest of the files is ")


@pytest.mark.usefixtures("theirs")
def test_what_is_told_stands_in_the_header(small: Small) -> None:
    told = "title=M,source='Li 2025',licence=CC0-1.0,sees='style audio+melody'"
    assert scored(small, methods=f"mix,outputs:theirs[{told}]") == 0
    entry = small.load().header.methods[-1]
    assert (entry.title, entry.licence) == ("M", "sounds: CC0-1.0")
    assert entry.conditioned_on == ["style audio", "melody"]
    assert entry.source.startswith("made elsewhere: Li 2025; ")


def test_what_is_missing_is_not_delivered_and_no_failure(small: Small, theirs: Path) -> None:
    (theirs / "hiss" / "l2.1.flac").unlink()
    assert scored(small) == 0
    record = cells(small.load(), CHOICE)[SECOND]
    assert (record.status, record.reason) == ("unsupported", "not delivered")
    table = (small.folder / "report" / "table2.md").read_text(encoding="utf-8")
    assert "MuseTimbre: 1 of 8 cells n/a (not delivered)" in table


def test_a_file_that_comes_later_is_scored_and_the_others_keep_their_scores(
    small: Small, theirs: Path
) -> None:
    late = theirs / "hiss" / "l2.1.flac"
    kept = late.read_bytes()
    late.unlink()
    assert scored(small) == 0
    before = len(small.lines("scores.jsonl"))
    late.write_bytes(kept)
    assert scored(small) == 0
    assert cells(small.load(), CHOICE)[SECOND].status == "ok"
    assert len(small.lines("scores.jsonl")) == before + 1


def test_a_changed_file_is_read_and_scored_anew_and_named(
    small: Small, theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scored(small) == 0
    before = cells(small.load(), CHOICE)
    count = len(small.lines("scores.jsonl"))
    shutil.copy(theirs / "rush" / "l1.flac", theirs / "hiss" / "l1.flac")
    with pytest.raises(RecordError, match=r"outputs:theirs.* has changed \(files\) since 8"):
        scored(small, "--keep-old")
    capsys.readouterr()
    assert scored(small) == 0
    assert "has changed (files)" in capsys.readouterr().out
    after = cells(small.load(), CHOICE)
    changed = [p for p in after if after[p].audio_digest != before[p].audio_digest]
    assert changed == [FIRST]
    assert len(small.lines("scores.jsonl")) == count + 1


def test_the_identity_is_that_of_the_files_and_not_of_their_folder(
    small: Small, theirs: Path
) -> None:
    shutil.copytree(theirs, small.home / "elsewhere")
    for path in (small.home / "elsewhere").rglob("*.flac"):
        os.utime(path, (1, 1))
    assert scored(small, methods="outputs:theirs,outputs:elsewhere") == 0
    first, second = small.load().header.methods[-2:]
    assert first.source == second.source
    assert first.identity != second.identity  # they are two rows


def test_other_rates_and_channels_are_brought_to_those_of_the_content(
    small: Small, theirs: Path
) -> None:
    tone = np.sin(np.arange(3 * RATE) * 2 * np.pi * 440 / (3 * RATE))
    stereo = np.stack([tone, np.zeros_like(tone)], axis=1)
    (theirs / "hiss" / "l1.flac").unlink()
    soundfile.write(theirs / "hiss" / "l1.WAV", stereo, 3 * RATE, subtype="FLOAT")
    assert scored(small) == 0
    record = cells(small.load(), CHOICE)[FIRST]
    assert (record.status, record.sample_rate, record.duration_s) == ("ok", RATE, 1.0)
    sound, _ = soundfile.read(small.folder / str(record.audio))
    at_rate = np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE) / 2
    inner = slice(RATE // 10, -RATE // 10)  # a resampler has no samples before the first
    assert np.abs(sound[inner] - at_rate[inner]).max() < 2e-3


@pytest.mark.parametrize(
    ("samples", "status"),
    [
        (RATE + RATE // 20, "ok"),
        (RATE - RATE // 20, "ok"),
        (RATE + RATE // 20 + 1, "invalid_output"),
        (RATE - RATE // 20 - 1, "invalid_output"),
        (5 * RATE, "invalid_output"),
    ],
)
def test_fifty_milliseconds_are_cut_or_filled_and_more_is_a_failure(
    small: Small, theirs: Path, samples: int, status: str
) -> None:
    soundfile.write(theirs / "hiss" / "l1.flac", np.full(samples, 0.5), RATE)
    assert scored(small) == (0 if status == "ok" else 5)
    record = cells(small.load(), CHOICE)[FIRST]
    assert record.status == status
    lasts = f"hiss/l1.flac: output has {samples / RATE:.3f} s, not 1.000 s"
    assert record.reason == (None if status == "ok" else lasts)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-400]), "hiss/l1.flac"),
        (lambda path: path.write_bytes(b"no sound at all"), "hiss/l1.flac cannot be decoded"),
        (lambda path: path.write_bytes(b""), "hiss/l1.flac is empty"),
    ],
)
def test_a_broken_file_costs_its_cell_alone_and_no_folder_is_named(
    small: Small, theirs: Path, spoil: object, words: str
) -> None:
    assert callable(spoil)
    spoil(theirs / "hiss" / "l1.flac")
    assert scored(small) == 5
    records = cells(small.load(), CHOICE)
    assert [p for p, c in records.items() if c.status != "ok"] == [FIRST]
    reason = str(records[FIRST].reason)
    assert reason.startswith(words)
    assert str(small.home) not in reason


@pytest.mark.usefixtures("theirs")
def test_two_shards_make_the_run_of_one(small: Small) -> None:
    assert scored(small) == 0
    for shard in ("1/2", "2/2"):
        assert scored(small, "--shard", shard, "--out", "shared") == 0
    assert command("report", "shared", "--no-html") == 0
    whole = json.loads((small.folder / "run.json").read_text(encoding="utf-8"))
    parts = json.loads((small.home / "shared" / "run.json").read_text(encoding="utf-8"))
    assert parts["methods"] == [one for one in whole["methods"] if one in parts["methods"]]
    assert scores(small.load("shared"), CHOICE).keys() == scores(small.load(), CHOICE).keys()
    assert {p: s.value for p, s in scores(small.load("shared"), CHOICE).items()} == {
        p: s.value for p, s in scores(small.load(), CHOICE).items()
    }


def test_a_dry_run_says_what_is_there_and_expects_no_rendering(
    small: Small, theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(theirs / "hiss" / "l1.flac", theirs / "hiss" / "surplus.flac")
    (theirs / "rush" / "l2.flac").unlink()
    assert scored(small, "--dry-run") == 0
    said = capsys.readouterr().out
    words = "7 of 8 outputs are there; not delivered: rush/l2; not asked for: hiss/surplus.flac"
    assert f"{CHOICE}: {words}" in said
    stages = [line.split()[:2] for line in said.partition("how it is known")[2].splitlines()]
    assert [CHOICE, "transfer"] not in stages
    assert ["chroma", "score"] in stages


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["check", "outputs:theirs"], "checked"),
        (["fit", "export", "outputs:theirs", "--style", "theirs/hiss", "-o", "x.safetensors"],
         "learnt"),
        (["transfer", "--method", "outputs:theirs", "--style", "theirs/hiss", "--content",
          "theirs/hiss/l1.flac", "-o", "x.wav"], "rendered"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("theirs")
def test_nothing_else_can_be_done_with_it(words: list[str], fact: str) -> None:
    with pytest.raises(ConfigError, match=f"made elsewhere; nothing can be {fact} here"):
        command(*words)


@pytest.mark.usefixtures("theirs")
def test_it_cannot_be_timed(small: Small) -> None:
    suite = str(small.home / "small.toml")
    with pytest.raises(ConfigError, match="made elsewhere; nothing can be timed here"):
        command("time", "--suite", suite, "--methods", "outputs:theirs", "--device", "cpu")


@pytest.mark.usefixtures("theirs")
def test_sounds_without_a_licence_stay_here_when_a_run_is_published(small: Small) -> None:
    from bench.publishing.records import audio_items, unlicensed

    methods = "mix,outputs:theirs,outputs:theirs[licence=CC0-1.0]"
    assert scored(small, methods=methods) == 0
    run = small.load()
    held = unlicensed(run)
    assert list(held) == ["outputs:theirs"]
    assert len(audio_items(run)) - len(audio_items(run, held)) == 8

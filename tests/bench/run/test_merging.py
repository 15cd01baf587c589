"""`merge` refuses what does not belong together and says what is missing; `status` counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_run import Small, command, made

from bench.api import RecordError
from bench.files import LinkError
from bench.records.claims import kept, take
from bench.records.parts import part_folder
from bench.records.schema import CellRecord, ScoreRecord
from bench.records.store import append, load_run, read
from bench.run.status import status_of


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Two shards in folders of their own, and a third folder with one of them again."""
    small = made(tmp_path_factory.mktemp("halves"))
    for number in (1, 2):
        assert small.run("--shard", f"{number}/2", out=f"half{number}") == 0
    return small


@pytest.fixture
def pair(halves: Small, tmp_path: Path) -> list[Path]:
    """Copies of the two shards for one test."""
    return [copied(halves.home / f"half{n}", tmp_path / f"half{n}") for n in (1, 2)]


def copied(folder: Path, target: Path) -> Path:
    for path in folder.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    return target


def merge(*folders: Path, out: Path | None = None, records_only: bool = False) -> int:
    words = [] if out is None else ["-o", str(out)]
    words += ["--records-only"] if records_only else []
    return command("merge", *map(str, folders), *words)


def edit(path: Path, **changes: object) -> None:
    """Change the first line of a record file."""
    first, *rest = path.read_text(encoding="utf-8").splitlines(keepends=True)
    text = json.dumps(json.loads(first) | changes) + "\n"
    path.write_text("".join([text, *rest]), encoding="utf-8")


def rewrite(folder: Path, **changes: object) -> None:
    """Change a header."""
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), encoding="utf-8")


def first_sound(folder: Path, number: int) -> CellRecord:
    records = read(part_folder(folder, number, 2) / "cells.jsonl", CellRecord)
    return next(record for record in records if record.status == "ok")


def test_the_order_of_the_folders_does_not_matter(pair: list[Path], tmp_path: Path) -> None:
    for out, folders in (("a", pair), ("b", pair[::-1])):
        assert merge(*folders, out=tmp_path / out) == 0
    names = ("run.json", "plan.jsonl", "cells.jsonl", "scores.jsonl")
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    header = load_run(tmp_path / "a").header
    assert header.provenance["shards"] == ["1/2", "2/2"]


def test_what_is_missing_is_said_with_the_command_that_renders_it(
    pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(pair[0] / "shards" / "1-of-2", argv=["run", "--suite", "s s", "--shard", "auto"])
    assert merge(pair[0], out=tmp_path / "all") == 5
    said = capsys.readouterr().out
    assert "1 folder: 4 of 8 cells, 0 failed" in said
    assert "missing: 4 cells (mix 2, copy-content 2)" in said
    assert "bench run --suite 's s' --shard 2/2\n" in said
    assert load_run(tmp_path / "all").plan_faults
    assert merge(pair[1], out=tmp_path / "all") == 0
    assert "2 folders: 8 of 8 cells, 0 failed" in capsys.readouterr().out
    assert load_run(tmp_path / "all").plan_faults == ()


def test_a_cell_without_an_outcome_is_missing_and_its_own_shard_is_named(
    pair: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    gone = first_sound(pair[1], 2)
    open_again = CellRecord(cell_id=gone.cell_id, status="cancelled", identity=gone.identity)
    append(part_folder(pair[1], 2, 2) / "cells.jsonl", [open_again])
    rewrite(pair[1] / "shards" / "2-of-2", argv=["run", "--out", "b", "--shard", "2/2"])
    assert merge(*pair) == 5
    said = capsys.readouterr().out
    assert "missing: 1 cells" in said
    assert "bench run --out b --shard 2/2\n" in said


def test_failed_cells_are_merged_and_the_latest_outcome_counts(
    pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = first_sound(pair[0], 1)
    again = copied(pair[0], tmp_path / "again")
    failed = CellRecord(
        cell_id=known.cell_id, status="error", reason="broke", identity=known.identity,
        finished_at="2999-01-01T00:00:00+00:00",
    )  # fmt: skip
    append(part_folder(again, 1, 2) / "cells.jsonl", [failed])
    assert merge(*pair, again, out=tmp_path / "all") == 5
    assert "8 of 8 cells, 1 failed" in capsys.readouterr().out
    merged = load_run(tmp_path / "all")
    assert merged.cells[known.cell_id] == failed
    assert merged.remarks == ()
    scores = read(tmp_path / "all" / "scores.jsonl", ScoreRecord)
    assert len(scores) == 7
    assert known.cell_id not in {score.cell_id for score in scores}


def test_other_audio_of_one_cell_is_refused_by_name(pair: list[Path], tmp_path: Path) -> None:
    again = copied(pair[0], tmp_path / "again")
    log = part_folder(again, 1, 2) / "cells.jsonl"
    known = first_sound(again, 1)
    append(log, [known.model_copy(update={"audio_digest": "0" * 64})])
    words = rf"cell {known.cell_id} \((mix|copy-content), hiss, l1, repetition 0\) is other audio"
    with pytest.raises(RecordError, match=words):
        merge(*pair, again, out=tmp_path / "all", records_only=True)
    assert not (tmp_path / "all" / "run.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": {"digest": "0"}}, "differ in clips"),
        ({"provenance": {"precision": "bfloat16"}}, "differ in the precision of frozen networks"),
    ],
)
def test_runs_of_another_setting_are_refused(
    pair: list[Path], changes: dict[str, object], message: str
) -> None:
    rewrite(pair[1], **changes)
    with pytest.raises(RecordError, match=message):
        merge(*pair)


def test_other_code_other_plans_and_other_metrics_are_refused(pair: list[Path]) -> None:
    head = json.loads((pair[1] / "run.json").read_text(encoding="utf-8"))
    other = {mark: facts | {"source": "0" * 12} for mark, facts in head["identities"].items()}
    rewrite(pair[1], identities=other)
    with pytest.raises(RecordError, match=r"not of one code \(mix: other code"):
        merge(*pair)
    metric = head["metrics"][0] | {"fingerprint": "0" * 12}
    rewrite(pair[1], identities=head["identities"], metrics=[metric])
    with pytest.raises(RecordError, match=r"'chroma' differs between .* in fingerprint"):
        merge(*pair)
    plan = head["plan"] | {"mix": {"cells": 4, "digest": "0" * 64}}
    rewrite(pair[1], metrics=head["metrics"], plan=plan)
    with pytest.raises(RecordError, match="plan other cells for mix"):
        merge(*pair)


def test_a_plan_that_was_altered_is_refused(pair: list[Path]) -> None:
    edit(part_folder(pair[1], 2, 2) / "plan.jsonl", seed=1)
    with pytest.raises(RecordError, match="not those that their headers state"):
        merge(*pair)


def test_altered_sounds_are_left_out_and_taken_from_where_they_are_sound(
    pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = first_sound(pair[0], 1)
    sound = (pair[0] / str(record.audio)).read_bytes()
    again = copied(pair[0], tmp_path / "again")
    (pair[0] / str(record.audio)).write_bytes(b"")
    assert merge(*pair, out=tmp_path / "all") == 5
    said = capsys.readouterr().out
    assert f"left out: {pair[0]}: {record.audio} is empty" in said
    assert "7 of 8 cells" in said
    assert merge(pair[0], again, out=tmp_path / "all") == 0
    assert (tmp_path / "all" / str(record.audio)).read_bytes() == sound
    (tmp_path / "all" / str(record.audio)).unlink()
    assert merge(again, out=tmp_path / "all") == 0
    assert (tmp_path / "all" / str(record.audio)).read_bytes() == sound


def test_nothing_is_written_or_read_through_links(pair: list[Path], tmp_path: Path) -> None:
    out, victim = tmp_path / "all", tmp_path / "victim"
    out.mkdir()
    (out / "cells.jsonl").symlink_to(victim)
    with pytest.raises(LinkError, match="link to"):
        merge(*pair, out=out)
    (out / "cells.jsonl").unlink()
    record = first_sound(pair[0], 1)
    (out / "audio").mkdir()
    (out / str(record.audio)).symlink_to(victim)
    with pytest.raises(LinkError, match="link to"):
        command("merge", *map(str, pair), "-o", str(out))
    assert not victim.exists()


def test_a_folder_on_another_disk_gets_copies(
    pair: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_words: object, **_options: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert merge(*pair, out=tmp_path / "all") == 0
    for folder in pair:
        for path in (folder / "audio").iterdir():
            copy = tmp_path / "all" / "audio" / path.name
            assert copy.read_bytes() == path.read_bytes()
            assert copy.stat().st_ino != path.stat().st_ino


def test_records_alone_are_merged_without_a_look_at_the_sounds(
    pair: list[Path], tmp_path: Path
) -> None:
    for folder in pair:
        for path in (folder / "audio").iterdir():
            path.unlink()
    assert merge(*pair, out=tmp_path / "all", records_only=True) == 0
    assert len(load_run(tmp_path / "all").scores) == 8


def test_no_run_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"holds no run\.json"):
        merge(tmp_path)


def test_status_says_how_far_each_shard_is(
    pair: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pair[0]
    part = part_folder(folder, 1, 2)
    records = [one for one in read(part / "cells.jsonl", CellRecord) if one.status != "started"]
    times = [f"2026-01-01T10:0{minute}:00+00:00" for minute in range(4)]
    timed = [r.model_copy(update={"finished_at": t}) for r, t in zip(records, times, strict=True)]
    last = {"status": "error", "audio_digest": None, "audio": None}
    (part / "cells.jsonl").unlink()
    append(part / "cells.jsonl", [*timed[:2], timed[2].model_copy(update=last)])
    scores = read(part / "scores.jsonl", ScoreRecord)
    claim = take(part / "claim")
    assert claim is not None
    with kept(claim):
        assert command("status", str(folder), "--json") == 0
        assert status_of(folder)[0].state == "working"
    said = json.loads(capsys.readouterr().out)
    (run,) = said["runs"]
    first, second = run.pop("shards")
    assert run == {"folder": str(folder), "planned": 8, "done": 2, "failed": 1, "missing": 5}
    assert time.time() - first.pop("seen_s") < 600
    assert first == {
        "name": "1/2", "state": "working", "planned": 4, "done": 2, "failed": 1, "missing": 1,
        "scored": sum(one.cell_id in {r.cell_id for r in timed[:2]} for one in scores),
        "per_hour": 60.0, "left_s": 60.0,
    }  # fmt: skip
    assert (second["name"], second["state"], second["planned"]) == ("2/2", "not here", 4)
    assert command("status", str(folder)) == 0
    assert "1/2 stopped 4 2 1 1 2 60 1 min" in " ".join(capsys.readouterr().out.split())


def test_the_status_of_a_run_without_shards_is_one_row(finished: Small) -> None:
    (row,) = status_of(finished.folder)
    assert (row.name, row.state, row.planned, row.done, row.scored) == ("whole", "done", 8, 8, 8)


def test_merge_and_status_do_without_torch(pair: list[Path], checkout: Path) -> None:
    """In a process of its own, since this one may have imported it."""
    code = (
        "import sys; from bench.cli.main import cli; cli.main(sys.argv[1:], standalone_mode=False)"
    )
    probe = f"try:\n {code}\nexcept SystemExit:\n pass\nassert 'torch' not in sys.modules"
    for words in (["merge", *map(str, pair)], ["status", str(pair[0])]):
        subprocess.run([sys.executable, "-c", probe, *words], cwd=checkout, check=True)

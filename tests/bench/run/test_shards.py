"""Shards make what one process makes: in folders of their own, in one folder, and all at once."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_run import Small, command, made

from bench.api import ConfigError, RecordError
from bench.records.claims import take
from bench.records.lock import locked
from bench.records.parts import part_folder
from bench.records.schema import CellRecord
from bench.records.store import load_run, read
from bench.run.sharding import last_change

TOYS = Path(__file__).parents[1] / "toys.py"
COUNT = 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A finished run of the small suite with a method that learns; it must not be changed."""
    small = made(tmp_path_factory.mktemp("whole"))
    suite = small.home / "small.toml"
    text = suite.read_text(encoding="utf-8")
    suite.write_text(text.replace('"mix",', f'"mix", "{TOYS}:Gain",'), encoding="utf-8")
    assert small.run("--no-isolate", out="one") == 0
    return small


@pytest.fixture
def wide(whole: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A copy of it with an empty cache, and a note of each call of the method."""
    shutil.copytree(whole.home / "one", tmp_path / "one")
    shutil.copy(whole.home / "small.toml", tmp_path)
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "calls"))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache-of-shards"))
    return Small(tmp_path)


def shard(small: Small, number: int, out: str, *words: str) -> int:
    """Run a shard; its exit code."""
    return small.run("--no-isolate", "--shard", f"{number}/{COUNT}", *words, out=out)


def results(folder: Path) -> tuple[object, ...]:
    """All that must not depend on who rendered what: sounds, scores, and the order of the plan."""
    run = load_run(folder)
    sounds = {name: (cell.status, cell.audio_digest) for name, cell in run.cells.items()}
    scores = {
        key: (repr(score.value), repr(score.raw), score.fingerprint, score.audio_digest)
        for key, score in run.scores.items()
    }
    assert run.plan_faults == run.remarks == run.faults == ()
    return run.plan, run.header.plan, sounds, scores


def table(folder: Path) -> bytes:
    """Table II of a folder, made anew."""
    assert command("report", str(folder), "--no-html", "--quiet") == 0
    return (folder / "report" / "table2.csv").read_bytes()


def fits(small: Small) -> Counter[str]:
    """How often each style was learnt."""
    log = small.home / "calls"
    calls = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return Counter(call for call in calls if call.startswith("fit"))


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a folder, with the time of its last change."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def test_three_folders_and_a_merge_are_one_run(
    wide: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [wide.home / f"shard{number}" for number in (1, 2, 3)]
    for number in (1, 2, 3):
        assert shard(wide, number, f"shard{number}") == 0
        assert not (folders[number - 1] / "report").exists()
        assert len(fits(wide)) in {0, 2}  # who learns one style learns all, as one process does
    assert "shard 3/3 (as asked) of 12 cells" in capsys.readouterr().out
    assert fits(wide) == {"fit hiss": 1, "fit rush": 1}
    out = wide.home / "all"
    assert command("merge", *map(str, folders), "-o", str(out)) == 0
    assert "3 folders: 12 of 12 cells, 0 failed" in capsys.readouterr().out
    assert results(out) == results(wide.home / "one")
    assert table(out) == table(wide.home / "one")
    shutil.rmtree(out / "report")
    sounds = {path.name: path.stat().st_ino for path in (out / "audio").iterdir()}
    for folder in folders:
        for path in (folder / "audio").iterdir():
            assert sounds.pop(path.name) == path.stat().st_ino
    assert sounds == {}
    before = contents(out)
    for named in (folders, [out, folders[1]], [folders[2]]):
        assert command("merge", *map(str, named), "-o", str(out)) == 0
        assert contents(out) == before
    assert small_plan_sizes(folders) == [4, 4, 4]


def small_plan_sizes(folders: list[Path]) -> list[int]:
    """How many cells each shard's part of the plan has."""
    parts = [part_folder(folder, number, COUNT) for number, folder in enumerate(folders, start=1)]
    return [len((part / "plan.jsonl").read_bytes().splitlines()) for part in parts]


def test_shards_of_one_folder_are_one_run_and_what_is_there_is_kept(
    wide: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = wide.home / "shared"
    assert shard(wide, 2, "shared") == 0
    (fault,) = load_run(folder).plan_faults
    assert "holds 4 of 12 planned cells" in fault
    assert "here are shards 2-of-3" in fault
    for number in (3, 1):
        assert shard(wide, number, "shared") == 0
    assert results(folder) == results(wide.home / "one")
    assert table(folder) == table(wide.home / "one")
    assert command("merge", str(folder)) == 0
    assert "1 folder: 12 of 12 cells, 0 failed" in capsys.readouterr().out
    shutil.rmtree(folder / "report")
    records = {p: t for p, t in contents(folder).items() if p.endswith(("cells.jsonl", ".flac"))}
    assert shard(wide, 1, "shared") == 0
    assert wide.run("--no-isolate", out="shared") == 0
    after = contents(folder)
    assert {path: after[path] for path in records} == records
    assert not (folder / "cells.jsonl").exists()
    assert fits(wide) == {"fit hiss": 1, "fit rush": 1}


@pytest.mark.slow
def test_shards_that_start_at_once_share_header_cache_and_folder(wide: Small) -> None:
    """Three processes race for the header and for the fits."""
    words = ["run", "--suite", str(wide.home / "small.toml"), "--device", "cpu", "--no-isolate"]
    out = ["--out", str(wide.home / "race"), "--quiet"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "bench", *words, *out, "--shard", "auto"],
            env=os.environ | {"SLURM_PROCID": str(number), "SLURM_NTASKS": str(COUNT)},
        )
        for number in range(COUNT)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert results(wide.home / "race") == results(wide.home / "one")
    assert fits(wide) == {"fit hiss": 1, "fit rush": 1}
    left = {path.name for path in (wide.home / "race" / "shards").iterdir()}
    assert left == {"1-of-3", "2-of-3", "3-of-3"}
    assert not list((wide.home / "cache-of-shards" / "claims").iterdir())


def test_a_shard_goes_on_where_it_was_ended(wide: Small) -> None:
    assert shard(wide, 1, "shared") == 0
    log = part_folder(wide.home / "shared", 1, COUNT) / "cells.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    records = read(log, CellRecord)
    kept = [line for line, one in zip(lines, records, strict=True) if one.status != "started"]
    log.write_bytes(kept[0] + lines[0] + b'{"torn')
    assert shard(wide, 1, "shared") == 0
    ended = [one for one in read(log, CellRecord) if one.status != "started"]
    assert {one.cell_id for one in ended} == {one.cell_id for one in records}
    digests = {one.cell_id: one.audio_digest for one in records if one.status == "ok"}
    assert {one.cell_id: one.audio_digest for one in ended} == digests


def test_another_number_of_shards_takes_over_what_is_there(wide: Small) -> None:
    assert shard(wide, 1, "shared") == 0
    for number in (1, 2):
        assert wide.run("--no-isolate", "--shard", f"{number}/2", out="shared") == 0
    assert results(wide.home / "shared") == results(wide.home / "one")
    starts = [
        record.cell_id
        for part in (wide.home / "shared" / "shards").iterdir()
        for record in read(part / "cells.jsonl", CellRecord)
        if record.status == "started"
    ]
    assert max(Counter(starts).values()) == 1


def test_shards_of_another_plan_code_or_setting_are_refused(wide: Small) -> None:
    assert shard(wide, 1, "shared") == 0
    suite = wide.home / "small.toml"
    text = suite.read_text(encoding="utf-8")
    with pytest.raises(RecordError, match="differs in seeds"):
        shard(wide, 2, "shared", "--seeds", "2")
    suite.write_text(f'{text}\n[parameters."{TOYS}:Gain"]\ngain = 0.25\n', encoding="utf-8")
    with pytest.raises(RecordError, match="differs in parameters"):
        shard(wide, 2, "shared")
    header = wide.home / "shared" / "run.json"
    known = header.read_text(encoding="utf-8")
    suite.write_text(text, encoding="utf-8")
    plan = json.loads(known)
    plan["plan"]["mix"]["digest"] = "0" * 64
    header.write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(RecordError, match="plans other cells for mix than this shard"):
        shard(wide, 2, "shared")
    code = json.loads(known)
    for facts in code["identities"].values():
        facts["source"] = "0" * 12
    header.write_text(json.dumps(code), encoding="utf-8")
    with pytest.raises(RecordError, match=r"mix \(other code\).* shards of a folder are of one"):
        shard(wide, 2, "shared")


def test_a_shard_takes_one_process_and_keeps_out_what_is_no_shard(small: Small) -> None:
    folder = small.home / "shared"
    claim = take(part_folder(folder, 1, COUNT) / "claim")
    assert claim is not None
    with pytest.raises(RecordError, match=r"shard 1/3 of .* is at work"):
        shard(small, 1, "shared")
    with locked(folder, shared=True):
        assert shard(small, 2, "shared") == 0
        with pytest.raises(RecordError, match="in use by another run"):
            small.run(out="shared")
    with locked(folder), pytest.raises(RecordError, match="in use by another run"):
        shard(small, 3, "shared")


def test_a_requeued_shard_waits_until_its_dead_predecessor_has_no_claim(small: Small) -> None:
    """The predecessor ran on another machine; nobody can ask that machine."""
    path = part_folder(small.home / "shared", 1, COUNT) / "claim"
    path.parent.mkdir(parents=True)
    said = {"token": "t", "machine": "elsewhere", "process": 1, "since": "today"}
    path.write_text(json.dumps(said), encoding="utf-8")
    then = path.stat().st_mtime - 118.5
    os.utime(path, (then, then))
    assert shard(small, 1, "shared") == 0
    assert last_change(path) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--device", "cpu,cpu"], "--shard and 2 devices were asked for"),
        (["--fit-together"], "--shard and --fit-together were asked for"),
    ],
)
def test_what_cannot_go_with_a_shard_is_refused(
    small: Small, words: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        shard(small, 1, "shared", *words)


LEARNT = """
schema_version = 1
name = "part"
dataset = "mini"
profile = "mini"
methods = ["tve", "rti"]
controls = ["mix"]
metrics = ["cp", "sf.heldout"]
styles = ["accordion", "bells"]
contents = 2
duration_s = 2.0
chunk_size = 1
[parameters.tve]
steps = 30
num_inference_steps = 6
[parameters.rti]
steps = 30
num_inference_steps = 6
"""


@pytest.mark.slow
def test_a_part_of_the_mini_suite_in_three_shards_and_merged_is_that_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Learnt styles, whose last digits depend on what is learnt together, and all their scores."""
    (tmp_path / "part.toml").write_text(LEARNT, encoding="utf-8")
    words = ["run", "--suite", str(tmp_path / "part.toml"), "--device", "cpu", "--no-html"]
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache-of-one"))
    assert command(*words, "--out", str(tmp_path / "one")) == 0
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache-of-shards"))
    folders = [str(tmp_path / f"shard{number}") for number in (1, 2, 3)]
    for number, folder in enumerate(folders, start=1):
        assert command(*words, "--out", folder, "--shard", f"{number}/3") == 0
    assert command("merge", *folders, "-o", str(tmp_path / "all")) == 0
    assert results(tmp_path / "all") == results(tmp_path / "one")
    assert table(tmp_path / "all") == table(tmp_path / "one")
    learnt = [load_run(folder).cells.values() for folder in folders]
    fresh = [{r.fit_key for r in cells if r.fit_key and not r.fit_cached} for cells in learnt]
    assert sum(map(len, fresh)) == len(set[str | None]().union(*fresh)) > 0


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_shards_work_where_the_file_system_locks_nothing(
    small: Small, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """As some of networks do; each shard has files of its own, so nothing is mixed up."""

    def refuse(*_words: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for number in (1, 2, 3):
        assert shard(small, number, "shared") == 0
    assert results(small.home / "shared") == results(small.folder)

"""A full disk, a damaged cache, a folder of another version, two runs at once.

Each ends with a clear stop or is repaired silently; nothing that was finished is lost, and the
tables in the end are those of a run without any of these faults.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from driving import RUDE, Stage, ended, methods, wait_until

from bench.api import Audio, RecordError, StyleState
from bench.cache import Cache
from bench.records.schema import CellRecord, PlannedCell
from bench.records.store import load_run, read

STEADY = (*methods("Steady"), "--no-isolate")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A stage with one finished run, `run`."""
    stage = Stage(tmp_path_factory.mktemp("surroundings"))
    assert stage.run(*STEADY) == 0
    return stage


def largest(folder: Path) -> int:
    return max(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "limit_bytes", [1500, *(pytest.param(n, marks=pytest.mark.slow) for n in (4000, 8000))]
)
def test_a_file_that_cannot_grow_stops_the_run_clearly(stage: Stage, limit_bytes: int) -> None:
    out = f"limited{limit_bytes}"
    assert largest(stage.home / "run") > 8000
    assert ended(stage.start(*STEADY, out=out, limit_bytes=limit_bytes)) == 2
    said = stage.said(out)
    assert "no space left" in said
    assert "Traceback" not in said
    assert not list(stage.home.glob(f"*{out}/**/.*.part*"))
    assert stage.run(*STEADY, out=out) == 0
    stage.require_whole(out)
    assert stage.tables(out) == stage.tables()


@pytest.mark.parametrize(
    "isolation", ["--isolate", pytest.param("--no-isolate", marks=pytest.mark.slow)]
)
def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(
    stage: Stage, small_disk: Path, isolation: str
) -> None:
    out, words = f"full{isolation}", (*methods("Rude[how=fill]"), isolation)
    (stage.home / out).symlink_to(small_disk, target_is_directory=True)
    disk = {"TOY_DISK": str(small_disk), "BENCH_CACHE": str(small_disk / "cache")}
    assert stage.run(*words, out=out, **disk) == 2
    assert f"no space left on the disk mounted at {small_disk}; finished" in stage.said(out)
    assert (stage.notes / "disk-full").exists()
    (small_disk / "filler").unlink()
    assert stage.run(*words, out=out, TOY_DISK=str(stage.home / "nowhere")) == 0
    stage.require_whole(out)
    assert [cell.audio_digest for cell in stage.status(out).values()] == [
        cell.audio_digest for cell in stage.status().values()
    ]


def test_a_full_cache_is_not_blamed_on_the_run_folder(stage: Stage, small_disk: Path) -> None:
    out, cache = "cache-full", small_disk / "cache"
    disk = {"TOY_DISK": str(small_disk), "BENCH_CACHE": str(cache)}
    assert stage.run(*methods("Rude[how=fill]"), "--no-isolate", out=out, **disk) == 2
    (line,) = [line for line in stage.said(out).splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {cache}/")
    assert f"no space left on the disk mounted at {small_disk}; finished cells are safe" in line
    assert str(stage.home / out) not in line
    (small_disk / "filler").unlink()
    nowhere = {"TOY_DISK": str(stage.home / "nowhere"), "BENCH_CACHE": str(cache)}
    assert stage.run(*methods("Rude[how=fill]"), "--no-isolate", out=out, **nowhere) == 0
    stage.require_whole(out)


def test_a_cache_that_fills_while_scores_are_made_stops_the_run(
    stage: Stage, small_disk: Path
) -> None:
    out = "cache-full-scores"
    disk = {"TOY_DISK": str(small_disk), "BENCH_CACHE": str(small_disk / "cache")}
    words = (*STEADY, "--metrics", f"{RUDE}:Hoarder")
    assert stage.run(*words, out=out, **disk) == 2
    assert f"no space left on the disk mounted at {small_disk}; finished" in stage.said(out)
    assert not (stage.home / out / "scores.jsonl").exists()
    (small_disk / "filler").unlink()
    nowhere = {"TOY_DISK": str(stage.home / "nowhere"), "BENCH_CACHE": str(small_disk / "cache")}
    assert stage.run(*words, out=out, **nowhere) == 0
    stage.require_whole(out)


def entries(cache: Cache) -> list[Path]:
    """One entry of each kind."""
    rng = np.random.default_rng(0)
    state = StyleState({"token": rng.normal(size=(3, 5))}, {"text": "bells", "steps": 3})
    cache.save_state("a1", state, {"fit_s": 2.0})
    cache.save_audio("b1", Audio(rng.normal(size=(1, 50)).astype(np.float32), 8000), {"s": 1.0})
    cache.save_array("clap", "c1", rng.normal(size=20))
    return sorted(path for path in cache.root.rglob("*") if path.is_file())


def value(cache: Cache, kind: str) -> bytes | None:
    """What the cache says about the entry of a kind, in bytes."""
    if kind == "fits":
        state, cost = cache.load_state("a1"), cache.load_cost("a1")
        return state and state.arrays["token"].tobytes() + repr((state.meta, cost)).encode()
    if kind == "outputs":
        output = cache.load_audio("b1")
        return output and output[0].digest.encode() + repr(output[1]).encode()
    array = cache.load_array("clap", "c1")
    return None if array is None else array.tobytes() + str(array.dtype).encode()


@pytest.mark.parametrize("kind", ["fits", "outputs", "clap"])
def test_no_damage_to_an_entry_gives_another_value(tmp_path: Path, kind: str) -> None:
    """Wherever it is altered or cut, the entry is absent or its value is right."""
    cache = Cache(tmp_path)
    (path,) = (path for path in entries(cache) if kind in path.parts)
    whole, right = path.read_bytes(), value(cache, kind)
    found = []
    for place in range(0, len(whole), 5):
        altered = bytes([whole[place] ^ 0x11])
        for damaged in (whole[:place], whole[:place] + altered + whole[place + 1 :]):
            path.write_bytes(damaged)
            found.append(value(cache, kind))
    assert set(found) <= {None, right}
    assert found.count(None) > len(found) / 2


@pytest.mark.parametrize("damage", ["garbled", pytest.param("cut", marks=pytest.mark.slow)])
def test_a_damaged_cache_is_computed_again(stage: Stage, damage: str) -> None:
    out = f"repaired-{damage}"
    cache = stage.home / f"cache-{damage}"
    assert stage.run(*STEADY, out=out, BENCH_CACHE=str(cache)) == 0
    paths = [path for path in cache.rglob("*") if path.suffix in {".npz", ".safetensors"}]
    assert {path.suffix for path in paths} == {".npz", ".safetensors"}
    for path in paths:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data if damage == "garbled" else data[: len(data) // 2])
    again = f"{out}-again"
    assert stage.run(*STEADY, out=again, BENCH_CACHE=str(cache)) == 0
    renewed = stage.status(again).values()
    assert {bool(c.fit_cached or c.transfer_cached) for c in renewed} == {False}
    assert stage.tables(again) == stage.tables()
    third = f"{out}-third"
    assert stage.run(*STEADY, out=third, BENCH_CACHE=str(cache)) == 0
    kept = stage.status(third).values()
    assert {bool(c.fit_cached and c.transfer_cached) for c in kept} == {True}


@pytest.fixture
def older(stage: Stage, tmp_path: Path) -> Path:
    """A copy of the finished run whose files may be rewritten."""
    folder = stage.home / f"older-{tmp_path.name}"
    for path in (stage.home / "run").rglob("*.json*"):
        copy = folder / path.relative_to(stage.home / "run")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return folder


def test_a_header_of_an_older_schema_is_refused(stage: Stage, older: Path) -> None:
    header = json.loads((older / "run.json").read_text(encoding="utf-8"))
    (older / "run.json").write_text(json.dumps({**header, "schema_version": 0}), encoding="utf-8")
    with pytest.raises(RecordError, match=r"run\.json does not follow schema 1.*--out"):
        load_run(older)
    assert stage.run(*STEADY, out=older.name) == 2
    assert "does not follow schema 1" in stage.said(older.name)


@pytest.mark.parametrize(
    "name", ["plan", *(pytest.param(one, marks=pytest.mark.slow) for one in ("cells", "scores"))]
)
def test_a_record_of_an_older_schema_is_refused_with_its_line(
    stage: Stage, older: Path, name: str
) -> None:
    path = older / f"{name}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[1] = lines[1].replace('"schema_version":1', '"schema_version":0')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(RecordError, match=rf"{name}\.jsonl:2 is not a .*schema 1.*--out"):
        load_run(older)
    assert stage.run(*STEADY, out=older.name) == 2
    assert f"{name}.jsonl:2" in stage.said(older.name)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\x01"])
def test_a_header_that_is_no_header_is_refused(older: Path, text: str) -> None:
    (older / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=r"run\.json does not follow schema 1"):
        load_run(older)


def test_a_second_run_in_the_same_folder_is_refused(stage: Stage) -> None:
    first = stage.start(*methods("Steady"), out="shared", TOY_PAUSE="transfer")
    wait_until((stage.notes / "paused-transfer").exists, "the first run to transfer")
    assert stage.run(*methods("Softer"), out="shared") == 2
    assert "shared is in use by another run" in stage.said("shared")
    folder = stage.home / "shared"
    assert {c.status for c in read(folder / "cells.jsonl", CellRecord)} == {"started"}
    assert {c.method.rpartition(":")[2] for c in read(folder / "plan.jsonl", PlannedCell)} == {
        "Steady"
    }
    first.kill()
    first.join()
    assert stage.run(*methods("Steady"), out="shared") == 0
    stage.require_whole("shared")
    stage.require_nobody_left()
    assert stage.tables("shared") == stage.tables()

"""The lock file of what was fetched first: several processes write it at once and lose nothing."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from bench.api import CheckpointError
from bench.files import LinkError
from bench.first_use import FileFact, Locked, lock_path, read_locked, write_locked

PROCESSES, NAMES = 4, 25


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def locked(digest: str = "0", size: int = 1) -> Locked:
    return Locked(files={"weights": FileFact(bytes=size, sha256=digest * 64, mtime_ns=1)})


def record(process: int, cache: str) -> None:
    """Fetch many things for the first time."""
    os.environ["BENCH_CACHE"] = cache
    for number in range(NAMES):
        write_locked(f"{process}-{number}", locked(), "one of many")


def test_processes_that_fetch_at_once_lose_no_entry(cache: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.first_use"])
    processes = [
        context.Process(target=record, args=(number, str(cache))) for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    for process in range(PROCESSES):
        for number in range(NAMES):
            assert read_locked(f"{process}-{number}") == locked()
    left = {path.name for path in cache.iterdir()}
    assert left == {lock_path().name, f"{lock_path().name}.turn"}


def test_of_two_that_fetch_the_same_the_first_decides_what_it_is() -> None:
    write_locked("model", locked("a"), "the model")
    write_locked("model", locked("a"), "the model")
    with pytest.raises(CheckpointError, match="the model: weights has 1 bytes and SHA-256 bbb"):
        write_locked("model", locked("b"), "the model")
    assert read_locked("model") == locked("a")


def test_a_damaged_lock_file_is_left_as_it_is() -> None:
    write_locked("model", locked(), "the model")
    lock_path().write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match="is damaged"):
        write_locked("other", locked(), "the other")
    assert lock_path().read_text(encoding="utf-8") == "{"


def test_nothing_is_written_through_a_link(cache: Path, tmp_path: Path) -> None:
    cache.mkdir()
    target = tmp_path / "target"
    (cache / f"{lock_path().name}.turn").symlink_to(target)
    with pytest.raises(LinkError, match="it is a link to"):
        write_locked("model", locked(), "the model")
    assert not target.exists()


def test_others_may_read_what_one_wrote() -> None:
    write_locked("model", locked(), "the model")
    assert stat.S_IMODE(lock_path().stat().st_mode) & stat.S_IRUSR

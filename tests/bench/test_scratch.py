"""Scratch files of killed writers go with the next write; those of living ones stay."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.files import replace_file

MEGABYTES = 16
# Writes again and again, each time long enough to be stopped in the middle.
BUSY = f"""
import sys
from pathlib import Path
from bench.files import replace_file
while True:
    replace_file(Path(sys.argv[1]), b"n" * ({MEGABYTES} << 20))
"""
WRITER = """
import sys
from pathlib import Path
from bench.files import replace_file
for _ in range(200):
    replace_file(Path(sys.argv[1]), "new")
"""
SWEEPER = """
import sys
from pathlib import Path
from bench.files import remove_left_over
while True:
    remove_left_over.cache_clear()
    remove_left_over(Path(sys.argv[1]))
"""


def started(code: str, path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, str(path)])


def scratches(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix == ".part"]


@contextmanager
def stopped_in_the_middle(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has stopped where its scratch file was being written."""
    process = started(BUSY, path)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.01)
            if any((path.parent / name).stat().st_size for name in scratches(path.parent)):
                break
            process.send_signal(signal.SIGCONT)
        yield process
    finally:
        process.kill()
        process.wait()


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with stopped_in_the_middle(path):
        pass
    assert len(scratches(tmp_path)) == 1
    replace_file(tmp_path / "other.txt", "new")
    assert scratches(tmp_path) == []
    assert (tmp_path / "other.txt").read_text() == "new"


def test_what_a_living_writer_writes_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with stopped_in_the_middle(path):
        (scratch,) = scratches(tmp_path)
        replace_file(tmp_path / "other.txt", "new")
        assert scratches(tmp_path) == [scratch]


def test_a_writer_whose_new_file_is_taken_for_left_over_writes_all_the_same(tmp_path: Path) -> None:
    sweepers = [started(SWEEPER, tmp_path) for _ in range(2)]
    writers = [started(WRITER, tmp_path / name) for name in ("a.txt", "b.txt")]
    try:
        assert [writer.wait(120) for writer in writers] == [0, 0]
    finally:
        for process in (*sweepers, *writers):
            process.kill()
            process.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_no_other_file_and_no_link_is_taken_for_left_over(tmp_path: Path) -> None:
    target = tmp_path / "mine.txt"
    target.write_text("mine")
    others = ["a.part", ".a.part", ".a.0123456789abcdeg.part", ".a.0123456789abcdef.part.json"]
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / ".link.0123456789abcdef.part").symlink_to(target)
    (tmp_path / ".folder.0123456789abcdef.part").mkdir()
    before = {path.name for path in tmp_path.iterdir()}
    replace_file(tmp_path / "new.txt", "new")
    assert {path.name for path in tmp_path.iterdir()} == before | {"new.txt"}
    assert target.read_text() == "mine"

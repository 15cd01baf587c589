"""Files are replaced as a whole or not at all; digests have the values that records hold."""

import errno
import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.files import (
    file_digest,
    json_digest,
    naming,
    no_space,
    remembered_digest,
    replace_file,
)

OLD, MEGABYTES = "old content\n", 64
# Writes new content again and again, each time long enough to be hit in the middle.
KILLED = f"""
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
for _ in range(30):
    replace_file(Path(sys.argv[1]), sys.argv[2] * 100_000)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_replace_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    replace_file(path, "größer\n")
    assert path.read_bytes() == "größer\n".encode()
    replace_file(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert names(path.parent) == ["a.txt"]


def test_a_process_killed_while_it_writes_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(OLD)
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)])
    deadline = time.monotonic() + 60
    while len(names(tmp_path)) == 1 and path.stat().st_size == len(OLD):
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    content = path.read_bytes()
    assert content in {OLD.encode(), b"n" * (MEGABYTES << 20)}
    assert all(name.startswith(".a.txt.") for name in names(tmp_path) if name != "a.txt")


def test_a_reader_beside_two_writers_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    replace_file(path, "a" * 100_000)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter]) for letter in "ab"
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        seen.add(path.read_text())
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen <= {"a" * 100_000, "b" * 100_000}
    assert names(tmp_path) == ["a.txt"]


def test_a_file_that_cannot_grow_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(OLD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            replace_file(path, "n" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_text() == OLD
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(IsADirectoryError, match=r"a\.txt"):
        replace_file(tmp_path / "a.txt", "text")
    assert names(tmp_path) == ["a.txt"]


def test_a_link_stays_and_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "a.txt"
    target.write_text(OLD)
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    replace_file(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()
    replace_file(pipe, "through")
    reader.join(timeout=60)
    assert received == ["through"]
    assert pipe.is_fifo()


def test_a_name_as_long_as_a_file_system_allows_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 120 + ".json")
    replace_file(path, "{}")
    assert path.read_text() == "{}"


def test_a_digest_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    assert remembered_digest(path) == file_digest(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"other")
    assert remembered_digest(path) == hashlib.sha256(b"other").hexdigest()


def test_an_unread_change_is_seen_by_the_digest_that_reads_the_file(tmp_path: Path) -> None:
    """Same size, same time: only a digest that is not remembered tells the two apart."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    stat, before = path.stat(), remembered_digest(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert remembered_digest(path) == before
    assert file_digest(path) == hashlib.sha256(b"two").hexdigest()


def test_digests_of_json_have_the_values_that_records_and_caches_hold() -> None:
    value = {"b": ["ü", 1, 2.5, None], "a": {"d": True, "c": False}}
    spaced = '{"a": {"c": false, "d": true}, "b": ["\\u00fc", 1, 2.5, null]}'
    assert json_digest(value) == hashlib.sha256(spaced.encode()).hexdigest()
    compact = spaced.replace(": ", ":").replace(", ", ",")
    assert json_digest(value, separators=(",", ":")) == hashlib.sha256(compact.encode()).hexdigest()


def test_an_error_names_the_file_and_a_full_disk_where_it_is_mounted(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with pytest.raises(OSError, match="No space left") as caught, naming(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(path)
    mount = next(folder for folder in tmp_path.resolve().parents if folder.is_mount())
    assert no_space(caught.value) == f"{path}: no space left on the disk mounted at {mount}"
    with pytest.raises(PermissionError) as refused, naming(path):
        raise OSError(errno.EACCES, "Permission denied", ".a.txt.part")
    assert refused.value.filename == str(path)
    assert no_space(refused.value) is None
    with pytest.raises(OSError, match="read-only words") as own, naming(path):
        raise OSError("read-only words")
    assert own.value.filename is None
    assert no_space(OSError(errno.ENOSPC, "No space left on device")) is None


def test_a_file_on_a_full_disk_is_named_and_not_its_scratch_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            replace_file(path, "n" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert caught.value.filename == str(path)


def test_text_that_no_encoding_has_is_escaped(tmp_path: Path) -> None:
    replace_file(tmp_path / "a.txt", "caf\udce9")
    assert (tmp_path / "a.txt").read_bytes() == rb"caf\udce9"

"""Files are replaced as a whole or not at all; digests have the values that records hold."""

import errno
import hashlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from bench.files import (
    LinkError,
    file_digest,
    inside,
    json_digest,
    naming,
    no_space,
    remembered_digest,
    renewed_folder,
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


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "a.txt"
    target.write_text(OLD)
    link = tmp_path / "link.txt"
    for aim in (target, Path("elsewhere/a.txt"), tmp_path / "nowhere"):
        link.unlink(missing_ok=True)
        link.symlink_to(aim)
        with pytest.raises(LinkError, match="nothing is written or deleted through one"):
            replace_file(link, "new")
    assert link.is_symlink()
    assert target.read_text() == OLD
    assert names(tmp_path) == ["elsewhere", "link.txt"]


def test_a_link_on_the_way_is_refused_below_the_root_and_followed_above_it(tmp_path: Path) -> None:
    disk, root = tmp_path / "disk", tmp_path / "named"
    disk.mkdir()
    root.symlink_to(disk)
    (disk / "in").symlink_to(tmp_path)
    replace_file(root / "new" / "a.txt", "new", root=root)
    assert (disk / "new" / "a.txt").read_text() == "new"
    with pytest.raises(LinkError, match="link to"):
        replace_file(root / "in" / "a.txt", "new", root=root)
    with pytest.raises(ValueError, match="is not in the subpath"):
        replace_file(root / ".." / "a.txt", "new", root=root)
    assert names(tmp_path) == ["disk", "named"]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../out.txt", "in/../../out.txt", "link", "loop", "a\0b"]
)
def test_a_path_that_leads_out_of_a_folder_is_refused(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    (tmp_path / "out.txt").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "out.txt")
    (folder / "loop").symlink_to("loop")
    with pytest.raises(LinkError, match="leads out of"):
        inside(folder, path)
    (folder / "stays").symlink_to("in")
    assert inside(folder, "stays/a.txt") == folder / "stays" / "a.txt"


def test_a_folder_is_renewed_whole_and_what_users_put_there_stays(tmp_path: Path) -> None:
    target = tmp_path / "report"
    for name in ("made.txt", "mine.txt", "sub/made.txt", "sub/mine.txt", "own/deep/mine.txt"):
        replace_file(target / name, OLD)
    (target / "sub" / "mine.link").symlink_to(tmp_path)
    (target / "sub" / "stale.txt").write_text(OLD)
    with renewed_folder(target, keep=lambda path: path.name != "stale.txt") as fresh:
        assert fresh.parent == tmp_path
        replace_file(fresh / "made.txt", "new")
        replace_file(fresh / "sub" / "made.txt", "new")
        assert (target / "made.txt").read_text() == OLD
    found = {str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()}
    assert found == {"made.txt", "mine.txt", "sub/made.txt", "sub/mine.txt", "own/deep/mine.txt"}
    assert {(target / name).read_text() for name in ("made.txt", "sub/made.txt")} == {"new"}
    assert (target / "sub" / "mine.link").is_symlink()
    assert names(tmp_path) == ["report"]


def test_a_block_that_raises_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "report"
    replace_file(target / "made.txt", OLD)

    def spoil() -> None:
        with renewed_folder(target) as fresh:
            replace_file(fresh / "made.txt", "half")
            raise OSError(28, "No space left on device", str(fresh))

    with pytest.raises(OSError, match="No space left"):
        spoil()
    assert (target / "made.txt").read_text() == OLD
    assert names(tmp_path) == ["report"]


@pytest.mark.parametrize(
    "place", ["report", "report/page", "report/page/made.txt", "report/page/sub"]
)
def test_a_link_in_a_folder_that_is_renewed_is_refused(tmp_path: Path, place: str) -> None:
    root, victim = tmp_path / "run", tmp_path / "victim"
    replace_file(victim / "made.txt", OLD)
    (root / place).parent.mkdir(parents=True)
    (root / place).symlink_to(victim / "made.txt" if place.endswith(".txt") else victim)

    def renew() -> None:
        with renewed_folder(root / "report" / "page", root) as fresh:
            replace_file(fresh / "made.txt", "new")
            replace_file(fresh / "sub" / "made.txt", "new")

    with pytest.raises(LinkError, match="link to"):
        renew()
    assert {path.name: path.read_text() for path in victim.iterdir()} == {"made.txt": OLD}
    assert (root / place).is_symlink()
    assert not list(root.rglob(".*"))


def test_a_folder_of_the_user_under_the_name_of_a_file_is_not_lost(tmp_path: Path) -> None:
    replace_file(tmp_path / "report" / "made.txt" / "mine.txt", OLD)

    def renew() -> None:
        with renewed_folder(tmp_path / "report") as fresh:
            replace_file(fresh / "made.txt", "new")

    with pytest.raises(IsADirectoryError, match=r"made\.txt"):
        renew()
    assert (tmp_path / "report" / "made.txt" / "mine.txt").read_text() == OLD


@pytest.mark.parametrize("moment", ["before", "between", "after", "carrying"])
def test_what_a_killed_process_left_is_finished_by_the_next(tmp_path: Path, moment: str) -> None:
    """The four moments at which a kill can fall, laid out by hand."""
    target, former, fresh = (
        tmp_path / name for name in ("report", ".report.0.old", ".report.1.new")
    )
    replace_file((target if moment == "before" else former) / "mine.txt", OLD)
    replace_file((target if moment == "before" else former) / "made.txt", OLD)
    replace_file((fresh if moment in {"before", "between"} else target) / "made.txt", "lost")
    if moment == "carrying":
        (former / "mine.txt").rename(target / "mine.txt")
    with renewed_folder(target) as folder:
        replace_file(folder / "made.txt", "new")
    assert {path.name: path.read_text() for path in target.iterdir()} == {
        "mine.txt": OLD, "made.txt": "new",
    }  # fmt: skip
    assert names(tmp_path) == ["report"]


RENEWER = """
import sys
from pathlib import Path
from bench.files import renewed_folder, replace_file
for _ in range(40):
    with renewed_folder(Path(sys.argv[1])) as fresh:
        for name in "ab":
            replace_file(fresh / name, sys.argv[2])
"""


def test_two_processes_take_turns_and_neither_loses_a_file(tmp_path: Path) -> None:
    target = tmp_path / "report"
    replace_file(target / "mine.txt", OLD)
    processes = [subprocess.Popen([sys.executable, "-c", RENEWER, str(target), x]) for x in "12"]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert names(target) == ["a", "b", "mine.txt"]
    assert (target / "a").read_text() == (target / "b").read_text()
    assert names(tmp_path) == ["report"]


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


MEMORY = Path("/dev/shm")  # noqa: S108 - the place itself is what is tested


@pytest.mark.skipif(not os.access(MEMORY, os.W_OK), reason="this system has no /dev/shm")
def test_a_disk_in_memory_is_no_stream() -> None:
    """Clusters keep caches there: folders are made, and what stood there is replaced whole."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        path = Path(place) / "a" / "b.txt"
        replace_file(path, "first")
        inode = path.stat().st_ino
        replace_file(path, "second")
        assert path.read_text() == "second"
        assert path.stat().st_ino != inode
        link = path.with_name("link")
        link.symlink_to(path)
        with pytest.raises(LinkError):
            replace_file(link, "third")


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

"""Commands beside `run` on a full disk: exit code 2, the disk by name, and no half file.

Once there is room, the same command does its work.
"""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from driving import RUDE, Stage, ended, methods

from bench.api import Audio, Clip, Output, Style
from bench.files import disk_is_full
from bench.plugins.catalog import find_metric
from bench.plugins.isolated import IsolatedMetric
from bench.plugins.wire import Wire

STEADY = (*methods("Steady"), "--no-isolate")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A stage with one finished run, `run`, that has the controls of a listening test."""
    stage = Stage(tmp_path_factory.mktemp("full"))
    controls = ",copy-content,copy-style"
    assert stage.run(STEADY[0], STEADY[1] + controls, *STEADY[2:]) == 0
    return stage


def command(stage: Stage, *arguments: str, limit_bytes: int | None = None) -> tuple[int, str]:
    """Do what `python -m bench` does; the exit code and what it printed."""
    (stage.home / "command.out").unlink(missing_ok=True)
    code = ended(stage.command(*arguments, out="command", limit_bytes=limit_bytes))
    return code, stage.said("command")


def copied(stage: Stage, target: Path) -> Path:
    """A copy of the finished run without its report."""
    source = stage.home / "run"
    for path in source.rglob("*"):
        place = path.relative_to(source)
        if path.is_file() and place.parts[0] != "report":
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            (target / place).write_bytes(path.read_bytes())
    return target


def fill(disk: Path) -> Path:
    """Take all the space that is left on a disk."""
    filler = disk / "filler"
    size = shutil.disk_usage(disk).free
    filler.write_bytes(bytes(size))
    assert shutil.disk_usage(disk).free == 0
    return filler


def require_no_half(folder: Path) -> None:
    """No scratch file, and no sound that is cut."""
    assert not [path for path in folder.rglob("*") if path.name.endswith(".part")]
    for path in folder.rglob("*.wav"):
        head = path.read_bytes()
        assert int.from_bytes(head[4:8], "little") == len(head) - 8, path


def words_of(what: str, stage: Stage, disk: Path) -> list[str]:
    """The command that writes onto the disk."""
    run = str(stage.home / "run")
    return {
        "export": ["listen", "export", "--run", run, "--sets", "2", "-o", str(disk / "test")],
        "report": ["report", str(disk / "run"), "--no-html"],
        "page": ["report", str(disk / "run")],
        "baseline": ["baseline", run, "--reason", "tried", "-o", str(disk / "base.json")],
        "history": ["history", "add", run, "-o", str(disk / "history.jsonl")],
    }[what]


@pytest.mark.parametrize(
    "what",
    [
        pytest.param("export", marks=pytest.mark.slow),
        "report",
        pytest.param("page", marks=pytest.mark.slow),
        "baseline",
        "history",
    ],
)
def test_a_full_disk_is_named_and_room_is_enough(stage: Stage, small_disk: Path, what: str) -> None:
    if what in {"report", "page"}:
        copied(stage, small_disk / "run")
    words = words_of(what, stage, small_disk)
    filler = fill(small_disk)
    code, said = command(stage, *words)
    assert code == 2, said
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert f"no space left on the disk mounted at {small_disk}" in line
    assert "Traceback" not in said
    require_no_half(small_disk)
    filler.unlink()
    remove_begun(small_disk / "test")
    code, said = command(stage, *words)
    assert code == 0, said


def remove_begun(folder: Path) -> None:
    """Remove a listening test that was begun: a test gets a folder that is empty."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize("what", ["export", "report", "baseline", "history"])
def test_a_file_that_cannot_grow_is_named(stage: Stage, tmp_path: Path, what: str) -> None:
    if what == "report":
        copied(stage, tmp_path / "run")
    words = words_of(what, stage, tmp_path)
    code, said = command(stage, *words, limit_bytes=200)
    assert code == 2, said
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {tmp_path}/")
    assert "no space left on the disk" in line
    require_no_half(tmp_path)


def test_a_history_that_was_cut_by_a_full_disk_goes_on(stage: Stage, tmp_path: Path) -> None:
    out = tmp_path / "history.jsonl"
    words = ("history", "add", str(stage.home / "run"), "-o", str(out))
    assert command(stage, *words, limit_bytes=100)[0] == 2
    code, said = command(stage, *words)
    assert code == 0
    assert said.startswith(f"Added to {out}: 1 runs")
    assert out.read_text("utf-8").count("\n") == 1


def test_a_full_standard_output_of_a_report_leaves_whole_tables(
    stage: Stage, tmp_path: Path
) -> None:
    folder = copied(stage, tmp_path / "run")
    (stage.home / "full.out").symlink_to("/dev/full")
    assert ended(stage.command("report", str(folder), "--no-html", out="full")) == 2
    whole = (stage.home / "run" / "report" / "table2.csv").read_bytes()
    assert (folder / "report" / "table2.csv").read_bytes() == whole


def test_the_disk_that_is_full_under_a_worker_s_arrays_is_named(small_disk: Path) -> None:
    near, far = socket.socketpair()
    wire = Wire(far, small_disk, "worker")
    with pytest.raises(OSError, match="No space left on device") as full:
        wire.send(1, "done", np.ones(2_000_000))
    assert full.value.filename == str(small_disk / "worker-0.npy")
    assert disk_is_full(full.value)
    wire.close()
    near.close()


def test_a_disk_that_is_full_inside_a_worker_is_named_and_no_fault_of_the_metric(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metric fills the disk of the cache and then keeps an embedding there, in its worker."""
    monkeypatch.setenv("BENCH_CACHE", str(small_disk / "cache"))
    monkeypatch.setenv("TOY_DISK", str(small_disk))
    monkeypatch.setenv("TOY_NOTES", str(tmp_path))
    metric = IsolatedMetric(find_metric(f"{RUDE}:Hoarder"), tmp_path / "log")
    metric.load("mini", "cpu")
    clip = Clip("c", "c", Audio(np.ones((1, 80), np.float32), 8000))
    with pytest.raises(OSError, match="No space left on device") as full:
        metric.score([Output(clip, Style("s", (clip,)), clip.audio)])
    assert str(full.value.filename).startswith(f"{small_disk}/cache/hoard/")
    assert disk_is_full(full.value)
    metric.close()

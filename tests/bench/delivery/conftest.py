"""A finished run, and a folder with the outputs of one of its methods, as somebody sends it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "run"))

from small_run import Small, made


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A run of two repetitions that nothing has been done to; it must not be changed."""
    small = made(tmp_path_factory.mktemp("small"))
    assert small.run("--seeds", "2") == 0
    return small


@pytest.fixture
def small(finished: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A copy of it for one test, which works in its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return finished.copy(tmp_path)


@pytest.fixture
def theirs(small: Small) -> Path:
    """The outputs of `mix`, called as the cells are."""
    return handed_in(small, small.home / "theirs")


def handed_in(small: Small, folder: Path) -> Path:
    run = small.load()
    for cell in run.plan:
        if cell.method == "mix":
            sound = small.folder / str(run.cells[cell.cell_id].audio)
            again = f".{cell.repetition}" if cell.repetition else ""
            place = folder / cell.style / f"{cell.content}{again}{sound.suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sound, place)
    return folder

"""Watching what is opened: each block sees its own files, and all share one hook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.plugins.own_files import own_data, watching_files


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three files."""
    made = [tmp_path / name for name in ("first", "second", "third")]
    for path in made:
        path.write_text("")
    return made


def test_a_block_sees_what_is_read_in_it_and_nothing_else(files: list[Path]) -> None:
    first, second, third = files
    first.read_text()
    with watching_files() as outer:
        with watching_files() as inner:
            second.read_text()
        third.read_text()
    first.read_text()
    with watching_files() as later:
        pass
    assert (outer & {*files}, inner & {*files}, later & {*files}) == (
        {second, third}, {second}, set()
    )  # fmt: skip


def test_what_is_written_is_not_read(files: list[Path]) -> None:
    first, second, third = files
    with watching_files() as opened:
        first.write_text("x")
        second.open("ab").close()
        third.read_bytes()
    assert opened & {*files} == {third}


def test_all_blocks_share_one_hook(checkout: Path) -> None:
    """Each hook would be called for whatever happens in the process, until it ends."""
    code = (
        "import sys\n"
        "from bench.plugins.own_files import watching_files\n"
        "added = []\n"
        "sys.addaudithook(lambda event, _: event == 'sys.addaudithook' and added.append(event))\n"
        "for _ in range(3):\n"
        "    with watching_files():\n"
        "        pass\n"
        "print(len(added))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=checkout, check=True
    )
    assert done.stdout.split() == ["1"]


def test_an_installer_s_notes_and_what_is_hidden_are_no_data_of_a_plug_in(tmp_path: Path) -> None:
    """`pip install -e` leaves them in the tree, and libraries read them while they are imported."""
    module = tmp_path / "mine.py"
    places = ("mine.egg-info/PKG-INFO", "mine-1.dist-info/METADATA", ".cache/a.json", "facts.json")
    files = [module, *(tmp_path / place for place in places)]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("")
    assert own_data(files, str(module)) == {module, tmp_path / "facts.json"}

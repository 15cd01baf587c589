"""A plug-in that was edited is never run by the bytecode of what it was before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOAD = """
import sys
from bench.plugins.loading import load_class
print(load_class(sys.argv[1]).answer())
"""
PLUGIN = """
import beside


class Mine:
    @staticmethod
    def answer():
        return "own 1", beside.answer()
"""
BESIDE = 'def answer():\n    return "other 1"\n'


@pytest.mark.parametrize("edited", ["mine.py", "beside.py"])
def test_an_edit_of_equal_length_within_a_second_is_seen(
    tmp_path: Path, checkout: Path, edited: str
) -> None:
    """Whole seconds and the size are all that Python compares bytecode with."""
    (tmp_path / "mine.py").write_text(PLUGIN, encoding="utf-8")
    (tmp_path / "beside.py").write_text(BESIDE, encoding="utf-8")
    surrounding = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": ""}

    def answer() -> str:
        command = [sys.executable, "-c", LOAD, f"{tmp_path / 'mine.py'}:Mine"]
        return subprocess.run(
            command, env=surrounding, cwd=checkout, check=True, capture_output=True, text=True
        ).stdout

    assert answer() == "('own 1', 'other 1')\n"
    file = tmp_path / edited
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_text(file.read_text(encoding="utf-8").replace(" 1", " 2"), encoding="utf-8")
    os.utime(file, ns=times)
    changed = {"mine.py": "('own 2', 'other 1')\n", "beside.py": "('own 1', 'other 2')\n"}
    assert answer() == changed[edited]
    assert not (tmp_path / "__pycache__").exists()

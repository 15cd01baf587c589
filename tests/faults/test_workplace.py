"""A SIGTERM where the folder of `transfer` and `fit export` comes or goes leaves no folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The command line in a process that gets its SIGTERM within a call of the standard library.
ENTRANCE = """
import os, runpy, shutil, signal, sys, tempfile
made, removed = tempfile.mkdtemp, shutil.rmtree
moment = sys.argv.pop(1)

def ended(path):
    if "bench-transfer-" in str(path):
        os.kill(os.getpid(), signal.SIGTERM)

def mkdtemp(*words, **options):
    path = made(*words, **options)
    if moment == "made":
        ended(path)
    return path

def rmtree(path, *words, **options):
    if moment == "removed":
        ended(path)
    removed(path, *words, **options)

tempfile.mkdtemp, shutil.rmtree = mkdtemp, rmtree
runpy.run_module("bench", run_name="__main__")
"""


@pytest.mark.parametrize("moment", ["made", "removed"])
def test_no_folder_is_left(moment: str, tmp_path: Path, checkout: Path) -> None:
    (tmp_path / "tmp").mkdir()
    style = checkout / "datasets" / "mini" / "style" / "bells"
    out = tmp_path / "bells.safetensors"
    words = ["fit", "export", "eq-match", "--style", str(style), "--profile", "mini"]
    words += ["--device", "cpu", "-o", out]
    env = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "BENCH_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", ENTRANCE, moment, *map(str, words)],
        cwd=checkout, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 143, done.stderr
    assert "terminated" in done.stderr
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == []
    assert out.exists() == (moment == "removed")

"""Without the extra `notes` nothing breaks: its metrics are n/a, and say what installs it.

A process has a module path with links to all packages of this environment but those of the extra.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

LEFT_OUT = ("onnxruntime", "swift_f0")
LINE = "python -m pip install -c constraints.txt -e '.[notes]'"
NAMES = ["notes", "notes.octave", "melody", "melody.chroma", "melody.voiced"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages without those of the extra."""
    folder = tmp_path_factory.mktemp("packages")
    for one in Path(sysconfig.get_path("purelib")).iterdir():
        if not one.name.startswith(LEFT_OUT):
            (folder / one.name).symlink_to(one)
    return folder


def bench(packages: Path, checkout: Path, cache: Path, *words: str) -> str:
    """What a command prints, which must end with 0."""
    code = "import sys; from bench.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-S", "-W", "error", "-c", code, *words],
        cwd=checkout, capture_output=True, text=True, check=False, timeout=600,
        env=os.environ | {"PYTHONPATH": f"{checkout}:{packages}", "BENCH_CACHE": str(cache)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_lists_help_and_the_doctor_do_without(
    packages: Path, checkout: Path, tmp_path: Path
) -> None:
    listed = bench(packages, checkout, tmp_path, "list", "metrics")
    assert all(name in listed for name in NAMES)
    assert "--metrics" in bench(packages, checkout, tmp_path, "run", "--help")
    said = bench(packages, checkout, tmp_path, "doctor")
    assert "absent (onnxruntime, swift_f0); the metrics notes and melody are n/a" in said
    assert f"-> {LINE}" in said


def test_a_check_says_what_is_lacking_and_finds_no_fault(
    packages: Path, checkout: Path, tmp_path: Path
) -> None:
    said = bench(packages, checkout, tmp_path, "check", "notes")
    assert "onnxruntime cannot be imported (No module named 'onnxruntime')" in said
    assert LINE in said
    assert " 0 failed" in said


@pytest.mark.slow
def test_a_run_goes_on_and_its_scores_say_what_is_lacking(
    packages: Path, checkout: Path, tmp_path: Path
) -> None:
    lines = ('name = "light"', 'dataset = "mini"', 'profile = "mini"', 'methods = ["copy-content"]',
             "controls = []", f"metrics = {json.dumps(['chroma', *NAMES])}")  # fmt: skip
    suite = tmp_path / "light.toml"
    suite.write_text("\n".join(("schema_version = 1", *lines)), encoding="utf-8")
    words = ["run", "--suite", str(suite), "--styles", "accordion", "--contents", "1"]
    words += ["--duration", "1", "--no-html", "--out", str(tmp_path / "run")]
    bench(packages, checkout, tmp_path, *words)
    records = (tmp_path / "run" / "scores.jsonl").read_text(encoding="utf-8")
    scores = [json.loads(line) for line in records.splitlines()]
    assert {one["metric"] for one in scores} == {"chroma", *NAMES}
    for one in scores:
        lacking = one["metric"] != "chroma"
        assert one["status"] == ("unsupported" if lacking else "ok")
        assert not lacking or f"Install it: `{LINE}`" in one["reason"]

"""A finished run of eight cells by two controls, to be copied, spoilt and gone on with."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from noises import write_noises

from bench.cli.main import cli
from bench.records.store import Run, load_run

RATE = 8000
NAMES = ("content/low/l1", "content/low/l2", "style/hiss/0", "style/rush/0")
SUITE = """
schema_version = 1
name = "small"
dataset = "{data}"
profile = "mini"
methods = ["mix", "copy-content"]
controls = []
metrics = ["chroma"]
style_clips = "all"
chunk_size = 2
"""


@dataclass(frozen=True, slots=True)
class Small:
    """A dataset, a suite over it, and run folders, all in one folder."""

    home: Path

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.home / "run"

    def run(self, *words: str, out: str = "run") -> int:
        """The exit code of `run` in this process, which writes no page unless asked for."""
        asked = ["run", "--suite", str(self.home / "small.toml"), "--device", "cpu"]
        return command(*asked, "--no-html", "--out", str(self.home / out), *words)

    def load(self, out: str = "run") -> Run:
        """The records of a run folder."""
        return load_run(self.home / out)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The lines of a file of records."""
        text = (self.folder / name).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def write_lines(self, name: str, lines: list[dict[str, Any]]) -> None:
        """Replace a file of records."""
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (self.folder / name).write_text(text, encoding="utf-8")

    def sounds(self) -> dict[str, bytes]:
        """The bytes of every sound."""
        return {path.name: path.read_bytes() for path in (self.folder / "audio").iterdir()}

    def table(self) -> bytes:
        """Table II, without times."""
        return (self.folder / "report" / "table2.csv").read_bytes()

    def copy(self, home: Path) -> Small:
        """A copy of everything but the dataset."""
        shutil.copytree(self.folder, home / "run")
        shutil.copy(self.home / "small.toml", home)
        return Small(home)


def command(*words: str) -> int:
    """The exit code of a command line in this process; errors that a user can fix are raised."""
    try:
        cli.main(list(words), standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def made(home: Path) -> Small:
    """Write the dataset and the suite."""
    write_noises(home / "data", NAMES, RATE)
    (home / "small.toml").write_text(SUITE.format(data=home / "data"), encoding="utf-8")
    return Small(home)

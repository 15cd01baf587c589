"""A run of the toy method over the data of a test, whose fits the commands here share."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli.main import cli

TOYS = Path(__file__).parents[1] / "toys.py"
SUITE = """
schema_version = 1
name = "toy"
dataset = "{dataset}"
profile = "mini"
methods = ["{toys}:Gain[gain=0.25]"]
controls = []
metrics = ["chroma"]
"""


def run(place: Path, *lines: str) -> None:
    """Run the suite over `data` into `run`, with more lines in it."""
    suite = place / "toy.toml"
    text = "\n".join([SUITE.format(dataset=place / "data", toys=TOYS), *lines])
    suite.write_text(text, encoding="utf-8")
    words = ["run", "--suite", str(suite), "--device", "cpu", "--no-html"]
    with pytest.raises(SystemExit):
        cli.main([*words, "--out", str(place / "run")], standalone_mode=False)


def fits(place: Path) -> int:
    """How many fits the toys have made, by the log that they write."""
    log = place / "calls"
    lines = log.read_text(encoding="utf-8").split("\n") if log.exists() else []
    return sum(line.startswith("fit") for line in lines)

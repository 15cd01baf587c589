"""What README.md and CONTRIBUTING.md show is taken from there and run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import Entry
from bench.cli.main import cli
from bench.plugins.catalog import find_method, find_metric

CHECKOUT = Path(__file__).resolve().parent.parent
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = {
    text.partition("\n")[0]: text.partition("\n")[2] for text in CONTRIBUTING.split("\n## ")[1:]
}
ADDITIONS = ("A method", "A metric", "A dataset card", "A suite")
NAMED_ENTRY = "from bench.api import *\nfrom bench.api import Direction, Entry\nfound = {%s}\n"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `file` is the name on the line above it, if there is one."""

    language: str
    text: str
    file: str | None


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    fence = re.compile(r"(?:^ *`([\w.]+)`\n\n)?^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
    return [Block(m[2], textwrap.dedent(m[3]), m[1]) for m in fence.finditer(page)]


def commands(page: str) -> list[list[str]]:
    """The words after `python -m bench` of each such line in a page's blocks."""
    lines = [line for block in blocks(page) for line in block.text.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines if line.startswith("python -m")]
    return [line[3:] for line in words]


def run(words: list[str]) -> int:
    """Run a command here; its exit code."""
    try:
        cli.main(words, standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place to work in, with the files of CONTRIBUTING.md and the clips of its card."""
    for block in blocks(CONTRIBUTING):
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    rng = np.random.default_rng(0)
    names = ["content/hum/a", *(f"style/gong/{n}" for n in ("evening_1", "evening_2", "morning"))]
    for name in names:
        path = tmp_path / "sounds" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.3, 0.3, 16_000), 16_000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def entry_of(section: str) -> dict[str, Entry]:
    """The line of a catalog that a section shows."""
    (line,) = [b.text for b in blocks(SECTIONS[section]) if b.language == "python" and not b.file]
    names: dict[str, dict[str, Entry]] = {}
    exec(NAMED_ENTRY % line, {}, names)  # noqa: S102 - our own page
    return names["found"]


# ---------------------------------------------------------------------------------- contributing


@pytest.mark.parametrize("section", ADDITIONS)
def test_an_addition_takes_four_steps_at_most(section: str) -> None:
    steps = [int(number) for number in re.findall(r"^(\d)\. ", SECTIONS[section], re.MULTILINE)]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) <= 4


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("section", ["A method", "A metric"])
def test_the_examples_keep_the_contract(section: str, capsys: pytest.CaptureFixture[str]) -> None:
    (check,) = [words for words in commands(SECTIONS[section]) if words[0] == "check"]
    assert run(check) == 0
    assert " 0 failed" in capsys.readouterr().out


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("section", ["A method", "A metric", "A dataset card"])
def test_the_examples_can_be_planned(section: str) -> None:
    planned = [words for words in commands(SECTIONS[section]) if words[0] == "run"]
    assert planned
    for words in planned:
        assert run([*words, "--device", "cpu", "--dry-run"]) == 0


@pytest.mark.usefixtures("desk")
def test_the_suite_runs_with_the_method_and_the_metric(capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands(SECTIONS["A suite"]):
        assert run([*words, "--device", "cpu"]) == 0
    assert "Loudness" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("section", ADDITIONS)
def test_every_command_runs_as_it_stands(section: str) -> None:
    shown = commands(SECTIONS[section])
    assert shown
    for words in shown:
        assert run(words) == 0


@pytest.mark.parametrize("rule", [["check"], ["format", "--check"]])
@pytest.mark.parametrize(("file", "room"), [("level.py", "methods"), ("loudness.py", "metrics")])
def test_the_examples_follow_the_house_rules(
    desk: Path, checkout: Path, rule: list[str], file: str, room: str
) -> None:
    words = [sys.executable, "-m", "ruff", *rule, "--stdin-filename", f"{room}/{file}", "-"]
    text = (desk / file).read_text(encoding="utf-8")
    done = subprocess.run(
        words, input=text, cwd=checkout, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.slow
def test_the_examples_are_typed(desk: Path, checkout: Path) -> None:
    words = ["--config-file", str(checkout / "pyproject.toml"), "--no-incremental"]
    files = [str(desk / "level.py"), str(desk / "loudness.py")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, *files],
        cwd=checkout, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.usefixtures("desk")
def test_the_lines_of_the_catalogs_describe_the_classes() -> None:
    assert entry_of("A method")["level"].info == find_method("./level.py:Level").info
    shown = entry_of("A metric")["loudness"].info
    assert shown == find_metric("./loudness.py:LoudnessMatch").info


# ---------------------------------------------------------------------------------- readme


def test_the_commands_of_the_readme_are_understood(
    desk: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = desk / "path" / "to" / "folder"
    folder.parent.mkdir(parents=True)
    folder.symlink_to(checkout / "datasets" / "mini")
    shown = commands(README)
    assert {words[0] for words in shown} >= {"run", "report", "list"}
    for words in shown:
        if words[0] == "run":
            clips = ["--dataset", "path/to/folder"] if "table2" in words else []  # not ours
            assert run([*words, *clips, "--device", "cpu", "--dry-run"]) == 0
        elif words[0] == "list":
            assert run(words) == 0
    assert "cells in" in capsys.readouterr().out


def test_the_notebook_of_the_readme_reads_a_run(desk: Path) -> None:
    small = desk / "small.toml"
    small.write_text(SMALL, encoding="utf-8")
    assert run(["run", "--suite", str(small), "--device", "cpu", "--out", "runs/mini"]) == 0
    (notebook,) = [block.text for block in blocks(README) if block.language == "python"]
    *statements, last = notebook.splitlines()
    names: dict[str, object] = {}
    exec("\n".join(statements), names)  # noqa: S102 - our own page
    table = eval(last, names)  # noqa: S307 - our own page
    assert table.loc["copy-content", "cp"] == pytest.approx(1.0, abs=1e-3)


SMALL = """
name = "small"
dataset = "mini"
profile = "mini"
methods = ["copy-content"]
controls = []
metrics = ["cp", "sf.heldout"]
styles = ["bells"]
contents = 1
"""

"""What CONTRIBUTING.md shows is taken from there and run; of other pages see `tests/docs`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.docs.pages import blocks, commands, run, text_of

CONTRIBUTING = text_of("CONTRIBUTING.md")
SECTIONS = {
    text.partition("\n")[0]: text.partition("\n")[2] for text in CONTRIBUTING.split("\n## ")[1:]
}
ADDITIONS = ("A method", "A metric", "A dataset card", "A suite")


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


@pytest.mark.parametrize(
    ("section", "room", "catalog"),
    [("A method", "methods", "METHODS"), ("A metric", "metrics", "METRICS")],
)
def test_one_line_of_the_catalog_offers_it_by_name(
    desk: Path, checkout: Path, section: str, room: str, catalog: str
) -> None:
    """The file of the page is moved and its one line added in a copy; then its name is known."""
    (line,) = [
        b.text.strip() for b in blocks(SECTIONS[section]) if b.language == "python" and not b.file
    ]
    name = line.split('"')[1]
    unneeded = shutil.ignore_patterns("weights", "__pycache__")
    for package in ("bench", "methods", "metrics", "reports"):
        shutil.copytree(checkout / package, desk / package, ignore=unneeded)
    (desk / "datasets").symlink_to(checkout / "datasets")
    (desk / f"{name}.py").rename(desk / room / f"{name}.py")
    file, opened = desk / room / "__init__.py", f"{catalog}: dict[str, Entry] = {{\n"
    before = file.read_text(encoding="utf-8")
    assert opened in before
    file.write_text(before.replace(opened, f"{opened}    {line}\n"), encoding="utf-8")
    listed, checked = (
        subprocess.run(
            [sys.executable, "-m", "bench", *words],
            cwd=desk, capture_output=True, text=True, check=True,
        ).stdout
        for words in (["list", room], ["check", name])
    )  # fmt: skip
    assert listed.splitlines()[0].split()[0] == name
    assert "the example of CONTRIBUTING.md" in listed.splitlines()[0]
    assert " 0 failed" in checked

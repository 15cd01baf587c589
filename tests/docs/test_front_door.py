"""README is a front door: short, one picture of a real run, which command for which goal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from bench.cli.main import cli
from bench.plugins import catalog
from tests.docs.pages import CHECKOUT, blocks, mentioned, text_of

README = text_of("README.md")
PICTURE = CHECKOUT / "docs" / "pictures" / "mini.png"
PRINTED = next(b.text for b in blocks(text_of("docs/first-run.md")) if b.text.startswith("$ make"))
LONGEST_LINES, LARGEST_BYTES = 150, 400_000


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= LONGEST_LINES


def test_its_first_table_says_which_command_for_which_goal() -> None:
    header = re.search(r"^\|.*\|$", README, re.MULTILINE)
    assert header is not None
    assert header[0] == "| you want to | command |"
    table = README[header.start() :].partition("\n\n")[0]
    assert {words[0] for words in mentioned(table)} == set(cli.commands)


def test_it_shows_the_two_commands_as_they_are_typed() -> None:
    (shell,) = [block.text for block in blocks(README) if block.language == "sh"]
    assert [line.split("  ")[0] for line in shell.splitlines()] == ["make run", "make test"]
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    assert {"run: install", "test: check"} <= set(makefile.splitlines())


def test_it_says_where_it_runs() -> None:
    assert "on Windows, work in WSL" in README


def test_it_names_everything_that_the_catalogs_hold() -> None:
    metrics = [name for name in catalog.metrics() if not re.search(r"@|as_published", name)]
    methods = [name for name in catalog.methods() if not name.startswith("mel-")]
    assert [name for name in methods + metrics if f"`{name}`" not in README] == []
    page = text_of("docs/methods.md")
    assert [name for name in catalog.methods() if f"`{name}`" not in page] == []
    assert [name for name in metrics if f"`{name}`" not in page] == []


def test_there_is_one_picture_and_it_is_small() -> None:
    assert re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README) == ["docs/pictures/mini.png"]
    assert PICTURE.stat().st_size <= LARGEST_BYTES


def test_the_picture_is_of_the_run_that_is_printed() -> None:
    """It carries its table as text; the terminal rounds to two decimals."""
    with Image.open(PICTURE) as picture:
        identity, rows = picture.text["identity"], picture.text["table"].splitlines()  # type: ignore[attr-defined]  # of PNG
    assert identity.replace(" ", "") in "".join(PRINTED.split())
    assert [row.split("\t")[0] for row in rows][:3] == ["tve", "rti", "musicgen"]
    for row in rows:
        label, _, *cells = row.split("\t")
        shown = [float(cell.split()[0]) for cell in cells if "[" in cell]
        assert shown == pytest.approx(printed_means(label), abs=0.0051), label


def printed_means(label: str) -> list[float]:
    """The means in the rows of a method in the printed tables, in their order."""
    rows = [line for line in PRINTED.splitlines() if re.match(rf"{re.escape(label)}  +-?\d", line)]
    table2 = [row for row in rows if re.search(r"\d\.\d\d", row)]  # in as many parts as it has
    return [float(number) for row in table2 for number in re.findall(r"-?\d\.\d\d", row)]


def test_a_picture_says_how_it_was_made() -> None:
    script = Path(CHECKOUT / "docs" / "making" / "picture.py").read_text(encoding="utf-8")
    assert f"python docs/making/picture.py runs/mini -o {PICTURE.relative_to(CHECKOUT)}" in script

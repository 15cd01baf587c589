"""Every page: its links lead somewhere, its commands are understood, its options exist."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from bench.cli.main import cli
from bench.errors import ExitCode
from docs.making.top_level import PAGES
from tests.docs.pages import (
    CHECKOUT,
    blocks,
    commands,
    mentioned,
    missing,
    options,
    pages,
    prose,
    run,
    text_of,
)

LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([\w-]+))?\)")


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs both make them."""
    titles = re.findall(r"^#+ (.*)$", prose(text_of(page)), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {re.sub(r" +", "-", title.strip()) for title in plain}


@pytest.mark.parametrize("page", pages())
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    """On the site the pages of the top level have other names, and some pages link to these."""
    top = {place: name for name, place in PAGES.items()}
    dead = []
    for target, anchor in LINK.findall(prose(text_of(page))):
        path = ((CHECKOUT / page).parent / target).resolve() if target else CHECKOUT / page
        if path.parent == CHECKOUT / "docs" and path.name in top:
            path = CHECKOUT / top[path.name]
        name = path.relative_to(CHECKOUT).as_posix()
        if not path.exists() or (anchor and anchor not in anchors(name)):
            dead.append(f"{target}#{anchor}")
    assert dead == []


def test_every_page_is_in_the_navigation() -> None:
    text = (CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"^ +- (?:\w+: )?([\w/-]+\.md)$", text.partition("\nnav:")[2], re.MULTILINE)
    here = {page.removeprefix("docs/") for page in pages() if page.startswith("docs/")}
    made = {place for place in PAGES.values() if place.endswith(".md")}
    assert sorted(listed) == sorted(here | made)


def test_the_settings_of_the_site_are_strict() -> None:
    text = (CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8")
    settings = yaml.safe_load(re.sub(r"!!python/\S+", "", text))
    assert settings["strict"]
    levels = [level for part in settings["validation"].values() for level in part.values()]
    assert set(levels) == {"warn"}  # which --strict makes an error


@pytest.mark.parametrize("page", pages())
def test_every_command_has_the_options_that_it_is_given(page: str) -> None:
    unknown = {}
    for words in [*commands(text_of(page)), *mentioned(text_of(page))]:
        given, has = options(words)
        unknown[" ".join(words)] = given - has
    assert {line: names for line, names in unknown.items() if names} == {}


@pytest.mark.parametrize("page", pages())
def test_every_option_in_the_text_exists(page: str) -> None:
    """Of some command, or of pip, make's scripts and the hub's client where these are named."""
    known = set()
    for command in [cli, *cli.commands.values()]:
        below = getattr(command, "commands", {})
        for one in [command, *below.values()]:
            known |= {n for param in one.params for n in (*param.opts, *param.secondary_opts)}
    words = re.findall(r"`[^`]*?(--[a-z][\w-]+)[^`]*`", prose(text_of(page)))
    foreign = {"--help"} | ({"--cells"} if "records_scale.py" in text_of(page) else set())
    assert sorted(set(words) - known - foreign) == []


@pytest.mark.parametrize("page", [page for page in pages() if page != "CONTRIBUTING.md"])
def test_every_run_that_is_shown_can_be_planned(
    page: str, desk: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = desk / "path" / "to" / "folder"
    folder.parent.mkdir(parents=True)
    folder.symlink_to(checkout / "datasets" / "mini")
    for category in (folder / "content").iterdir():  # any sounds that are called as contents
        shutil.copytree(category, desk / "path/to/theirs/bells", dirs_exist_ok=True)
    for block in blocks(text_of("docs/tutorial.md")):
        if block.file:
            (desk / block.file).write_text(block.text, encoding="utf-8")
    (desk / "path" / "to" / "mine.py").write_text(MINE, encoding="utf-8")
    found = [*commands(text_of(page)), *mentioned(text_of(page))]
    shown = [words for words in found if words[0] in {"run", "list"}]
    shown = [words for words in shown if len(words) > 1 and not FORM.search(" ".join(words))]
    for words in shown:
        if words[0] == "run":
            assert run([*words, "--device", "cpu", "--dry-run"]) == 0, words
            assert "cells in" in capsys.readouterr().out
        else:
            assert run(words) == 0


FORM = re.compile(r"^run --(retry|dry-run|help)$")  # named in the text, not to be typed alone
MINE = """
from methods.controls import Noise as Mine
"""


def test_the_exit_codes_are_listed() -> None:
    table = text_of("docs/reference/commands.md").partition("| exit code |")[2].partition("\n\n")[0]
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]
    assert codes == list(ExitCode)


def test_the_environment_variables_are_listed() -> None:
    page = text_of("docs/reference/commands.md")
    rooms = [CHECKOUT / room for room in ("bench", "methods", "metrics", "reports")]
    code = "\n".join(path.read_text("utf-8") for room in rooms for path in room.rglob("*.py"))
    read = set(re.findall(r'"(BENCH_[A-Z]+(?:_[A-Z]+)*)"', code))
    internal = {"BENCH_HUB_FOLDERS", "BENCH_NOT_SET"}  # told to workers; of a doctest
    assert {name for name in read - internal if f"`{name}`" not in page} == set()
    assert set(re.findall(r"`(BENCH_\w+)`", page)) <= read


def test_the_notebook_reads_a_run(desk: Path) -> None:
    small = desk / "small.toml"
    small.write_text(SMALL, encoding="utf-8")
    words = ["--device", "cpu", "--no-html", "--out", "runs/mini"]
    assert run(["run", "--suite", str(small), *words]) == 0
    page = text_of("docs/reference/run-folder.md")
    (notebook,) = [block.text for block in blocks(page) if block.language == "python"]
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


@pytest.mark.parametrize(
    ("shown", "printed", "absent"),
    [
        (("tve 0.26* 83.1",), "tve  0.30  12.9\n", []),
        (("tve 0.26",), "tve 0.34\n", ["tve 0.26"]),
        (("one", "two"), "two\none\n", ["two"]),
        (("suite mini (64fc881f8406): ...",), "suite mini (0123456789ab): as asked\n", []),
        (("[  2%] tve: step 1/60", "..."), "", []),
        (("====", "tve"), "==\ntve\n", []),
        (("a 1e-3",), "b 1e-3\n", ["a 1e-3"]),
    ],
)
def test_what_counts_as_printed(shown: tuple[str, ...], printed: str, absent: list[str]) -> None:
    assert missing(shown, printed) == absent

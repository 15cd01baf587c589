"""The command line as people see it: help, lists, exit codes, and the ways to call it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bench.cli.main import cli
from bench.errors import ExitCode
from bench.plan.suite import suites
from bench.plugins.catalog import methods, metrics

SETTINGS = {"mini", "auto, cpu, cuda, cuda"}  # help texts that begin with a value


def every_command(group: click.Group = cli, path: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        found[f"{path}{name}"] = command
        if isinstance(command, click.Group):
            found |= every_command(command, f"{path}{name} ")
    return found


def shown(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == ExitCode.DONE, done.output
    return done.output


@pytest.mark.parametrize("name", sorted(every_command()))
def test_a_command_is_explained_in_whole_sentences(name: str) -> None:
    command = every_command()[name]
    for paragraph in (command.help or "").split("\n\n"):
        assert re.match(r"[A-Z`]", paragraph.strip())
        assert paragraph.strip().endswith((".", "?"))
    for option in command.params:
        words = getattr(option, "help", None)
        assert words is None or words[0].isupper() or words.partition(":")[0] in SETTINGS


@pytest.mark.parametrize("group", ["", "history", "listen", "outputs"])
def test_no_line_of_a_list_of_commands_is_cut(group: str) -> None:
    assert "..." not in shown(*group.split(), "--help").partition("Commands:")[2]


@pytest.mark.parametrize(
    ("what", "names"), [("methods", methods()), ("metrics", metrics()), ("suites", suites())]
)
def test_a_list_names_everything_there_is_in_order(what: str, names: dict[str, object]) -> None:
    listed = [line.split()[0] for line in shown("list", what).splitlines()]
    elsewhere = ["outputs:FOLDER"] if what == "methods" else []  # a way of typing, and no name
    assert listed == [*names, *elsewhere]
    assert shown("list", what, "--quiet").split() == list(names)


@pytest.mark.parametrize("way", [["-m", "bench"], ["-m", "bench.cli"]])
def test_every_way_to_call_it_gives_the_same_help(way: list[str], checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, *way, "run", "--help"], cwd=checkout, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.split()[5:] == shown("run", "--help").split()[3:]  # however wide it is


def test_the_console_script_names_the_same_entry(checkout: Path) -> None:
    assert 'bench = "music_style_bench:main"' in (checkout / "pyproject.toml").read_text("utf-8")

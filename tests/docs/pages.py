"""Reads what the pages show: files to write, commands to type, and what they print."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

import click

from bench.cli.main import cli

CHECKOUT = Path(__file__).resolve().parents[2]
TOP = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")
TYPED = {"sh", "console"}  # what a reader types; other blocks show forms
FENCE = re.compile(r"(?:^ *`([\w.]+)`\n\n)?^ *```([\w-]*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(?:bench|python -m bench) ([^`]+)`")


def pages() -> list[str]:
    """Every page, as a path from the checkout, README first."""
    below = sorted(path for path in (CHECKOUT / "docs").rglob("*.md"))
    return [*TOP, *(path.relative_to(CHECKOUT).as_posix() for path in below)]


def text_of(page: str) -> str:
    """The text of a page."""
    return (CHECKOUT / page).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `file` is the name on the line above it, if there is one."""

    language: str
    text: str
    file: str | None


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page's text, in order."""
    return [Block(m[2], textwrap.dedent(m[3]), m[1]) for m in FENCE.finditer(page)]


def prose(page: str) -> str:
    """A page's text without its fenced blocks."""
    return FENCE.sub("", page)


def commands(page: str) -> list[list[str]]:
    """The words after `python -m bench` of each such line in the blocks of a page's text."""
    lines = [line for block in blocks(page) for line in _whole_lines(block.text)]
    return [
        _words(line) for line in lines if line.removeprefix("$ ").startswith("python -m bench ")
    ]


def mentioned(page: str) -> list[list[str]]:
    """The same of the commands in its text and tables."""
    return [_words(f"python -m bench {rest}") for rest in INLINE.findall(prose(page))]


def _words(line: str) -> list[str]:
    return shlex.split(line.removeprefix("$ "), comments=True)[3:]


def _whole_lines(text: str) -> list[str]:
    return text.replace("\\\n", " ").splitlines()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a reader does: writes `file`, or types `command` and sees `shown`."""

    command: str = ""
    shown: tuple[str, ...] = ()
    file: str | None = None
    text: str = ""


def steps(page: str) -> list[Step]:
    """What a reader of a page's text does, in order."""
    found: list[Step] = []
    for block in blocks(page):
        if block.file:
            found.append(Step(file=block.file, text=block.text))
        elif block.language in TYPED:
            found += _typed(block)
    return found


def _typed(block: Block) -> list[Step]:
    lines = _whole_lines(block.text)
    if block.language == "sh":
        plain = [line.partition("  #")[0].strip() for line in lines]
        return [Step(line) for line in plain if line]
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    ends = [*starts[1:], len(lines)]
    return [
        Step(re.sub(r" +", " ", lines[start][2:]), tuple(lines[start + 1 : end]))
        for start, end in zip(starts, ends, strict=True)
    ]


def missing(shown: tuple[str, ...], printed: str) -> list[str]:
    r"""The shown lines that were not printed in this order.

    Numbers of a machine differ from one to the next (seconds, sizes, digests), so a line counts as
    printed if it is the same but for its numbers; scores, which have two decimals, may differ by
    0.05. A line that ends with "..." shows a beginning; "..." alone, and lines of progress, ask for
    nothing.

    Example:
        >>> missing(("tve 0.26", "...", "total 83.1"), "tve 0.25\nother\ntotal 90.0\n")
        []
        >>> missing(("tve 0.26",), "tve 0.76\n")
        ['tve 0.26']
    """
    lines = [line for line in printed.splitlines() if line.strip()]
    wanted = [line for line in shown if line.strip(" .") and not PROGRESS.match(line)]
    absent, place = [], 0
    for line in wanted:
        at = next((n for n in range(place, len(lines)) if alike(line, lines[n])), None)
        if at is None:
            absent.append(line)
        else:
            place = at + 1
    return absent


PROGRESS = re.compile(r"\[ *\d+%\]")
NUMBER = re.compile(r"\b[0-9a-f]{12}\b|(?<![\w.])-?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")
TOLERANCE = 0.05  # of a score, between machines


def alike(shown: str, printed: str) -> bool:
    """Whether a printed line is what is shown, numbers of a machine aside."""
    if shown.endswith("..."):
        shown = shown.removesuffix("...").rstrip()
        printed = printed[: len(shown)]
    if _masked(shown) != _masked(printed):
        return False
    pairs = zip(_scores(shown), _scores(printed), strict=False)
    return all(abs(one - other) <= TOLERANCE for one, other in pairs)


def _masked(line: str) -> str:
    """The line without numbers and marks of the best, and with rules of any width alike."""
    rules = re.sub(r"([=-])\1+", r"\1", NUMBER.sub("#", line))
    return " ".join(rules.replace("*", " ").split())


def _scores(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"(?<![\w.])-?\d\.\d\d(?!\d)", line)]


def options(words: list[str]) -> tuple[set[str], set[str]]:
    """The options in the words of a command, and those that the command has.

    Raises:
        KeyError: There is no such command.
    """
    command: click.Command = cli
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        command = command.commands[rest.pop(0)]
    has = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    given = {word.partition("=")[0] for word in rest if re.fullmatch(r"--?[a-z][\w-]*(=.*)?", word)}
    return given, has | {"--help", "-h"}


def run(words: list[str]) -> int:
    """Run a command here; its exit code."""
    try:
        cli.main(words, standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0

"""A newcomer's walk: types what stands in README and the tutorial, and says how long it took.

Usage: python -m tests.docs.newcomer [--lend-environment] [--without "make test"] [PAGE ...]

The files that git knows are copied to an empty folder, as a fresh checkout has them, with a cache
of its own. Files that a page shows are written, commands are typed one after the other, and what a
page shows as their output is looked for in what they print. With --lend-environment the walk gets
this Python's environment as its `.venv`, where a newcomer waits for packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import click

from tests.docs.pages import CHECKOUT, Step, missing, steps, text_of

WALK = ("README.md", "docs/first-run.md", "docs/tutorial.md")


@dataclass(frozen=True, slots=True)
class Done:
    """A step that was taken: seconds, exit code, what it printed, and what was missing in that."""

    page: str
    step: Step
    seconds: float
    code: int
    printed: str
    absent: list[str]

    def line(self) -> str:
        """One line for a list of steps."""
        what = self.step.command or f"(write {self.step.file})"
        verdict = f"exit {self.code}" if self.code else "ok"
        verdict += f", {len(self.absent)} shown lines missing" if self.absent else ""
        return f"{self.seconds:7.1f} s  {verdict:8}  {what}"


@dataclass
class Walk:
    """A place to type in; a line that is sourced, such as an activation, holds for what follows."""

    place: Path
    sourced: list[str] = field(default_factory=list)
    printed: dict[str, str] = field(default_factory=dict)

    def take(self, page: str, step: Step) -> Done:
        """Take one step; of a command that was typed before only the output is read again."""
        started, code = time.monotonic(), 0
        if step.file:
            (self.place / step.file).write_text(step.text, encoding="utf-8")
        elif step.command.startswith(". "):
            self.sourced.append(step.command)
        if step.command and step.command not in self.printed:
            code, self.printed[step.command] = self.type(step.command)
        printed = self.printed.get(step.command, "")
        absent = missing(step.shown, printed)
        return Done(page, step, time.monotonic() - started, code, printed, absent)

    def type(self, command: str) -> tuple[int, str]:
        """Run a line in bash; its exit code and what it prints to both streams."""
        done = subprocess.run(
            ["bash", "-c", " && ".join([*self.sourced, command])],  # noqa: S607 - as a reader's
            cwd=self.place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, env=os.environ | {"BENCH_CACHE": str(self.place.parent / "cache")},
        )  # fmt: skip
        return done.returncode, done.stdout


def fresh_checkout(folder: Path) -> Path:
    """Copy the files that git knows, as they stand, into a new folder."""
    place = folder / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (CHECKOUT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, place / name)
    return place


def lend_environment(place: Path) -> None:
    """Give a checkout this Python's environment as its `.venv`, as if it had been installed."""
    venv = place / ".venv"
    venv.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if entry.name != ".installed":
            (venv / entry.name).symlink_to(entry)
    (venv / ".installed").touch()


@click.command()
@click.argument("pages", nargs=-1)
@click.option("--without", multiple=True, help="A command that is not typed.")
@click.option("--lend-environment", "lent", is_flag=True, help="Install nothing.")
def main(pages: tuple[str, ...], without: tuple[str, ...], lent: bool) -> None:
    """Walk through some pages; the exit code is 1 where a step did not end as shown."""
    with tempfile.TemporaryDirectory() as folder:
        walk = Walk(fresh_checkout(Path(folder)))
        if lent:
            lend_environment(walk.place)
        faulty = 0
        for page in pages or WALK:
            click.echo(page)
            for step in steps(text_of(page)):
                if step.command in without:
                    continue
                done = walk.take(page, step)
                click.echo(done.line())
                for line in done.absent:
                    click.echo(f"           not printed: {line}")
                if done.code:
                    click.echo(done.printed)
                faulty += bool(done.code or done.absent)
    sys.exit(bool(faulty))


if __name__ == "__main__":
    main()

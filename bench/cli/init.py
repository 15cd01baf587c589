"""The command `init`: files for another repository."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, Unpack

import click

from bench.cli.commands import Commands
from bench.cli.options import FOLDER, is_quiet, quiet_option
from bench.cli.streams import say


class CiOptions(TypedDict):
    """What `init ci` takes; see the help texts below."""

    folder: Path
    suite: str
    baseline: str
    branch: str
    force: bool


@click.group(cls=Commands)
def init() -> None:
    """Write the files that another repository needs.

    `ci` writes a workflow that judges every change by a baseline.
    """


@init.command("ci")
@click.option(
    "--folder",
    type=FOLDER,
    default=Path(),
    help="The top of the repository; default: the working directory.",
)
@click.option(
    "--suite", default="suite.toml", show_default=True, help="The suite to run, seen from there."
)
@click.option(
    "--baseline",
    default="baseline.json",
    show_default=True,
    help="The baseline to judge by, seen from there.",
)
@click.option(
    "--branch",
    default="main",
    show_default=True,
    help="The branch whose runs are kept in the history.",
)
@click.option("--force", is_flag=True, help="Replace files that say something else.")
@quiet_option("Say nothing.")
def init_ci(**options: Unpack[CiOptions]) -> None:
    """Write a workflow for GitHub Actions, its two scripts and its requirements.

    The workflow runs a suite, judges it, shows the verdict as the summary of its job, keeps JUnit,
    tables and records, and adds a line per run to a branch of its own.
    """
    from bench.init.ci import CiRequest, next_steps, write_ci

    request = CiRequest(**options)
    written = write_ci(request)
    if is_quiet():
        return
    for path in written:
        say(f"Written: {path}")
    say(next_steps(request))

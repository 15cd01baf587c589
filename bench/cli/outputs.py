"""The command `outputs`: sound that is made elsewhere, before it is scored by `run`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bench.cli.commands import Commands
from bench.cli.options import FILE, FOLDER
from bench.cli.streams import say
from bench.errors import ExitCode


@click.group(cls=Commands, short_help="Sound that is made elsewhere: to hand out, and to check.")
def outputs() -> None:
    """Outputs that are made elsewhere: what to hand out, and what came back.

    `run --methods "outputs:FOLDER[title=NAME]"` scores them beside methods that run here.
    """


@outputs.command("template")
@click.argument("run", type=FILE)
@click.option(
    "-o",
    "--out",
    type=FOLDER,
    default="outputs-template",
    show_default=True,
    help="Its folder, which is new or empty.",
)
@click.option(
    "--sounds/--no-sounds",
    default=None,
    help="Put the contents and the style clips into it; default: where their card allows to pass "
    "them on.",
)
def template(run: Path, out: Path, *, sounds: bool | None) -> None:
    """Write what somebody needs who makes the outputs of RUN elsewhere.

    A list of the outputs that the run plans, its contents, and the clips of its styles that methods
    may learn from; never those that are kept for scoring.
    """
    from bench.checkout import COMMAND
    from bench.delivery.template import OUTPUTS, write_template

    made = write_template(run, out, with_sounds=sounds)
    holds = f"{made.sounds} sounds" if made.sounds else "no sounds"
    why = f" ({made.why}; --sounds adds them)" if made.why else ""
    filled = made.folder / OUTPUTS
    say(
        f"Written: {made.folder}, a list of {made.outputs} outputs and {holds}{why}\n"
        f"When it is filled: {COMMAND} outputs check {filled} --run {run}"
    )


@outputs.command("check")
@click.argument("folder", type=FILE)
@click.option("--run", "run", type=FILE, help="The run whose cells are to be there.")
def check(folder: Path, run: Path | None) -> None:
    """Say what is missing in FOLDER, or cannot be scored.

    What no cell asks for is named too. Every file is decoded; with --run its length is compared
    with that of its content. The exit code is 5 where something is missing or wrong.
    """
    from bench.delivery.checking import check_folder

    checked = check_folder(folder, run)
    for line in checked.lines:
        say(line)
    sys.exit(ExitCode.DONE if checked.is_sound else ExitCode.FAILED_CELLS)

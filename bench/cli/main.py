"""The command line: the composition root and the only place that writes to stdout.

Options mean the same in every command. Exit codes: 0 ok, 1 internal error, 2 bad input, 3
regressed, 4 not comparable, 5 finished with failed cells, 130 interrupted. Nothing here imports
torch before a run needs it.
"""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from bench import __version__
from bench.api import BenchError, ConfigError
from bench.checkout import CHECKOUT
from bench.cli import reports as report_commands
from bench.cli import results as result_commands
from bench.cli import time as time_commands
from bench.cli.everyday import COMMANDS as EVERYDAY
from bench.cli.options import precision_option
from bench.cli.progress import progress_line

if TYPE_CHECKING:
    from bench.run.request import Prepared, RunRequest

ROOMS = ("bench", "methods", "metrics", "reports")
EXIT_BAD_INPUT, EXIT_FAILED_CELLS, EXIT_INTERRUPTED = 2, 5, 130
# What the system refuses and its user can mend; any other OSError is a fault of ours.
MENDABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG}


class RunOptions(TypedDict):
    """What `run` takes; see the help texts below."""

    suite: str | None
    methods: str | None
    metrics: str | None
    dataset: str | None
    styles: str | None
    contents: str | None
    seeds: int | None
    profile: str | None
    device: str
    out: Path | None
    duration: float | None
    dry_run: bool
    retry: bool
    isolate: bool | None
    timeout: float | None
    fit_together: bool


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="music-style-bench")
def cli() -> None:
    """Compare music style-transfer methods.

    Run them on a data set, score CP and SF, print the tables.
    """
    check_rooms()


@cli.command()
@click.option("--suite", help="Suite name or TOML file; default: table2 with CUDA, else mini.")
@click.option(
    "--methods",
    help='Names, "path.py:Class" or sweeps: "tve[strength=0.5|0.7],rti"; default: the suite\'s.',
)
@click.option("--metrics", help="Metric names, comma-separated; default: the suite's.")
@click.option(
    "--dataset",
    help="Card name, card file, or a folder laid out content/<category>/*, style/<style>/*.",
)
@click.option("--styles", help="Style names, comma-separated.")
@click.option(
    "--contents",
    help="How many contents (stratified by category), or their names, comma-separated.",
)
@click.option("--seeds", type=click.IntRange(min=1), help="Repetitions, each with its own seeds.")
@click.option(
    "--profile",
    type=click.Choice(["mini", "full"]),
    help="mini: shipped models; full: hub checkpoints.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:N or mps; several, comma-separated, share the work.",
)
@precision_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run folder; an existing one is resumed or extended.",
)
@click.option(
    "--duration", type=click.FloatRange(min=0.5), help="Use at most this many seconds of each clip."
)
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@click.option("--retry", is_flag=True, help="Try failed and crashed cells again.")
@click.option(
    "--isolate/--no-isolate",
    default=None,
    help="Methods in worker processes, or none; default: those from outside.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds a chunk, or the fit of a style, may take; puts every method into a worker.",
)
@click.option(
    "--fit-together",
    is_flag=True,
    help="Methods that share a frozen network learn in one call: faster, but none is timed alone.",
)
def run(**options: Unpack[RunOptions]) -> None:
    """Run methods on a data set; score, print tables.

    Methods are fitted per style, render every content, and are scored by every metric.
    """
    from bench.run.request import RunRequest, prepare

    request = RunRequest(argv=tuple(sys.argv[1:]), **options)
    prepared = prepare(request)
    click.echo(prepared.announcement)
    if not request.dry_run:
        sys.exit(_run(prepared, request))


@cli.command()
@click.argument("targets", nargs=-1, required=True)
@click.option("--accept-licences", is_flag=True, help="Download; without it, only show.")
@click.option(
    "--local-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Put checkpoints into this folder and not into the hub's cache.",
)
@click.option(
    "--zip",
    "archive",
    type=click.Path(path_type=Path),
    help="An archive of the dataset that you have, in place of its download.",
)
def fetch(
    targets: tuple[str, ...],
    accept_licences: bool,
    local_dir: Path | None,
    archive: Path | None,
) -> None:
    """Fetch checkpoints and data by name.

    Of suites, methods, metrics or datasets.

    Shows sizes and licences first. HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE and HF_TOKEN are respected;
    datasets go to BENCH_DATA.
    """
    from bench.fetching.order import carry_out, describe_order, is_complete, make_order

    order = make_order(targets)
    click.echo(describe_order(order))
    if not accept_licences and not is_complete(order):
        click.echo(f"To accept these licences and download: {order.line}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    for line in carry_out(order, local_dir, archive) if accept_licences else ():
        click.echo(line)


@cli.command("list")
@click.argument("what", type=click.Choice(["methods", "metrics", "datasets", "suites"]))
def list_(what: str) -> None:
    """List what is there to choose from."""
    from bench.cli.listing import listing

    click.echo(listing(what))


for command in result_commands.COMMANDS:
    cli.add_command(command)


for command in (*EVERYDAY, *report_commands.COMMANDS, *time_commands.COMMANDS):
    cli.add_command(command)


def main() -> None:
    """Entry point: bad input ends with one message and exit code 2, never with a traceback."""
    logging.basicConfig(
        level=os.environ.get("BENCH_LOG", "WARNING").upper(), format="%(name)s: %(message)s"
    )
    try:
        cli.main(standalone_mode=False)
    except BenchError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except OSError as error:
        if error.filename is None or error.errno not in MENDABLE:
            raise
        click.echo(f"error: {_refused(error)}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; run the same command again to go on", err=True)
        sys.exit(EXIT_INTERRUPTED)


def _refused(error: OSError) -> str:
    return (
        f"{error.filename} cannot be used ({error.strerror}); this command needs it. Change its "
        "permissions, free space, or name another place."
    )


def check_rooms() -> None:
    """Check that the four rooms come from this checkout.

    Raises:
        ConfigError: Another package of the same name stands before ours on the path.
    """
    root = CHECKOUT
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        place = Path(spec.origin).resolve() if spec and spec.origin else None
        if place is None or not place.is_relative_to(root):
            raise ConfigError(
                f"package {room!r} comes from {place}; it must come from {root}, beside this "
                f"command. "
                "Remove the other package from the path, or run from the checkout after `pip "
                "install -e .`."
            )


def _run(prepared: Prepared, request: RunRequest) -> int:
    from bench.records.schema import FAILED
    from bench.run.runner import disk_full_is_bad_input
    from bench.run.session import start

    with disk_full_is_bad_input(prepared.folder):
        cells = start(prepared, request, progress_line())
        click.echo(err=True)
        report_commands.show((prepared.folder,), page=True, brief=True)
    _print_session(prepared)
    return EXIT_FAILED_CELLS if any(cell.status in FAILED for cell in cells.values()) else 0


def _print_session(prepared: Prepared) -> None:
    from reports.formats import terminal
    from reports.timing import session

    click.echo("\n" + terminal(session(prepared.watch.account()), 80), nl=False)

"""The commands that judge finished runs: `compare`, `baseline`, `gate` and `history`.

They read records alone and do without torch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import click

from bench.cli.commands import Commands, OneOf
from bench.cli.options import FILE, FOLDER, Finite, benchmarks_option, records_only_option
from bench.cli.streams import say
from bench.errors import ExitCode

if TYPE_CHECKING:
    from bench.statistics.spread import Population


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--run", "folder", type=FILE, help="A and B are methods of this run.")
@click.option(
    "--population",
    type=OneOf(["both", "contents", "styles", "cells"]),
    help="What to generalise to; default: what the number of styles allows.",
)
def compare(first: str, second: str, folder: Path | None, population: Population | None) -> None:
    """Compare two runs, or two methods of one run, paired per cell.

    A and B are run folders, or methods of the run that --run names; the table shows A minus B.
    """
    from reports.tables import contrast
    from reports.text.formats import terminal

    if folder is None:
        table = contrast.contrast_runs(Path(first), Path(second), population)
    else:
        table = contrast.contrast_methods(folder, first, second, population)
    say(terminal(table), nl=False)
    sys.exit(ExitCode.DONE if contrast.comparable(table) else ExitCode.NOT_COMPARABLE)


@click.command()
@click.argument("folder", metavar="RUN", type=FILE)
@click.option("--reason", required=True, help="Why these numbers are accepted.")
@click.option("-o", "out", required=True, type=FILE, help="The JSON file.")
@benchmarks_option
@records_only_option
def baseline(
    folder: Path, reason: str, out: Path, benchmarks: Path | None, *, records_only: bool
) -> None:
    """Keep a finished run as the baseline of later gates.

    It says which drops the gate could find by it, and what is missing where these are too large.
    """
    from reports.gate.foresight import statement
    from reports.gate.verdicts import write_baseline

    kept = write_baseline(folder, reason, out, benchmarks, records_only=records_only)
    say(f"Written: {out}\n{statement(kept)}", nl=False)


class GateOptions(TypedDict):
    """What `gate` takes; see the help texts below."""

    known: Path
    benchmarks: Path | None
    advisory: tuple[Literal["time", "memory"], ...]
    least_drop: float | None
    records_only: bool
    json_out: Path | None
    junit_out: Path | None
    report: Path | None


@click.command()
@click.argument("folder", metavar="RUN", type=FILE)
@click.option("--baseline", "known", required=True, type=FILE, help="The JSON file to judge by.")
@benchmarks_option
@click.option(
    "--advisory",
    multiple=True,
    type=OneOf(["time", "memory"]),
    help="Report this lane without failing; may be repeated. For machines whose speed varies.",
)
@click.option(
    "--least-drop",
    type=Finite(0, 1, min_open=True),
    help="The drop that must be found, as a share of a metric's range; 1 asks for nothing. "
    "Default: that of the suite, 0.2 if it says none.",
)
@records_only_option
@click.option("--json", "json_out", type=FILE, help="Write the verdicts to this file.")
@click.option("--junit", "junit_out", type=FILE, help="Write JUnit XML to this file.")
@click.option(
    "--report",
    type=FOLDER,
    help="A folder for everything: verdicts, JUnit, job summary, page, series for dashboards.",
)
def gate(folder: Path, **options: Unpack[GateOptions]) -> None:
    """Judge a run by a baseline.

    The exit code is 3 if a result regressed, and 4 if the two are not comparable or too few cells
    could tell of a drop that must be found.
    """
    from reports.gate.lane import judge_and_write
    from reports.gate.verdicts import Terms

    text, code = judge_and_write(
        folder,
        options["known"],
        Terms(options["advisory"], options["least_drop"], options["records_only"]),
        benchmarks=options["benchmarks"],
        outputs={
            "json": options["json_out"], "junit": options["junit_out"], "report": options["report"]
        },
    )  # fmt: skip
    say(text, nl=False)
    sys.exit(code)


@click.group(cls=Commands)
def history() -> None:
    """Keep the results of many runs and find lasting changes.

    `add` appends a run to a history file; `show` says where each quantity stepped and whether it
    became worse.
    """


@history.command("add")
@click.argument("folder", metavar="RUN", type=FILE)
@click.option("-o", "out", required=True, type=FILE, help="The history file.")
@benchmarks_option
@records_only_option
def history_add(folder: Path, out: Path, benchmarks: Path | None, *, records_only: bool) -> None:
    """Append a run to a history file, unless it is there already."""
    from reports.gate.history import add_run

    say(add_run(folder, out, benchmarks, records_only=records_only))


@history.command("show")
@click.argument("path", metavar="FILE", type=FILE)
@click.option(
    "--report",
    type=FOLDER,
    help="A folder for the table, the figure and its numbers.",
)
def history_show(path: Path, report: Path | None) -> None:
    """Show where each quantity stepped.

    The exit code is 3 if a quantity is worse than it was.
    """
    from reports.gate.history import show

    text, code = show(path, report)
    say(text, nl=False)
    sys.exit(code)

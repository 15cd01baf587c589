"""The commands on finished runs: compare them, keep one as a baseline, judge one by a baseline.

Part of the command line (`bench.cli.main` adds them to it); from records alone, without torch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import click

if TYPE_CHECKING:
    from bench.statistics.paired import Population

EXIT_INCOMPARABLE = 4


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--run", "folder", type=click.Path(path_type=Path), help="A and B are methods of this run."
)
@click.option(
    "--population",
    type=click.Choice(["both", "contents", "styles", "cells"]),
    help="What to generalise to; default: what the number of styles allows.",
)
def compare(first: str, second: str, folder: Path | None, population: Population | None) -> None:
    """Compare two runs, paired per cell.

    Two run folders, or two methods of one run: A minus B.
    """
    from reports.tables import contrast
    from reports.text.formats import terminal

    if folder is None:
        table = contrast.contrast_runs(Path(first), Path(second), population)
    else:
        table = contrast.contrast_methods(folder, first, second, population)
    click.echo(terminal(table), nl=False)
    sys.exit(0 if contrast.comparable(table) else EXIT_INCOMPARABLE)


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--reason", required=True, help="Why these numbers are accepted.")
@click.option("-o", "out", required=True, type=click.Path(path_type=Path), help="The JSON file.")
@click.option("--benchmarks", type=click.Path(path_type=Path), help="JSON of pytest-benchmark.")
def baseline(folder: Path, reason: str, out: Path, benchmarks: Path | None) -> None:
    """Keep a finished run as the baseline of later gates."""
    from reports.gate.verdicts import write_baseline

    click.echo(f"Written: {write_baseline(folder, reason, out, benchmarks)}")


class GateOptions(TypedDict):
    """What `gate` takes; see the help texts below."""

    known: Path
    benchmarks: Path | None
    advisory: tuple[Literal["time", "memory"], ...]
    json_out: Path | None
    junit_out: Path | None
    report: Path | None


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--baseline", "known", required=True, type=click.Path(path_type=Path))
@click.option("--benchmarks", type=click.Path(path_type=Path), help="JSON of pytest-benchmark.")
@click.option(
    "--advisory",
    multiple=True,
    type=click.Choice(["time", "memory"]),
    help="This lane informs and never fails; may be repeated. For machines whose pace varies.",
)
@click.option("--json", "json_out", type=click.Path(path_type=Path), help="Write the verdicts.")
@click.option("--junit", "junit_out", type=click.Path(path_type=Path), help="Write JUnit XML.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder for all of it: verdicts, JUnit, job summary, page, series for dashboards.",
)
def gate(folder: Path, **options: Unpack[GateOptions]) -> None:
    """Judge a run by a baseline.

    Exit code 3 where it regressed, 4 where it is not comparable.
    """
    from reports.gate.lane import judge_and_write

    text, code = judge_and_write(
        folder,
        options["known"],
        benchmarks=options["benchmarks"],
        advisory=options["advisory"],
        outputs={
            "json": options["json_out"], "junit": options["junit_out"], "report": options["report"]
        },
    )  # fmt: skip
    click.echo(text, nl=False)
    sys.exit(code)


@click.group()
def history() -> None:
    """Keep one line per run of the main branch, look for slow drift.

    `add` appends a run, `show` says where each quantity stepped and whether it became worse.
    """


@history.command("add")
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("-o", "out", required=True, type=click.Path(path_type=Path), help="history.jsonl")
@click.option("--benchmarks", type=click.Path(path_type=Path), help="JSON of pytest-benchmark.")
def history_add(folder: Path, out: Path, benchmarks: Path | None) -> None:
    """Append a run to a history; one that is there already is left alone."""
    from reports.gate.history import add_run

    click.echo(add_run(folder, out, benchmarks))


@history.command("show")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder for the table, the figure and its numbers.",
)
def history_show(path: Path, report: Path | None) -> None:
    """Say where each quantity stepped. Exit code 3 where one stands worse than it did."""
    from reports.gate.history import show

    text, code = show(path, report)
    click.echo(text, nl=False)
    sys.exit(code)


COMMANDS = (compare, baseline, gate, history)

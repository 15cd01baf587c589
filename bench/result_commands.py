"""The commands on finished runs: compare them, keep one as a baseline, judge one by a baseline.

Part of the command line (`bench.cli` adds them to it); from records alone, without torch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bench.comparison import Population

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
    from reports import contrast
    from reports.formats import terminal

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
    from reports.verdicts import write_baseline

    click.echo(f"Written: {write_baseline(folder, reason, out, benchmarks)}")


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--baseline", "known", required=True, type=click.Path(path_type=Path))
@click.option("--benchmarks", type=click.Path(path_type=Path), help="JSON of pytest-benchmark.")
@click.option("--json", "json_out", type=click.Path(path_type=Path), help="Write the verdicts.")
@click.option("--junit", "junit_out", type=click.Path(path_type=Path), help="Write JUnit XML.")
def gate(
    folder: Path,
    known: Path,
    benchmarks: Path | None,
    json_out: Path | None,
    junit_out: Path | None,
) -> None:
    """Judge a run by a baseline.

    Exit code 3 where it regressed, 4 where it is not comparable.
    """
    from reports.verdicts import judge_and_write

    text, code = judge_and_write(folder, known, benchmarks, json_out, junit_out)
    click.echo(text, nl=False)
    sys.exit(code)


COMMANDS = (compare, baseline, gate)

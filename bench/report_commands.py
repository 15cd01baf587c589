"""The commands that people look at and listen to: tables, pages, papers and listening tests.

Part of the command line (`bench.cli` adds them to it); from records alone, without torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, Unpack

import click


class ReportOptions(TypedDict):
    """What `report` takes; see the help texts below."""

    without_inputs: bool
    html: bool


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--without-inputs",
    is_flag=True,
    help="Leave content and style audio out; always so where their licence asks for it.",
)
@click.option("--html", is_flag=True, help="Also write the page to look at and listen to.")
def report(runs: tuple[Path, ...], **options: Unpack[ReportOptions]) -> None:
    """Rebuild and print the tables of one run, or of several runs of one suite.

    From records alone.
    """
    show(runs, page=options["html"], without_inputs=options["without_inputs"])


def show(runs: tuple[Path, ...], *, page: bool, without_inputs: bool = False) -> None:
    """Print the tables of runs, write them, and say where they and the page are."""
    from reports.write import read_report, terminal_summary, write_report

    finished = read_report(runs)
    write_report(finished, without_inputs=without_inputs)
    click.echo(terminal_summary(finished))
    click.echo(f"Tables (md, tex, csv): {finished.out}")
    if page:
        from reports.page.write import write_page

        where = write_page(finished.run, finished.tables, runs, without_inputs=without_inputs)
        click.echo(f"Page: {where}")


COMMANDS = (report,)

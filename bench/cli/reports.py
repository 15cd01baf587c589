"""The commands that people look at and listen to: tables, pages, papers and listening tests.

Part of the command line (`bench.cli.main` adds them to it); from records alone, without torch.
"""

from __future__ import annotations

import atexit
import gc
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

if TYPE_CHECKING:
    from reports.write import Report

EXIT_INCOMPARABLE = 4


class ReportOptions(TypedDict):
    """What `report` takes; see the help texts below."""

    without_inputs: bool
    without_sounds: bool
    html: bool
    paper: bool
    check: Path | None


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--without-inputs",
    is_flag=True,
    help="Leave content and style audio out; always so where their licence asks for it.",
)
@click.option(
    "--without-sounds", is_flag=True, help="Leave all audio and its pictures out of the page."
)
@click.option(
    "--html/--no-html",
    default=True,
    show_default=True,
    help="Write the page to look at and listen to.",
)
@click.option("--paper", is_flag=True, help="Also write LaTeX and vector figures for a paper.")
@click.option(
    "--check",
    metavar="paper.tex",
    type=click.Path(path_type=Path),
    help="Compare the marked tables of a paper with the records; exit code 4 where they differ.",
)
def report(runs: tuple[Path, ...], **options: Unpack[ReportOptions]) -> None:
    """Rebuild and print the tables of runs.

    Of one run, or of several of one suite, and their page; from records alone. With --check, the
    runs are by default those that the paper names.
    """
    if options["check"] is not None:
        sys.exit(_check(options["check"], runs))
    if not runs:
        raise click.UsageError("Missing argument 'RUNS...'.")
    from bench.records.store import without_garbage_collection

    atexit.register(gc.freeze)  # at the end of the process nobody need search what is left
    left_out = {key: options[key] for key in ("without_inputs", "without_sounds")}
    with without_garbage_collection():
        finished = show(runs, page=options["html"], **left_out)
        if options["paper"]:
            from reports.paper.write import write_paper

            click.echo(f"Paper: {write_paper(finished)}")


def _check(paper: Path, runs: tuple[Path, ...]) -> int:
    from reports.paper.check import check_paper

    findings = check_paper(paper, runs)
    for found in findings:
        verdict = "differs" if found.complaints else f"agrees in {found.rows} rows"
        click.echo(f"{found.place}: {found.table} {verdict}")
        for complaint in found.complaints:
            click.echo(f"  {complaint}")
    return EXIT_INCOMPARABLE if any(found.complaints for found in findings) else 0


def show(
    runs: tuple[Path, ...],
    *,
    page: bool,
    without_inputs: bool = False,
    without_sounds: bool = False,
    brief: bool = False,
) -> Report:
    """Print the tables of runs, write them, and say where they and the page are.

    Args:
        runs: The run folders.
        page: Also write the page.
        without_inputs: Leave content and style audio out.
        without_sounds: Leave all audio out of the page.
        brief: Print table II only, as the end of a run does.
    """
    from reports.write import read_report, terminal_summary, write_report

    finished = read_report(runs)
    write_report(finished, without_inputs=without_inputs)
    shown = replace(finished, tables=finished.tables[:1]) if brief else finished
    click.echo(terminal_summary(shown))
    click.echo(f"Tables (md, tex, csv): {finished.out}")
    if page:
        from reports.page.write import write_page

        where = write_page(finished, without_inputs=without_inputs, without_sounds=without_sounds)
        click.echo(f"Page: {where}")
    return finished


class ExportOptions(TypedDict):
    """What `listen export` takes; see the help texts below."""

    folder: Path
    sets: int
    seed: int
    out: Path | None
    methods: tuple[str, ...]


@click.group()
def listen() -> None:
    """Make a blind listening test, read its ratings.

    `export` makes one from a run, `import` brings the ratings back.
    """


@listen.command("export")
@click.option("--run", "folder", required=True, type=click.Path(path_type=Path), help="The run.")
@click.option("--sets", type=click.IntRange(min=1), default=15, show_default=True)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Another number draws other sets.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="A new folder, to be given to listeners. Default: listening-test in the run's folder.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    help="A label of the tables; may be repeated. Default: all that are no controls.",
)
def export_test(**options: Unpack[ExportOptions]) -> None:
    """Write a blind, equally loud test as a static page; also for webMUSHRA and BeaqleJS."""
    from reports.listening.export import export
    from reports.notes import counted

    folder, out = options["folder"], options["out"] or options["folder"] / "listening-test"
    done = export(folder, out, options["sets"], options["seed"], options["methods"])
    size = f"{counted(done.sets, 'set')}, {counted(done.clips, 'clip')} to rate"
    click.echo(f"Test: {done.folder / 'index.html'} ({size})")
    click.echo(f"Key, which stays here: {done.key}")
    if done.notice:
        click.echo(f"note: {done.notice}", err=True)


@listen.command("import")
@click.argument("ratings", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", "folder", required=True, type=click.Path(path_type=Path), help="The run.")
def import_test(ratings: tuple[Path, ...], folder: Path) -> None:
    """Check downloaded ratings, keep them with the run, and show them beside CP and SF."""
    from reports.formats import terminal
    from reports.listening.ratings import import_ratings
    from reports.notes import counted
    from reports.write import TERMINAL_WIDTH, read_report, write_report

    kept = import_ratings(ratings, folder)
    finished = read_report(folder)
    write_report(finished)
    for table in finished.tables:
        if table.label in {"listening", "ears"}:
            click.echo(terminal(table, TERMINAL_WIDTH))
    click.echo(f"{counted(len(kept), 'rating file')} kept in {folder / 'listening'}")


COMMANDS = (report, listen)

"""The commands that show results to people: `report` (tables, page, paper) and `listen`.

They read records alone and do without torch.
"""

from __future__ import annotations

import atexit
import gc
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from bench.cli.options import COUNT, FILE, FOLDER, SEED, run_option
from bench.cli.streams import say
from bench.errors import ExitCode

if TYPE_CHECKING:
    from reports.write import Report


class ReportOptions(TypedDict):
    """What `report` takes; see the help texts below."""

    without_inputs: bool
    without_sounds: bool
    html: bool
    paper: bool
    check: Path | None
    verify: bool


@click.command()
@click.argument("runs", nargs=-1, type=FILE)
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
    type=FILE,
    help="Compare the marked tables of a paper with the records; exit code 4 where they differ.",
)
@click.option(
    "--verify",
    is_flag=True,
    help="First compare the plan and the audio with their records; exit code 2 where they differ.",
)
def report(runs: tuple[Path, ...], **options: Unpack[ReportOptions]) -> None:
    """Rebuild the tables and the page of runs, and print the tables.

    Several runs of one suite are put into one table. With --check, the runs are by default those
    that the paper names.
    """
    if options["check"] is not None:
        sys.exit(_check(options["check"], runs))
    if not runs:
        raise click.UsageError("Missing argument 'RUNS...'.")
    if options["verify"]:
        _verify(runs)
    from bench.records.store import without_garbage_collection

    atexit.register(gc.freeze)  # no garbage collection over all records as the process ends
    left_out = {key: options[key] for key in ("without_inputs", "without_sounds")}
    with without_garbage_collection():
        finished = show(runs, page=options["html"], **left_out)
        if options["paper"]:
            from reports.paper.write import write_paper

            say(f"Paper: {write_paper(finished)}")


def _verify(runs: tuple[Path, ...]) -> None:
    """Say what of some runs is not what was written, and end where anything is not."""
    from bench.records.integrity import altered_of_run
    from bench.records.store import load_run

    differs = False
    for folder in runs:
        run = load_run(folder)
        faults = [*run.faults, *run.plan_faults, *altered_of_run(run)]
        for fault in faults:
            say(f"{folder}: {fault}")
        say(f"{folder}: {len(run.plan)} cells, faults: {len(faults) or 'none'}")
        differs = differs or bool(faults)
    if differs:
        sys.exit(ExitCode.BAD_INPUT)


def _check(paper: Path, runs: tuple[Path, ...]) -> ExitCode:
    from reports.paper.check import check_paper

    findings = check_paper(paper, runs)
    for found in findings:
        verdict = "differs" if found.complaints else f"agrees in {found.rows} rows"
        say(f"{found.place}: {found.table} {verdict}")
        for complaint in found.complaints:
            say(f"  {complaint}")
    differs = any(found.complaints for found in findings)
    return ExitCode.NOT_COMPARABLE if differs else ExitCode.DONE


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
    say(terminal_summary(shown))
    say(f"Tables (md, tex, csv): {finished.out}")
    if page:
        from reports.page.write import write_page

        where = write_page(finished, without_inputs=without_inputs, without_sounds=without_sounds)
        say(f"Page: {where}")
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
    """Make a blind listening test and read its ratings.

    `export` makes a test from a run, `import` brings the ratings back.
    """


@listen.command("export")
@run_option
@click.option("--sets", type=COUNT, default=15, show_default=True)
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="Decides which sets are drawn.",
)
@click.option(
    "-o",
    "--out",
    type=FOLDER,
    help="A new folder, to be given to listeners. Default: listening-test in the run's folder.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    help="A label of the tables; may be repeated. Default: all that are not controls.",
)
def export_test(**options: Unpack[ExportOptions]) -> None:
    """Write a blind test from a run.

    The clips are equally loud. The test comes as a static page, and as configurations of webMUSHRA
    and BeaqleJS.
    """
    from reports.listening.export import export
    from reports.tables.notes import counted

    folder, out = options["folder"], options["out"] or options["folder"] / "listening-test"
    done = export(folder, out, options["sets"], options["seed"], options["methods"])
    size = f"{counted(done.sets, 'set')}, {counted(done.clips, 'clip')} to rate"
    say(f"Test: {done.folder / 'index.html'} ({size})")
    say(f"Key, which stays here: {done.key}")
    if done.notice:
        say(f"note: {done.notice}", err=True)


@listen.command("import")
@click.argument("ratings", nargs=-1, required=True, type=FILE)
@run_option
def import_test(ratings: tuple[Path, ...], folder: Path) -> None:
    """Read the ratings of listeners.

    They are checked, kept with the run, and shown beside CP and SF.
    """
    from reports.listening.ratings import import_ratings
    from reports.tables.notes import counted
    from reports.text.formats import terminal
    from reports.write import TERMINAL_WIDTH, read_report, write_report

    kept = import_ratings(ratings, folder)
    finished = read_report(folder)
    write_report(finished)
    for table in finished.tables:
        if table.label in {"listening", "ears"}:
            say(terminal(table, TERMINAL_WIDTH))
    say(f"{counted(len(kept), 'rating file')} kept in {folder / 'listening'}")

"""The command that shows results to people, `report`: tables, page, paper.

It reads records alone and does without torch.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from bench.cli.options import (
    FILE,
    html_option,
    is_quiet,
    json_option,
    quiet_option,
)
from bench.cli.streams import say
from bench.errors import ExitCode

if TYPE_CHECKING:
    from reports.write import Report

SCHEMA_VERSION = 1  # of the JSON of `report`; raised when a key changes its meaning or goes


class ReportOptions(TypedDict):
    """What `report` takes; see the help texts below."""

    without_inputs: bool
    without_sounds: bool
    html: bool
    pdf: bool
    paper: bool
    style: str | None
    column: str | None
    all_tables: bool
    as_json: bool
    check: Path | None
    verify: bool


@click.command(short_help="Rebuild the tables and the page of runs.")
@click.argument("runs", nargs=-1, type=FILE)
@click.option(
    "--without-inputs",
    is_flag=True,
    help="Leave content and style audio out; always so where their licence asks for it.",
)
@click.option(
    "--without-sounds", is_flag=True, help="Leave all audio and its pictures out of the page."
)
@html_option
@click.option(
    "--pdf", is_flag=True, help="Also print the page to report.pdf, A4, with a Chromium on PATH."
)
@click.option("--paper", is_flag=True, help="Also write LaTeX and vector figures for a paper.")
@click.option(
    "--style",
    type=click.Choice(["plain", "ieee", "acm"]),
    help="The class of that LaTeX: article, IEEEtran or acmart. Default: plain, which is article.",
)
@click.option(
    "--column",
    metavar="METRIC",
    help="What table II in one column has beside CP and SF. Default: what hears the notes.",
)
@click.option(
    "--all-tables",
    is_flag=True,
    help="Print every table but the longest; without it, table II alone.",
)
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
@json_option
@quiet_option("Print nothing but what went wrong; the files are written all the same.")
def report(runs: tuple[Path, ...], **options: Unpack[ReportOptions]) -> None:
    """Rebuild the tables and the page of runs; print table II and where everything is.

    Several runs of one suite are put into one table. With --check, the runs are by default those
    that the paper names.

    With --json it prints one object: schema_version (1), run_id, suite, folder (of the tables),
    files, page, pdf and paper (paths, or null), and tables, all of them. A table has label, title,
    identity, notes, columns (objects with key and title) and rows (objects with kind, group, method
    and values, one per column). A value is a text, a number, null, an estimate (value, low, high,
    n, best), a p-value (p), or what is missing (missing, reason).
    """
    if options["check"] is not None:
        if options["as_json"]:
            raise click.UsageError("--check prints its own list; --json goes with tables.")
        sys.exit(_check(options["check"], runs))
    if not runs:
        raise click.UsageError("Missing argument 'RUNS...'.")
    _require_together(options)
    if options["verify"]:
        _verify(runs, aside=options["as_json"])
    from bench.records.store import without_garbage_collection

    with without_garbage_collection():
        written = _write(runs, options)
        if options["as_json"]:
            say(written.json)
        elif not is_quiet():
            say(written.words(every_table=options["all_tables"]))
        gc.freeze()  # nor is garbage looked for among all records as the process ends


def _require_together(options: ReportOptions) -> None:
    """Refuse an option whose page or paper is not asked for."""
    if options["pdf"] and not options["html"]:
        raise click.UsageError("--pdf prints the page; leave --no-html out.")
    given = {"--style": options["style"], "--column": options["column"]}
    alone = [name for name, value in given.items() if value is not None]
    if alone and not options["paper"]:
        raise click.UsageError(f"{alone[0]} is about the paper; add --paper.")


def _verify(runs: tuple[Path, ...], *, aside: bool) -> None:
    """Say what of some runs is not what was written, and end where anything is not.

    Args:
        runs: The run folders.
        aside: Say it on standard error, since standard output is for something else.
    """
    from bench.records.integrity import altered_of_run
    from bench.records.store import load_run

    differs = False
    for folder in runs:
        run = load_run(folder)
        faults = [*run.faults, *run.plan_faults, *altered_of_run(run)]
        for fault in faults:
            say(f"{folder}: {fault}", err=aside)
        if faults or not is_quiet():
            found = f"{len(run.plan)} cells, faults: {len(faults) or 'none'}"
            say(f"{folder}: {found}", err=aside)
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


@dataclass(frozen=True, slots=True)
class Written:
    """A report that was written.

    Args:
        report: Its tables.
        files: Those of the tables, and the notices beside them.
        page: The page to look at and listen to; None where none was written.
        pdf: The page as it is printed; None where that was not asked for.
        paper: The LaTeX file; None where none was written.
    """

    report: Report
    files: tuple[Path, ...]
    page: Path | None
    pdf: Path | None = None
    paper: Path | None = None

    def words(self, *, every_table: bool = False) -> str:
        """Table II, or every table that a terminal can hold, and where everything is."""
        from reports.write import terminal_summary

        report = self.report
        shown = report if every_table else replace(report, tables=report.tables[:1])
        places = {"Tables (md, tex, csv)": report.out, "Page": self.page}
        places |= {"PDF": self.pdf, "Paper": self.paper}
        lines = [f"{what}: {place}" for what, place in places.items() if place is not None]
        return "\n".join([terminal_summary(shown), *lines])

    @property
    def json(self) -> str:
        """Everything as JSON; the help of `report` describes it."""
        from reports.text.plain_data import plain_table

        header = self.report.run.header
        places = {"page": self.page, "pdf": self.pdf, "paper": self.paper}
        answer = {
            "schema_version": SCHEMA_VERSION,
            "run_id": header.run_id,
            "suite": header.suite_name,
            "folder": str(self.report.out),
            "files": [str(path) for path in self.files],
            **{name: None if place is None else str(place) for name, place in places.items()},
            "tables": [plain_table(table) for table in self.report.tables],
        }
        return json.dumps(answer, indent=1)


def _write(runs: tuple[Path, ...], options: ReportOptions) -> Written:
    left_out = {key: options[key] for key in ("without_inputs", "without_sounds")}
    printed = _pdf_writer() if options["pdf"] else None  # no browser is told before the work
    written = write(runs, page=options["html"], **left_out)
    if options["paper"]:
        from reports.paper.write import write_paper

        paper = write_paper(written.report, options["style"] or "plain", options["column"])
        written = replace(written, paper=paper)
    if printed is not None and written.page is not None:
        target = written.report.out / "report.pdf"
        written = replace(written, pdf=printed(written.page, target))
    return written


def _pdf_writer() -> Callable[[Path, Path], Path]:
    """What prints a page into a file, with the browser that is here."""
    from reports.page.pdf import find_browser, write_pdf

    return partial(write_pdf, browser=find_browser())


def write(
    runs: tuple[Path, ...],
    *,
    page: bool,
    without_inputs: bool = False,
    without_sounds: bool = False,
) -> Written:
    """Write the tables of runs, and their page.

    Args:
        runs: The run folders.
        page: Also write the page.
        without_inputs: Leave content and style audio out.
        without_sounds: Leave all audio out of the page.
    """
    from reports.write import read_report, write_report

    finished = read_report(runs)
    files = tuple(write_report(finished, without_inputs=without_inputs))
    where = None
    if page:
        from reports.page.write import write_page

        where = write_page(finished, without_inputs=without_inputs, without_sounds=without_sounds)
    return Written(finished, files, where)

"""The command `time`: what methods cost in seconds and memory."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import gettempdir
from typing import TypedDict, Unpack

import click

from bench.cli.options import (
    COUNT,
    FILE,
    device_option,
    is_quiet,
    precision_option,
    profile_option,
    quiet_option,
    suite_option,
)
from bench.cli.progress import progress_line
from bench.cli.streams import say
from bench.errors import ExitCode
from bench.outside.texts import MOST_COUNT

WIDTH = 80


class TimeOptions(TypedDict):
    """What `time` takes; see the help texts below."""

    methods: str | None
    suite: str | None
    profile: str | None
    device: str
    contents: str | None
    metrics: str | None
    repetitions: int
    fits: int
    loads: int
    batch: int | None
    fit_steps: int | None
    out: Path
    show: Path | None


@click.command("time")
@click.option("--methods", help="As for `run`; default: the suite's, without its controls.")
@suite_option
@profile_option
@device_option
@precision_option
@click.option("--contents", help="How many contents to draw clips from, or their names.")
@click.option("--metrics", help='Metrics to time; default: the suite\'s; "" for none.')
@click.option(
    "--repetitions",
    type=click.IntRange(min=7, max=MOST_COUNT),
    default=7,
    show_default=True,
    help="Transfers and scores per method, after two to warm up.",
)
@click.option("--fits", type=COUNT, default=3, show_default=True, help="Fits per method.")
@click.option(
    "--loads",
    type=COUNT,
    default=3,
    show_default=True,
    help="Fresh processes per method.",
)
@click.option("--batch", type=COUNT, help="Clips per batch; default: the suite's chunks.")
@click.option(
    "--fit-steps",
    type=COUNT,
    help="Time fits of so many steps and of twice as many, and extrapolate (marked); for methods "
    "with a parameter `steps`.",
)
@click.option(
    "--out",
    type=FILE,
    default=Path("timing.json"),
    show_default=True,
    help="The JSON file to write.",
)
@click.option("--show", type=FILE, help="Print the tables of such a file and stop.")
@quiet_option("Show no progress.")
def time(**options: Unpack[TimeOptions]) -> None:
    """Measure the seconds and the memory that methods take.

    Loading, fitting, rendering and scoring are timed, each method in a process of its own, in
    turns; a table says what n clips cost.
    """
    from bench.records.timings import read_timing
    from reports.tables.timings import timing_tables
    from reports.text.formats import terminal

    path = options["show"] or _measure(options)
    report = read_timing(path)
    for table in timing_tables(report):
        say(terminal(table, WIDTH))
    if options["show"] is None:
        say(f"Written: {path}")
    if any(method.failure for method in (*report.methods, report.scoring)):
        sys.exit(ExitCode.FAILED_CELLS)


def _measure(options: TimeOptions) -> Path:
    """Time everything and write the file."""
    from bench.records.timings import write_timing
    from bench.run.request import RunRequest
    from bench.run.session import require_writable
    from bench.timing.session import TimingRequest, measure

    require_writable(options["out"].resolve().parent, "the times go there. Choose another --out.")
    asked = RunRequest(
        argv=tuple(sys.argv[1:]),
        suite=options["suite"],
        methods=options["methods"],
        metrics=options["metrics"],
        contents=options["contents"],
        profile=options["profile"],
        device=options["device"],
        out=Path(gettempdir()) / "no-run-is-written",  # nor is one there to go on with
    )
    request = TimingRequest(
        asked,
        options["repetitions"],
        options["fits"],
        options["loads"],
        options["batch"],
        options["fit_steps"],
    )
    report = measure(request, progress_line())
    if not is_quiet():
        say(err=True)
    write_timing(options["out"], report)
    return options["out"]

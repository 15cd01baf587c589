"""The command `run`: fit, render and score, then print the tables."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from bench.cli.options import (
    COUNT,
    FILE,
    METHOD_LIST,
    Place,
    Seconds,
    html_option,
    is_quiet,
    precision_option,
    profile_option,
    quiet_option,
    suite_option,
)
from bench.cli.progress import progress_line
from bench.cli.reports import write
from bench.cli.streams import say
from bench.errors import ExitCode

if TYPE_CHECKING:
    from bench.records.schema import CellRecord
    from bench.run.request import Prepared, RunRequest
    from reports.write import Report


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
    keep_old: bool
    isolate: bool | None
    timeout: float | None
    fit_together: bool
    shard: str | None


@click.command()
@suite_option
@click.option("--methods", help=f"{METHOD_LIST}; default: the suite's.")
@click.option("--metrics", help="Metric names, comma-separated; default: the suite's.")
@click.option(
    "--dataset",
    help="Card name, card file, or a folder laid out content/<category>/*, style/<style>/*.",
)
@click.option("--styles", help="Style names, comma-separated.")
@click.option(
    "--contents",
    help="How many contents (stratified by category), or their names, comma-separated; a number "
    "that is a name is the name.",
)
@click.option("--seeds", type=COUNT, help="Repetitions, each with its own seeds.")
@profile_option
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:N or mps; several, comma-separated, share the work.",
)
@precision_option
@click.option(
    "--out",
    type=FILE,
    help="Run folder; an existing one is resumed or extended.",
)
@click.option(
    "--duration",
    type=Place(0.5),
    help="Use at most so much of each clip: seconds, or a time such as 1:05.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and its expected cost, and stop.")
@click.option(
    "--retry", is_flag=True, help="Try failed and crashed cells, and invalid scores, again."
)
@click.option(
    "--keep-old",
    is_flag=True,
    help="Refuse where a method has changed since its cells were rendered; default: render anew.",
)
@click.option(
    "--isolate/--no-isolate",
    default=None,
    help="Run all methods in worker processes, or nothing; default: what comes from outside.",
)
@click.option(
    "--timeout",
    type=Seconds(0, min_open=True),
    help="Longest time in seconds for a chunk, the fit of a style, or an output that a metric from "
    "outside scores; every method gets a worker.",
)
@click.option(
    "--fit-together",
    is_flag=True,
    help="Methods that share a frozen network learn in one call: faster, but none is timed alone.",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Do the share I of N of the plan, such as 2/8, in a folder of its own or in one that all "
    "shards share; auto: what the scheduler of a cluster tells.",
)
@html_option
@quiet_option("Print nothing but what went wrong; tables and page are written all the same.")
def run(*, html: bool, **options: Unpack[RunOptions]) -> None:
    """Run methods over a dataset and print the tables.

    Each method learns every style and renders every content in it; each output is scored by every
    metric. An existing run folder is continued: what is there is kept, except for cells of a method
    whose code, weights or version has changed, and audio that is not what was recorded.
    """
    from bench.run.request import RunRequest, prepare

    request = RunRequest(argv=tuple(sys.argv[1:]), **options)
    prepared = prepare(request)
    if request.dry_run or not is_quiet():
        say(prepared.announcement)
    if request.dry_run:
        _foretell(prepared, request)
    else:
        sys.exit(_run(prepared, request, page=html))


def _foretell(prepared: Prepared, request: RunRequest) -> None:
    """Say what the run would cost, and what would have to be fetched before."""
    from bench.estimate.words import forecast_lines
    from bench.fetching.order import absent_lines
    from bench.run.expecting import expect
    from bench.run.remaining import former_of, remaining

    say("")
    left = remaining(prepared, request, former_of(prepared))
    for line in forecast_lines(expect(prepared, left)):
        say(line)
    for line in absent_lines(prepared.plan.suite):
        say(line)


def _run(prepared: Prepared, request: RunRequest, *, page: bool) -> int:
    from bench.records.schema import FAILED
    from bench.run.runner import disk_full_is_bad_input
    from bench.run.session import start
    from bench.scores import INVALID

    with disk_full_is_bad_input():
        cells = start(prepared, request, progress_line(lambda: prepared.watch.loading_s))
        if not is_quiet():
            say(err=True)
        if prepared.shard is not None:
            return _end_shard(prepared, cells)
        with prepared.watch.measure("report"):
            written = write((prepared.folder,), page=page)
        if not is_quiet():
            say(written.words())
    finished = written.report
    _print_invalid(finished)
    _print_peaks(finished)
    if not is_quiet():
        _print_session(prepared, finished.run.shown_as)
    unsound = any(
        score.status == INVALID and cell in cells and metric in prepared.metrics
        for (cell, metric), score in finished.run.scores.items()
    )
    open_again = {"cancelled"}  # audio that was altered before it could be scored
    failed = unsound or any(cell.status in FAILED | open_again for cell in cells.values())
    return ExitCode.FAILED_CELLS if failed else ExitCode.DONE


def _end_shard(prepared: Prepared, cells: Mapping[str, CellRecord]) -> int:
    """Say what a shard has done; tables are made of all shards."""
    from bench.checkout import COMMAND
    from bench.records.schema import FAILED

    failed = sum(cell.status in FAILED | {"cancelled"} for cell in cells.values())
    if not is_quiet() and prepared.shard is not None:
        folder = prepared.folder
        say(
            f"shard {prepared.shard.name}: {len(cells)} cells in {folder}, {failed} failed\n"
            f"  {COMMAND} status {folder}    how far the shards of this folder are\n"
            f"  {COMMAND} report {folder}    its tables, when they are done\n"
            f"  {COMMAND} merge FOLDER... -o ALL    where shards have folders of their own"
        )
    return ExitCode.FAILED_CELLS if failed else ExitCode.DONE


def _print_invalid(finished: Report) -> None:
    """Say how many scores are invalid, where any is."""
    from reports.tables.notes import invalid_note

    words = invalid_note(finished.run)
    if words:
        say(f"{words}; reasons in {finished.out / 'failures.md'}, --retry scores them again")


def _print_peaks(finished: Report) -> None:
    """Say which methods go beyond full scale, a line for each."""
    from reports.tables.notes import peak_notes

    for words in peak_notes(finished.run):
        say(words)


def _print_session(prepared: Prepared, names: Mapping[str, str]) -> None:
    from bench.estimate.words import miss_words
    from bench.records.accounts import energy_words
    from reports.tables.run_costs import session_costs
    from reports.text.formats import terminal

    watch = prepared.watch
    joules = {} if watch.meter is None else watch.meter.joules()
    parts = ("cpu", "gpu") if prepared.device.startswith("cuda") else ("cpu",)
    notes = (miss_words(watch.expected, watch.account()), energy_words(joules, parts))
    table = session_costs(watch.account(), names, [words for words in notes if words])
    say("\n" + terminal(table, 80), nl=False)

"""The commands that take results beyond one machine: `publish` a run, and a `board` of runs.

Both read records alone and do without torch. The hub's client is imported here and nowhere else
that shows results; `--dry-run`, and a board of folders, ask nothing of the network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import click

from bench import __version__
from bench.api import ConfigError
from bench.checkout import COMMAND
from bench.cli.options import FILE, FOLDER, records_only_option
from bench.cli.streams import say

if TYPE_CHECKING:
    from bench.publishing.parcel import Item, LeftOut, Parcel
    from bench.publishing.publication import Target
    from bench.records.store import Run
    from reports.board.rows import Entrant
    from reports.card.write import About
    from reports.tables.placing import Placed

TABLES_SHOWN = 3  # of the report: table II, the settings, and the gains over its baseline
LOCAL = "local"


class PublishOptions(TypedDict):
    """What `publish` takes; see the help texts below."""

    to: str
    audio: bool
    licence: str | None
    benchmark: str | None
    private: bool
    replace: bool
    records_only: bool
    dry_run: bool


@click.command(short_help="Publish a run as a dataset of the model hub.")
@click.argument("folder", metavar="RUN", type=FILE)
@click.option("--to", required=True, metavar="OWNER/NAME", help="The repository, yours to write.")
@click.option(
    "--audio",
    is_flag=True,
    help="Also publish the outputs; refused where the dataset's card does not allow it.",
)
@click.option(
    "--licence",
    metavar="ID",
    help="Of the records and tables, as the hub spells it (cc-by-4.0); without it none is named.",
)
@click.option(
    "--benchmark",
    metavar="OWNER/NAME",
    help="The dataset that results for model pages name. Default: the repository itself.",
)
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option(
    "--replace",
    is_flag=True,
    help="Put this run where the repository holds another, or files of other origin.",
)
@records_only_option
@click.option(
    "--dry-run",
    is_flag=True,
    help="List the files, their sizes, and what is left out; ask nothing of the network.",
)
def publish(folder: Path, **options: Unpack[PublishOptions]) -> None:
    """Publish a run as a dataset repository of the model hub.

    It holds the records as they are and as Parquet, the tables, and a card that shows table II,
    the licences and where the run was made. First the audio is compared with its records. A
    repository that holds another run, or other files, is refused. The same command again brings
    the repository up to date.
    """
    from bench.publishing.hub import page_address, parse_target, send

    target = parse_target(options["to"])
    if options["audio"] and options["records_only"]:
        raise click.UsageError("--audio publishes sounds that --records-only does not look at.")
    parcel = _parcel(folder, target, options)
    if options["dry_run"]:
        say(_plan_words(parcel, folder))
        return
    done = send(parcel, private=options["private"], replace=options["replace"])
    say(f"{done}\n{page_address(target.id)}")


def _plan_words(parcel: Parcel, folder: Path) -> str:
    from bench.outside.wording import one_line
    from bench.publishing.parcel import parcel_lines
    from bench.records.store import read_header

    of = parcel.publication
    head = f"run {of.run_id} of suite {of.suite} would become dataset {of.repository}:"
    typed = one_line(" ".join(["bench", *read_header(folder).argv]))
    told = f"the records tell what was typed, with the names of folders: {typed}"
    return "\n".join([head, *parcel_lines(parcel), told])


def _parcel(folder: Path, target: Target, options: PublishOptions) -> Parcel:
    """Read and check a run, and make every file of its publication."""
    from bench.publishing import columns, records
    from bench.publishing.parcel import make_parcel
    from bench.publishing.publication import announce
    from bench.records.integrity import require_judgeable
    from bench.records.sameness import setting_digest
    from bench.records.store import load_run

    columns.require_parquet()
    run = load_run(folder)
    require_judgeable(run, records_only=options["records_only"])
    sounds, left_out = _sounds(run, options)
    about = _about(target, options)
    texts, without = _texts(run, about)
    items = [*records.record_items(run), *columns.table_items(run), *texts, *sounds]
    publication = announce(target, run.header, setting_digest(run.header), __version__)
    return make_parcel(publication, items, [*left_out, *without, *records.other_folders(run)])


def _sounds(run: Run, options: PublishOptions) -> tuple[list[Item], list[LeftOut]]:
    """The audio that is published, or why there is none."""
    from bench.publishing import records
    from bench.publishing.parcel import LeftOut
    from reports.sounds import may_publish

    dataset = run.header.dataset
    name = f"dataset {dataset.get('name', 'unnamed')} ({dataset.get('licence', 'unknown')})"
    if may_publish(run):
        if options["audio"]:
            held = records.unlicensed(run)
            return records.audio_items(run, held), list(held.values())
        return [], [LeftOut(records.audio_words(run), "not asked for; --audio adds them")]
    why = f"the card of {name} does not allow to pass its clips on"
    if options["audio"]:
        raise ConfigError(
            f"--audio is refused: {why}, and the outputs are made of them. Publish without --audio."
        )
    return [], [LeftOut(records.audio_words(run), why)]


def _about(target: Target, options: PublishOptions) -> About:
    from bench.publishing.columns import CELLS, SCORES
    from bench.publishing.hub import parse_target
    from reports.card.write import About

    licence, benchmark = options["licence"], options["benchmark"]
    if licence is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", licence):
        raise ConfigError(
            f"--licence {licence!r:.60} is no identifier of the hub, which are lower case without "
            "spaces. Write it as the hub lists it, such as cc-by-4.0 or mit."
        )
    return About(
        target.id,
        licence,
        target.id if benchmark is None else parse_target(benchmark).id,
        options["audio"],
        {"cells": CELLS, "scores": SCORES},
        COMMAND,
    )


def _texts(run: Run, about: About) -> tuple[list[Item], list[LeftOut]]:
    """The card, its pages and tables, and the results for model pages, or why there are none."""
    from bench.publishing.columns import column_texts
    from bench.publishing.parcel import text_items
    from reports.card.licences import licence_page
    from reports.card.write import COLUMN_PAGE, LICENCE_PAGE, card, column_page
    from reports.tables.placing import placed
    from reports.text import formats
    from reports.write import read_report

    report = read_report(run.folder)
    texts = {
        "README.md": card(report.run, report.tables[:TABLES_SHOWN], about),
        LICENCE_PAGE: licence_page(report.run, about.licence),
        COLUMN_PAGE: column_page(column_texts(run)),
        **{f"tables/{table.label}.csv": formats.csv(table) for table in report.tables},
    }
    results, left_out = _results(report.run, placed(report.run, report.tables[0]), about)
    return text_items(texts | results), left_out


def _results(
    run: Run, methods: Sequence[Placed], about: About
) -> tuple[dict[str, str], list[LeftOut]]:
    from bench.publishing.hub import page_address
    from bench.publishing.parcel import LeftOut
    from reports.card.eval_results import FOLDER, MINI, eval_results
    from reports.card.yaml_text import yaml_text

    if run.header.profile == "mini":
        return {}, [LeftOut(f"{FOLDER}/", MINI)]
    found: dict[str, Any] = eval_results(
        run, methods, about.benchmark, page_address(about.repository)
    )
    return {place: yaml_text(entries) for place, entries in found.items()}, []


@click.command(short_help="A leaderboard of runs of one setting, as a page.")
@click.argument("runs", nargs=-1, required=True, metavar="RUNS...")
@click.option("-o", "--out", type=FOLDER, default="board", show_default=True, help="Its folder.")
def board(runs: tuple[str, ...], out: Path) -> None:
    """Put runs of one setting into a leaderboard: a page that opens without a network.

    A run is a folder, its own or a downloaded one, or hf:OWNER/NAME (with @REVISION for another
    than the newest) for one that is published. Each method of each run is a row, with intervals;
    controls stand apart. Runs that differ in more than methods and metrics are refused.
    """
    from reports.board.rows import build_board
    from reports.board.write import write_board

    index, numbers = write_board(build_board([_entrant(words) for words in runs]), out)
    say(f"Board: {index}\nNumbers: {numbers}")


def _entrant(words: str) -> Entrant:
    """The run that some words name; where it was published its records must be whole."""
    from bench.publishing.hub import PREFIX, get_records, parse_target
    from bench.publishing.publication import read_publication
    from bench.records.store import load_run
    from reports.board.rows import Entrant

    if words.startswith(PREFIX):
        name = words.removeprefix(PREFIX)
        folder = get_records(name)
        read_publication(folder)
        return Entrant(load_run(folder), parse_target(name.partition("@")[0]).owner, words)
    known = read_publication(Path(words))
    by = LOCAL if known is None else parse_target(known.repository).owner
    return Entrant(load_run(words), by, words)

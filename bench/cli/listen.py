"""The command `listen`: a blind listening test of a run, its collector, and its ratings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import click

from bench.api import ConfigError
from bench.cli.commands import Commands, OneOf
from bench.cli.options import COUNT, FILE, FOLDER, SEED, Finite, run_option
from bench.cli.streams import say

if TYPE_CHECKING:
    from reports.listening.clips import Form
    from reports.listening.export import Audience, Exported
    from reports.listening.mushra.export import MushraExported

LONGEST_MINUTES = 1440
MOST_LISTENERS = 1000


class ExportOptions(TypedDict):
    """What `listen export` takes; see the help texts below."""

    folder: Path
    sets: int
    seed: int
    out: Path | None
    methods: tuple[str, ...]
    listeners: int
    minutes: float
    sounds: Form
    post: str
    email: str
    completion_code: str
    completion_url: str
    scale: Literal["five", "mushra"]


@click.group(cls=Commands)
def listen() -> None:
    """Make a blind listening test and read its ratings.

    `export` makes a test from a run, `serve` lets people of a lab take it, and `import` brings the
    ratings back.
    """


@listen.command("export", short_help="Write a blind test from a run.")
@run_option
@click.option("--sets", type=COUNT, default=15, show_default=True)
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="Decides which sets are drawn, and who rates them.",
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
@click.option(
    "--scale",
    type=OneOf(["five", "mushra"]),
    default="five",
    show_default=True,
    help="Three questions, marked 1 to 5; or (mushra) the content alone, 0 to 100, for webMUSHRA.",
)
@click.option(
    "--listeners",
    type=click.IntRange(1, MOST_LISTENERS),
    default=30,
    show_default=True,
    help="How many are planned; each gets a block of the test.",
)
@click.option(
    "--minutes",
    type=Finite(1, LONGEST_MINUTES),
    default=20,
    show_default=True,
    help="The most time that a block may take.",
)
@click.option(
    "--sounds",
    type=OneOf(["wav", "opus"]),
    default="wav",
    show_default=True,
    help="What listeners download; opus is a sixth of the size.",
)
@click.option(
    "--post", metavar="URL", default="", help="Also send ratings there; see the page of the test."
)
@click.option(
    "--email", metavar="ADDRESS", default="", help="Where listeners can send a file of ratings."
)
@click.option(
    "--completion-code", metavar="CODE", default="", help="Shown to those who have handed in."
)
@click.option(
    "--completion-url", metavar="URL", default="", help="A link for those who have handed in."
)
def export_test(**options: Unpack[ExportOptions]) -> None:
    """Write a blind test from a run.

    The clips are equally loud. The test comes as a static page, and for webMUSHRA, BeaqleJS and Go
    Listen; with `--scale mushra` for webMUSHRA alone, as MUSHRA with anchors. Where rating
    everything takes too long, each listener gets a balanced part of it; it is said how small a
    difference so many listeners find.
    """
    from reports.listening.export import Audience, export
    from reports.listening.handing_in import HandIn
    from reports.listening.mushra.export import export_mushra

    folder, out = options["folder"], options["out"] or options["folder"] / "listening-test"
    hand_in = HandIn(
        options["post"],
        options["email"],
        options["completion_code"],
        options["completion_url"],
    )
    audience = Audience(options["listeners"], options["minutes"], options["sounds"], hand_in)
    chosen = (options["sets"], options["seed"], options["methods"])
    done: Exported | MushraExported
    if options["scale"] == "mushra":
        _require_plain_audience(audience)
        done = export_mushra(folder, out, *chosen)
        say(_told_mushra(done))
    else:
        done = export(folder, out, *chosen, audience)
        say(_told(done))
    for notice in done.notices:
        say(f"note: {notice}", err=True)


def _require_plain_audience(audience: Audience) -> None:
    """Refuse what belongs to our own page in a test for webMUSHRA."""
    if audience != type(audience)():
        raise ConfigError(
            "--scale mushra is a test for webMUSHRA, which plays all of it as WAV to everybody and "
            "collects the marks itself. Leave out --listeners, --minutes, --sounds, --post, "
            "--email and --completion-..., or take --scale five."
        )


def _told_mushra(done: MushraExported) -> str:
    """Where a MUSHRA test is, and who will be left out."""
    from reports.tables.notes import counted

    size = f"{counted(done.pages, 'page')} of {counted(done.stimuli, 'method')}"
    more = "each with a hidden reference and two anchors"
    return "\n".join([
        f"Test for webMUSHRA: {done.folder / 'webmushra.yaml'} ({size}, {more})",
        f"How to take it: {done.folder / 'README.txt'}",
        f"Key, which stays here: {done.key}",
        f"{done.rule}\nThis rule stands in the key; `listen import` applies it.",
    ])  # fmt: skip


def _told(done: Exported) -> str:
    """Where a test is, what its listeners do, and what that will tell."""
    from reports.listening.power import advice, words
    from reports.tables.notes import counted

    clips = sum(len(one.stimuli) for one in done.sets)
    size = f"{counted(len(done.sets), 'set')}, {counted(clips, 'clip')} to rate"
    return "\n".join([
        f"Test: {done.folder / 'index.html'} ({size})",
        f"Key, which stays here: {done.key}",
        words(done.sets, done.plan, done.minutes),
        *filter(None, [advice(done.sets, done.plan)]),
        f"{done.rule}\nThis rule stands in the key; `listen import` applies it.",
    ])  # fmt: skip


@listen.command("serve", short_help="Let people of a lab take a test.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--into",
    type=FOLDER,
    help="Where ratings are written. Default: beside the test, its name with -ratings.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="An address of this machine; 0.0.0.0 for all, which other machines can reach.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port; 0 takes any that is free.",
)
def serve_test(folder: Path, into: Path | None, host: str, port: int) -> None:
    """Let people of a lab take an exported test, until Ctrl-C.

    Each who opens the address gets the block that fewest have; ratings are written as files, for
    `listen import`.
    """
    from reports.listening.collector import Collector

    place = into or folder.resolve().with_name(f"{folder.resolve().name}-ratings")
    with Collector(folder, place, (host, port), told=say) as collector:
        say(f"Test: {collector.address} (Ctrl-C ends it)")
        say(f"Ratings: {place}")
        if not collector.is_local:
            say(
                "note: every machine that reaches this one can take the test and hand in ratings, "
                "and what they send is not encrypted.",
                err=True,
            )
        collector.serve_forever()


@listen.command("import")
@click.argument("ratings", nargs=-1, required=True, type=FILE)
@run_option
@click.option(
    "--keep-all",
    is_flag=True,
    help="Show the numbers with those whom the rule leaves out; the report stays without them.",
)
def import_test(ratings: tuple[Path, ...], folder: Path, *, keep_all: bool) -> None:
    """Read the ratings of listeners.

    They are checked, kept with the run, and shown beside CP and SF, without the listeners whom the
    rule of the test leaves out.
    """
    from reports.listening.mushra import table as mushra
    from reports.listening.mushra.marks import marked
    from reports.listening.raters import TOLD, left_out
    from reports.listening.ratings import heard, import_ratings
    from reports.tables.notes import counted
    from reports.text.formats import terminal
    from reports.write import TERMINAL_WIDTH, read_report, write_report

    kept = import_ratings(ratings, folder)
    finished = read_report(folder)
    write_report(finished)
    shown = read_report(folder, keep_all=True) if keep_all else finished
    for table in shown.tables:
        if table.label in (*TOLD, *mushra.TOLD):
            say(terminal(table, TERMINAL_WIDTH))
    for line in [*left_out(heard([folder])), *mushra.left_out(marked([folder]))]:
        say(line)
    say(f"{counted(len(kept), 'rating file')} kept in {folder / 'listening'}")

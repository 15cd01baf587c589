"""The commands of the first hour: `list`, `fetch`, `transfer`, `check`, `doctor`, `completion`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click
from click.shell_completion import BashComplete, get_completion_class

from bench.cli.commands import OneOf
from bench.cli.options import (
    FILE,
    FOLDER,
    SEED,
    Place,
    anyway_option,
    device_option,
    is_quiet,
    json_option,
    precision_option,
    profile_option,
    quiet_option,
)
from bench.cli.progress import progress_line
from bench.cli.streams import say
from bench.errors import ExitCode

if TYPE_CHECKING:
    from bench.api import Profile
    from bench.transfer.request import Level

PROGRAM = "bench"  # what is installed; a shell completes after the name of a program
VARIABLE = "_BENCH_COMPLETE"  # where click looks for it, by the name of the program
SHELLS = ("bash", "zsh", "fish")


class TransferOptions(TypedDict):
    """What `transfer` takes; see the help texts below."""

    method: str | None
    content: Path
    out: Path
    style: Path | None
    style_to: str | None
    text: str | None
    fit: Path | None
    start: float
    duration: float | None
    level: Level
    profile: str | None
    device: str
    seed: int
    anyway: bool


@click.command()
@click.option("--method", help='Name, "path.py:Class", or "tve[strength=0.5]".')
@click.option(
    "--style",
    type=FILE,
    help="Folder of clips of the style, or one clip.",
)
@click.option(
    "--style-to",
    help="Go to this style within the piece: a folder, a clip, or words for text-driven methods.",
)
@click.option(
    "--content",
    required=True,
    type=FILE,
    help="Audio file whose music is kept.",
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=FILE,
    help="File to write: .wav, .flac, .ogg or .mp3.",
)
@click.option("--text", help="The style in words, for methods that are given text.")
@click.option(
    "--fit",
    type=FILE,
    help="File of `fit export` in place of a style: nothing is learnt, and no clips are needed.",
)
@anyway_option
@click.option(
    "--start",
    type=Place(0),
    default=0.0,
    help="Begin there in the content: seconds, or a time such as 1:05.",
)
@click.option(
    "--duration",
    type=Place(0.5),
    help="Take so much of the content: seconds, or a time such as 1:05.",
)
@click.option(
    "--level",
    type=click.Choice(["content", "as-is"]),
    default="content",
    show_default=True,
    help="As loud as the content (LUFS, never clipped), or as-is, as the method gives it.",
)
@profile_option
@device_option
@precision_option
@click.option(
    "--seed",
    type=SEED,
    default=0,
    help="Decides every random draw of the fit and of the rendering.",
)
@quiet_option("Print nothing but what went wrong.")
def transfer(**options: Unpack[TransferOptions]) -> None:
    """Render one content in one style.

    The profile is full where there is CUDA, else mini. What is written is listened to first: a line
    each says what is cut, mixed, silent or louder than it seems. Where the output is silent or
    broken nothing is written, and the exit code is 5.
    """
    from bench.failure import Failure
    from bench.transfer.request import SingleRequest
    from bench.transfer.single import prepare_single, render_single

    prepared = prepare_single(SingleRequest(**options))
    if not is_quiet():
        say(prepared.announcement, err=True)
    result = render_single(prepared, progress_line(lambda: prepared.watch.loading_s))
    if not is_quiet():
        say(err=True)
    if isinstance(result, Failure):
        say(f"failed ({result.status}): {result.reason}", err=True)
        sys.exit(ExitCode.FAILED_CELLS)
    if not is_quiet():
        say(result.words)
    for words in result.warnings:
        say(f"warning: {words}", err=True)


@click.command()
@click.argument("target", metavar="NAME|file.py:Class|pkg.mod:Class")
@click.option("--profile", type=OneOf(["mini", "full"]), default="mini", show_default=True)
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
def check(target: str, profile: Profile, device: str) -> None:
    """Check a method or metric against the contract.

    The list says what passed, what failed and what could not be tried.
    """
    from bench.conformance.examine import examine, line, summary
    from bench.device import resolve_device

    examination = examine(target, profile, resolve_device(device))
    say(examination.title)
    outcomes = []
    for outcome in examination.outcomes:
        say(line(outcome))
        outcomes.append(outcome)
    say(summary(outcomes))
    failed = any(outcome.status == "failed" for outcome in outcomes)
    sys.exit(ExitCode.FAILED_CELLS if failed else ExitCode.DONE)


@click.command(short_help="Check the installation and show how to fix each problem.")
@click.option(
    "--scores",
    is_flag=True,
    help="Also score frozen sounds: does each metric give its values here?",
)
@json_option
@quiet_option("Print only what prevents a run; nothing if all is well.")
def doctor(scores: bool, as_json: bool) -> None:
    """Check the installation, and show the command that fixes each problem.

    The exit code is 0 if the mini profile can run, and if the metrics give their reference values
    where --scores asks for them.

    With --json it prints one object: schema_version (1), mini_can_run, scores_hold (null without
    --scores), and findings, a list of objects with section, topic, text, severity (ok, note or
    wrong) and fix.
    """
    from bench.doctor.report import diagnose

    diagnosis = diagnose(scores=scores)
    if as_json:
        say(diagnosis.json)
    elif not is_quiet():
        say(diagnosis.text)
    elif diagnosis.problems:
        say(diagnosis.problems)
    well = diagnosis.mini_can_run and diagnosis.scores_hold
    sys.exit(ExitCode.DONE if well else ExitCode.BAD_INPUT)


@click.command()
@click.argument("targets", nargs=-1, required=True)
@click.option("--accept-licences", is_flag=True, help="Download; without it, only show.")
@click.option(
    "--local-dir",
    type=FOLDER,
    help="Put checkpoints into this folder instead of the hub's cache.",
)
@click.option(
    "--zip",
    "archive",
    type=FILE,
    help="Use this archive of the dataset instead of downloading it.",
)
def fetch(
    targets: tuple[str, ...],
    accept_licences: bool,
    local_dir: Path | None,
    archive: Path | None,
) -> None:
    """Download what suites, methods, metrics or datasets need.

    Without --accept-licences it only shows sizes and licences. HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE
    and HF_TOKEN are respected; datasets go to BENCH_DATA.
    """
    from bench.fetching.order import carry_out, describe_order, is_complete, make_order

    order = make_order(targets)
    say(describe_order(order))
    if not accept_licences and not is_complete(order):
        say(f"To accept these licences and download: {order.line}", err=True)
        sys.exit(ExitCode.BAD_INPUT)
    for line in carry_out(order, local_dir, archive) if accept_licences else ():
        say(line)


@click.command("list")
@click.argument("what", type=OneOf(["methods", "metrics", "datasets", "suites"]))
@json_option
@quiet_option("Print the names alone, one per line.")
def list_(what: str, as_json: bool) -> None:
    """List the methods, metrics, datasets or suites to choose from.

    With --json it prints one object: schema_version (1), kind (what was asked for), and items, a
    list of objects with name and description. Those of methods also have title, control,
    conditioned_on, fits_per_style and source; of metrics title, direction, range and source; of
    datasets here, contents and styles; of suites profile, dataset and methods.
    """
    from bench.cli.listing import listing, listing_json

    say(listing_json(what) if as_json else listing(what, names_only=is_quiet()))


class _Bash(BashComplete):
    """Completion for bash, for any bash: which one will read it is not known here."""

    @staticmethod
    def _check_version() -> None:
        """Ask nothing of the bash of this process."""


@click.command(short_help="Print what a shell needs to complete commands.")
@click.argument("shell", type=OneOf(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands and options of `bench`.

    In bash 4.4 or newer: `source <(bench completion bash)`, in a line of ~/.bashrc. In zsh: the
    same with zsh in ~/.zshrc, after compinit. In fish: `bench completion fish | source` in
    ~/.config/fish/config.fish.
    """
    kind = _Bash if shell == "bash" else get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click cannot complete in {shell}. Update click.")
    say(kind(ctx.find_root().command, {}, PROGRAM, VARIABLE).source(), nl=False)

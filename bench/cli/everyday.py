"""The commands of the first hour: `transfer`, `check`, `doctor`; thin, and light to import."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from bench.cli.options import precision_option
from bench.cli.progress import progress_line

if TYPE_CHECKING:
    from bench.api import Profile

EXIT_BAD_INPUT, EXIT_FAILED = 2, 5


class TransferOptions(TypedDict):
    """What `transfer` takes; see the help texts below."""

    method: str
    content: Path
    out: Path
    style: Path | None
    style_to: str | None
    text: str | None
    start: float
    duration: float | None
    profile: str | None
    device: str
    seed: int


@click.command()
@click.option("--method", required=True, help='Name, "path.py:Class", or "tve[strength=0.5]".')
@click.option(
    "--style",
    type=click.Path(path_type=Path),
    help="Folder of clips of the style, or one clip.",
)
@click.option(
    "--style-to",
    help="Go to this style within the piece: a folder, a clip, or words for text-driven methods.",
)
@click.option(
    "--content",
    required=True,
    type=click.Path(path_type=Path),
    help="Audio file whose music is kept.",
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="File to write: .wav, .flac, .ogg or .mp3.",
)
@click.option("--text", help="The style in words, for methods that are given text.")
@click.option(
    "--start",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Begin this many seconds into the content.",
)
@click.option(
    "--duration", type=click.FloatRange(min=0.5), help="Take this many seconds of the content."
)
@click.option(
    "--profile",
    type=click.Choice(["mini", "full"]),
    help="mini: shipped models; full: hub checkpoints. Default: full with CUDA, else mini.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@precision_option
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    help="Another number gives another rendering and another fit.",
)
def transfer(**options: Unpack[TransferOptions]) -> None:
    """Render one content in one style.

    For those who just want the sound.
    """
    from bench.failure import Failure
    from bench.run.single import SingleRequest, prepare_single, render_single

    prepared = prepare_single(SingleRequest(**options))
    click.echo(prepared.announcement, err=True)
    result = render_single(prepared, progress_line())
    click.echo(err=True)
    if isinstance(result, Failure):
        click.echo(f"failed ({result.status}): {result.reason}", err=True)
        sys.exit(EXIT_FAILED)
    click.echo(result.words)


@click.command()
@click.argument("target", metavar="NAME|file.py:Class|pkg.mod:Class")
@click.option("--profile", type=click.Choice(["mini", "full"]), default="mini", show_default=True)
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
def check(target: str, profile: Profile, device: str) -> None:
    """Check a method or metric against the contract.

    Says what passed, what failed and what could not be tried.
    """
    from bench.conformance.examine import examine, line, summary
    from bench.device import resolve_device

    examination = examine(target, profile, resolve_device(device))
    click.echo(examination.title)
    outcomes = []
    for outcome in examination.outcomes:
        click.echo(line(outcome))
        outcomes.append(outcome)
    click.echo(summary(outcomes))
    failed = any(outcome.status == "failed" for outcome in outcomes)
    sys.exit(EXIT_FAILED if failed else 0)


@click.command()
def doctor() -> None:
    """Say what is here and what is missing.

    With the command that mends it. Ends with 0 if the mini profile can run.
    """
    from bench.doctor.report import diagnose

    diagnosis = diagnose()
    click.echo(diagnosis.text)
    sys.exit(0 if diagnosis.mini_can_run else EXIT_BAD_INPUT)


COMMANDS = (transfer, check, doctor)

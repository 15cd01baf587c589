"""The command `fit`: a learnt style as a file, out of this installation and into it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypedDict, Unpack

import click

from bench.cli.options import (
    FILE,
    SEED,
    anyway_option,
    device_option,
    precision_option,
    profile_option,
)
from bench.cli.progress import progress_line
from bench.cli.streams import say
from bench.errors import ExitCode


class ExportOptions(TypedDict):
    """What `fit export` takes; see the help texts below."""

    method: str
    style: str
    run: Path | None
    out: Path
    text: str | None
    profile: str | None
    device: str
    seed: int
    licence: str | None
    made_by: str


@click.group()
def fit() -> None:
    """Pass learnt styles on: one file each, with all that decided it."""


@fit.command("export")
@click.argument("method")
@click.option(
    "--style",
    required=True,
    help="Folder of clips of the style, or one clip; with --run the name of a style.",
)
@click.option(
    "--run",
    type=FILE,
    help="Take the fit that this run learnt (its first repetition) instead of learning it.",
)
@click.option("-o", "--out", required=True, type=FILE, help="File to write: NAME.safetensors.")
@click.option("--text", help="The style in words, for methods that are given text.")
@click.option("--licence", help="Of the recordings; of a run by default that of its data set.")
@click.option("--by", "made_by", default="", help="Who exports it, if that is to stand there.")
@profile_option
@device_option
@precision_option
@click.option("--seed", type=SEED, default=0, help="Decides every random draw of the fit.")
def export_(**options: Unpack[ExportOptions]) -> None:
    """Write a style as METHOD has learnt it, with its provenance, into one file.

    The file holds the arrays, and method, version, digests of code, weights and clips, parameters,
    text, seed and licence. Whoever imports it needs neither the clips nor the time.
    """
    from bench.failure import Failure
    from bench.transfer.fits import ExportRequest, export, prepare_export

    prepared = prepare_export(ExportRequest(**options))
    for words in prepared.warnings:
        say(f"warning: {words}", err=True)
    made = export(prepared, progress_line())
    say(err=True)
    if isinstance(made, Failure):
        say(f"failed ({made.status}): {made.reason}", err=True)
        sys.exit(ExitCode.FAILED_CELLS)
    say(f"wrote {prepared.out}: {made.origin.words}")


@fit.command("import")
@click.argument("path", metavar="FILE", type=FILE)
@click.option(
    "--method",
    help="The method as it is named here, where that is a file of yours that lies elsewhere.",
)
@anyway_option
@device_option
@precision_option
def import_(path: Path, method: str | None, anyway: bool, device: str) -> None:
    """Check FILE and put its fit into the cache, where `run` and `transfer` find it.

    They take it for the same clips, text, parameters and seed. `transfer --fit FILE` uses a file
    directly, without any clips. Nothing in a file is run; an altered one is refused.
    """
    from bench.transfer.fits import import_fit

    found = import_fit(path, method, device, anyway=anyway)
    say(f"imported {path}: {found.origin.words}")

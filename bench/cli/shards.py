"""The commands for runs that several processes share: `merge` and `status`.

They read records alone and do without torch.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.options import FILE, FOLDER, json_option, records_only_option
from bench.cli.streams import say
from bench.errors import ExitCode

if TYPE_CHECKING:
    from bench.records.merging import Merged
    from bench.run.status import Progressed

SCHEMA_VERSION = 1  # of the JSON of `status`; raised when a key changes its meaning or goes
COMMANDS_SHOWN = 8


@click.command(short_help="Join the folders of shards into one run.")
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option(
    "-o",
    "--out",
    type=FOLDER,
    help="The folder of the whole run; one that is there already is extended. Without it the runs "
    "are only checked.",
)
@records_only_option
def merge(runs: tuple[Path, ...], out: Path | None, *, records_only: bool) -> None:
    """Join runs of parts of one plan into one run, as one process would have made it.

    Setting, plan, code and weights of the methods, fingerprints of the metrics and the audio are
    checked first; runs that do not belong together are refused. Where cells are missing it says how
    many of which method, and the commands that render them; the exit code is then 5, as where cells
    failed. Merging again changes nothing.
    """
    from bench.checkout import COMMAND
    from bench.outside.wording import visible
    from bench.records.merging import merge as join_folders
    from bench.records.store import without_garbage_collection

    with without_garbage_collection():
        merged = join_folders(runs, out, records_only=records_only)
        gc.freeze()  # nor is garbage looked for among all records as the process ends
    joined = merged.joined
    say(
        f"{_counted(len(merged.runs), 'folder')}: {len(joined.cells)} of {joined.planned} cells, "
        f"{merged.failed} failed"
    )
    for words in (*merged.faults, *(f"left out: {words}" for words in merged.altered)):
        say(visible(words))
    _say_missing(merged)
    if out is not None:
        say(f"Written: {out}\nTables: {COMMAND} report {out}")
    sys.exit(ExitCode.FAILED_CELLS if joined.missing or merged.failed else ExitCode.DONE)


def _say_missing(merged: Merged) -> None:
    from bench.outside.wording import some, visible
    from bench.records.commands import missing_commands

    missing = merged.joined.missing
    if not missing:
        return
    words = some((f"{visible(label)} {count}" for label, count in missing.items()), ", ")
    say(f"missing: {sum(missing.values())} cells ({words}); these commands render them:")
    commands = missing_commands(merged.runs, merged.joined.cells)
    for command in commands[:COMMANDS_SHOWN]:
        say(f"  {visible(command)}")
    if len(commands) > COMMANDS_SHOWN:
        say(f"  ... and {len(commands) - COMMANDS_SHOWN} more")


@click.command(short_help="Show how far the shards of runs are.")
@click.argument("runs", nargs=-1, required=True, type=FILE)
@json_option
def status(runs: tuple[Path, ...], *, as_json: bool) -> None:
    """Show how far the shards of runs are: cells, failures, pace, and the last sign of life.

    A shard is done when each of its cells has an outcome and every score; one that lacks some and
    shows no life has stopped, and the same command goes on with it. The pace is that of the latest
    cells.

    With --json it prints one object: schema_version (1) and runs. A run has folder, planned, done,
    failed, missing and shards. A shard has name, state (done, working, stopped, not here), planned,
    done, failed, missing, scored, per_hour and left_s (numbers, or null) and seen_s (seconds since
    1970, or null).
    """
    from bench.run.status import status_of

    found = {folder: status_of(folder) for folder in runs}
    if as_json:
        plain = [_plain(folder, rows) for folder, rows in found.items()]
        say(json.dumps({"schema_version": SCHEMA_VERSION, "runs": plain}, indent=1))
        return
    for folder, rows in found.items():
        say(_table(folder, rows, time.time()))


def _plain(folder: Path, rows: Sequence[Progressed]) -> dict[str, object]:
    return {
        "folder": str(folder),
        **{key: sum(getattr(row, key) for row in rows) for key in ("planned", *COUNTS)},
        "shards": [asdict(row) | {"missing": row.missing} for row in rows],
    }


COUNTS = ("done", "failed", "missing")
HEAD = ("shard", "state", "cells", *COUNTS, "scored", "cells/h", "left", "last sign")


def _table(folder: Path, rows: Sequence[Progressed], now_s: float) -> str:
    from tabulate import tabulate

    from bench.records.accounts import duration_words

    total = {key: sum(getattr(row, key) for row in rows) for key in ("planned", *COUNTS, "scored")}
    lines = [
        [
            *(row.name, row.state, row.planned, row.done, row.failed, row.missing, row.scored),
            "" if row.per_hour is None else f"{row.per_hour:.0f}",
            "" if row.left_s is None else duration_words(row.left_s, places=0),
            "" if row.seen_s is None else f"{_since(row.seen_s, now_s)} ago",
        ]
        for row in rows
    ]
    if len(rows) > 1:
        lines.append(["all", "", *total.values(), "", "", ""])
    return f"{folder}\n{tabulate(lines, HEAD, disable_numparse=True)}"


def _since(then_s: float, now_s: float) -> str:
    """The time since something, which the clock of another machine may set ahead of now."""
    from bench.records.accounts import duration_words

    return duration_words(max(0.0, now_s - then_s), places=0)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"

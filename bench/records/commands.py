"""The commands that do what a run still lacks, from the command lines that its records keep."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from bench.checkout import COMMAND
from bench.records import store
from bench.records.joining import texts, without_shard
from bench.records.parts import shard_folders, shard_name
from bench.records.schema import PlannedCell
from bench.records.store import Run


def shard_command(argv: Sequence[str], shard: str, out: str | None = None) -> str:
    """A command of `run` for another shard.

    Args:
        argv: The words of a command of the same run.
        shard: Such as `2/8`.
        out: Another folder.

    Example:
        >>> shard_command(["run", "--shard=auto", "--out", "a"], "2/8", "b").split("bench ")[1]
        'run --out b --shard 2/8'
    """
    words = without_shard(argv)
    if out is not None and "--out" in words:
        words[words.index("--out") + 1] = out
    elif out is not None:
        words += ["--out", out]
    return f"{COMMAND} {shlex.join([*words, '--shard', shard])}"


def missing_commands(runs: Sequence[Run], done: Collection[str]) -> list[str]:
    """The commands that do what some runs of one plan lack.

    Args:
        runs: The runs.
        done: The ids of all cells that have an outcome.
    """
    commands: dict[str, None] = {}
    begun: dict[str, list[str]] = {}  # command lines, by shard
    for run in runs:
        parts = shard_folders(run.folder)
        begun |= dict.fromkeys(_shards(run), run.header.argv)
        begun |= {shard_name(part): _argv(part, run) for part in parts}
        for part in parts:
            if not _ids(part) <= set(done):
                commands[shard_command(_argv(part, run), shard_name(part))] = None
        if not parts and not {cell.cell_id for cell in run.plan} <= set(done):
            commands[f"{COMMAND} {shlex.join(run.header.argv)}"] = None
    commands |= dict.fromkeys(_not_begun(begun, apart=len(runs) > 1))
    return list(commands)


def _shards(run: Run) -> list[str]:
    """The shards that were merged into a run, as its header tells."""
    told = texts(run.header.provenance.get("shards"))
    return [name for name in told if re.fullmatch(r"\d{1,6}/\d{1,6}", name, re.ASCII)]


def _not_begun(begun: Mapping[str, Sequence[str]], *, apart: bool) -> list[str]:
    """The commands of the shards that nobody has begun.

    Args:
        begun: The command lines of those that were, by their names.
        apart: Whether shards have folders of their own.
    """
    commands = []
    for count in dict.fromkeys(name.partition("/")[2] for name in begun):
        argv = next(words for name, words in begun.items() if name.endswith(f"/{count}"))
        for index in range(1, int(count) + 1):
            name, out = f"{index}/{count}", f"shard-{index}-of-{count}" if apart else None
            if name not in begun:
                commands.append(shard_command(argv, name, out))
    return commands


def _argv(part: Path, run: Run) -> list[str]:
    """The command line of a shard, or that of its run."""
    return store.read_header(part if (part / "run.json").exists() else run.folder).argv


def _ids(part: Path) -> set[str]:
    faults: list[str] = []
    return {cell.cell_id for cell in store.read(part / "plan.jsonl", PlannedCell, faults)}

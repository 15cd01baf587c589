"""Options that several commands share; they mean the same everywhere."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from bench.cli.commands import OneOf
from bench.device import PRECISION_VARIABLE, Precision
from bench.outside.texts import LARGEST_INTEGER, LONGEST_S, MOST_COUNT

Command = TypeVar("Command", bound=Callable[..., Any])


class Finite(click.FloatRange):
    """A finite number in a range; `nan` would pass every comparison with an end of it."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """The number, or a usage error that names the option, the value and the rule."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


class Seconds(Finite):
    """A finite number of seconds."""

    def __init__(self, least: float, *, min_open: bool = False) -> None:
        super().__init__(least, LONGEST_S, min_open=min_open)


class Place(Seconds):
    """Seconds of a piece, as a number or as a player shows them: 65, 65.5, 1:05, 1:05.5, 1:02:03.

    After a colon stand two digits, below 60.
    """

    name = "seconds"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Seconds, or a usage error that names the option, the value and the rule."""
        if not isinstance(value, str) or ":" not in value:
            return super().convert(value, param, ctx)
        found = _CLOCK.fullmatch(value)
        if found is None:
            self.fail(
                f"{value!r} is no time; write seconds (65.5), minutes (1:05.5) or hours (1:02:03), "
                "with two digits below 60 after each colon.",
                param,
                ctx,
            )
        part = found.groupdict(default="0")
        # As one decimal, so that 1:05.1 is the very number 65.1.
        whole_minutes = 60 * int(part["hours"]) + int(part["of_hour"]) + int(part["minutes"])
        exact = Decimal(part["seconds"]) + 60 * whole_minutes
        return super().convert(float(exact), param, ctx)


_CLOCK = re.compile(
    r"(?:(?P<hours>\d{1,6}):(?P<of_hour>[0-5]\d)|(?P<minutes>\d{1,8}))"
    r":(?P<seconds>[0-5]\d(?:\.\d{1,12})?)",
    re.ASCII,
)
FILE = click.Path(path_type=Path)
COUNT = click.IntRange(min=1, max=MOST_COUNT)
SEED = click.IntRange(min=0, max=LARGEST_INTEGER)
FOLDER = click.Path(path_type=Path, file_okay=False)
METHOD_LIST = 'Names, "path.py:Class" or sweeps: "tve[strength=0.5|0.7],rti"'

suite_option = click.option(
    "--suite", help="Suite name or TOML file; default: table2 with CUDA, else mini."
)
profile_option = click.option(
    "--profile",
    type=OneOf(["mini", "full"]),
    help="mini: the shipped models; full: checkpoints of the hub.",
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."
)
run_option = click.option("--run", "folder", required=True, type=FILE, help="The run folder.")
benchmarks_option = click.option("--benchmarks", type=FILE, help="JSON file of pytest-benchmark.")

anyway_option = click.option(
    "--anyway",
    is_flag=True,
    help="Take a fit that was learnt with other code, weights or version of its method.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON alone, of the form described above."
)
html_option = click.option(
    "--html/--no-html",
    default=True,
    show_default=True,
    help="Write the page to look at and listen to.",
)
_QUIET = "bench.quiet"


def quiet_option(words: str) -> Callable[[Command], Command]:
    """Add `--quiet` to a command, with the words of its help; `is_quiet` tells."""
    return click.option(
        "--quiet", "-q", is_flag=True, expose_value=False, callback=_note_quiet, help=words
    )


def is_quiet() -> bool:
    """Whether the command that runs was called with `--quiet`."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_QUIET))


def _note_quiet(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    context.meta[_QUIET] = value


records_only_option = click.option(
    "--records-only",
    is_flag=True,
    help="Do not compare the audio with its records, as where they came without it.",
)


def precision_option(command: Command) -> Command:
    """Add `--precision` to a command."""
    return click.option(
        "--precision",
        type=OneOf(["auto", *get_args(Precision)]),
        expose_value=False,
        callback=_remember,
        help="Of large frozen networks; auto: float32, on CUDA bfloat16 (or float16). "
        "Or set BENCH_PRECISION.",
    )(command)


def _remember(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    """Put the choice where every process of this command, workers too, will look for it."""
    if value is not None:
        os.environ[PRECISION_VARIABLE] = value

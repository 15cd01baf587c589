"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from bench.device import PRECISION_VARIABLE, Precision


def _remember(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    """Put the choice where every process of this command, workers too, will look for it."""
    if value is not None:
        os.environ[PRECISION_VARIABLE] = value


Command = TypeVar("Command", bound=Callable[..., Any])


def precision_option(command: Command) -> Command:
    """Add `--precision` to a command."""
    return click.option(
        "--precision",
        type=click.Choice(["auto", *get_args(Precision)]),
        expose_value=False,
        callback=_remember,
        help="Of large frozen networks; auto: float32, on CUDA bfloat16 (or float16). "
        "Or set BENCH_PRECISION.",
    )(command)

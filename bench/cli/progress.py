"""How far the work is, on standard error: a living line in a terminal, else one now and then."""

from __future__ import annotations

import sys
from time import monotonic

import click

from bench.api import Progress
from bench.outside.wording import one_line

PLAIN_LINE_EVERY_S = 10.0


def progress_line() -> Progress:
    """What shows progress where standard error goes."""
    return _live_line() if sys.stderr.isatty() else _plain_lines()


def _plain_lines() -> Progress:
    """A line now and then, for logs and CI: at once for a new stage, else every ten seconds."""
    stage, shown_at = "", 0.0

    def show(fraction: float, text: str) -> None:
        nonlocal stage, shown_at
        now, begun = monotonic(), text.rpartition(": ")[0]
        if begun != stage or now - shown_at >= PLAIN_LINE_EVERY_S:
            stage, shown_at = begun, now
            click.echo(f"[{fraction:4.0%}] {one_line(text)}", err=True)

    return show


def _live_line() -> Progress:
    """One line that is rewritten, with the time left at the pace so far."""
    begun = monotonic()

    def show(fraction: float, text: str) -> None:
        spent = monotonic() - begun
        left = f"{spent / fraction - spent:.0f} s left" if fraction > 0 else ""
        click.echo(f"\r\x1b[K[{fraction:4.0%}] {one_line(text)}  {left}", nl=False, err=True)

    return show

"""How far the work is, on standard error: a living line in a terminal, else one now and then."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic

import click

from bench.api import Progress
from bench.cli.options import is_quiet
from bench.outside.wording import one_line

PLAIN_LINE_EVERY_S = 10.0
LEAST_SHARE = 0.01  # of the work that is seen before a pace is told from it


class Pace:
    """The time that is left, at the pace of this session so far.

    What was done before the first report counts for nothing: cells of an earlier session took no
    time of this one. Nor does the time in which models are loaded: little of it recurs. A share
    that falls begins another stage.

    Example:
        >>> pace = Pace()
        >>> pace.left_s(0.5, 100.0), pace.left_s(0.75, 110.0)  # half was done when this began
        (None, 10.0)
    """

    def __init__(self) -> None:
        self._begun: tuple[float, float] | None = None  # a share of the work, and the time then
        self._told = (0.0, 0.0)

    def left_s(self, fraction: float, worked_s: float) -> float | None:
        """Seconds that are left, or None while there is too little to tell from.

        Args:
            fraction: The share that is done, in [0, 1].
            worked_s: Seconds of work so far, without loading.
        """
        if self._begun is None:
            self._begun = (fraction, worked_s)
        elif fraction < self._told[0]:
            self._begun = (0.0, self._told[1])
        self._told = (fraction, worked_s)
        done, spent = fraction - self._begun[0], worked_s - self._begun[1]
        return spent / done * (1.0 - fraction) if done >= LEAST_SHARE else None


def progress_line(loading_s: Callable[[], float] = lambda: 0.0) -> Progress:
    """What shows progress where standard error goes; nothing with `--quiet`.

    Args:
        loading_s: Says how many seconds so far went into loading.
    """
    if is_quiet():
        return lambda _fraction, _text: None
    return _live_line(loading_s) if sys.stderr.isatty() else _plain_lines()


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


def _live_line(loading_s: Callable[[], float]) -> Progress:
    """One line that is rewritten, with the time left at the pace so far."""
    pace = Pace()

    def show(fraction: float, text: str) -> None:
        left_s = pace.left_s(fraction, monotonic() - loading_s())
        left = f"{left_s:.0f} s left" if left_s is not None else ""
        click.echo(f"\r\x1b[K[{fraction:4.0%}] {one_line(text)}  {left}", nl=False, err=True)

    return show

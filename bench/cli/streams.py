"""Standard output and standard error: what they do when they are full, closed or of few letters.

A full standard output ends the command with an error that names it. Standard error only tells how
far the work is: where it is full or closed, the work goes on without it. A letter that a terminal
lacks is replaced by a question mark.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TextIO

import click

from bench.outside.wording import visible


class OutputLostError(Exception):
    """Standard output cannot be written.

    It is no `OSError`, which others would take for an error of a file of theirs.

    Args:
        cause: What the system says, with the file that the output goes to.
    """

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def say(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print words, which may hold names and errors of somebody else, to one of the two streams."""
    click.echo(visible(text), err=err, nl=nl)


def prepare_streams() -> None:
    """Make the streams of this process such as the module says.

    A stream that was closed when the process began is opened to nothing: else the next file to be
    opened would take its number, and libraries that print would write into that file.
    """
    for descriptor in range(3):
        if not _is_open(descriptor):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout = _wrapped(sys.stdout, 1, _Output)
    sys.stderr = _wrapped(sys.stderr, 2, _Forgiving)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _wrapped(stream: TextIO | None, descriptor: int, kind: Callable[..., io.RawIOBase]) -> TextIO:
    """The stream with another way of writing; one that was replaced, as by a test, is kept."""
    if stream is not None and stream is not (sys.__stdout__, sys.__stderr__)[descriptor - 1]:
        return stream
    if stream is not None:
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(kind(descriptor, "w", closefd=False)),
        encoding=stream.encoding if stream is not None else "utf-8",
        errors="replace",
        line_buffering=True,
    )


class _Output(io.FileIO):
    """Standard output; once it cannot be written, the rest goes to nothing."""

    def write(self, data: memoryview) -> int | None:  # type: ignore[override] # any buffer
        try:
            return super().write(data)
        except OSError as error:
            place = os.path.realpath("/dev/stdout")
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self.fileno())
            os.close(nothing)
            raise OutputLostError(OSError(error.errno, error.strerror, place)) from error


class _Forgiving(io.FileIO):
    """Standard error: what cannot be written is lost."""

    def write(self, data: memoryview) -> int | None:  # type: ignore[override] # any buffer
        try:
            return super().write(data)
        except OSError:
            return len(data)

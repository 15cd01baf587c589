"""How a command ends: exit codes, errors that a user can fix, the nearest name for a misspelt one.

`bench.api` hands the errors on to plug-ins.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What a command tells the shell; docs/reference/commands.md has the same table."""

    DONE = 0
    INTERNAL_ERROR = 1
    BAD_INPUT = 2
    REGRESSED = 3
    NOT_COMPARABLE = 4
    FAILED_CELLS = 5
    INTERRUPTED = 130
    READER_GONE = 141
    TERMINATED = 143


class BenchError(Exception):
    """Anything the user can fix: its message is printed without a traceback, with exit code 2.

    BenchError
    +- ConfigError          a suite, option or parameter that breaks a rule
    +- UnknownNameError     a name that no catalog, card or suite knows
    +- DatasetError         audio or a card that is missing, unreadable or unfit
    +- ContentError         a clip that a method cannot take (too long, too short)
    +- CheckpointError      weights that are missing or incomplete
    +- DeviceError          a device that this machine lacks
    +- RecordError          a run folder that cannot be read or continued
    +- UnsupportedError     a method or metric declines honestly: an `n/a` cell
    """


class ConfigError(BenchError):
    """A suite, an option or a parameter breaks a rule."""


class UnknownNameError(BenchError):
    """A name that no catalog, card or suite knows; the message carries the nearest known one."""


class DatasetError(BenchError):
    """Audio or a dataset card is missing, unreadable or unfit."""


class ContentError(BenchError):
    """A clip cannot be taken by a method: too long for its window, or too short."""


class CheckpointError(BenchError):
    """Weights or tokenizer files are missing, incomplete or not what they claim."""


class DeviceError(BenchError):
    """The requested device does not exist on this machine."""


class RecordError(BenchError):
    """A run folder cannot be read, continued or compared."""


class UnsupportedError(BenchError):
    """A method or metric declines a request honestly.

    The message is the reason of an `n/a` cell.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence with the nearest known name and a space before it, or nothing where none is near.

    Example:
        >>> nearest("strenght", ["strength", "steps"])
        " Did you mean 'strength'?"
    """
    by_lower = {text.lower(): text for text in sorted(known)}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""

"""The family of errors that a user can mend; `bench.api` hands them on."""

from __future__ import annotations


class BenchError(Exception):
    """Anything the user can mend: its message is printed without a traceback, with exit code 2.

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

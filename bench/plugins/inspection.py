"""What is known of plug-ins from outside, without importing anything of them in this process.

A plug-in from outside is one that is named by its file or module, or that an installed package
adds. Importing it could change this process: another library's functions, a default type, the
working directory. It is therefore imported in a worker process, which answers what only its code
can say (`bench.plugins.answers`). One worker stays open for each file or package, and is replaced
where one of its files has changed.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.util import Finalize
from pathlib import Path
from threading import RLock
from typing import Any, Literal

from bench.api import BenchError, ConfigError, Entry, MethodInfo, MetricInfo, Profile, ProfileInfo
from bench.failure import WorkerError, WorkerLostError
from bench.plugins.fault_places import place_of_fault
from bench.plugins.process import Worker, this_environment
from bench.plugins.source_digest import joined_digest, source_digest

Kind = Literal["method", "metric"]
ROOMS = ("methods", "metrics")
MOST_WORKERS = 8  # that stay open for later questions
LONGEST_ANSWER_S = 300.0  # large libraries from a slow disk


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file of a plug-in's own, with its digest and what tells that it may have changed."""

    path: Path
    digest: str
    mtime_ns: int
    size: int

    @property
    def is_as_it_was(self) -> bool:
        """Whether the file still has the time and size that it had when it was read."""
        try:
            stat = self.path.stat()
        except OSError:
            return False
        return (stat.st_mtime_ns, stat.st_size) == (self.mtime_ns, self.size)


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a class from outside says about itself.

    Args:
        kind: Whether it is a method or a metric; None for any other class.
        info: Its `INFO`.
        environment: The project that it runs in.
        family: Of a method, see `StyleTransferMethod`.
        profiles: What depends on the profile, or in words why it cannot be said.
        files: The files of its own that importing it takes.
    """

    kind: Kind | None
    files: tuple[OwnFile, ...]
    info: MethodInfo | MetricInfo | None = None
    environment: str | None = None
    family: str | None = None
    profiles: Mapping[Profile, ProfileInfo | str] | None = None

    def profile(self, profile: Profile) -> ProfileInfo:
        """What depends on the profile.

        Raises:
            ConfigError: The class cannot say it.
        """
        said = (self.profiles or {}).get(profile, ProfileInfo())
        if isinstance(said, ProfileInfo):
            return said
        raise ConfigError(f"{said}; what it says there decides how it is run. Correct it.")


_lock = RLock()
_workers: OrderedDict[str, Worker] = OrderedDict()
_inspected: dict[str, Inspected] = {}


def is_outside(target: str) -> bool:
    """Whether the class "file.py:Class" or "module:Class" is none of this project's own.

    Example:
        >>> is_outside("./mine.py:Mine"), is_outside("methods.tve:TVE")
        (True, False)
    """
    place = target.rpartition(":")[0]
    return place.endswith(".py") or place.partition(".")[0] not in ROOMS


def inspected(target: str) -> Inspected:
    """What a class from outside says about itself, as its files are now.

    Raises:
        UnknownNameError: The module or file is not there, or lacks the class.
        ConfigError: It cannot be imported, or says something of the wrong type.
    """
    place = target.rpartition(":")[0]
    with _lock:
        known = _inspected.get(target)
        if known is not None and all(file.is_as_it_was for file in known.files):
            return known
        if known is not None:
            _forget(place)
        said = ask(place, "inspect", target)
        files = tuple(OwnFile(Path(file), *facts) for file, *facts in said.pop("files"))
        _inspected[target] = Inspected(files=files, **said)
        return _inspected[target]


def ask(place: str, question: str, *told: object) -> Any:  # noqa: ANN401 - what comes back differs by question
    """Have a plug-in's code answer a question of `bench.plugins.answers`.

    Args:
        place: The file or module of the plug-in.
        question: The name of the question.
        told: Its arguments.

    Raises:
        BenchError: What the answer raises of this kind, by its class.
        ConfigError: The plug-in raised anything else, or ended the process.
    """
    with _lock:
        worker = _workers.pop(place, None) or _opened()
        try:
            answer = worker.call("ask", [question, *told], None, LONGEST_ANSWER_S)
        except WorkerLostError as fault:
            raise ConfigError(
                f"{place} cannot be imported: it ended its process ({fault}). Correct it first."
            ) from fault
        except WorkerError as fault:
            worker.close()
            where = place_of_fault(fault, place)
            raise ConfigError(
                f"{place} cannot be imported or asked ({fault}{where and f'; {where}'}). Correct "
                "it first."
            ) from fault
        except BenchError:
            _keep(place, worker)
            raise
        except BaseException:  # an interrupt in the middle of a call
            worker.kill()
            raise
        _keep(place, worker)
    return answer["value"]


def _opened() -> Worker:
    """A new worker, which ends with this process at the latest, whichever way that was started."""
    Finalize(None, _close_all, exitpriority=0)
    return Worker(this_environment(), Path(os.devnull))


def _keep(place: str, worker: Worker) -> None:
    _workers[place] = worker
    if len(_workers) > MOST_WORKERS:
        _, oldest = _workers.popitem(last=False)
        oldest.close()


def _forget(place: str) -> None:
    """Let go of what is known of a file or package that has changed."""
    worker = _workers.pop(place, None)
    if worker is not None:
        worker.close()
    for target in [one for one in _inspected if one.rpartition(":")[0] == place]:
        del _inspected[target]


def _close_all() -> None:
    while _workers:
        _workers.popitem()[1].kill()


def digest_of(entry: Entry) -> str:
    """SHA-256 over a plug-in's own code and what decides its environment, 64 hex digits.

    For a plug-in from outside these are all files of its own that importing it takes, whichever
    way; for one of this project see `source_digest`.
    """
    if not is_outside(entry.target):
        return source_digest(entry)
    files = inspected(entry.target).files
    home = Path(os.path.commonpath([file.path.parent for file in files]))
    digests = [(file.path.relative_to(home).as_posix(), file.digest) for file in files]
    return joined_digest(digests, entry)

"""Plug-ins in a process of their own: what takes that process down costs one chunk, not the run.

`Isolated` stands for a method whose real instance lives in a worker process, of this environment or
of the back end's own. Calls and results are the same to the last bit as in-process. A worker that
dies, takes longer than its limit or answers what is no answer is killed with all that it started
(`bench.plugins.keeper` says what that covers) and the call raises `WorkerLostError`; its user makes
a new `Isolated` for the next chunk. `bench.plugins.opening` decides what lives in a worker.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.api import (
    Audio,
    Entry,
    FitRequest,
    Json,
    Metric,
    Output,
    Profile,
    Progress,
    Score,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from bench.backend import FOLDERS_VARIABLE
from bench.checkout import CHECKOUT
from bench.failure import WorkerError, WorkerLostError
from bench.plugins.checkpoints import checkpoints_of
from bench.plugins.environments import (
    child_environment,
    environment_digest,
    project_of,
    python_of,
)
from bench.plugins.process import Interpreter, Worker, this_environment
from bench.weights import hub_folder

LONGEST_LOAD_S = 300.0  # large checkpoints from a slow disk
logger = logging.getLogger(__name__)


def _interpreter_of(entry: Entry, profile: Profile) -> Interpreter:
    """The interpreter of this environment, or of the back end's with this checkout on its path."""
    project = project_of(entry)
    if project is None:
        return this_environment()
    folders = {c.title: str(hub_folder(c)) for c in checkpoints_of(entry, profile)}
    variables = {**child_environment(), FOLDERS_VARIABLE: json.dumps(folders)}
    return Interpreter(str(python_of(project, logger.info)), [str(CHECKOUT)], variables)


def _longest_load_s(limit_s: float | None) -> float | None:
    return None if limit_s is None else max(limit_s, LONGEST_LOAD_S)


class _PluginInWorker:
    """A plug-in and its worker process, which starts when the plug-in is loaded.

    Args:
        entry: The plug-in's line of the catalog.
        log: Where the worker's output goes; its folder must exist.
        longest_load_s: Longest time for loading, seconds; None sets no limit.
    """

    def __init__(self, entry: Entry, log: Path, longest_load_s: float | None = None) -> None:
        self.peak_bytes = 0
        self._entry = entry
        self._log = log
        self._longest_load_s = longest_load_s
        self._worker: Worker | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether there is a worker that holds the plug-in."""
        return self._worker is not None

    def load(self, profile: Profile, device: str) -> None:
        """Start the worker and load the plug-in in it."""
        self._worker = Worker(_interpreter_of(self._entry, profile), self._log)
        try:
            asked = [self._entry.target, profile, device, dict(self._entry.settings)]
            self.call("load", asked, self._longest_load_s)
        except WorkerError:
            self.close()
            raise

    def call(
        self,
        verb: str,
        payload: list[Any],
        limit_s: float | None = None,
        progress: Progress | None = None,
    ) -> Any:  # noqa: ANN401 - what comes back differs by verb and is for the caller to judge
        """Have the plug-in do something.

        Raises:
            WorkerLostError: The worker died or was stopped; another must be loaded.
            WorkerError: The plug-in raised.
        """
        if self._worker is None:
            raise ValueError("an isolated plug-in was called before load or after its worker's end")
        try:
            answer = self._worker.call(verb, payload, progress, limit_s)
        except WorkerError as fault:
            if isinstance(fault, WorkerLostError):
                self._worker = None
            raise
        except BaseException:  # interrupted: the worker is in the middle of a call
            self._worker.kill()
            self._worker = None
            raise
        self.peak_bytes = answer["peak_bytes"]
        return answer["value"]

    def close(self) -> None:
        """End the worker; harmless where there is none."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None


class Isolated(StyleTransferMethod[Any]):
    """A method that lives in a worker process.

    Args:
        entry: The method's line of the catalog.
        log: Where the worker's output goes; its folder must exist.
        limit_s: Longest time for one chunk and for each style of a fit, seconds; None sets no
            limit. Loading may take `LONGEST_LOAD_S` where that is longer.
    """

    def __init__(self, entry: Entry, log: Path, limit_s: float | None = None) -> None:
        self._plugin = _PluginInWorker(entry, log, _longest_load_s(limit_s))
        self._limit_s = limit_s

    @property
    def peak_bytes(self) -> int:
        """Largest memory of the worker so far."""
        return self._plugin.peak_bytes

    def load(self, profile: Profile, device: str) -> None:
        """Start the worker and load the method in it; raises what `fit` raises."""
        self._plugin.load(profile, device)

    def fit(self, requests: Sequence[FitRequest[Any]], progress: Progress) -> list[StyleState]:
        """As the method does; the limit grows with the number of styles.

        Raises:
            WorkerLostError: The worker died or was stopped; this object is of no use any more.
            WorkerError: The method raised.
        """
        limit_s = self._limit_s and self._limit_s * len(requests)
        states: list[StyleState] = self._plugin.call("fit", [list(requests)], limit_s, progress)
        return states

    def transfer(self, requests: Sequence[TransferRequest[Any]]) -> list[Audio]:
        """As the method does; raises what `fit` raises."""
        audios: list[Audio] = self._plugin.call("transfer", [list(requests)], self._limit_s)
        return audios

    def close(self) -> None:
        """End the worker; harmless where there is none."""
        self._plugin.close()


class IsolatedMetric(Metric):
    """A metric that lives in a worker process, of this environment or of the back end's own.

    A worker that dies, or is stopped, costs the call; the next call starts another.

    Args:
        entry: The metric's line of the catalog.
        log: Where the worker's output goes; its folder must exist.
        limit_s: Longest time for each output, seconds; None sets no limit. Loading may take
            `LONGEST_LOAD_S` where that is longer.
    """

    def __init__(self, entry: Entry, log: Path, limit_s: float | None = None) -> None:
        self._project = project_of(entry)
        self._plugin = _PluginInWorker(entry, log, _longest_load_s(limit_s))
        self._limit_s = limit_s
        self._loaded: tuple[Profile, str] | None = None

    def load(self, profile: Profile, device: str) -> None:
        """Start the worker and load the metric in it."""
        self._loaded = (profile, device)
        self._plugin.load(profile, device)

    def fingerprint(self) -> Mapping[str, Json]:
        """What the metric says, and the digest of its environment."""
        said: dict[str, Json] = self._plugin.call("fingerprint", [], self._limit_s)
        if self._project is None:
            return said
        return {**said, "environment": environment_digest(self._project)[:12]}

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """As the metric does; the limit grows with the number of outputs.

        Raises:
            WorkerLostError: The worker died or was stopped.
            WorkerError: The metric raised.
        """
        if not self._plugin.is_loaded:
            self._plugin.load(*self._require_loaded())
        limit_s = self._limit_s and self._limit_s * len(outputs)
        scores: list[Score] = self._plugin.call("score", [list(outputs)], limit_s)
        return scores

    def close(self) -> None:
        """End the worker; harmless where there is none."""
        self._plugin.close()

    def _require_loaded(self) -> tuple[Profile, str]:
        if self._loaded is None:
            raise ValueError("the metric is not loaded; call load(profile, device) first")
        return self._loaded

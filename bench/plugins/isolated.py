"""Plug-ins in a process of their own: what takes that process down costs one chunk, not the run.

`Isolated` stands for a method whose real instance lives in a worker process, of this environment or
of the back end's own. Calls and results are the same to the last bit as in-process. A worker that
dies, or that takes longer than its limit, is killed with all its children and the call raises
`WorkerLostError`; its user makes a new `Isolated` for the next chunk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.api import (
    Audio,
    ConfigError,
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
from bench.failure import WorkerError, WorkerLostError
from bench.plugins.catalog import built_in
from bench.plugins.environments import environment_digest, project_of
from bench.plugins.process import Worker

LONGEST_LOAD_S = 300.0  # large checkpoints from a slow disk


@dataclass(frozen=True, slots=True)
class Isolation:
    """How a plug-in is kept in a worker.

    Args:
        entry: Its line of the catalog.
        limit_s: Longest time for one chunk and for each style of a fit; None: no limit. Loading
            may take `LONGEST_LOAD_S` where that is longer.
    """

    entry: Entry
    limit_s: float | None = None


def require_consistent(isolate: bool | None, timeout_s: float | None) -> None:
    """Refuse a time limit without workers.

    Raises:
        ConfigError: Both were asked for.
    """
    if isolate is False and timeout_s is not None:
        raise ConfigError(
            f"--timeout {timeout_s:g} was given with --no-isolate; only a method in a worker "
            "process can be stopped. Leave one of them out."
        )


def isolation_for(
    name: str,
    entry: Entry,
    isolate: bool | None,
    timeout_s: float | None,
) -> Isolation | None:
    """Whether a method gets a worker.

    As asked, else if it is from outside or has a time limit; always where its environment is
    another.
    """
    if entry.environment is not None:
        return Isolation(entry, timeout_s)
    wanted = isolate if isolate is not None else timeout_s is not None or not built_in(name)
    return Isolation(entry, timeout_s) if wanted else None


class _Lodging:
    """A plug-in in its worker: loaded when it moves in, gone when the worker is.

    Args:
        isolation: Which plug-in, and its time limit.
        log: Where the worker's output goes; its folder must exist.
    """

    def __init__(self, isolation: Isolation, log: Path) -> None:
        self.limit_s = isolation.limit_s
        self.peak_bytes = 0
        self._entry = isolation.entry
        self._log = log
        self._worker: Worker | None = None

    def load(self, profile: Profile, device: str) -> None:
        """Start the worker and load the plug-in in it."""
        self._worker = Worker(self._entry, profile, self._log)
        longest_s = None if self.limit_s is None else max(self.limit_s, LONGEST_LOAD_S)
        try:
            self.call("load", [self._entry.target, profile, device], longest_s)
        except WorkerError:
            self.close()
            raise

    def call(
        self, verb: str, payload: list[Any], limit_s: float | None, progress: Progress | None = None
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
        isolation: Which method, and its time limit.
        log: Where the worker's output goes; its folder must exist.
    """

    def __init__(self, isolation: Isolation, log: Path) -> None:
        self._lodging = _Lodging(isolation, log)

    @property
    def peak_bytes(self) -> int:
        """Largest memory of the worker so far."""
        return self._lodging.peak_bytes

    def load(self, profile: Profile, device: str) -> None:
        """Start the worker and load the method in it; raises what `fit` raises."""
        self._lodging.load(profile, device)

    def fit(self, requests: Sequence[FitRequest[Any]], progress: Progress) -> list[StyleState]:
        """As the method does; the limit grows with the number of styles.

        Raises:
            WorkerLostError: The worker died or was stopped; this object is of no use any more.
            WorkerError: The method raised.
        """
        limit_s = self._lodging.limit_s and self._lodging.limit_s * len(requests)
        states: list[StyleState] = self._lodging.call("fit", [list(requests)], limit_s, progress)
        return states

    def transfer(self, requests: Sequence[TransferRequest[Any]]) -> list[Audio]:
        """As the method does; raises what `fit` raises."""
        limit_s = self._lodging.limit_s
        audios: list[Audio] = self._lodging.call("transfer", [list(requests)], limit_s)
        return audios

    def close(self) -> None:
        """End the worker; harmless where there is none."""
        self._lodging.close()


class IsolatedMetric(Metric):
    """A metric that lives in a worker process, of the back end's own environment.

    A worker that dies is started again and its outputs are scored one by one; what takes it down
    again has no score, and the others keep theirs.

    Args:
        name: Of the metric, for the scores that it cannot give.
        isolation: Which metric, and its time limit for one batch.
        log: Where the worker's output goes; its folder must exist.
    """

    def __init__(self, name: str, isolation: Isolation, log: Path) -> None:
        self._name = name
        self._project = project_of(isolation.entry)
        self._lodging = _Lodging(isolation, log)
        self._loaded: tuple[Profile, str] | None = None

    def load(self, profile: Profile, device: str) -> None:
        """Start the worker and load the metric in it."""
        self._loaded = (profile, device)
        self._lodging.load(profile, device)

    def fingerprint(self) -> Mapping[str, Json]:
        """What the metric says, and the digest of its environment."""
        said: dict[str, Json] = self._lodging.call("fingerprint", [], self._lodging.limit_s)
        if self._project is None:
            return said
        return {**said, "environment": environment_digest(self._project)[:12]}

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """As the metric does."""
        try:
            scores: list[Score] = self._lodging.call(
                "score", [list(outputs)], self._lodging.limit_s
            )
        except WorkerLostError as lost:
            self._lodging.load(*self._require_loaded())
            if len(outputs) > 1:
                return [score for output in outputs for score in self.score([output])]
            return [Score(self._name, None, status="unsupported", reason=lost.failure.reason)]
        return scores

    def close(self) -> None:
        """End the worker; harmless where there is none."""
        self._lodging.close()

    def _require_loaded(self) -> tuple[Profile, str]:
        if self._loaded is None:
            raise ValueError("the metric is not loaded; call load(profile, device) first")
        return self._loaded

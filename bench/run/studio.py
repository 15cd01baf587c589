"""Fitting and rendering: turns planned cells into audio files and cell records.

One `Studio` serves one method of one run. A fit covers all styles of a repetition at once and a
chunk is rendered whole, because batched arithmetic depends on its company in the last digits: what
was interrupted is re-run in the same company, so a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

import numpy as np

from bench.api import (
    Audio,
    CheckpointError,
    Clip,
    DeviceError,
    FitRequest,
    Progress,
    Style,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from bench.audio import read_audio, resample, to_mono, unclipped_suffix, write_audio
from bench.cache import Cache
from bench.data.material import Material
from bench.device import peak_memory_bytes
from bench.failure import Failure, WorkerError, WorkerLostError, failure_of
from bench.outputs import restore
from bench.parallel import in_parallel
from bench.plugins.isolated import Isolated, Isolation
from bench.plugins.parameters import make_parameters, split_parameters
from bench.records.schema import CellRecord, PlannedCell
from bench.run.calibration import Gauge
from bench.run.keys import Identity, chunk_key, fit_key
from bench.run.stopwatch import Stopwatch

LONGEST_NAME = 100  # of a log file: a method from outside is named by its path
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A style as one method knows it, or why it does not."""

    key: str
    state: StyleState | None = None
    cost_s: float = 0.0
    cached: bool = False
    failure: Failure | None = None


class FitFacts(TypedDict):
    """What a cell record says about the fit that the cell used."""

    fit_key: str
    fit_s: float
    fit_cached: bool
    load_s: float
    finished_at: str


@dataclass(frozen=True, slots=True)
class Bench:
    """What all methods of a run share."""

    folder: Path
    cache: Cache
    material: Material
    profile: str
    device: str
    watch: Stopwatch
    progress: Progress
    fit_together: bool = False  # methods of one family learn in one call


@dataclass(slots=True)
class Studio:
    """One method of a run: loaded on first need, so that a cached result loads nothing.

    With `isolation` the method lives in a worker process; one that is lost is started anew when
    the method is next needed.
    """

    bench: Bench
    label: str
    kind: type[StyleTransferMethod]
    identity: Identity
    sample_rate: int | None
    control: bool
    learns: bool
    isolation: Isolation | None = None
    load_s: float = 0.0
    _method: StyleTransferMethod | None = field(default=None)
    _gauge: Gauge | None = field(default=None)

    @property
    def method(self) -> StyleTransferMethod:
        """The loaded method."""
        if self._method is None:
            stage, before = f"load {self.label}", self.bench.watch.total_s
            with self._work(stage):
                method = Isolated(self.isolation, self._log_path) if self.isolation else self.kind()
                method.load(self.bench.profile, self.bench.device)  # type: ignore[arg-type]  # checked by the suite
            self.load_s = self.bench.watch.total_s - before
            self._method = method
        return self._method

    def close(self) -> None:
        """End the worker process, if there is one; what needs the method starts another."""
        if isinstance(self._method, Isolated):
            self._method.close()
            self._method = None

    @contextmanager
    def _work(self, stage: str) -> Iterator[None]:
        """Time a call of the method, undo its change of directory, and let go of a lost worker."""
        try:
            with self.bench.watch.measure(stage, self.bench.device), chdir("."):
                yield
        except WorkerLostError:
            self._method = None
            raise

    # ------------------------------------------------------------------ fit

    def fit(self, cells: Sequence[PlannedCell], progress: Progress) -> dict[str, Fitted]:
        """Fit every style of `cells` (one repetition) together, or take the fits from the cache."""
        requests, keys = self.fits_of(cells)
        cached = {style: self._cached_fit(key) for style, key in keys.items()}
        if all(cached.values()):
            return {style: fitted for style, fitted in cached.items() if fitted}
        return self._fit_together(requests, keys, progress)

    def fits_of(self, cells: Sequence[PlannedCell]) -> tuple[dict[str, FitRequest], dict[str, str]]:
        """What must be learnt for cells of one repetition, by style, and the names in the cache."""
        first = {cell.style: cell for cell in reversed(cells)}
        requests = {style: self._fit_request(cell) for style, cell in sorted(first.items())}
        return requests, {style: self._fit_key(request) for style, request in requests.items()}

    def _fit_request(self, cell: PlannedCell) -> FitRequest:
        style = self.bench.material.style(cell.style)
        return FitRequest(
            style=Style(
                id=style.id,
                clips=tuple(self._heard(clip) for clip in style.clips),
                heldout_clips=tuple(self._heard(clip) for clip in style.heldout_clips)
                if self.control
                else (),
                text=style.text,
            ),
            parameters=make_parameters(self.kind.Parameters, cell.parameters),
            seed=cell.fit_seed,
        )

    def _fit_key(self, request: FitRequest) -> str:
        fit_parameters, _ = split_parameters(request.parameters)
        return fit_key(self.identity, fit_parameters, request.style, request.seed)

    def _cached_fit(self, key: str) -> Fitted | None:
        state = self.bench.cache.load_state(key)
        if state is None:
            return None
        cost = self.bench.cache.load_cost(key) or {}
        return Fitted(key, state, cost.get("fit_s", 0.0), cached=True)

    def _fit_together(
        self, requests: Mapping[str, FitRequest], keys: Mapping[str, str], progress: Progress
    ) -> dict[str, Fitted]:
        """One call for all styles.

        If it raises, one call each, so that one bad style costs only itself.
        """
        try:
            states, seconds = self.timed_fit(list(requests.values()), progress)
        except (CheckpointError, DeviceError):  # the user's to mend, not this method's fault
            raise
        except Exception as error:  # noqa: BLE001 - the boundary where a method's fault becomes a record
            if len(requests) == 1:
                self._log(error)
                return {style: Fitted(keys[style], failure=failure_of(error)) for style in requests}
            alone = [
                self._fit_together({style: request}, keys, progress)
                for style, request in requests.items()
            ]
            return {style: fitted for part in alone for style, fitted in part.items()}
        share_s = seconds / len(requests)
        for style, state in zip(requests, states, strict=True):
            self.bench.cache.save_state(keys[style], state, {"fit_s": share_s})
        return {
            style: Fitted(keys[style], state, share_s)
            for style, state in zip(requests, states, strict=True)
        }

    def timed_fit(
        self, requests: list[FitRequest], progress: Progress
    ) -> tuple[list[StyleState], float]:
        """States of requests, learnt in one call, and its seconds."""
        method, before = self.method, self.bench.watch.total_s
        with self._work(f"fit {self.label}"):
            states = method.fit(requests, progress)
        if len(states) != len(requests):
            raise ValueError(
                f"{self.label}.fit returned {len(states)} states for {len(requests)} styles"
            )
        return states, self.bench.watch.total_s - before

    # ------------------------------------------------------------------ render

    def render(
        self, chunk: Sequence[PlannedCell], fitted: Fitted, attempt: int
    ) -> list[CellRecord]:
        """Render a chunk whole (or take it from the cache) and write its audio.

        One record per cell.
        """
        if fitted.failure or fitted.state is None:
            failure = fitted.failure or Failure("error", "the fit left no state")
            return [self._failed(cell, fitted, failure, attempt) for cell in chunk]
        contents = in_parallel(
            self.bench.material.content, [cell.content for cell in chunk], self.bench.device
        )
        _, parameters = split_parameters(make_parameters(self.kind.Parameters, chunk[0].parameters))
        key = chunk_key(
            self.identity,
            fitted.key,
            parameters,
            [clip.audio for clip in contents],
            [cell.seed for cell in chunk],
        )
        cached = self._cached_chunk(key, chunk)
        if cached is not None:
            return [
                self._finished(cell, fitted, audio, cost, attempt, cached=True)
                for cell, audio, cost in zip(chunk, *cached, strict=True)
            ]
        return self._render_new(chunk, contents, fitted, key, attempt)

    def _cached_chunk(
        self, key: str, chunk: Sequence[PlannedCell]
    ) -> tuple[list[Audio], list[float]] | None:
        found = [self.bench.cache.load_audio(f"{key}-{position}") for position in range(len(chunk))]
        present = [entry for entry in found if entry is not None]
        if len(present) < len(chunk):
            return None
        return [audio for audio, _ in present], [cost.get("transfer_s", 0.0) for _, cost in present]

    def _render_new(
        self,
        chunk: Sequence[PlannedCell],
        contents: list[Clip],
        fitted: Fitted,
        key: str,
        attempt: int,
    ) -> list[CellRecord]:
        try:
            outcomes, cost_s = self._transfer(chunk, contents, fitted)
        except (CheckpointError, DeviceError):
            raise
        except Exception as error:  # noqa: BLE001 - the boundary where a method's fault becomes a record
            self._log(error)
            lost = isinstance(error, WorkerLostError)  # which costs its chunk
            if lost or len(chunk) == 1:
                return [self._failed(cell, fitted, failure_of(error), attempt) for cell in chunk]
            singly = [
                self._render_new([cell], [content], fitted, f"{key}-alone-{position}", attempt)
                for position, (cell, content) in enumerate(zip(chunk, contents, strict=True))
            ]
            return [record for part in singly for record in part]

        def keep(numbered: tuple[int, tuple[PlannedCell, Audio | Failure]]) -> CellRecord:
            position, (cell, outcome) = numbered
            if isinstance(outcome, Failure):
                return self._failed(cell, fitted, outcome, attempt)
            self.bench.cache.save_audio(f"{key}-{position}", outcome, {"transfer_s": cost_s})
            return self._finished(cell, fitted, outcome, cost_s, attempt)

        pairs = zip(chunk, outcomes, strict=True)
        return in_parallel(keep, enumerate(pairs), self.bench.device)

    def _transfer(
        self, chunk: Sequence[PlannedCell], contents: list[Clip], fitted: Fitted
    ) -> tuple[list[Audio | Failure], float]:
        """Outputs at the content's own rate and exact length, and the seconds per clip."""
        state = fitted.state
        if state is None:
            raise ValueError("a fit without a state cannot render")
        heard = in_parallel(self._heard, contents, self.bench.device)
        requests = [
            TransferRequest(
                clip, state, make_parameters(self.kind.Parameters, cell.parameters), cell.seed
            )
            for cell, clip in zip(chunk, heard, strict=True)
        ]
        self._gauge = Gauge(self.bench.device)
        method, before = self.method, self.bench.watch.total_s
        with self._work(f"transfer {self.label}"):
            outputs = method.transfer(requests)
        cost_s = (self.bench.watch.total_s - before) / len(chunk)
        if len(outputs) != len(requests):
            raise ValueError(
                f"{self.label}.transfer returned {len(outputs)} outputs, not {len(requests)}"
            )
        restored = [
            restore(output, given.audio, content.audio)
            for output, given, content in zip(outputs, heard, contents, strict=True)
        ]
        return restored, cost_s

    def _heard(self, clip: Clip) -> Clip:
        """The clip as a method receives it: mono, at the native rate."""
        mono = to_mono(clip.audio)
        heard = resample(mono, self.sample_rate) if self.sample_rate else mono
        return Clip(clip.id, clip.category, heard)

    # ------------------------------------------------------------------ records

    def _finished(
        self,
        cell: PlannedCell,
        fitted: Fitted,
        audio: Audio,
        cost_s: float,
        attempt: int,
        *,
        cached: bool = False,
    ) -> CellRecord:
        peak = float(np.abs(audio.waveform).max())
        name = f"audio/{cell.cell_id}{unclipped_suffix(audio)}"
        path = self.bench.folder / name
        write_audio(path, audio)
        return CellRecord(
            cell_id=cell.cell_id,
            status="ok",
            attempt=attempt,
            audio=name,
            audio_digest=read_audio(path).digest,
            sample_rate=audio.sample_rate,
            duration_s=audio.duration_s,
            peak=peak,
            transfer_s=cost_s,
            transfer_cached=cached,
            peak_memory_bytes=self._peak_bytes,
            **({} if cached or self._gauge is None else self._gauge.facts()),
            **self._fit_facts(fitted),
        )

    def _failed(
        self, cell: PlannedCell, fitted: Fitted, failure: Failure, attempt: int
    ) -> CellRecord:
        return CellRecord(
            cell_id=cell.cell_id,
            attempt=attempt,
            status=failure.status,
            reason=failure.reason,
            exception=failure.exception,
            **self._fit_facts(fitted),
        )

    def _fit_facts(self, fitted: Fitted) -> FitFacts:
        return {
            "fit_key": fitted.key,
            "fit_s": fitted.cost_s,
            "fit_cached": fitted.cached,
            "load_s": self.load_s,
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    @property
    def _peak_bytes(self) -> int:
        """Largest memory of the process that holds the method."""
        if isinstance(self._method, Isolated):
            return self._method.peak_bytes
        return peak_memory_bytes(self.bench.device)

    @property
    def _log_path(self) -> Path:
        name = self.label.split("[")[0].replace("/", "_")
        return self.bench.folder / "logs" / f"{name[-LONGEST_NAME:]}.log"

    def _log(self, error: Exception) -> None:
        """Keep the traceback in the run folder.

        A failed cell's reason is one line, this is the rest.
        """
        if failure_of(error).status == "unsupported":
            return
        trace = error.trace if isinstance(error, WorkerError) else None
        with self._log_path.open("a", encoding="utf-8") as file:
            file.write((trace or "".join(traceback.format_exception(error))) + "\n")

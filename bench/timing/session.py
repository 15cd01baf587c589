"""`python -m bench time`: what methods cost, each in a process of its own, taking turns.

Loading is timed in fresh processes. Fits are timed whole, with their own (fewer) repetitions, or at
two smaller numbers of steps and marked as extrapolated. Transfers of one clip and of a batch follow
after a warm-up, then the metrics. Within each stage methods take turns, so that a slow hour of the
machine affects them all.

Nothing is served from memory that a run would compute: every repetition gets clips that were never
heard before (`bench.timing.supply`), and the shared cache is an empty folder for the session.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import ConfigError, Progress
from bench.cache import Cache
from bench.data.material import Material
from bench.estimate.energy import EnergyMeter
from bench.outside.elsewhere import require_made_here
from bench.plan.plan import PlannedMethod, resolve_parameters
from bench.plugins.choices import parse_methods
from bench.records.rates import add_rates
from bench.records.timings import StageName, TimingReport, rounds
from bench.run.provenance import collect
from bench.run.request import Prepared, RunRequest, prepare
from bench.timing import process
from bench.timing.rates import rates_of
from bench.timing.subject import Subject, load, result, started
from bench.timing.supply import Supply

WARM_UPS = 2
METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class TimingRequest:
    """What to time.

    Args:
        run: Suite, methods, profile, device and contents, as a run takes them.
        repetitions: Of transfers and scores.
        fits: Repetitions of each fit.
        loads: Fresh processes in which loading is timed.
        batch: Clips per transfer of the batched stage; None: as a run of the suite chunks them.
        fit_steps: Time fits at this number of steps and at twice as many, and extrapolate.
    """

    run: RunRequest
    repetitions: int = 7
    fits: int = 3
    loads: int = 3
    batch: int | None = None
    fit_steps: int | None = None


def measure(request: TimingRequest, progress: Progress) -> TimingReport:
    """Take all times of a session.

    Raises:
        BenchError: What the user can fix: names, checkpoints, parameters, the device.
    """
    prepared = prepare(request.run)
    for method in _asked(prepared):
        require_made_here(method.choice.name, "timed")
    methods = [_subject(prepared, method) for method in _asked(prepared)]
    if request.fit_steps is not None:
        _require_steps(methods, request.fit_steps)
    scoring = _scoring(prepared)
    session = Session(request, prepared, methods, scoring, progress)
    with _no_shared_cache(), EnergyMeter((prepared.device,)) as meter:
        try:
            session.run()
        except KeyboardInterrupt:  # a SIGTERM has reached this process alone
            for child in multiprocessing.active_children():
                child.kill()
            raise
        finally:
            for subject in (*methods, scoring):
                if subject.pool is not None:
                    subject.pool.shutdown()
        energy_j = meter.joules()
    report = session.report().model_copy(update={"energy_j": energy_j})
    add_rates(Cache.default().root, rates_of(prepared, _asked(prepared), report))
    return report


@dataclass(slots=True, eq=False)
class Session:
    """One session of timing: its subjects, and the stages that they go through in turn."""

    request: TimingRequest
    prepared: Prepared
    methods: list[Subject]
    scoring: Subject
    progress: Progress

    def run(self) -> None:
        """Load, fit, transfer, score."""
        subjects = [*self.methods, self.scoring]
        for number, subject in rounds(subjects, self.request.loads):
            self._tell(0.0, f"load {number + 1}/{self.request.loads}: {subject.label}")
            load(subject)
        supply = self._supply()
        self._fit(supply)
        self._transfer(supply)
        self._score(supply)

    def _supply(self) -> Supply:
        plan = self.prepared.plan
        material = Material(plan.dataset, plan.splits, plan.suite.duration_s)
        names = [clip.id for clip in plan.contents]
        return Supply(material, names, material.style(self.style))

    @property
    def style(self) -> str:
        """The one style that is fitted."""
        return next(iter(self.prepared.plan.splits))

    @property
    def batch(self) -> int:
        """Clips per transfer of the batched stage."""
        return self.request.batch or self.prepared.plan.suite.chunk_size

    def _tell(self, fraction: float, text: str) -> None:
        self.progress(fraction, text)

    def _fit(self, supply: Supply) -> None:
        for number, subject in rounds(self.methods, self.request.fits):
            if subject.failure or (number and not subject.fits_per_style):
                continue
            self._tell(0.1 + 0.4 * number / self.request.fits, f"fit {number + 1}: {subject.label}")
            short = self.request.fit_steps
            if short is None or "steps" not in subject.parameters:
                style = supply.style_for(subject.sample_rate)
                lap = subject.call(process.fit, style, subject.parameters, number)
                subject.note("fit", 1, lap)
                continue
            for steps in (short, 2 * short):
                fewer = {**subject.parameters, "steps": steps}
                style = supply.style_for(subject.sample_rate)
                lap = subject.call(process.fit, style, fewer, number)
                subject.short_fits.setdefault(steps, []).extend([lap] if lap else [])

    def _transfer(self, supply: Supply) -> None:
        sizes = sorted({1, self.batch})
        total = WARM_UPS + self.request.repetitions
        for number, subject in rounds(self.methods, total):
            self._tell(0.5 + 0.4 * number / total, f"transfer {number + 1}: {subject.label}")
            for size in sizes:
                contents = supply.contents_for(size, subject.sample_rate)
                self._lap(subject, "transfer", size, (process.transfer, contents, number))

    def _lap(
        self, subject: Subject, stage: StageName, size: int, work: tuple[Any, Sequence[Any], int]
    ) -> None:
        """One repetition; those of the warm-up are not kept."""
        if subject.failure:
            return
        call, items, number = work
        more = (subject.parameters, number * size) if stage == "transfer" else ()
        lap = subject.call(call, items, *more)
        if number >= WARM_UPS:
            subject.note(stage, size, lap)

    def _score(self, supply: Supply) -> None:
        total = WARM_UPS + self.request.repetitions
        for number in range(total if self.prepared.metrics else 0):
            self._tell(0.9 + 0.1 * number / total, f"score {number + 1}: {METRICS}")
            outputs = supply.outputs(self.batch)
            self._lap(self.scoring, "score", self.batch, (process.score, outputs, number))

    def report(self) -> TimingReport:
        """The times that were taken."""
        plan, device = self.prepared.plan, self.prepared.device
        lengths = [clip.duration_s for clip in plan.contents]
        longest_s = plan.suite.duration_s
        return TimingReport(
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            suite_name=plan.suite.name,
            suite_digest=plan.suite.digest,
            dataset=plan.dataset.name,
            profile=plan.suite.profile,
            device=device,
            style=self.style,
            contents=tuple(clip.id for clip in plan.contents),
            duration_s=float(np.median([min(s, longest_s or s) for s in lengths])),
            metrics=self.prepared.metrics,
            methods=tuple(result(subject) for subject in self.methods),
            scoring=result(self.scoring),
            worked_s=math.fsum(one.worked_s for one in (*self.methods, self.scoring)),
            wall_s=self.prepared.watch.total_s,
            provenance=collect(device),
        )


def _asked(prepared: Prepared) -> list[PlannedMethod]:
    """The methods of the suite or of the command line; its controls only where they were named."""
    labels = {choice.label for choice in parse_methods(",".join(prepared.plan.suite.methods))}
    return [method for method in prepared.plan.methods if method.choice.label in labels]


def _subject(prepared: Prepared, method: PlannedMethod) -> Subject:
    suite, style = prepared.plan.suite, next(iter(prepared.plan.splits))
    name = method.choice.name
    return Subject(
        method.choice.label,
        lambda pool: started(
            pool, (process.load_method, name, method.settings, suite.profile, prepared.device)
        ),
        method.info.fits_per_style,
        method.profile.sample_rate,
        resolve_parameters(suite, method, style),
    )


def _scoring(prepared: Prepared) -> Subject:
    names, profile = prepared.metrics, prepared.plan.suite.profile
    return Subject(
        METRICS,
        lambda pool: started(pool, (process.load_metrics, names, profile, prepared.device)),
    )


def _require_steps(methods: Sequence[Subject], fit_steps: int) -> None:
    """Refuse to extrapolate to an unknown number of steps.

    Raises:
        ConfigError: A method with a parameter `steps` does not say how many.
    """
    for subject in methods:
        steps = subject.parameters.get("steps", 0)
        if steps is None or (isinstance(steps, int) and 0 < steps < 2 * fit_steps):
            raise ConfigError(
                f"{subject.label} has steps {steps} and --fit-steps is {fit_steps}; what is "
                f"extrapolated must be known and at least {2 * fit_steps}. Name it, as in "
                f'--methods "{subject.label.split("[")[0]}[steps=3000]".'
            )


@contextmanager
def _no_shared_cache() -> Iterator[None]:
    """Give processes that start within the block an empty cache, and remove it afterwards."""
    before = os.environ.get("BENCH_CACHE")
    with tempfile.TemporaryDirectory(prefix="bench-time-") as folder:
        os.environ["BENCH_CACHE"] = str(Path(folder))
        try:
            yield
        finally:
            del os.environ["BENCH_CACHE"]
            os.environ.update({"BENCH_CACHE": before} if before is not None else {})

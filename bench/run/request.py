"""From a request on the command line to a run folder that is ready to work, and the work itself.

`prepare` resolves the suite, the dataset and the methods, checks everything that can be checked
before any work (names, parameters, windows, checkpoints, device) and lays out the plan. `start`
writes header and plan, or extends those of an existing folder, and executes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

from bench.api import ConfigError, Json, Progress, RecordError
from bench.cache import Cache
from bench.data.cards import load_dataset
from bench.data.material import Material, check_clips
from bench.device import device_kind, frozen_precision, resolve_device
from bench.plan.needed import require_checkpoints
from bench.plan.plan import Plan, PlannedMethod, make_plan, missing_cells, prepare_methods
from bench.plan.suite import Suite, check_style_tables, default_suite, derive, load_suite
from bench.plugins.catalog import find_method, find_metric, resolve
from bench.plugins.environments import project_of, python_of
from bench.plugins.isolated import Isolation, isolation_for, require_consistent
from bench.plugins.source_digest import source_digest
from bench.records import store
from bench.records.sameness import setting
from bench.records.schema import CellRecord, PlannedCell
from bench.run.devices import assign, work_through
from bench.run.header import make_header, merge_headers
from bench.run.keys import Identity
from bench.run.runner import execute, locked, note_session, render, settle
from bench.run.scoring import LoadedMetric, close, load_metric
from bench.run.stopwatch import Stopwatch
from bench.run.studio import Bench, Studio
from bench.weights import digest as weights_digest
from bench.weights import quiet_loaders


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What was asked for on the command line; None where nothing was said."""

    argv: tuple[str, ...] = ()
    suite: str | None = None
    methods: str | None = None
    metrics: str | None = None
    dataset: str | None = None
    styles: str | None = None
    contents: str | None = None
    seeds: int | None = None
    profile: str | None = None
    device: str = "auto"
    out: Path | None = None
    duration: float | None = None
    dry_run: bool = False
    retry: bool = False
    isolate: bool | None = None
    timeout: float | None = None
    fit_together: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that has passed every check that needs no model."""

    plan: Plan
    cells: tuple[PlannedCell, ...]
    metrics: tuple[str, ...]
    folder: Path
    devices: tuple[str, ...]
    why_suite: str
    watch: Stopwatch

    @property
    def device(self) -> str:
        """Where metrics run, and methods too when there is no other."""
        return self.devices[0]

    @property
    def _where(self) -> str:
        precision = frozen_precision(self.device)
        return ", ".join(self.devices) + ("" if precision == "float32" else f" ({precision})")

    @property
    def announcement(self) -> str:
        """What will be run, where, and why, before it starts."""
        suite, chunks = self.plan.suite, len({cell.chunk for cell in self.cells})
        return "\n".join(
            [
                f"suite {suite.name} ({suite.digest[:12]}): {self.why_suite}",
                f"profile {suite.profile} on {self._where}, dataset {self.plan.dataset.name}",
                f"methods {', '.join(m.choice.label for m in self.plan.methods)}",
                f"styles {', '.join(self.plan.splits)}",
                f"contents {len(self.plan.contents)}, seeds {suite.seeds}",
                f"metrics {', '.join(self.metrics)}",
                f"{len(self.cells)} cells in {chunks} chunks into {self.folder}",
            ]
        )


def prepare(request: RunRequest) -> Prepared:
    """Resolve a request and check it; nothing is computed and nothing is written.

    Raises:
        BenchError: Anything the user can mend, each with its way out.
    """
    watch = Stopwatch()
    require_consistent(request.isolate, request.timeout)
    with watch.measure("prepare"):
        suite, why = _suite(request)
        if not request.dry_run:
            require_checkpoints(suite)
        dataset = load_dataset(suite.dataset)
        if request.dataset is None:
            check_style_tables(suite, [style.id for style in dataset.styles])
        plan = make_plan(suite, dataset, prepare_methods(suite))
        check_clips(plan.contents, plan.splits.values(), suite.duration_s)
        devices = tuple(resolve_device(name.strip()) for name in request.device.split(","))
        for method in plan.methods:
            _weights(method)
        folder = request.out or Path("runs") / f"{suite.name}-{suite.digest[:8]}"
        cells = _continue(folder, plan, frozen_precision(devices[0]))
    return Prepared(plan, cells, tuple(suite.metrics), folder, devices, why, watch)


def _suite(request: RunRequest) -> tuple[Suite, str]:
    name, why = request.suite, "as asked"
    if name is None:  # only now is torch needed to choose
        name, why = default_suite(resolve_device(request.device.split(",")[0]).startswith("cuda"))
    changed = derive(
        load_suite(name),
        methods=_methods(request.methods),
        metrics=_names(request.metrics),
        dataset=request.dataset,
        styles=_names(request.styles),
        contents=_contents(request.contents),
        seeds=request.seeds,
        profile=request.profile,
        duration_s=request.duration,
    )
    return _for_other_dataset(changed, request), why


def _for_other_dataset(suite: Suite, request: RunRequest) -> Suite:
    """A suite's own choice of styles means nothing in another dataset: there it is all of them."""
    if request.dataset is None or request.styles is not None:
        return suite
    return suite.model_copy(update={"styles": None})


def _methods(text: str | None) -> list[Json] | None:
    """Split at commas outside brackets."""
    if text is None:
        return None
    from bench.plugins.choices import parse_methods

    return [choice.label for choice in parse_methods(text)]


def _names(text: str | None) -> list[Json] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _contents(text: str | None) -> Json:
    return int(text) if text is not None and text.isdigit() else _names(text)


def _continue(folder: Path, plan: Plan, precision: str) -> tuple[PlannedCell, ...]:
    """The cells to work through: those of the folder that this plan names too, then the new ones.

    Raises:
        RecordError: The folder holds a run of another suite, dataset, profile or other parameters.
    """
    if not (folder / "run.json").exists():
        return plan.cells
    header = store.read_header(folder)
    theirs, ours = setting(header.suite), setting(plan.suite.recorded)
    unlike = sorted(key for key in ours if theirs.get(key) != ours[key])
    if header.provenance.get("precision", precision) != precision:
        unlike.append("the precision of frozen networks")
    if unlike or header.dataset["digest"] != plan.dataset.digest:
        what = ", ".join(unlike) or "the clips of the dataset"
        raise RecordError(
            f"{folder} holds a run of suite {header.suite_name} that differs in {what}; one run "
            "folder holds one comparison. Choose another folder with --out."
        )
    planned = store.read(folder / "plan.jsonl", PlannedCell)
    wanted = {cell.cell_id for cell in plan.cells}
    return (*(cell for cell in planned if cell.cell_id in wanted), *missing_cells(plan, planned))


def start(prepared: Prepared, request: RunRequest, progress: Progress) -> dict[str, CellRecord]:
    """Write the plan and work through it; returns the latest record of each cell."""
    folder = prepared.folder
    for name in ("", "audio", "logs"):
        require_writable(folder / name, "a run needs a folder of its own. Choose one with --out.")
    require_writable(
        Cache.default().root, "fits and outputs are kept there. Set BENCH_CACHE to a folder."
    )
    quiet_loaders()
    with locked(folder):
        bench = _open(prepared, request, prepared.device, progress)
        _build_environments(prepared, progress)
        metrics = [load_metric(bench, name, find_metric(name)) for name in prepared.metrics]
        try:
            _write_plan(prepared, request, metrics)
            if len(prepared.devices) > 1:
                _share_out(prepared, request, progress)
            studios = _studios(bench, prepared, request)
            retry = request.retry and len(prepared.devices) == 1  # the shares have tried again
            return execute(bench, prepared.cells, studios, metrics, retry=retry)
        finally:
            close(metrics)


def _open(prepared: Prepared, request: RunRequest, device: str, progress: Progress) -> Bench:
    plan = prepared.plan
    return Bench(
        folder=prepared.folder,
        cache=Cache.default(),
        material=Material(plan.dataset, plan.splits, plan.suite.duration_s),
        profile=plan.suite.profile,
        device=device,
        watch=prepared.watch,
        progress=progress,
        fit_together=request.fit_together,
    )


def _studios(bench: Bench, prepared: Prepared, request: RunRequest) -> dict[str, Studio]:
    return {m.choice.label: _workplace(bench, m, request) for m in prepared.plan.methods}


def _share_out(prepared: Prepared, request: RunRequest, progress: Progress) -> None:
    """Render on every device at once; what is left over is done by the caller."""
    wanted = {cell.cell_id for cell in prepared.cells}
    words = f"{len(prepared.devices)} processes on {', '.join(prepared.devices)}"

    def poll() -> None:
        history = store.read(prepared.folder / "cells.jsonl", CellRecord)
        progress(len(wanted & settle(history, retry=False).keys()) / max(1, len(wanted)), words)

    with prepared.watch.measure(f"transfer {words}"):
        work_through(
            partial(_render_share, request),
            prepared.devices,
            assign(prepared.cells, len(prepared.devices)),
            poll,
        )


def _render_share(request: RunRequest, device: str, share: frozenset[str]) -> None:
    """A process of its own: prepare the same run for one device, and render some of its cells."""
    prepared = prepare(replace(request, device=device))
    quiet_loaders()
    bench = _open(prepared, request, device, lambda _fraction, _words: None)
    cells = [cell for cell in prepared.cells if cell.cell_id in share]
    render(bench, cells, _studios(bench, prepared, request), retry=request.retry)
    note_session(bench)


def _build_environments(prepared: Prepared, progress: Progress) -> None:
    """Build what back ends of the run live in; minutes at the first time, nothing after it."""
    entries = [find_method(method.choice.name) for method in prepared.plan.methods]
    entries += [find_metric(name) for name in prepared.metrics]
    for project in dict.fromkeys(map(project_of, entries)):
        if project is not None:
            python_of(project, lambda words: progress(0.0, words))


def require_writable(folder: Path, rule: str) -> None:
    """Create a folder and write into it once: a fault is found now, not after the first fit.

    Raises:
        ConfigError: The folder cannot be created, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}); {rule}") from error


def _workplace(bench: Bench, method: PlannedMethod, request: RunRequest) -> Studio:
    """The studio of a method, in a worker process where that was asked for or is the custom."""
    studio, name = open_studio(bench, method, bench.profile), method.choice.name
    entry = find_method(name)
    studio.isolation = isolation_for(name, entry, request.isolate, request.timeout)
    return studio


def open_studio(bench: Bench, method: PlannedMethod, profile: str) -> Studio:
    """The workplace of one method; fails here, before any work, where its weights are missing."""
    entry = find_method(method.choice.name)
    identity = Identity(
        name=method.choice.name,
        version=method.info.version,
        source=source_digest(entry),
        profile=profile,
        weights=_weights(method),
        device_type=device_kind(bench.device),
    )
    return Studio(
        bench,
        method.choice.label,
        resolve(entry),
        identity,
        method.profile.sample_rate,
        method.info.control,
        method.info.fits_per_style,
        isolation=Isolation(entry) if entry.environment else None,
    )


def _weights(method: PlannedMethod) -> tuple[str, ...]:
    """Digests of a method's checkpoints; fails here, before any work, where one is missing."""
    return tuple(weights_digest(name) for name in method.profile.weights)


def _write_plan(prepared: Prepared, request: RunRequest, metrics: Sequence[LoadedMetric]) -> None:
    folder = prepared.folder
    new = make_header(prepared.plan, metrics, prepared.devices, request.argv)
    if (folder / "run.json").exists():
        new = merge_headers(store.read_header(folder), new)
    store.write_header(folder, new)
    known = {cell.cell_id for cell in store.read(folder / "plan.jsonl", PlannedCell)}
    fresh = [cell for cell in prepared.cells if cell.cell_id not in known]
    if fresh:
        store.append(folder / "plan.jsonl", fresh)

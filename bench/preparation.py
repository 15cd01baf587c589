"""From a request on the command line to a run folder that is ready to work, and the work itself.

`prepare` resolves the suite, the dataset and the methods, checks everything that can be checked
before any work (names, parameters, windows, checkpoints, device) and lays out the plan. `start`
writes header and plan, or extends those of an existing folder, and executes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from bench import records
from bench.api import ConfigError, Json, MetricInfo, Progress, RecordError
from bench.cache import Cache
from bench.catalog import find_method, find_metric, resolve, source_digest
from bench.checkpoints import require_checkpoints
from bench.clock import Stopwatch
from bench.dataset import load_dataset
from bench.device import device_kind, resolve_device
from bench.environments import project_of, python_of
from bench.generation import Bench, Studio
from bench.isolation import Isolation, isolation_for, require_consistent
from bench.keys import Identity
from bench.material import Material, check_clips
from bench.plan import (
    Plan,
    PlannedMethod,
    describe_styles,
    make_plan,
    missing_cells,
    prepare_methods,
)
from bench.provenance import collect
from bench.records import CellRecord, MethodEntry, MetricEntry, PlannedCell, RunHeader
from bench.runner import execute, locked
from bench.scoring import LoadedMetric, close, load_metric
from bench.setting import joined, setting, suite_digest
from bench.suite import Suite, check_style_tables, default_suite, derive, load_suite
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


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that has passed every check that needs no model."""

    plan: Plan
    cells: tuple[PlannedCell, ...]
    metrics: tuple[str, ...]
    folder: Path
    device: str
    why_suite: str
    watch: Stopwatch

    @property
    def announcement(self) -> str:
        """What will be run, where, and why, before it starts."""
        suite, chunks = self.plan.suite, len({cell.chunk for cell in self.cells})
        return "\n".join(
            [
                f"suite {suite.name} ({suite.digest[:12]}): {self.why_suite}",
                f"profile {suite.profile} on {self.device}, dataset {self.plan.dataset.name}",
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
        device = resolve_device(request.device)
        for method in plan.methods:
            _weights(method)
        folder = request.out or Path("runs") / f"{suite.name}-{suite.digest[:8]}"
        cells = _continue(folder, plan)
    return Prepared(plan, cells, tuple(suite.metrics), folder, device, why, watch)


def _suite(request: RunRequest) -> tuple[Suite, str]:
    name, why = request.suite, "as asked"
    if name is None:  # only now is torch needed to choose
        name, why = default_suite(resolve_device(request.device).startswith("cuda"))
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
    from bench.choices import parse_methods

    return [choice.label for choice in parse_methods(text)]


def _names(text: str | None) -> list[Json] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _contents(text: str | None) -> Json:
    return int(text) if text is not None and text.isdigit() else _names(text)


def _continue(folder: Path, plan: Plan) -> tuple[PlannedCell, ...]:
    """The cells to work through: those of the folder that this plan names too, then the new ones.

    Raises:
        RecordError: The folder holds a run of another suite, dataset, profile or other parameters.
    """
    if not (folder / "run.json").exists():
        return plan.cells
    header = records.read_header(folder)
    theirs, ours = setting(header.suite), setting(plan.suite.model_dump(mode="json"))
    unlike = sorted(key for key in ours if theirs.get(key) != ours[key])
    if unlike or header.dataset["digest"] != plan.dataset.digest:
        what = ", ".join(unlike) or "the clips of the dataset"
        raise RecordError(
            f"{folder} holds a run of suite {header.suite_name} that differs in {what}; one run "
            "folder holds one comparison. Choose another folder with --out."
        )
    planned = records.read(folder / "plan.jsonl", PlannedCell)
    wanted = {cell.cell_id for cell in plan.cells}
    return (*(cell for cell in planned if cell.cell_id in wanted), *missing_cells(plan, planned))


def start(prepared: Prepared, request: RunRequest, progress: Progress) -> dict[str, CellRecord]:
    """Write the plan and work through it; returns the latest record of each cell."""
    folder, cache = prepared.folder, Cache.default()
    for name in ("", "audio", "logs"):
        require_writable(folder / name, "a run needs a folder of its own. Choose one with --out.")
    require_writable(cache.root, "fits and outputs are kept there. Set BENCH_CACHE to a folder.")
    quiet_loaders()
    with locked(folder):
        plan = prepared.plan
        bench = Bench(
            folder=folder,
            cache=cache,
            material=Material(plan.dataset, plan.splits, plan.suite.duration_s),
            profile=plan.suite.profile,
            device=prepared.device,
            watch=prepared.watch,
            progress=progress,
        )
        _build_environments(prepared, progress)
        metrics = [load_metric(bench, name, find_metric(name)) for name in prepared.metrics]
        try:
            _write_plan(prepared, request, metrics)
            studios = {m.choice.label: _workplace(bench, m, request) for m in plan.methods}
            return execute(bench, prepared.cells, studios, metrics, retry=request.retry)
        finally:
            close(metrics)


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


# ---------------------------------------------------------------------------- header


def _write_plan(prepared: Prepared, request: RunRequest, metrics: Sequence[LoadedMetric]) -> None:
    folder, new = prepared.folder, _header(prepared, request, metrics)
    if (folder / "run.json").exists():
        new = _merged(records.read_header(folder), new)
    records.write_header(folder, new)
    known = {cell.cell_id for cell in records.read(folder / "plan.jsonl", PlannedCell)}
    fresh = [cell for cell in prepared.cells if cell.cell_id not in known]
    if fresh:
        records.append(folder / "plan.jsonl", fresh)


def _merged(old: RunHeader, new: RunHeader) -> RunHeader:
    """The header of an extended run: its methods and metrics are those of all its sessions."""
    methods = {m.label: m for m in (*old.methods, *new.methods)}
    metrics = {m.name: m for m in (*old.metrics, *new.metrics)}
    suite = joined(old.suite, new.suite)
    return new.model_copy(
        update={
            "run_id": old.run_id,
            "created_at": old.created_at,
            "suite": suite,
            "suite_name": old.suite_name,
            "suite_digest": suite_digest(suite),
            "methods": list(methods.values()),
            "metrics": list(metrics.values()),
        }
    )


def _header(prepared: Prepared, request: RunRequest, metrics: Sequence[LoadedMetric]) -> RunHeader:
    plan, suite = prepared.plan, prepared.plan.suite
    now = datetime.now(UTC)
    return RunHeader(
        run_id=f"{now:%Y%m%dT%H%M%S}-{suite.digest[:8]}",
        created_at=now.isoformat(timespec="seconds"),
        argv=list(request.argv),
        suite=suite.model_dump(mode="json"),
        suite_name=suite.name,
        suite_digest=suite.digest,
        profile=suite.profile,
        device=prepared.device,
        duration_s=suite.duration_s,
        styles={style: dict(facts) for style, facts in describe_styles(plan).items()},
        contents={
            clip.id: {
                "category": clip.category,
                "duration_s": clip.duration_s,
                "digest": clip.digest,
            }
            for clip in plan.contents
        },
        methods=[_method_entry(method) for method in plan.methods],
        metrics=[_metric_entry(metric) for metric in metrics],
        provenance=collect(prepared.device),
        dataset={
            "name": plan.dataset.name,
            "licence": plan.dataset.licence,
            "redistributable": plan.dataset.redistributable,
            "digest": plan.dataset.digest,
        },
    )


def _method_entry(method: PlannedMethod) -> MethodEntry:
    info, profile = method.info, method.profile
    return MethodEntry(
        label=method.choice.label,
        name=method.choice.name,
        title=info.title,
        conditioned_on=list(info.conditioned_on),
        fits_per_style=info.fits_per_style,
        source=info.source,
        departures=list(info.departures),
        control=info.control,
        version=info.version,
        sample_rate=profile.sample_rate,
        longest_s=profile.longest_s,
        weights=[
            Path(name).name if "/" in name and not name.startswith("hub:") else name
            for name in profile.weights
        ],
        licence=profile.licence,
    )


def _metric_entry(metric: LoadedMetric) -> MetricEntry:
    info = find_metric(metric.name).info
    if not isinstance(info, MetricInfo):
        raise ConfigError(
            f"{metric.name} is described as a method; a metric was named. Correct its INFO."
        )
    return MetricEntry(
        name=metric.name,
        title=info.title,
        direction=info.direction.value,
        range=info.range,
        source=info.source,
        version=info.version,
        fingerprint=metric.fingerprint,
        fingerprint_detail=dict(metric.detail),
    )

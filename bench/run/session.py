"""A session of a run: writing header and plan, and working through the cells.

`start` writes the header and the plan, or extends those of an existing folder, and executes on one
device or on several.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

from bench.api import ConfigError, Progress
from bench.cache import Cache
from bench.estimate.energy import EnergyMeter
from bench.estimate.matmul import kept_matmul_rate
from bench.files import make_folder, replace_file
from bench.plugins.catalog import find_method, find_metric
from bench.plugins.environments import project_of, python_of
from bench.plugins.opening import close
from bench.records import store
from bench.records.accounts import OTHERS
from bench.records.claims import kept
from bench.records.lock import locked
from bench.records.planned import written
from bench.records.rates import add_rates
from bench.records.schema import CellRecord, ScoreRecord
from bench.run.company import company_of
from bench.run.context import RunContext, context_of
from bench.run.continuing import Former
from bench.run.devices import assign, work_through
from bench.run.expecting import expect, session_rates
from bench.run.header import make_header, merge_headers
from bench.run.provenance import installed_packages, packages_file
from bench.run.remaining import former_of, remaining
from bench.run.request import Prepared, RunRequest, prepare
from bench.run.runner import note_session, render, score_all, settle
from bench.run.scoring import LoadedMetric, load_metric
from bench.run.sharding import claim_shard, render_share, write_share
from bench.run.studio import Studio, open_studio
from bench.weights import quiet_loaders


def start(prepared: Prepared, request: RunRequest, progress: Progress) -> dict[str, CellRecord]:
    """Write the plan and work through it; returns the latest record of each cell.

    A shard works through its share and writes into its own part of the folder.
    """
    folder, part = prepared.folder, prepared.part
    store.require_plain_run(folder)
    for place in (folder, folder / "audio", part, part / "logs"):
        require_writable(place, "a run needs a folder of its own. Choose one with --out.")
    require_writable(
        Cache.default().root, "fits and outputs are kept there. Set BENCH_CACHE to a folder."
    )
    quiet_loaders()
    with (
        locked(folder, shared=prepared.shard is not None),
        _claimed(prepared, progress),
        EnergyMeter(prepared.devices) as meter,
    ):
        prepared.watch.meter = meter
        return _work(prepared, request, progress)


@contextmanager
def _claimed(prepared: Prepared, progress: Progress) -> Iterator[None]:
    """Hold the claim on a shard, which also shows that it is at work; a whole run has a lock."""
    if prepared.shard is None:
        yield
        return
    with kept(claim_shard(prepared.folder, prepared.shard, progress)):
        yield


def _work(prepared: Prepared, request: RunRequest, progress: Progress) -> dict[str, CellRecord]:
    """Work through the cells of a locked folder, and note what they cost."""
    context = context_of(prepared, request, prepared.device, progress)
    with prepared.watch.measure("prepare"):
        former = former_of(prepared)
        left = remaining(prepared, request, former, context)
        matmul = partial(kept_matmul_rate, context.cache.root)
        prepared.watch.expected = expect(prepared, left, matmul).known
    _build_environments(prepared, progress)
    metrics = [
        load_metric(context, name, find_metric(name), prepared.isolation)
        for name in prepared.metrics
    ]
    try:
        _write_plan(prepared, request, metrics)
        cells = _compute(prepared, request, context, metrics, former)
    finally:
        for loaded in metrics:
            if loaded.metric is not None:
                close(loaded.metric)
    scored = frozenset[str]().union(*left.scores.values())
    path = context.own_folder / "scores.jsonl"
    lines = store.read_lines(path, ScoreRecord, of=scored) if scored else []
    scores = [score for score, _ in lines]
    add_rates(context.cache.root, session_rates(prepared, left, cells, scores))
    return cells


def _compute(
    prepared: Prepared,
    request: RunRequest,
    context: RunContext,
    metrics: Sequence[LoadedMetric],
    former: Former,
) -> dict[str, CellRecord]:
    """Render and score what is missing, alone, with processes on other devices, or as a shard."""
    retry, known = request.retry, former.cells
    if len(prepared.devices) > 1:
        _share_out(prepared, request, context.progress)
        retry = False  # the shares have tried again
        known = store.read_cells(prepared.folder, of=prepared.cell_marks)
    studios = _studios(context, prepared)
    if prepared.shard is None:
        settled = render(context, prepared.cells, studios, retry=retry, known=known)
    else:
        share = prepared.cells
        settled = render_share(context, share, studios, prepared.shard, known, retry=retry)
    score_all(context, prepared.cells, metrics, settled, former.scores, retry=request.retry)
    note_session(context)
    return settled


def _studios(context: RunContext, prepared: Prepared) -> dict[str, Studio]:
    studios = {
        label: open_studio(
            context,
            method,
            prepared.identities[label],
            prepared.isolation,
            prepared.deliveries.get(label),
        )
        for method in prepared.plan.methods
        for label in [method.choice.label]
    }
    if prepared.shard is not None:
        for studio in studios.values():
            studio.company = company_of(
                prepared.plan, studio.planned, studio.kind, studio.identity, context.cache.root
            )
    return studios


def _share_out(prepared: Prepared, request: RunRequest, progress: Progress) -> None:
    """Render on every device at once; what is left over is done by the caller."""
    marks = prepared.cell_marks
    words = f"{len(prepared.devices)} processes on {', '.join(prepared.devices)}"

    def poll() -> None:
        records = store.read_cells(prepared.folder, of=marks)
        done = settle(records, retry=False, marks=marks)
        progress(len(done) / max(1, len(marks)), words)

    with prepared.watch.measure(OTHERS):
        work_through(
            partial(_render_share, replace(request, keep_old=False), prepared.marks),
            prepared.devices,
            assign(prepared.cells, len(prepared.devices)),
            poll,
        )


def _render_share(
    request: RunRequest, marks: Mapping[str, str], device: str, share: frozenset[str]
) -> None:
    """Render some cells of a run on one device, in a process of their own.

    A method that is not the one that the run began with (`marks`), since somebody has changed it
    meanwhile, is left to that process.
    """
    prepared = prepare(replace(request, device=device))
    quiet_loaders()
    context = context_of(prepared, request, device, lambda _fraction, _words: None)
    same = {label for label, mark in prepared.marks.items() if mark == marks[label]}
    cells = [c for c in prepared.cells if c.cell_id in share and c.method in same]
    render(context, cells, _studios(context, prepared), retry=request.retry)
    note_session(context)


def _build_environments(prepared: Prepared, progress: Progress) -> None:
    """Build the environments of the run's back ends, which takes minutes the first time."""
    entries = [find_method(method.choice.name) for method in prepared.plan.methods]
    entries += [find_metric(name) for name in prepared.metrics]
    for project in dict.fromkeys(map(project_of, entries)):
        if project is not None:
            python_of(project, lambda words: progress(0.0, words))


def require_writable(folder: Path, rule: str) -> None:
    """Create a folder and write into it once, so that a fault is found before any work.

    Raises:
        ConfigError: The folder cannot be created, or nothing can be written into it.
    """
    try:
        make_folder(folder)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}); {rule}") from error


def _write_plan(prepared: Prepared, request: RunRequest, metrics: Sequence[LoadedMetric]) -> None:
    folder = prepared.folder
    packages = installed_packages()
    new = make_header(
        prepared.plan, metrics, prepared.devices, request.argv, packages, prepared.identities
    )
    replace_file(folder / packages_file(packages)["file"], packages)
    if prepared.shard is not None:
        whole = new.model_copy(update={"plan": prepared.layout.facts})
        write_share(folder, prepared.part, prepared.layout, whole)
        return
    if (folder / "run.json").exists():
        new = merge_headers(store.read_header(folder), new)
    layout, path = prepared.layout, folder / "plan.jsonl"
    store.write_header(folder, new.model_copy(update={"plan": layout.facts}))
    if layout.rewritten:
        lines = [line for _, line in (*layout.kept, *written(layout.added))]
        replace_file(path, b"".join(line + b"\n" for line in lines), root=folder)
    elif layout.added or not path.exists():
        store.append(path, layout.added)

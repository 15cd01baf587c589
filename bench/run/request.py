"""From a request on the command line to a plan that has been checked.

`prepare` resolves the suite, the dataset and the methods, checks everything that can be checked
before any work (names, parameters, windows, checkpoints, device) and lays out the plan.
`bench.run.session.start` does the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.api import Json, RecordError
from bench.data.cards import load_dataset
from bench.device import frozen_precision, resolve_device
from bench.plan.needed import require_checkpoints
from bench.plan.plan import (
    Plan,
    describe_styles,
    make_sounding_plan,
    missing_cells,
    prepare_methods,
)
from bench.plan.suite import Suite, check_style_tables, default_suite, derive, load_suite
from bench.plugins.opening import Isolation
from bench.records import store
from bench.records.sameness import setting
from bench.records.schema import PlannedCell, left_out_words
from bench.run.stopwatch import Stopwatch
from bench.weights import digest as weights_digest

DIGITS = 18  # of a number of contents that is read


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
    """A run that has passed every check that needs no model.

    Args:
        plan: What will be compared with what.
        cells: The cells to work through, in order.
        metrics: Names of the metrics.
        folder: The run folder.
        devices: Where methods work; the first is where metrics score.
        isolation: What was asked about worker processes.
        why_suite: Why this suite was chosen, in words.
        watch: Adds up the time of every stage, from the preparation on.
    """

    plan: Plan
    cells: tuple[PlannedCell, ...]
    metrics: tuple[str, ...]
    folder: Path
    devices: tuple[str, ...]
    isolation: Isolation
    why_suite: str
    watch: Stopwatch

    @property
    def device(self) -> str:
        """Where metrics score, and where methods work when there is no other device."""
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
                *left_out_words(describe_styles(self.plan)),
                f"{len(self.cells)} cells in {chunks} chunks into {self.folder}",
            ]
        )


def prepare(request: RunRequest) -> Prepared:
    """Resolve a request and check it; nothing is computed and nothing is written.

    Raises:
        BenchError: Anything that the user can fix; the message says how.
    """
    watch = Stopwatch()
    isolation = Isolation(request.isolate, request.timeout)
    with watch.measure("prepare"):
        suite, why = _suite(request)
        if not request.dry_run:
            require_checkpoints(suite)
        dataset = load_dataset(suite.dataset)
        if request.dataset is None:
            check_style_tables(suite, [style.id for style in dataset.styles])
        plan = make_sounding_plan(suite, dataset, prepare_methods(suite))
        devices = tuple(resolve_device(name.strip()) for name in request.device.split(","))
        for name in (name for method in plan.methods for name in method.profile.weights):
            weights_digest(name)  # fails here, before any work, where a checkpoint is missing
        folder = request.out or Path("runs") / f"{suite.name}-{suite.digest[:8]}"
        cells = _continue(folder, plan, frozen_precision(devices[0]))
    return Prepared(plan, cells, tuple(suite.metrics), folder, devices, isolation, why, watch)


def _suite(request: RunRequest) -> tuple[Suite, str]:
    name, why = request.suite, "as asked"
    if name is None:  # only now is torch needed to choose
        name, why = default_suite(resolve_device(request.device.split(",")[0]).startswith("cuda"))
    suite = load_suite(name)
    changed = derive(
        suite,
        methods=_methods(request.methods),
        metrics=_names(request.metrics),
        dataset=request.dataset,
        styles=_names(request.styles),
        contents=_contents(request.contents, request.dataset or suite.dataset),
        seeds=request.seeds,
        profile=request.profile,
        duration_s=request.duration,
    )
    return _for_other_dataset(changed, request), why


def _for_other_dataset(suite: Suite, request: RunRequest) -> Suite:
    """Choose all styles of another dataset: a suite's own choice means nothing there."""
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
    from bench.plugins.choices import parse_names

    return None if text is None else [*parse_names(text)]


def _contents(text: str | None, dataset: str) -> Json:
    """How many contents, or their names; a number that is also a name is the name."""
    if text is None or not (text.isascii() and text.isdecimal()):
        return _names(text)
    known = {clip.id for clip in load_dataset(dataset).contents}
    if text in known:
        return [text]
    return int(text[:DIGITS])  # more than a dataset can hold, should any be cut off


def _continue(folder: Path, plan: Plan, precision: str) -> tuple[PlannedCell, ...]:
    """The cells of the folder that this plan names too, then the new ones.

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

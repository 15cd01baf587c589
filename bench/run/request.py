"""From a request on the command line to a plan that has been checked.

`prepare` resolves the suite, the dataset and the methods, checks everything that can be checked
before any work (names, parameters, windows, checkpoints, device) and lays out the plan.
`bench.run.session.start` does the work.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.api import Json
from bench.data.announced import announced
from bench.data.cards import load_dataset
from bench.data.clips import Dataset
from bench.delivery.matching import Delivery, deliver
from bench.description import is_made_elsewhere
from bench.device import frozen_precision, require_device_name, resolve_device
from bench.outside.elsewhere import place_of
from bench.outside.names import composed
from bench.plan.needed import require_checkpoints
from bench.plan.plan import (
    Plan,
    describe_styles,
    make_plan,
    make_sounding_plan,
    prepare_methods,
    require_parameters,
)
from bench.plan.shares import Shard, find_shard
from bench.plan.suite import Suite, check_style_tables, default_suite, derive, load_suite
from bench.plugins.opening import Isolation
from bench.records.parts import part_folder
from bench.records.schema import PlannedCell, RunHeader, left_out_words
from bench.run.continuing import (
    Change,
    Layout,
    find_changes,
    lay_out,
    read_former,
    require_same_setting,
    require_unchanged,
    unwritten,
)
from bench.run.keys import Identity, identity_of, named_by
from bench.run.sharding import lay_out_share, require_one_place, require_same_plan
from bench.run.stopwatch import Stopwatch

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
    keep_old: bool = False
    isolate: bool | None = None
    timeout: float | None = None
    fit_together: bool = False
    shard: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that has passed every check that needs no model.

    Args:
        plan: What will be compared with what.
        layout: The cells to work through, and the plan of the folder with them.
        identities: The code and weights of the methods, by label.
        changes: The methods of which the folder has cells by other code, weights or version.
        metrics: Names of the metrics.
        folder: The run folder.
        devices: Where methods work; the first is where metrics score.
        isolation: What was asked about worker processes.
        why_suite: Why this suite was chosen, in words.
        watch: Adds up the time of every stage, from the preparation on.
        shard: Which share of the plan this run does; None for all of it.
        is_absent: Whether the clips are not here, so that only the size of the plan is true.
        deliveries: The outputs that were made elsewhere, by the labels of their methods.
    """

    plan: Plan
    layout: Layout
    identities: dict[str, Identity]
    changes: tuple[Change, ...]
    metrics: tuple[str, ...]
    folder: Path
    devices: tuple[str, ...]
    isolation: Isolation
    why_suite: str
    watch: Stopwatch
    shard: Shard | None = None
    is_absent: bool = False
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[PlannedCell, ...]:
        """The cells to work through, in order."""
        return self.layout.cells

    @property
    def part(self) -> Path:
        """Where this run writes its records and logs: its folder, or a shard's part of it."""
        if self.shard is None:
            return self.folder
        return part_folder(self.folder, self.shard.index, self.shard.count)

    @property
    def marks(self) -> dict[str, str]:
        """The present identity of each method, by label, as records have it."""
        return {label: identity.mark for label, identity in self.identities.items()}

    @property
    def cell_marks(self) -> dict[str, str]:
        """The present identity of the method of each cell to work through, by its id."""
        marks = self.marks
        return {cell.cell_id: marks[cell.method] for cell in self.cells}

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
                f"contents {len(self.plan.contents)}, seeds {suite.seeds}{self._supposed}",
                f"metrics {', '.join(self.metrics)}",
                *left_out_words(describe_styles(self.plan)),
                *(f"{label}: {found.words}" for label, found in self.deliveries.items()),
                *self._continued,
                *self._shared,
                f"{len(self.cells)} cells in {chunks} chunks into {self.folder}",
            ]
        )

    @property
    def _shared(self) -> list[str]:
        """Which part of the plan this is, and why."""
        if self.shard is None:
            return []
        whole = len(self.plan.cells)
        return [f"shard {self.shard.name} ({self.shard.source}) of {whole} cells"]

    @property
    def _supposed(self) -> str:
        return " (its clips are not here: as many as its card counts)" if self.is_absent else ""

    @property
    def _continued(self) -> list[str]:
        """What of the folder is not as it was, and what becomes of it."""
        restored = ", ".join(self.layout.restored)
        lines = [
            f"{one.fact} in {self.folder} were rendered; they are rendered anew"
            for one in self.changes
        ]
        if restored:
            lines.append(
                f"{self.folder / 'plan.jsonl'} was not whole ({restored}); its lines are restored"
            )
        return lines


def prepare(request: RunRequest) -> Prepared:
    """Resolve a request and check it; nothing is computed and nothing is written.

    Raises:
        BenchError: Anything that the user can fix; the message says how.
    """
    watch = Stopwatch()
    isolation = Isolation(request.isolate, request.timeout)
    with watch.measure("prepare"):
        shard = None if request.shard is None else find_shard(request.shard, os.environ)
        plan, why, is_absent = resolve(request)
        devices = tuple(resolve_device(name.strip()) for name in request.device.split(","))
        if shard is not None:
            require_one_place(len(devices), fit_together=request.fit_together)
        deliveries = {} if is_absent else _deliveries(plan)
        files = {m.choice.label: "" if is_absent else named_by(plan, m) for m in plan.methods}
        files |= {label: found.digest for label, found in deliveries.items()}
        identities = {  # fails here, before any work, where a checkpoint is missing
            label: identity_of(m, plan.suite.profile, devices[0], files[label])
            for m in plan.methods
            for label in [m.choice.label]
        }
        folder = folder_of(request, plan.suite)
        former = None if is_absent else read_former(folder)
        if former is not None:
            require_same_setting(folder, former, plan, frozen_precision(devices[0]))
        if is_absent and shard is None:
            layout, changes = unwritten(plan), list[Change]()
        else:
            layout, changes = _laid_out(folder, former, plan, shard, identities)
        if request.keep_old:
            require_unchanged(folder, changes)
    return Prepared(
        plan=plan,
        layout=layout,
        identities=identities,
        changes=tuple(changes),
        metrics=tuple(plan.suite.metrics),
        folder=folder,
        devices=devices,
        isolation=isolation,
        why_suite=why,
        watch=watch,
        shard=shard,
        is_absent=is_absent,
        deliveries=deliveries,
    )


def _deliveries(plan: Plan) -> dict[str, Delivery]:
    """What was made elsewhere for a plan, by the labels of such methods."""
    return {
        label: deliver(place_of(m.choice.name), (c for c in plan.cells if c.method == label))
        for m in plan.methods
        for label in [m.choice.label]
        if is_made_elsewhere(m.choice.name)
    }


def resolve(request: RunRequest) -> tuple[Plan, str, bool]:
    """The plan of a request, why its suite was chosen, and whether its clips are absent.

    Where a suite is named no device is looked for, so that a machine without one can plan for
    machines that have it. Only a dry run does without the clips: as many as their card counts.

    Raises:
        BenchError: Anything that the user can fix; the message says how.
    """
    suite, why = _suite(request)
    if not request.dry_run:
        require_checkpoints(suite)
    dataset = announced_dataset(suite) if request.dry_run else None
    is_absent = dataset is not None
    dataset = dataset or load_dataset(suite.dataset)
    suite = _for_other_dataset(suite, request, dataset)
    if request.dataset is None:
        check_style_tables(suite, [style.id for style in dataset.styles])
    lay = make_plan if is_absent else make_sounding_plan
    return lay(suite, dataset, prepare_methods(suite)), why, is_absent


def folder_of(request: RunRequest, suite: Suite) -> Path:
    """The run folder: as asked, or named after the suite."""
    return request.out or Path("runs") / f"{suite.name}-{suite.digest[:8]}"


def _laid_out(
    folder: Path,
    former: RunHeader | None,
    plan: Plan,
    shard: Shard | None,
    identities: Mapping[str, Identity],
) -> tuple[Layout, list[Change]]:
    """The cells of a session in its folder, and the methods that have changed there."""
    if shard is None:
        layout = lay_out(folder, former, plan)
        found = [] if former is None else find_changes(folder, former, layout, plan, identities)
        return layout, found
    layout = lay_out_share(plan, shard)
    if former is not None:
        require_same_plan(folder, former, layout.facts)
    return layout, []


def announced_dataset(suite: Suite) -> Dataset | None:
    """The dataset of a suite as its card announces it, where its clips have not been fetched."""
    named = suite.contents if isinstance(suite.contents, tuple) else ()
    return announced(suite.dataset, named)


def _suite(request: RunRequest) -> tuple[Suite, str]:
    name, why = request.suite, "as asked"
    devices = [device.strip() for device in request.device.split(",")]
    for device in devices:
        require_device_name(device)
    # What is wrong with any suite is said now: choosing one takes torch, which takes seconds.
    names = [default_suite(present)[0] for present in (False, True)] if name is None else [name]
    likely = _derived(load_suite(names[0]), request)
    require_parameters(likely.choices, [likely, *map(load_suite, names[1:])])
    if name is not None:
        return likely, why
    name, why = default_suite(resolve_device(devices[0]).startswith("cuda"))
    return _derived(load_suite(name), request), why


def _derived(suite: Suite, request: RunRequest) -> Suite:
    """The suite with what was asked for on the command line."""
    return derive(
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


def _for_other_dataset(suite: Suite, request: RunRequest, dataset: Dataset) -> Suite:
    """Fit a suite to another dataset, where its own styles and names of contents mean nothing.

    All styles are chosen; of contents and pairs as many as the suite says, or all where there are
    fewer. What was asked for on the command line stays as it is.
    """
    if request.dataset is None:
        return suite
    styles = suite.styles if request.styles is not None else None
    given = request.contents is not None
    contents = suite.contents if given or _has(dataset, suite.contents) else None
    cells = _size(contents, dataset.contents) * _size(styles, dataset.styles)
    pairs = suite.pairs if suite.pairs is not None and suite.pairs <= cells else None
    return suite.model_copy(update={"styles": styles, "contents": contents, "pairs": pairs})


def _has(dataset: Dataset, contents: int | Sequence[str] | None) -> bool:
    """Whether a dataset holds so many contents, or all of these."""
    if contents is None or isinstance(contents, int):
        return (contents or 0) <= len(dataset.contents)
    return {composed(name) for name in contents} <= {clip.id for clip in dataset.contents}


def _size(wanted: int | Sequence[str] | None, there: Sequence[object]) -> int:
    """How many a suite chooses of what a dataset has."""
    if wanted is None:
        return len(there)
    return wanted if isinstance(wanted, int) else len(wanted)


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
    there = announced(dataset) or load_dataset(dataset)
    known = {clip.id for clip in there.contents}
    if text in known:
        return [text]
    return int(text[:DIGITS])  # more than a dataset can hold, should any be cut off

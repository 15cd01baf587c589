"""The plan of a run: every intended cell with its identity, seed and chunk.

A cell is method x style x content x repetition. Its id is a hash of all that identifies it, so a
plan made again, or with more methods, gives the same cells the same ids; its seed does not depend
on the method, so that methods share noise. Chunks are the batches of a run: they are fixed here
and run whole.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import get_args

from bench.api import (
    BenchError,
    Conditioning,
    ConfigError,
    ContentError,
    Entry,
    Json,
    MethodInfo,
    ProfileInfo,
    UnknownNameError,
)
from bench.data.clips import ClipSource, Dataset, StyleSource, StyleSplit
from bench.data.material import check_contents
from bench.data.selection import (
    every_pair,
    select_contents,
    select_pairs,
    select_styles,
    split_style,
)
from bench.data.sifting import sift
from bench.description import Settings, is_made_elsewhere
from bench.files import json_digest
from bench.outside.elsewhere import as_said
from bench.outside.texts import MOST_COUNT
from bench.plan.suite import RETIRED, Suite
from bench.plugins.catalog import describe, find_method
from bench.plugins.choices import MethodChoice
from bench.plugins.kinds import MethodKind, kind_of, with_model
from bench.plugins.parameters import split_parameters
from bench.records.schema import PlannedCell
from bench.seeds import derive_seed

# What learning a style costs against rendering a cell: for the time left, and for shares of work.
CELLS_PER_FIT = 12


@dataclass(frozen=True, slots=True)
class PlannedMethod:
    """A chosen method with all that a plan must know about it.

    Args:
        choice: Its label, name and overrides.
        info: Its static description.
        profile: The facts that depend on the profile, such as the longest clip.
        kind: What knows its parameters.
        settings: What decides the model that it loads, as in its `Entry`.
    """

    choice: MethodChoice
    info: MethodInfo
    profile: ProfileInfo
    kind: MethodKind
    settings: Settings = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run will do.

    Args:
        suite: The suite that was asked for.
        dataset: The whole dataset.
        methods: The methods and controls, in the order in which they run.
        contents: The chosen contents.
        splits: The chosen styles by id, divided into seen and held-out clips.
        cells: Every cell, in the order in which they run.
    """

    suite: Suite
    dataset: Dataset
    methods: tuple[PlannedMethod, ...]
    contents: tuple[ClipSource, ...]
    splits: dict[str, StyleSplit]
    cells: tuple[PlannedCell, ...]


def prepare_methods(suite: Suite) -> tuple[PlannedMethod, ...]:
    """Look up the methods and controls of a suite.

    Modules of this project are imported to see their parameters, others only in workers.

    Raises:
        UnknownNameError: A method is not known.
        ConfigError: A method cannot be imported.
    """
    return tuple(prepare_method(choice, suite) for choice in suite.choices)


def prepare_method(choice: MethodChoice, suite: Suite) -> PlannedMethod:
    """Look up one method; its module is imported when its parameters are asked for."""
    entry = entry_of(choice, suite)
    info, profile = method_info(choice.name), describe(entry, suite.profile)
    method = PlannedMethod(choice, info, profile, kind_of(entry), entry.settings)
    if not is_made_elsewhere(choice.name):
        return method
    info, profile = as_said(info, profile, resolve_parameters(suite, method, style=""))
    return replace(method, info=info, profile=profile)


def entry_of(choice: MethodChoice, suite: Suite) -> Entry:
    """The entry of a method with what decides the model that it loads in a suite.

    Raises:
        UnknownNameError: A method or parameter is not known.
        ConfigError: A value breaks a rule, or styles of the suite ask for unlike models.
    """
    entry, info = find_method(choice.name), method_info(choice.name)
    method = PlannedMethod(choice, info, ProfileInfo(), kind_of(entry))

    def told(style: str) -> Entry:
        try:
            return with_model(entry, _values_for(suite, choice, style))
        except (ConfigError, UnknownNameError) as error:
            raise _located(error, suite, method, style) from error

    for_all = told("")
    for style in suite.parameters.get(choice.name, {}).get("styles", {}):
        if told(style) != for_all:
            raise ConfigError(
                f"{suite.at('parameters', choice.name, 'styles', style)}: style {style!r} chooses "
                f"a model of {choice.name}; all styles of a method share one. Set it for the "
                "method, or name the method twice, each with its own."
            )
    return for_all


def require_parameters(choices: Iterable[MethodChoice], suites: Sequence[Suite]) -> None:
    """Check what was set by hand, before anything else is looked at.

    Args:
        choices: The methods, with what was set.
        suites: Those of which one will run: what a suite sets itself may complete a choice. A
            choice that stands in none of them is refused.

    Raises:
        UnknownNameError: A method or parameter is not known.
        ConfigError: A value breaks a rule.
    """
    for choice in choices:
        entry, info = find_method(choice.name), method_info(choice.name)
        method = PlannedMethod(choice, info, ProfileInfo(), kind_of(entry))
        faults: list[BenchError] = []
        for suite in suites:
            try:
                resolve_parameters(suite, method, style="")
            except (ConfigError, UnknownNameError) as fault:
                faults.append(fault)
        if len(faults) == len(suites):
            raise faults[0]


def method_info(name: str) -> MethodInfo:
    """What a method says about itself whatever its profile; raises as `prepare_methods`."""
    info = find_method(name).info
    if not isinstance(info, MethodInfo):
        raise ConfigError(f"{name} is described as a metric; a method was named. Correct its INFO.")
    if info.needs and not info.control:
        raise ConfigError(
            f"{name} needs {', '.join(info.needs)} and is no control; whoever is compared may not "
            "see the result. Correct its INFO."
        )
    return info


def info_as_set(choice: MethodChoice) -> MethodInfo:
    """The same, with what the method is given when it is set so; raises as its class does."""
    kind = kind_of(find_method(choice.name))
    return _with_given(method_info(choice.name), kind, [choice.overrides])


def make_plan(suite: Suite, dataset: Dataset, methods: Sequence[PlannedMethod]) -> Plan:
    """Lay out every cell of a run. Pure: the same arguments give the same plan.

    Args:
        suite: The suite to run.
        dataset: The dataset that contents and styles come from.
        methods: The result of `prepare_methods`; their order is the order of the run.

    Raises:
        UnknownNameError: A style, content or parameter is not known.
        ConfigError: A label stands twice, or a parameter breaks a rule.
        ContentError: A content is longer than a method's window.
    """
    _require_single_labels(methods)
    contents = select_contents(dataset, suite.contents, suite.base_seed)
    styles = select_styles(dataset, suite.styles)
    splits = {style.id: split_style(style, suite.style_clips) for style in styles}
    paired = _pairing(suite, dataset, contents, styles)
    _require_countable(suite, len(methods), sum(map(len, paired.values())))
    _require_windows(suite, methods, contents)
    cells = [
        cell
        for method in methods
        for split in splits.values()
        for cell in _cells(suite, method, split, paired[split.id])
    ]
    chunked = tuple(into_chunks(cells, suite.chunk_size))
    told = tuple(_as_set(method, suite, splits) for method in methods)
    return Plan(suite, dataset, told, contents, splits, chunked)


def make_sounding_plan(suite: Suite, dataset: Dataset, methods: Sequence[PlannedMethod]) -> Plan:
    """Lay out a run over clips that were listened to; raises as `make_plan` does.

    Style clips that cannot stand for their style are left out (`bench.data.sifting`), and the plan
    is that of a dataset without them.

    Raises:
        DatasetError: A content cannot be read; the message names it.
    """
    plan = make_plan(suite, dataset, methods)
    check_contents(plan.contents, suite.duration_s)
    sifted = sift(dataset, plan.splits, suite.duration_s)
    return plan if sifted == dataset else make_plan(suite, sifted, methods)


def _as_set(method: PlannedMethod, suite: Suite, styles: Iterable[str]) -> PlannedMethod:
    """A method whose description says what it is given with its parameters, for any of the styles.

    Outputs that were made elsewhere are described already.
    """
    if is_made_elsewhere(method.choice.name):
        return method
    values: list[dict[str, Json]] = []
    for style in styles:
        own = _values_for(suite, method.choice, style)
        values += [own] if own not in values else []
    return replace(method, info=_with_given(method.info, method.kind, values))


def _with_given(
    info: MethodInfo, kind: MethodKind, values: Iterable[Mapping[str, Json]]
) -> MethodInfo:
    given = {what for own in values for what in kind.given(own, info.conditioned_on)}
    ordered = tuple(what for what in get_args(Conditioning) if what in given)
    return replace(info, conditioned_on=ordered)


def _pairing(
    suite: Suite,
    dataset: Dataset,
    contents: Sequence[ClipSource],
    styles: Sequence[StyleSource],
) -> dict[str, list[ClipSource]]:
    """The contents that go with each style: all that are not there yet, or those that are drawn."""
    every = every_pair(dataset, contents, styles)
    if not every:
        raise ConfigError(
            f"the chosen contents of dataset {dataset.name} are their own true results in "
            f"{', '.join(style.id for style in styles)}; nothing is left to do. Choose others."
        )
    drawn = set(every)
    if suite.pairs is not None:
        drawn &= select_pairs(every, suite.pairs, suite.base_seed)
    return {style.id: [c for c in contents if (c.id, style.id) in drawn] for style in styles}


def _require_countable(suite: Suite, methods: int, pairs: int) -> None:
    if methods * pairs * suite.seeds > MOST_COUNT:
        raise ConfigError(
            f"{methods} methods, {pairs} pairs of content and style and {suite.seeds} seeds give "
            f"{methods * pairs * suite.seeds} cells; a run has at most {MOST_COUNT}. Take fewer."
        )


def _require_single_labels(methods: Sequence[PlannedMethod]) -> None:
    for label, count in Counter(method.choice.label for method in methods).items():
        if count > 1:
            raise ConfigError(
                f"method {label!r} is named {count} times; each may stand once. Remove one."
            )


def _require_windows(
    suite: Suite, methods: Iterable[PlannedMethod], contents: Iterable[ClipSource]
) -> None:
    """Refuse contents that do not fit into the window of every method."""
    limits = [(m.profile.longest_s, m.choice.label) for m in methods if m.profile.longest_s]
    if not limits:
        return
    limit_s, label = min(limits)
    longest = max(contents, key=lambda clip: clip.duration_s)
    length_s = min(longest.duration_s, suite.duration_s or math.inf)
    if length_s > limit_s:
        raise ContentError(
            f"content {longest.id!r} is {length_s:.2f} s; {label} ({suite.profile}) takes at most "
            f"{limit_s:.2f} s in one window. Cut every clip with --duration "
            f"{math.floor(limit_s * 10) / 10:g}, or leave the method out."
        )


def _cells(
    suite: Suite, method: PlannedMethod, split: StyleSplit, contents: Iterable[ClipSource]
) -> Iterator[PlannedCell]:
    parameters = resolve_parameters(suite, method, split.id)
    common = {
        "suite": [suite.style_clips, suite.duration_s, RETIRED["normalisation"], suite.profile],
        "method": [method.choice.label, method.choice.name, method.info.version, parameters],
        "style": [split.id, split.text, *([c.id, c.digest, c.start_s] for c in split.clips)],
    }
    for repetition in range(suite.seeds):
        for content in contents:
            seed = derive_seed(suite.base_seed, split.id, content.id, repetition)
            place = [content.id, content.digest, content.start_s, repetition, seed]
            yield PlannedCell(
                cell_id=_short({**common, "content": place}),
                chunk="",
                method=method.choice.label,
                method_name=method.choice.name,
                parameters=parameters,
                style=split.id,
                content=content.id,
                category=content.category,
                repetition=repetition,
                seed=seed,
                fit_seed=derive_seed(suite.base_seed, split.id, repetition),
                content_seed=derive_seed("content", suite.base_seed, content.id, repetition),
            )


def resolve_parameters(suite: Suite, method: PlannedMethod, style: str) -> dict[str, Json]:
    """All parameters of a method for one style, by name.

    The method's defaults are overridden by the suite's table of the method, that by the table of
    the method and style, and that by what the choice itself says.

    Raises:
        UnknownNameError: The method does not have a parameter.
        ConfigError: A value breaks a rule.
    """
    try:
        fit, transfer = split_parameters(
            method.kind.parameters(_values_for(suite, method.choice, style))
        )
    except (ConfigError, UnknownNameError) as error:
        raise _located(error, suite, method, style) from error
    return {**fit, **transfer}


def parameters_of(plan: Plan, method: PlannedMethod) -> dict[str, object]:
    """The parameters of a method of a plan, as its class makes them, by style."""
    return {
        style: method.kind.parameters(_values_for(plan.suite, method.choice, style))
        for style in plan.splits
    }


def _values_for(suite: Suite, choice: MethodChoice, style: str) -> dict[str, Json]:
    """What is set of a method for one style: by its suite, and over that by the choice itself."""
    return {**_values_of(suite, choice, style), **choice.overrides}


def _values_of(suite: Suite, choice: MethodChoice, style: str) -> dict[str, Json]:
    """What a suite sets of a method for one style, or for all styles where that is empty."""
    table = dict(suite.parameters.get(choice.name, {}))
    own = table.pop("styles", {}).get(style, {})
    return {**table, **own}


def _located(error: BenchError, suite: Suite, method: PlannedMethod, style: str) -> BenchError:
    """The same error with the line of the suite's file that is wrong by itself, if there is one."""
    tables, where = suite.parameters.get(method.choice.name, {}), ""
    for key, value in _values_of(suite, method.choice, style).items():
        place = ("styles", style, key) if key in tables.get("styles", {}).get(style, {}) else (key,)
        try:
            method.kind.parameters({key: value})
        except (ConfigError, UnknownNameError):
            where = f"{suite.at('parameters', method.choice.name, *place)}: "
            break
    return type(error)(f"{where}{method.choice.name}: {error}")


def _short(value: object) -> str:
    return json_digest(value)[:16]


def into_chunks(cells: Iterable[PlannedCell], size: int) -> Iterator[PlannedCell]:
    """Give each cell its chunk: at most `size` cells of one method, style and repetition."""
    groups: dict[str, list[PlannedCell]] = {}
    for cell in cells:
        key = _short([cell.method, cell.parameters, cell.style, cell.repetition])
        groups.setdefault(key, []).append(cell)
    for group in groups.values():
        for start in range(0, len(group), size):
            part = group[start : start + size]
            chunk = _short([cell.cell_id for cell in part])
            yield from (cell.model_copy(update={"chunk": chunk}) for cell in part)


def missing_cells(plan: Plan, existing: Iterable[PlannedCell]) -> tuple[PlannedCell, ...]:
    """The cells of a plan that an earlier plan lacks, in chunks of their own.

    The earlier cells keep their ids, order and chunks: appending these to them extends a run.
    """
    known = {cell.cell_id for cell in existing}
    new = (cell for cell in plan.cells if cell.cell_id not in known)
    return tuple(into_chunks(new, plan.suite.chunk_size))


def departures_of(plan: Plan, method: PlannedMethod) -> list[str]:
    """Where a method of a run departs from its source: always, and with its settings.

    One that holds for some of the styles only, because their parameters differ, names them.
    """
    held: dict[str, list[str]] = {}
    for style, parameters in parameters_of(plan, method).items():
        for departure in method.kind.departures(parameters, plan.suite.profile):
            held.setdefault(departure, []).append(style)
    by_settings = [
        text if len(styles) == len(plan.splits) else f"{text}, for {', '.join(styles)}"
        for text, styles in held.items()
    ]
    return [*method.info.departures, *by_settings]


def describe_styles(plan: Plan) -> Mapping[str, dict[str, Json]]:
    """What a run records about each style: text, kind, the clips of both sides, those left out."""
    return {
        split.id: {
            "text": split.text,
            "kind": split.kind,
            "clips": [clip.id for clip in split.clips],
            "heldout_clips": [clip.id for clip in split.heldout_clips],
            "left_out": [{"clip": one.clip, "reason": one.reason} for one in split.left_out],
        }
        for split in plan.splits.values()
    }


def fit_groups(cells: Iterable[PlannedCell], methods: Iterable[str]) -> list[list[PlannedCell]]:
    """Cells of one method and repetition, which need the same fits, group after group.

    Args:
        cells: Of a plan or of a part of it; within a group they keep their order.
        methods: The labels of all their methods, in the order of the groups.
    """
    order = {label: place for place, label in enumerate(methods)}

    def group(cell: PlannedCell) -> tuple[int, int]:
        return order[cell.method], cell.repetition

    return [list(members) for _, members in groupby(sorted(cells, key=group), group)]

"""Shards of a run: what each finds in its folder and writes there first; whose turn it is.

The shards of a run may share a folder or have folders of their own. Either way the header states
the whole plan, and each shard keeps its share of the plan in its own part of the folder (see
`bench.records.parts`). The first shard to come writes the header; the others hold theirs against
it, so that a folder never holds shards of different plans or of different code.

A shard works group after group, those first whose fits nobody else makes. A group is the cells of
one method and repetition, which need the same fits. Each shard begins with another group, so that
different shards learn different styles; a group whose styles another shard is learning just now
comes later.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.api import ConfigError, Progress, RecordError
from bench.files import replace_file
from bench.outside.wording import some
from bench.plan.plan import Plan, fit_groups
from bench.plan.shares import Shard, share_of
from bench.records import store
from bench.records.claims import POLL_S, Claim, claimed, holder, take, this_machine
from bench.records.identity import other_methods
from bench.records.parts import CLAIM, SHARDS, part_folder
from bench.records.planned import plan_facts, written
from bench.records.sameness import ASKED, joined, package_lists, suite_digest
from bench.records.schema import CellRecord, PlanFacts, PlannedCell, RunHeader
from bench.run.company import waiting
from bench.run.context import RunContext
from bench.run.continuing import Layout, read_former
from bench.run.runner import check_space, render
from bench.run.studio import Studio

Group = list[PlannedCell]


def lay_out_share(plan: Plan, shard: Shard) -> Layout:
    """The share of a shard as the plan of its session; the facts are those of the whole plan."""
    share = share_of(plan.cells, shard)
    facts = plan_facts(written(plan.cells))
    return Layout(cells=share, kept=(), added=share, rewritten=True, facts=facts)


def require_one_place(devices: int, *, fit_together: bool) -> None:
    """Refuse what would make a shard's sounds depend on more than the plan.

    Raises:
        ConfigError: A shard was asked to work on several devices, or to let methods learn together.
    """
    if devices > 1:
        raise ConfigError(
            f"--shard and {devices} devices were asked for; a shard works on one device. Start one "
            "shard for each device."
        )
    if fit_together:
        raise ConfigError(
            "--shard and --fit-together were asked for; the methods of a shard learn one by "
            "one, so that all shards find the same fits. Leave one of the two out."
        )


def require_same_plan(folder: Path, header: RunHeader, facts: Mapping[str, PlanFacts]) -> None:
    """Refuse to share a folder with shards of another plan.

    Args:
        folder: The run folder.
        header: Its header.
        facts: What the plan of this session is, by label of the method.

    Raises:
        RecordError: The folder plans other cells for a method.
    """
    unlike = [label for label in facts if header.plan.get(label, facts[label]) != facts[label]]
    if unlike:
        raise RecordError(
            f"{folder} plans other cells for {some(unlike, ', ')} than this shard; all shards of a "
            "folder share one plan. Choose another folder with --out; what the cache holds is not "
            "computed again."
        )


def require_same_code(folder: Path, header: RunHeader, ours: RunHeader) -> None:
    """Refuse to share a folder with shards of other code, weights or metrics.

    Raises:
        RecordError: A method or metric is not what the header of the folder says.
    """
    unlike = [f"{label} ({words})" for label, words in other_methods(header, ours).items()]
    known = {metric.name: metric.fingerprint for metric in header.metrics if metric.fingerprint}
    unlike += [
        f"metric {metric.name} (other fingerprint)"
        for metric in ours.metrics
        if metric.fingerprint and known.get(metric.name, metric.fingerprint) != metric.fingerprint
    ]
    if unlike:
        raise RecordError(
            f"{some(unlike)} differs from what {folder} holds; all shards of a folder are of one "
            "code. Put back what was changed, or choose another folder with --out; what the cache "
            "holds of unchanged methods is not computed again."
        )


def write_share(folder: Path, part: Path, layout: Layout, ours: RunHeader) -> None:
    """Write the header of the run, if this is the first shard of it, and the share of this one.

    The own header of the shard lies beside its share: its command line, machine and times.

    Args:
        folder: The run folder.
        part: The folder of the shard in it.
        layout: What `lay_out_share` gave.
        ours: The header of this session, with the facts of the whole plan.

    Raises:
        RecordError: The folder holds another plan or other code.
    """
    store.write_header(part, ours)
    with claimed(folder / SHARDS / "header.claim", lambda _owner: None):
        former = read_former(folder)
        header = ours
        if former is not None:
            require_same_plan(folder, former, layout.facts)
            require_same_code(folder, former, ours)
            header = _extended(former, ours)
        if header != former:
            store.write_header(folder, header)
    text = b"".join(line + b"\n" for _, line in written(layout.cells))
    if not (part / "plan.jsonl").exists() or (part / "plan.jsonl").read_bytes() != text:
        replace_file(part / "plan.jsonl", text, root=part)


def _extended(former: RunHeader, ours: RunHeader) -> RunHeader:
    """The header with the methods, metrics and packages of this shard that it lacks.

    Whatever the first shard wrote stays as it is, so that shards which agree change nothing.
    """
    labels, names = {m.label for m in former.methods}, {m.name for m in former.metrics}
    kept = {key: value for key, value in former.suite.items() if key not in ASKED}
    suite = joined(former.suite, ours.suite) | kept
    lists = package_lists(former.provenance, ours.provenance)
    return former.model_copy(
        update={
            "suite": suite,
            "suite_digest": suite_digest(suite),
            "methods": [*former.methods, *(m for m in ours.methods if m.label not in labels)],
            "metrics": [*former.metrics, *(m for m in ours.metrics if m.name not in names)],
            "identities": ours.identities | former.identities,
            "provenance": former.provenance | {"package_lists": lists},
            "plan": ours.plan | former.plan,
        }
    )


def claim_shard(folder: Path, shard: Shard, progress: Progress) -> Claim:
    """Claim a shard for this process, and say so while that takes time.

    A shard whose process died on another machine is free when nobody has touched its claim for
    `LIFE_S` seconds; a requeued task waits for that.

    Raises:
        RecordError: Another process works on the shard.
    """
    path = part_folder(folder, shard.index, shard.count) / CLAIM
    touched = None
    while (claim := take(path)) is None:
        owner = holder(path)
        if owner is None:
            continue
        now = last_change(path)
        if owner.machine == this_machine() or (touched is not None and now not in {None, touched}):
            raise RecordError(
                f"shard {shard.name} of {folder} is at work ({owner.words}); a shard takes one "
                "process. Wait, or name another shard."
            )
        touched = now if touched is None else touched
        progress(0.0, f"shard {shard.name}: waits whether {owner.words} is still alive")
        time.sleep(POLL_S)
    return claim


def last_change(path: Path) -> float | None:
    """When a file was changed last, in seconds since 1970; None where there is none."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def render_share(
    context: RunContext,
    cells: Sequence[PlannedCell],
    studios: Mapping[str, Studio],
    shard: Shard,
    known: Sequence[CellRecord],
    *,
    retry: bool = False,
) -> dict[str, CellRecord]:
    """Render what is missing of a share; returns the latest record of each of its cells.

    Args:
        context: What the methods share.
        cells: The share, in the order of the plan.
        studios: The methods by label, each with its company.
        shard: Which share it is.
        known: The records so far, oldest first.
        retry: Failed cells are rendered again.
    """
    check_space(context.folder, len(cells) - len({record.cell_id for record in known}))
    groups, settled = in_turn(cells, shard), dict[str, CellRecord]()
    done, total = 0, max(1, len(cells))
    while groups:
        group = _next(groups, studios, _within(context.progress, done / total, 0.0))
        groups.remove(group)
        told = _within(context.progress, done / total, len(group) / total)
        part = replace(context, progress=told)
        settled |= render(part, group, studios, retry=retry, known=known)
        done += len(group)
    for studio in studios.values():
        if studio.company is not None:
            studio.company.tidy()
    return settled


def in_turn(cells: Sequence[PlannedCell], shard: Shard) -> list[Group]:
    """The groups of a share, turned round so that neighbouring shards begin with different ones."""
    groups = fit_groups(cells, dict.fromkeys(cell.method for cell in cells))
    first = (shard.index - 1) % max(1, len(groups))
    return [*groups[first:], *groups[:first]]


def _next(groups: Sequence[Group], studios: Mapping[str, Studio], progress: Progress) -> Group:
    """The first group whose styles nobody else is learning; waits while there is none."""
    said = ""
    while True:
        for group in groups:
            company = studios[group[0].method].company
            owner = None if company is None else company.elsewhere(group[0].repetition)
            if owner is None:
                return group
            said = f"{group[0].method}: {waiting(owner)}"
        progress(0.0, said)
        time.sleep(POLL_S)


def _within(progress: Progress, begun: float, share: float) -> Progress:
    """What tells the progress of a part of the work, from where it began."""
    return lambda fraction, words: progress(begun + fraction * share, words)

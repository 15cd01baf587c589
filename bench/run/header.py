"""The header of a run: everything about it that is known before its first cell.

It says what is compared with what, on which device and by which versions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from bench.counts import passes_of
from bench.description import NOT_SAID
from bench.plan.plan import (
    Plan,
    PlannedMethod,
    departures_of,
    describe_styles,
    parameters_of,
)
from bench.plugins.catalog import find_method, find_metric
from bench.records.sameness import joined, package_lists, suite_digest
from bench.records.schema import MethodEntry, MetricEntry, RunHeader
from bench.run.keys import HEAD, Identity, facts_of, weights_names
from bench.run.provenance import collect, packages_file, repository
from bench.run.scoring import LoadedMetric


def make_header(
    plan: Plan,
    metrics: Sequence[LoadedMetric],
    devices: Sequence[str],
    argv: Sequence[str],
    packages: str,
    identities: Mapping[str, Identity],
) -> RunHeader:
    """The header of a run that begins now.

    Args:
        plan: What will be run.
        metrics: The metrics, loaded.
        devices: Where it runs; the first device is the one that scores.
        argv: The command line.
        packages: The list of what is installed, as `bench.run.provenance` writes it.
        identities: Of the methods, by label.
    """
    suite = plan.suite
    now = datetime.now(UTC)
    mine = [identities[method.choice.label] for method in plan.methods]
    return RunHeader(
        run_id=f"{now:%Y%m%dT%H%M%S}-{suite.digest[:8]}",
        created_at=now.isoformat(timespec="seconds"),
        argv=list(argv),
        suite=suite.recorded,
        suite_name=suite.name,
        suite_digest=suite.digest,
        profile=suite.profile,
        device=devices[0],
        duration_s=suite.duration_s,
        styles={style: dict(facts) for style, facts in describe_styles(plan).items()},
        contents={
            clip.id: {
                "category": clip.category,
                "duration_s": clip.duration_s,
                "channels": clip.channels,
                "digest": clip.digest,
            }
            for clip in plan.contents
        },
        methods=[
            _method_entry(plan, method, identity)
            for identity, method in zip(mine, plan.methods, strict=True)
        ],
        metrics=[_metric_entry(metric) for metric in metrics],
        provenance={
            **collect(devices[0]),
            "devices": list(devices),
            "package_lists": [packages_file(packages)],
        },
        dataset={
            "name": plan.dataset.name,
            "licence": plan.dataset.licence,
            "redistributable": plan.dataset.redistributable,
            "digest": plan.dataset.digest,
        },
        identities={
            identity.mark: facts_of(identity, method)
            for identity, method in zip(mine, plan.methods, strict=True)
        },
    )


def merge_headers(old: RunHeader, new: RunHeader) -> RunHeader:
    """The header of an extended run.

    Its methods, metrics, identities and lists of packages are those of all its sessions.
    """
    lists = package_lists(old.provenance, new.provenance)
    provenance = {**new.provenance, "package_lists": lists}
    methods = {m.label: m for m in (*old.methods, *new.methods)}
    known = {m.name for m in old.metrics}  # what could not be loaded now keeps its fingerprint
    fresh = [m for m in new.metrics if m.fingerprint or m.name not in known]
    metrics = {m.name: m for m in (*old.metrics, *fresh)}
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
            "provenance": provenance,
            "identities": old.identities | new.identities,
        }
    )


def _method_entry(plan: Plan, method: PlannedMethod, identity: Identity) -> MethodEntry:
    info, profile = method.info, method.profile
    return MethodEntry(
        label=method.choice.label,
        name=method.choice.name,
        title=info.title,
        conditioned_on=[*info.conditioned_on] or ([NOT_SAID] if identity.files else []),
        fits_per_style=info.fits_per_style,
        source=_source(method, identity),
        departures=departures_of(plan, method),
        control=info.control,
        version=info.version,
        sample_rate=profile.sample_rate,
        longest_s=profile.longest_s,
        weights=weights_names(profile),
        licence=profile.licence,
        bandwidth_hz=profile.bandwidth_hz,
        repository=repository(find_method(method.choice.name)),
        identity=identity.mark,
        work=_work(plan, method),
    )


def _work(plan: Plan, method: PlannedMethod) -> str:
    """What a method asks of its network; where that differs between styles, each way of it."""
    fits = method.info.fits_per_style
    words = [passes_of(one).words(fits=fits) for one in parameters_of(plan, method).values()]
    return "; ".join(dict.fromkeys(words))


def _source(method: PlannedMethod, identity: Identity) -> str:
    """Where a method comes from; of outputs that were made elsewhere, which files they are."""
    source = method.info.source
    return (
        f"{source}; the digest of the files is {identity.files[:HEAD]}"
        if identity.files
        else source
    )


def _metric_entry(metric: LoadedMetric) -> MetricEntry:
    info = metric.info
    return MetricEntry(
        name=metric.name,
        title=info.title,
        direction=info.direction.value,
        range=info.range,
        source=info.source,
        version=info.version,
        departures=list(info.departures),
        fingerprint=metric.fingerprint,
        fingerprint_detail=dict(metric.detail),
        repository=repository(find_metric(metric.name)),
    )

"""What is left to compute of a run: not what its folder holds, nor what the cache does.

The cache holds fits and outputs, and no scores: an output that is taken from there is scored anew.
The names of fits and outputs in the cache follow from the plan and the clips, so no model is
loaded. Of a dataset that is not here everything is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from bench.api import MetricInfo
from bench.plugins.catalog import find_metric
from bench.plugins.parameters import split_parameters
from bench.records import store
from bench.records.schema import CellRecord, PlannedCell
from bench.run.context import RunContext, context_of
from bench.run.continuing import Former, read_records
from bench.run.keys import chunk_key
from bench.run.request import Prepared, RunRequest
from bench.run.runner import settle
from bench.run.studio import Studio, open_studio
from bench.scores import INVALID


@dataclass(frozen=True, slots=True)
class Left:
    """What one method has left to do.

    Args:
        fits: A cell of each style and repetition that is to be learnt.
        cells: The cells that are to be rendered.
    """

    fits: tuple[PlannedCell, ...]
    cells: tuple[PlannedCell, ...]


@dataclass(frozen=True, slots=True)
class Remaining:
    """What a session has left to do.

    Args:
        methods: By label, in the order of the run.
        scores: The ids of the cells whose outputs are to be scored, by metric.
    """

    methods: dict[str, Left]
    scores: dict[str, frozenset[str]]

    @property
    def rendered(self) -> frozenset[str]:
        """The ids of all cells that are to be rendered."""
        return frozenset(cell.cell_id for left in self.methods.values() for cell in left.cells)


def former_of(prepared: Prepared) -> Former:
    """What the folder of a session holds of its cells; nothing where its clips are not here."""
    if prepared.is_absent:
        return Former()
    infos = {name: find_metric(name).info for name in prepared.metrics}
    ranges = {name: info.range for name, info in infos.items() if isinstance(info, MetricInfo)}
    return read_records(prepared.folder, prepared.cell_marks, ranges)


def remaining(
    prepared: Prepared, request: RunRequest, former: Former, context: RunContext | None = None
) -> Remaining:
    """Find out what a session would compute; nothing is loaded and nothing is written.

    Args:
        prepared: The run.
        request: What was asked for.
        former: What its folder holds.
        context: Its context, so that what is read of the clips is not read again.
    """
    if context is None:
        context = context_of(prepared, request, prepared.device, lambda *_: None)
    material = context.material
    # The digests of all contents are kept, where the material keeps the sound of some.
    digest = cache(lambda content: material.content(content).audio.digest)
    settled = settle(former.cells, retry=request.retry, marks=prepared.cell_marks)
    methods, begun = {}, set[str]()
    for method in prepared.plan.methods:
        label = method.choice.label
        cells = [cell for cell in prepared.cells if cell.method == label]
        identity, delivery = prepared.identities[label], prepared.deliveries.get(label)
        studio = open_studio(context, method, identity, prepared.isolation, delivery)
        known = None if prepared.is_absent else Known(studio, settled, digest)
        methods[label] = _left(known, cells, begun)
    open_cells = {cell.cell_id for cell in prepared.cells} - settled.keys()
    unscored = _unscored(prepared.metrics, settled, former, retry=request.retry)
    return Remaining(methods, {name: frozenset(open_cells | ids) for name, ids in unscored.items()})


def _unscored(
    metrics: Sequence[str], settled: Mapping[str, CellRecord], former: Former, *, retry: bool
) -> dict[str, set[str]]:
    """Settled cells whose outputs have no score, by metric."""
    sound = [record for record in settled.values() if record.status == "ok"]

    def lacks(record: CellRecord, metric: str) -> bool:
        score = former.scores.get((record.cell_id, metric))
        if score is None or not store.belongs(score, record):
            return True
        return retry and score.status == INVALID

    return {name: {one.cell_id for one in sound if lacks(one, name)} for name in metrics}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one method where the clips are here.

    Args:
        studio: The method, of which nothing is loaded.
        settled: The cells that its folder holds, by id.
        digest: Of the audio of a content, by its name.
    """

    studio: Studio
    settled: Mapping[str, CellRecord]
    digest: Callable[[str], str]

    def is_kept(self, chunk: Sequence[PlannedCell], fits: Mapping[str, str]) -> bool:
        """Whether the cache holds the outputs of a chunk; without the fit it is taken not to."""
        studio, first, kept = self.studio, chunk[0], self.studio.context.cache
        if first.style not in fits or not kept.has_state(fits[first.style]):
            return False
        _, transfer = split_parameters(studio.kind.parameters(first.parameters))
        digests = [self.digest(cell.content) for cell in chunk]
        seeds = [cell.seed for cell in chunk]
        key = chunk_key(studio.identity, fits[first.style], transfer, digests, seeds)
        return all(kept.has_audio(f"{key}-{place}") for place in range(len(chunk)))


def _left(known: Known | None, cells: Sequence[PlannedCell], begun: set[str]) -> Left:
    """What a method has left to do; everything where nothing is known.

    Args:
        known: What is known of it.
        cells: Its cells.
        begun: Keys of the fits that a method before it makes; those of this one are added.
    """
    fits: list[PlannedCell] = []
    rendered: list[PlannedCell] = []
    for _, group in groupby(sorted(cells, key=_repetition), _repetition):
        members = list(group)
        chunks = [list(chunk) for _, chunk in groupby(members, key=lambda cell: cell.chunk)]
        if known is None:
            fits += {cell.style: cell for cell in reversed(members)}.values()
            rendered += members
            continue
        pending = [c for c in chunks if not all(cell.cell_id in known.settled for cell in c)]
        if pending:
            keys = known.studio.fits_of(members)[1]
            if not all(map(known.studio.context.cache.has_state, keys.values())):
                first = {cell.style: cell for cell in reversed(members)}
                # All styles, or none, are learnt; what a setting before this one learns is found.
                fits += [first[style] for style, key in keys.items() if key not in begun]
                begun |= set(keys.values())
            rendered += [cell for c in pending if not known.is_kept(c, keys) for cell in c]
    return Left(tuple(fits), tuple(rendered))


def _repetition(cell: PlannedCell) -> int:
    return cell.repetition

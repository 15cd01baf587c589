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

from bench.plugins.parameters import split_parameters
from bench.records import store
from bench.records.schema import CellRecord, PlannedCell
from bench.run.context import context_of
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


def remaining(prepared: Prepared, request: RunRequest) -> Remaining:
    """Find out what a session would compute; nothing is loaded and nothing is written."""
    context = context_of(prepared, request, prepared.device, lambda *_: None)
    # The digests of all contents are kept, where the material keeps the sound of some.
    digest = cache(lambda content: context.material.content(content).audio.digest)
    settled = {} if prepared.is_absent else _settled(prepared, request)
    methods = {}
    for method in prepared.plan.methods:
        label = method.choice.label
        cells = [cell for cell in prepared.cells if cell.method == label]
        studio = open_studio(context, method, prepared.identities[label], prepared.isolation)
        known = None if prepared.is_absent else Known(studio, settled, digest)
        methods[label] = _left(known, cells)
    return Remaining(methods, _scores(prepared, settled, retry=request.retry))


def _settled(prepared: Prepared, request: RunRequest) -> dict[str, CellRecord]:
    marks = {cell.cell_id: prepared.marks[cell.method] for cell in prepared.cells}
    history = store.read_cells(prepared.folder, of=marks)
    return settle(history, retry=request.retry, marks=marks)


def _scores(
    prepared: Prepared, settled: Mapping[str, CellRecord], *, retry: bool
) -> dict[str, frozenset[str]]:
    """Cells to score by metric: all that are open, and outputs that have no score of it."""
    is_open = {cell.cell_id for cell in prepared.cells} - settled.keys()
    sound = [record for record in settled.values() if record.status == "ok"]
    known = store.read_scores(prepared.folder, {}, cells=settled, of=settled) if sound else {}

    def lacks(record: CellRecord, metric: str) -> bool:
        score = known.get((record.cell_id, metric))
        failed = retry and score is not None and score.status == INVALID
        return score is None or failed or not store.belongs(score, record)

    return {
        metric: frozenset(is_open.union(one.cell_id for one in sound if lacks(one, metric)))
        for metric in prepared.metrics
    }


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


def _left(known: Known | None, cells: Sequence[PlannedCell]) -> Left:
    """What a method has left to do; everything where nothing is known."""
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
                fits += [first[style] for style in keys]  # all styles, or none, are learnt
            rendered += [cell for c in pending if not known.is_kept(c, keys) for cell in c]
    return Left(tuple(fits), tuple(rendered))


def _repetition(cell: PlannedCell) -> int:
    return cell.repetition

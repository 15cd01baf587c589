"""Three cells to listen to first: of the best, of a middling and of the worst method.

The cell of a method is its typical one, so that nobody is shown by a lucky cell. A cell is as good
as the lower of its two places, among all cells of the competitors, by the measures of one plane: it
has to keep the content and to fit the style. Methods are put in order by the mean of their cells,
with a failed one as the worst of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.records.schema import FAILED, MetricEntry, PlannedCell
from bench.records.store import Run
from reports.tables import reading, standing

TITLES = ("Best", "In the middle", "Worst")
TWO = 2


@dataclass(frozen=True, slots=True)
class Pick:
    """A cell with the word for its method's place, and its two scores."""

    title: str
    cell: PlannedCell
    scores: tuple[float, float]


def picks(run: Run, pair: tuple[str, str]) -> tuple[Pick, ...]:
    """The cells, best method first; one where there is one method, none without sounds.

    Args:
        run: The run.
        pair: The measures of content and of style fit.
    """
    measures = [reading.metric_of(run, name) for name in pair]
    found = _scored(run, measures)
    if not found:
        return ()
    cells, scores = [cell for cell, _ in found], np.array([pair for _, pair in found])
    signs = [1 if m.direction == "maximize" else -1 for m in measures]
    joint = np.minimum(
        *(_places(sign * column) for sign, column in zip(signs, scores.T, strict=True))
    )
    by_method: dict[str, list[int]] = {}
    for place, cell in enumerate(cells):
        by_method.setdefault(cell.method, []).append(place)
    chosen = _chosen(by_method, joint, _lost(run))
    titles = TITLES if len(chosen) == len(TITLES) else ("Typical",)
    return tuple(
        Pick(title, cells[place], (float(scores[place, 0]), float(scores[place, 1])))
        for title, place in zip(titles, chosen, strict=True)
    )


def _scored(
    run: Run, measures: Sequence[MetricEntry]
) -> list[tuple[PlannedCell, tuple[float, ...]]]:
    """The cells of competitors that can be heard and have both scores."""
    labels, found = set(standing.competitors(run)), []
    for cell in run.plan:
        record = run.cells.get(cell.cell_id)
        if cell.method not in labels or record is None or record.audio is None:
            continue
        kept = (run.scores.get((cell.cell_id, measure.name)) for measure in measures)
        scores = tuple(s.value for s in kept if s is not None and s.value is not None)
        if record.status == "ok" and len(scores) == len(measures):
            found.append((cell, scores))
    return found


def _lost(run: Run) -> Counter[str]:
    """How many cells of each method failed."""
    records = ((cell.method, run.cells.get(cell.cell_id)) for cell in run.plan)
    return Counter(label for label, record in records if record and record.status in FAILED)


def _places(values: np.ndarray) -> np.ndarray:
    """The place of each value among all, in [0, 1], equal values sharing one."""
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(below / (2 * len(values)))


def _chosen(
    by_method: Mapping[str, Sequence[int]], joint: np.ndarray, lost: Mapping[str, int]
) -> list[int]:
    """Three cells, or one where there is a single method; `lost` are failed cells of each."""
    means = {
        label: float(joint[list(places)].sum()) / (len(places) + lost[label])
        for label, places in by_method.items()
    }
    order = sorted(means, key=lambda label: -means[label])
    typical = {label: _typical(by_method[label], joint) for label in order}
    if len(order) == 1:
        return [typical[order[0]]]
    ends = [typical[order[0]], typical[order[-1]]]
    if len(order) > TWO:
        return [ends[0], typical[order[len(order) // 2]], ends[1]]
    others = [place for place in range(len(joint)) if place not in ends]
    return [ends[0], _typical(others, joint), ends[1]] if others else ends[:1]


def _typical(places: Sequence[int], joint: np.ndarray) -> int:
    """The cell that is nearest to the median of some cells, the first of them."""
    values = joint[list(places)]
    return places[int(np.abs(values - np.median(values)).argmin())]

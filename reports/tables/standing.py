"""How the competitors of a run stand: which are judged, on which cells, and who beats whom.

Bold, ranks, comparisons and the Pareto line all start from here, so that they cannot contradict
each other:

* A failed cell counts as the worst score, so that failing cannot raise a mean. A declined one (n/a)
  is left out.
* A competitor that finished fewer than `FINISHED` of the cells that it does not decline is not
  judged.
* Two competitors are compared on the cells that both have; several, on those that all have.

All functions raise `RecordError` where scores of one metric carry different fingerprints.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache, reduce
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from bench.records.schema import MetricEntry
from bench.records.store import Run
from bench.statistics.intervals import Observations
from bench.statistics.paired import Standings, standings
from bench.statistics.variances import Indices
from reports.tables import reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINISHED = 0.9  # with fewer of its cells, a method is not judged
SEVERAL = 2  # one alone is the best of nothing


def competitors(run: Run) -> list[str]:
    """Labels of the methods that are not controls and have cells."""
    frames = reading.by_method(run)
    return [m.label for m in reading.ordered_methods(run) if not m.control and m.label in frames]


def worst(run: Run, metric: MetricEntry) -> float:
    """What a failed cell counts as: the bad end of the range, or the worst score if it has none."""
    low, high = metric.range
    maximize = metric.direction == "maximize"
    end = low if maximize else high
    if math.isfinite(end):
        return end
    found = [sheet.numbers[metric.name] for sheet in reading.sheets(run).values()]
    known = np.concatenate([values[np.isfinite(values)] for values in found])
    if not len(known):
        return math.nan
    return float(known.min() if maximize else known.max())


def judged(run: Run, label: str, metric: MetricEntry, *, raw: bool = False) -> Observations:
    """The scores of a method with each failed cell as the worst score; `raw` is before clipping.

    A failure in a style for which every method's score is n/a, such as one without held-out clips,
    stays without a score.
    """
    sheet = reading.sheets(run)[label]
    scores = sheet.scores(metric.name, raw=raw)
    lost = sheet.failed[metric.name] & ~_in_declined_style(run, sheet, metric)
    return replace(scores, values=np.where(lost, worst(run, metric), scores.values))


def _in_declined_style(run: Run, sheet: reading.Sheet, metric: MetricEntry) -> NDArray[np.bool_]:
    return _declined_styles(run)[metric.name][sheet.places.styles]


@lru_cache(maxsize=reading.KEPT)
def _declined_styles(run: Run) -> dict[str, NDArray[np.bool_]]:
    """Per metric, for which styles of the grid no method has a score and some score is n/a."""
    found = {}
    sheets = list(reading.sheets(run).values())
    for metric in run.header.metrics if sheets else ():
        count = len(sheets[0].places.grid.styles)
        declined, scored = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
        for sheet in sheets:
            declined[sheet.places.styles[sheet.declined[metric.name]]] = True
            scored[sheet.places.styles[np.isfinite(sheet.numbers[metric.name])]] = True
        found[metric.name] = declined & ~scored
    return found


def unjudged(run: Run, metric: MetricEntry) -> Mapping[str, str]:
    """The competitors with scores of too few of their cells to be judged, and how many they have.

    A method that declines all cells is not among them.
    """
    return _unjudged(run)[metric.name]


@lru_cache(maxsize=reading.KEPT)
def _unjudged(run: Run) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {metric.name: {} for metric in run.header.metrics}
    for metric, label in product(run.header.metrics, competitors(run)):
        sheet = reading.sheets(run)[label]
        done = int(np.isfinite(sheet.numbers[metric.name]).sum())
        supported = int((~_declined(run, sheet, metric)).sum())
        if done < FINISHED * supported:
            found[metric.name][label] = f"has {done} of {supported} scores"
    return found


def _declined(run: Run, sheet: reading.Sheet, metric: MetricEntry) -> NDArray[np.bool_]:
    """Which rows have no score because they cannot: the cell, its score or its style is n/a."""
    na = reading.said(sheet.rows, "status", "unsupported") | sheet.declined[metric.name]
    return na | _in_declined_style(run, sheet, metric)


def standing(run: Run, metric: MetricEntry) -> Standings:
    """Which competitors beat which others by a metric; without those that are not judged."""
    return _standings(run)[metric.name]


@lru_cache(maxsize=reading.KEPT)
def _standings(run: Run) -> dict[str, Standings]:
    return {
        metric.name: standings(
            {label: judged(run, label, metric) for label in _judged_labels(run, metric)},
            maximize=metric.direction == "maximize",
            bounds=metric.range,
        )
        for metric in run.header.metrics
    }


def _judged_labels(run: Run, metric: MetricEntry) -> list[str]:
    """The competitors that are judged by a metric and have any number of it."""
    left_out = unjudged(run, metric)
    sheets = reading.sheets(run)
    return [
        label
        for label in competitors(run)
        if label not in left_out and np.isfinite(sheets[label].numbers[metric.name]).any()
    ]


def best(run: Run, metric: MetricEntry) -> frozenset[str]:
    """The competitors that no other is shown to be better than; none where one stands alone."""
    found = standing(run, metric)
    return found.best if len(found.ranks) >= SEVERAL else frozenset()


Cells = Indices  # numbers of (style, content) cells on the grid of a run, in their order


def common_cells(run: Run, metrics: Iterable[MetricEntry]) -> Mapping[str, Cells]:
    """Per metric, the cells that all judged competitors have, failed ones included.

    Empty where all of them have the same cells of every metric, so that their means can be read
    side by side as they are.
    """
    found, differ = {}, False
    for metric in metrics:
        scores = [judged(run, label, metric) for label in _judged_labels(run, metric)]
        each = [_cells(score) for score in scores]
        differ = differ or len({cells.tobytes() for cells in each}) > 1
        found[metric.name] = reduce(np.intersect1d, each) if each else np.zeros(0, dtype=np.intp)
    return found if differ else {}


def _cells(scores: Observations) -> Cells:
    return np.unique(scores.places.cells[np.isfinite(scores.values)])


def restricted(scores: Observations, cells: Cells) -> Observations:
    """The scores of some cells."""
    return scores.where(np.isin(scores.places.cells, cells))

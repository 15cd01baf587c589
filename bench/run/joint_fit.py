"""Fits of several methods in one call, where the methods share a frozen network.

What is learnt here goes to the cache, where each method finds it as if it had learnt alone. Its
cost is an equal share of the call, and marked as not measured alone (`fit_cached`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from bench.api import CheckpointError, DeviceError, FitRequest, Progress
from bench.records.schema import PlannedCell
from bench.run.studio import Studio

logger = logging.getLogger(__name__)


def fit_jointly(
    cells: Sequence[PlannedCell], studios: Mapping[str, Studio], progress: Progress
) -> None:
    """Learn what cells need and the cache lacks, one call per family and repetition.

    What fails here is left to each method alone, which records it.
    """

    def group_of(cell: PlannedCell) -> tuple[str, int]:
        studio = studios[cell.method]
        return studio.kind.family or "" if studio.isolation is None else "", cell.repetition

    for (family, _), group in groupby(sorted(cells, key=group_of), group_of):
        if family:
            _fit_family(list(group), studios, progress)


def _fit_family(
    cells: Sequence[PlannedCell], studios: Mapping[str, Studio], progress: Progress
) -> None:
    labels = list(dict.fromkeys(cell.method for cell in cells))
    if len(labels) < 2:  # noqa: PLR2004 - one method needs nobody else
        return
    needed: dict[str, FitRequest[Any]] = {}
    for label in labels:
        own = [cell for cell in cells if cell.method == label]
        requests, keys = studios[label].fits_of(own)
        needed |= {keys[style]: request for style, request in requests.items()}
    cache = studios[labels[0]].bench.cache
    missing = {key: one for key, one in needed.items() if cache.load_state(key) is None}
    if not missing:
        return
    try:
        states, seconds = studios[labels[0]].timed_fit(list(missing.values()), progress)
    except (CheckpointError, DeviceError):
        raise
    except Exception:
        logger.exception("%s cannot be fitted together; each goes alone", ", ".join(labels))
        return
    for key, state in zip(missing, states, strict=True):
        cache.save_state(key, state, {"fit_s": seconds / len(missing)})

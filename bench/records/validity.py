"""What a line of a record file must hold beyond its schema: ids, digests, paths and numbers.

A run folder may come from anywhere. The schema says which fields there are and of which kind; the
rules here say what they may contain, because paths are opened, ids and digests become names of
files, and numbers are calculated with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from bench.records.schema import (
    CellRecord,
    EmbeddingRecord,
    PlannedCell,
    Record,
    ScoreRecord,
)

CELL_ID = re.compile(r"[0-9a-f]{16}")
AUDIO_DIGEST = re.compile(r"[0-9a-f]{64}")
CODE = re.compile(r"[0-9a-f]{12}")
FIT_KEY = re.compile(r"[0-9a-f]{32}")
IDENTITY = FIT_KEY
AUDIO_PATH = re.compile(r"audio/[A-Za-z0-9_=+@-][A-Za-z0-9_.=+@-]{0,250}")
LARGEST = 2**63 - 1  # whole numbers beyond it fit no column of a table
DEEPEST = 8  # levels of lists and tables in a parameter
RULES: dict[type[Record], dict[str, tuple[re.Pattern[str], str]]] = {
    PlannedCell: {
        "cell_id": (CELL_ID, "16 hex digits"),
        "chunk": (CELL_ID, "16 hex digits"),
    },
    CellRecord: {
        "cell_id": (CELL_ID, "16 hex digits"),
        "audio": (AUDIO_PATH, "audio/<name> of this run"),
        "audio_digest": (AUDIO_DIGEST, "64 hex digits"),
        "fit_key": (FIT_KEY, "32 hex digits"),
        "identity": (IDENTITY, "32 hex digits"),
    },
    ScoreRecord: {
        "cell_id": (CELL_ID, "16 hex digits"),
        "code": (CODE, "12 hex digits"),
        "audio_digest": (AUDIO_DIGEST, "64 hex digits"),
    },
    EmbeddingRecord: {
        "fingerprint": (CODE, "12 hex digits"),
        "audio_digest": (AUDIO_DIGEST, "64 hex digits"),
    },
}


def find_fault(record: Record) -> str | None:
    """The first rule that a record breaks, in words, or None.

    Example:
        >>> find_fault(CellRecord(cell_id="../x", status="ok"))
        "cell_id is '../x' and not 16 hex digits"
    """
    for name, (pattern, words) in RULES.get(type(record), {}).items():
        value = getattr(record, name)
        if value is not None and not pattern.fullmatch(value):
            return f"{name} is {value!r:.60} and not {words}"
    strict = isinstance(record, PlannedCell | CellRecord)
    for name, value in vars(record).items():
        if value is None or isinstance(value, str):  # most fields: nothing to look into
            continue
        if fault := _number_fault(value, finite=strict):
            return f"{name} {fault}"
    return None


def _number_fault(value: object, *, finite: bool) -> str | None:
    for one, depth in _values(value, 0):
        if depth > DEEPEST:
            return f"is nested deeper than {DEEPEST} levels"
        if isinstance(one, int) and abs(one) > LARGEST:
            return "has a number beyond 2^63"
        if isinstance(one, float) and finite and not math.isfinite(one):
            return f"is {one}, which is no number to calculate with"
    return None


def _values(value: Any, depth: int) -> Iterator[tuple[Any, int]]:  # noqa: ANN401 - any JSON
    """A value and all that is in it, each with its depth; one level beyond `DEEPEST` at most."""
    yield value, depth
    if isinstance(value, dict | list | tuple) and depth <= DEEPEST:
        for one in value.values() if isinstance(value, dict) else value:
            yield from _values(one, depth + 1)

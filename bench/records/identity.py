"""By which code and weights a method rendered, and words for where two of these differ.

A cell records the identity of its method: a digest of its code, version and weights. What the
digests stand for is in the header of the run. Everything here is a pure function of records.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from bench.description import MADE_ELSEWHERE
from bench.outside.wording import one_line, some
from bench.records.schema import CellRecord, IdentityFacts, PlannedCell, RunHeader

UNKNOWN = "code that was not recorded"
FILES = MADE_ELSEWHERE  # stands among the weights for the outputs that were made elsewhere


def differing(first: IdentityFacts, second: IdentityFacts) -> list[str]:
    """What two identities differ in, in words.

    Example:
        >>> old = IdentityFacts(version="1", source="a", weights={"unet": "c"})
        >>> differing(old, IdentityFacts(version="1", source="b", weights={"unet": "d"}))
        ['code', 'weights of unet']
    """
    names = sorted((first.weights.keys() | second.weights.keys()) - {FILES})
    other = [name for name in names if first.weights.get(name) != second.weights.get(name)]
    return [
        *(["version"] if first.version != second.version else []),
        *(["code"] if first.source != second.source else []),
        *([f"weights of {some(other, ', ')}"] if other else []),
        *(["files"] if first.weights.get(FILES) != second.weights.get(FILES) else []),
    ]


def other_methods(first: RunHeader, second: RunHeader) -> dict[str, str]:
    """What two runs hold under one label though it differs: words by label, such as "other code".

    Where a run is too old to say, only the declared versions are compared.
    """
    theirs = {method.label: method for method in second.methods}
    words: dict[str, str] = {}
    for ours in first.methods:
        other = theirs.get(ours.label)
        if other is None:
            continue
        known = [
            head.identities.get(str(method.identity))
            for head, method in ((first, ours), (second, other))
        ]
        one, two = known
        if one is not None and two is not None:
            unlike = differing(one, two)
        else:
            unlike = ["version"] if ours.version != other.version else []
        if unlike:
            words[ours.label] = _other(unlike)
    return words


def _other(unlike: Iterable[str]) -> str:
    return ", ".join(f"other {words}" for words in unlike)


def mixed_methods(
    header: RunHeader, plan: Iterable[PlannedCell], cells: Mapping[str, CellRecord]
) -> list[str]:
    """Sentences about methods of which some cells are not of the identity in the header."""
    present = {method.label: method.identity for method in header.methods}
    total: Counter[str] = Counter()
    unlike: dict[str, Counter[str | None]] = defaultdict(Counter)
    for cell in plan:
        record, wanted = cells.get(cell.cell_id), present.get(cell.method)
        if record is None or record.status == "cancelled" or wanted is None:
            continue
        total[cell.method] += 1
        if record.identity != wanted:
            unlike[cell.method][record.identity] += 1
    return [
        f"{one_line(label)}: {found.total()} of {total[label]} cells were rendered by "
        f"{_named(header, found, str(present[label]))}; the same command renders them anew"
        for label, found in unlike.items()
    ]


def _named(header: RunHeader, found: Iterable[str | None], wanted: str) -> str:
    """What stands behind some identities against the wanted one, each difference once."""
    now = header.identities.get(wanted)
    words: dict[str, None] = {}
    for identity in found:
        before = header.identities.get(str(identity))
        if before is None or now is None:
            words[UNKNOWN] = None
        else:
            words |= dict.fromkeys(f"other {one}" for one in differing(before, now) or ["code"])
    return ", ".join(words)

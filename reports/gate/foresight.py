"""What a baseline lets the gate find, in words: said when it is made, before it is relied on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bench.gate.power import Foreseen, foresee
from bench.gate.reach import EVERYTHING, NOTHING, Missing
from bench.gate.snapshot import Snapshot

DECIMALS = 3


def drop_words(one: Foreseen) -> str:
    """The smallest drop that a lane finds: a number, "nothing", or "unknown" with one seed.

    Example:
        >>> drop_words(Foreseen("tve", "cp", "", 0.01, 0.0456, None))
        '0.046'
    """
    if math.isnan(one.drop):
        return "unknown"
    return "nothing" if one.drop == NOTHING else f"{one.drop:.{DECIMALS}f}"


def statement(baseline: Snapshot) -> str:
    """What the gate could find by this baseline, and what its weak lanes lack; one or more lines.

    Lanes that could not find the drop that the suite asks for are counted, and said per method with
    the seeds or contents that are missing.
    """
    foreseen = foresee(baseline)
    weak = [one for one in foreseen if one.lacks is not None]
    asked = baseline.least_drop
    if asked >= EVERYTHING:
        return f"{len(foreseen)} lanes; the suite asks of none which drop it must find.\n"
    if foreseen and not weak:
        weakest = max(foreseen, key=badness)
        return (
            f"Each of {len(foreseen)} lanes finds a drop of {asked:g} or less; the weakest, "
            f"{_name(weakest, weakest.method)}, {drop_words(weakest)}.\n"
        )
    return (
        f"{len(weak)} of {len(foreseen)} lanes cannot be relied on to find a drop of {asked:g}, or "
        "a fall to the worst end,\nafter a change that draws all noise anew. The gate may then "
        "end with code 4, unless --least-drop\nor the suite's [gate] asks for less. Missing:\n"
        + "".join(_lines(foreseen, baseline))
    )


def _lines(foreseen: Sequence[Foreseen], baseline: Snapshot) -> Iterator[str]:
    """What is missing and what is found without it, one line per answer with its methods."""
    methods: dict[str, list[str]] = {}
    for method in baseline.methods:
        weak = [one for one in foreseen if one.method == method and one.lacks]
        if weak:
            worst = max(weak, key=badness)
            lacks = _most([one.lacks for one in weak if one.lacks])
            found = "unknown with one seed"
            if not math.isnan(worst.drop):
                found = f"{_name(worst)} finds {drop_words(worst)}"
            methods.setdefault(f"{lacks} ({found})", []).append(method)
    yield from (f"  {', '.join(named)}: {said}\n" for said, named in methods.items())


def badness(one: Foreseen) -> float:
    """For an order: what finds nothing before large drops, and these before unknown ones."""
    return -1.0 if math.isnan(one.drop) else one.drop


def _name(one: Foreseen, *before: str) -> str:
    """A lane without its method, or with it."""
    return " ".join([*before, one.metric, *(["on", one.style] if one.style else [])])


def _most(lacks: Sequence[Missing]) -> str:
    """What the lanes of a method lack together: the most of each, if it would do for all."""
    if any(one.seeds is None for one in lacks):
        return str(Missing(None, None, certain=True))
    contents = [one.contents for one in lacks]
    return str(
        Missing(
            max(one.seeds or 0 for one in lacks),
            None if None in contents else max(count or 0 for count in contents),
            certain=all(one.certain for one in lacks),
        )
    )

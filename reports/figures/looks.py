"""How each method is drawn: a colour and a marker that no other method of the run has.

Settings of one method share its colour as long as colours last. Controls are grey and hollow, and
each has the same marker in every run, so that a reader learns it once.

**Conventions**: colours have a form for a white and one for a dark ground, each with a contrast of
at least 3 to it; they stay apart for people who lack one kind of cone, and the marker shows the
same difference again. Markers are called as in matplotlib; their outlines have a radius of about 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Literal

Kind = Literal["method", "control", "published"]
LIGHT = ("#2f49e6", "#ee6410", "#0b3b40", "#e04fe0", "#7d2d0a", "#149a94")
DARK = ("#3f74ff", "#fdb09c", "#12bc4a", "#c4357a", "#dcf53c", "#a57ad8")
CONTROLS = {
    "copy-content": "s", "copy-style": "D", "mix": "o", "noise": "X", "vocoder": "^", "vae": "v",
    "null": "P", "oracle": "*", "mel-vggish": "<", "mel-cnn14": ">",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """A method's colour, as a place in `LIGHT` and `DARK` or -1 for none, and its marker.

    `filled` is false for controls, for published numbers, and for methods beyond the 72nd.
    """

    hue: int
    marker: str
    filled: bool


def _polygon(corners: int, turn: float = 0.0, inner: float = 1.0) -> str:
    """The outline of a star with its tips on the unit circle; `inner` 1 makes it a polygon."""
    places = range(corners if inner == 1.0 else 2 * corners)
    angles = [2 * math.pi * (place / len(places) + turn) for place in places]
    radii = [1.0 if place % 2 == 0 else inner for place in places]
    tips = [(r * math.sin(a), -r * math.cos(a)) for r, a in zip(radii, angles, strict=True)]
    return "M" + "L".join(f"{x:.2f},{y:.2f}" for x, y in tips) + "Z"


_PLUS = "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z"
_CROSS = "M-.5,-1L0,-.5L.5,-1L1,-.5L.5,0L1,.5L.5,1L0,.5L-.5,1L-1,.5L-.5,0L-1,-.5Z"
OUTLINES = {
    "o": "M-.9,0A.9,.9 0 1,0 .9,0A.9,.9 0 1,0 -.9,0Z",
    "s": "M-.8,-.8H.8V.8H-.8Z",
    "D": _polygon(4),
    "^": _polygon(3),
    "v": _polygon(3, 1 / 2),
    "P": _PLUS,
    "X": _CROSS,
    "*": _polygon(5, inner=0.42),
    "<": _polygon(3, -1 / 4),
    ">": _polygon(3, 1 / 4),
    "h": _polygon(6),
    "d": "M0,-1.1L.6,0L0,1.1L-.6,0Z",
}
MARKERS = tuple(OUTLINES)


def looks(named: Iterable[tuple[str, str, Kind]]) -> dict[str, Look]:
    """A look for each method, by its label; the same methods in the same order look the same.

    Args:
        named: Label, catalog name and kind of each method.

    Example:
        >>> found = looks([("a[x=1]", "a", "method"), ("mix", "mix", "control")])
        >>> found["a[x=1]"], found["mix"]
        (Look(hue=0, marker='o', filled=True), Look(hue=-1, marker='o', filled=False))
    """
    families: dict[str, int] = {}
    taken: set[Look] = set()
    found: dict[str, Look] = {}
    for label, family, kind in named:
        if label in found:
            continue
        if kind == "method":
            place = families.setdefault(family, len(families))
            wanted = _of_method(place)
        else:
            wanted = _hollow(CONTROLS.get(family, "h") if kind == "control" else "o")
        found[label] = next((look for look in wanted if look not in taken), wanted[0])
        taken.add(found[label])
    return found


def _of_method(place: int) -> list[Look]:
    """What a method can look like, best first: its colour, then others; filled, then hollow."""
    hues = [(place + step) % len(LIGHT) for step in range(len(LIGHT))]
    return [Look(hue, m, f) for f, hue, m in product((True, False), hues, _from(place))]


def _hollow(marker: str) -> list[Look]:
    return [Look(-1, one, filled=False) for one in _from(MARKERS.index(marker))]


def _from(place: int) -> list[str]:
    """All markers, beginning with one of them."""
    start = place % len(MARKERS)
    return [*MARKERS[start:], *MARKERS[:start]]

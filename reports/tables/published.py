"""Published numbers, which stand as reference rows beside measurements of the full checkpoints.

None was run again here. Each row fills only the columns that its source measured: the style fit of
the paper compares an output with a text (SF-text), that of the report with the clips seen in
fitting (SF-audio seen). The preparation of the audio and the CLAP checkpoint differ from ours or
are unknown, so a difference of a few hundredths means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PAPER = "Li et al. (2024), arXiv 2402.13763"
REPORT = "student reproduction report"
MARK = "published, not re-run"


@dataclass(frozen=True, slots=True)
class Reference:
    """One published row: `values` maps metric names of this benchmark to the printed numbers."""

    title: str
    source: str
    values: Mapping[str, float]
    sees: str


@dataclass(frozen=True, slots=True)
class StyleReference:
    """One published row for one style; its two parameters are None in the row of means."""

    style: str
    guidance_scale: float | None
    strength: float | None
    values: Mapping[str, float]


def _paper(title: str, table: int, cp: float, sf: float, sees: str = "style audio") -> Reference:
    return Reference(title, f"{PAPER}, table {table}", {"cp": cp, "sf.text": sf}, sees)


TABLE2: tuple[Reference, ...] = (
    _paper("R+TI", 1, 0.3481, 0.2722),
    _paper("SS VQ-VAE", 1, 0.2351, 0.2809),
    _paper("MusicGen", 1, 0.2808, 0.2370, "style text, melody"),
    _paper("MusicTI (TVE and BRS)", 1, 0.4645, 0.2816),
    _paper("MusicTI without TVE", 2, 0.4506, 0.2418),
    _paper("MusicTI without BRS", 2, 0.4415, 0.2602),
    Reference(
        "MusicTI as reproduced", f"{REPORT}, table II", {"cp": 0.41, "sf.seen": 0.43}, "style audio"
    ),
)

TABLE1: tuple[StyleReference, ...] = (
    StyleReference("accordion", 4.5, 0.60, {"cp": 0.40, "sf.seen": 0.49}),
    StyleReference("bird", 3.5, 0.45, {"cp": 0.35, "sf.seen": 0.40}),
    StyleReference("chime", 3.5, 0.45, {"cp": 0.49, "sf.seen": 0.41}),
    StyleReference("mean", None, None, {"cp": 0.41, "sf.seen": 0.43}),
)

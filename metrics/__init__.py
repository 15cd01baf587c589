"""The metrics.

This file is the catalog: plain data, so that listing the metrics imports none of them.
"""

from __future__ import annotations

from bench.api import Direction, Entry, MetricInfo

__all__ = ["METRICS"]

_CLAP = "CLAP as in Wu et al. (2023), arXiv 2211.06687"
_OWN_PREPARATION = (
    "audio is levelled, quantised to 16 bit and tiled to the window by version 1 of our own "
    "preparation; published scores used the padding of laion-clap"
)
_FIRST_WINDOW = "of a longer clip the first window is heard, not a part drawn at random"
_UNSEEN_CLIPS = "style clips that no method has seen"

# Name, class, title, formula, and where the score itself leaves its source. Each stands in the
# catalog three times: on our own preparation, on that of published scores, and by laion-clap.
_CLAP_SCORES: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    ("cp", "ContentPreservation", "CP", "max(0, cosine) of content and output", ()),
    (
        "sf.heldout",
        "StyleFitHeldout",
        "SF-audio (held-out)",
        "max(0, cosine) of output and the mean of held-out style clips",
        (_UNSEEN_CLIPS,),
    ),
    (
        "sf.seen",
        "StyleFitSeen",
        "SF-audio (seen)",
        "max(0, cosine) of output and the mean of the fitted style clips",
        (),
    ),
    ("sf.text", "StyleFitText", "SF-text", "max(0, cosine) of output and the style's text", ()),
)

METRICS: dict[str, Entry] = {
    **{
        name: Entry(
            f"metrics.clap.scores:{kind}",
            MetricInfo(
                title=title,
                direction=Direction.MAXIMIZE,
                range=(0.0, 1.0),
                source=f"{formula}; {_CLAP}",
                departures=(_OWN_PREPARATION, *departures),
            ),
            "metrics.clap.checkpoints:describe",
        )
        for name, kind, title, formula, departures in _CLAP_SCORES
    },
    "chroma": Entry(
        "metrics.chroma:ChromaSimilarity",
        MetricInfo(
            title="Chroma",
            direction=Direction.MAXIMIZE,
            range=(0.0, 1.0),
            source="mean cosine of the chroma frames of content and output",
            departures=("frames are weighted by the energy of the content",),
        ),
    ),
    "target.mel": Entry(
        "metrics.target:TargetMel",
        MetricInfo(
            title="Mel distance to the true result (dB)",
            direction=Direction.MINIMIZE,
            range=(0.0, 80.0),
            source="mean absolute difference of log-mel spectra of output and true result",
            needs=("target",),
        ),
    ),
    "target.chroma": Entry(
        "metrics.target:TargetChroma",
        MetricInfo(
            title="Chroma of the true result",
            direction=Direction.MAXIMIZE,
            range=(0.0, 1.0),
            source="mean cosine of the chroma frames of output and true result",
            departures=("frames are weighted by the energy of the true result",),
            needs=("target",),
        ),
    ),
    # What published scores heard: louder is another sound, and short clips end in silence.
    **{
        f"{name}.as_published": Entry(
            f"metrics.clap.as_published:{kind}",
            MetricInfo(
                title=f"{title} as published",
                direction=Direction.MAXIMIZE,
                range=(0.0, 1.0),
                source=f"{formula}; {_CLAP}, with the preparation of laion-clap 1.1.7",
                departures=(_FIRST_WINDOW, *departures),
            ),
            "metrics.clap.checkpoints:describe",
        )
        for name, kind, title, formula, departures in _CLAP_SCORES
    },
    # The reference back end: the same scores by laion's own package, in the full profile only.
    **{
        f"{name}@laion": Entry(
            f"metrics.laion.scores:{kind}",
            MetricInfo(
                title=f"{title} (laion-clap)",
                direction=Direction.MAXIMIZE,
                range=(0.0, 1.0),
                source=f"{formula}; {_CLAP}, package laion-clap 1.1.7 with its own preparation",
                departures=departures,
            ),
            "metrics.laion.checkpoints:describe",
            "metrics/laion",
        )
        for name, kind, title, formula, departures in _CLAP_SCORES
    },
}

"""The metrics.

This file is the catalog: plain data, so that listing the metrics imports none of them.
"""

from __future__ import annotations

from bench.api import Direction, Entry, MetricInfo

__all__ = ["METRICS"]

_CLAP = "CLAP as in Wu et al. (2023), arXiv 2211.06687"
_CHECKPOINTS = "metrics.clap_checkpoints:describe"
_OWN_PREPARATION = (
    "audio is levelled, quantised to 16 bit and tiled to the window by version 1 of our own "
    "preparation; published scores used the padding of laion-clap"
)
# Reference back end: the same scores by laion's own package (full profile only).
_OF_LAION = (
    ("cp", "ContentPreservation", "CP", "max(0, cosine) of content and output"),
    ("sf.heldout", "StyleFitHeldout", "SF-audio (held-out)", "max(0, cosine) to held-out clips"),
    ("sf.seen", "StyleFitSeen", "SF-audio (seen)", "max(0, cosine) to the fitted style clips"),
    ("sf.text", "StyleFitText", "SF-text", "max(0, cosine) to the style's text"),
)

METRICS: dict[str, Entry] = {
    "cp": Entry(
        "metrics.clap_scores:ContentPreservation",
        MetricInfo(
            title="CP",
            direction=Direction.MAXIMIZE,
            range=(0.0, 1.0),
            source=f"max(0, cosine) of content and output; {_CLAP}",
            departures=(_OWN_PREPARATION,),
        ),
        _CHECKPOINTS,
    ),
    "sf.heldout": Entry(
        "metrics.clap_scores:StyleFitHeldout",
        MetricInfo(
            title="SF-audio (held-out)",
            direction=Direction.MAXIMIZE,
            range=(0.0, 1.0),
            source=f"max(0, cosine) of output and the mean of held-out style clips; {_CLAP}",
            departures=(_OWN_PREPARATION, "style clips that no method has seen"),
        ),
        _CHECKPOINTS,
    ),
    "sf.seen": Entry(
        "metrics.clap_scores:StyleFitSeen",
        MetricInfo(
            title="SF-audio (seen)",
            direction=Direction.MAXIMIZE,
            range=(0.0, 1.0),
            source=f"max(0, cosine) of output and the mean of the fitted style clips; {_CLAP}",
            departures=(_OWN_PREPARATION,),
        ),
        _CHECKPOINTS,
    ),
    "sf.text": Entry(
        "metrics.clap_scores:StyleFitText",
        MetricInfo(
            title="SF-text",
            direction=Direction.MAXIMIZE,
            range=(0.0, 1.0),
            source=f"max(0, cosine) of output and the style's text; {_CLAP}",
            departures=(_OWN_PREPARATION,),
        ),
        _CHECKPOINTS,
    ),
    "chroma": Entry(
        "metrics.chroma:ChromaSimilarity",
        MetricInfo(
            title="Chroma",
            direction=Direction.MAXIMIZE,
            range=(0.0, 1.0),
            source="mean cosine of the chroma frames of content and output",
        ),
    ),
    **{
        f"{name}@laion": Entry(
            f"metrics.laion.scores:{kind}",
            MetricInfo(
                title=f"{title} (laion-clap)",
                direction=Direction.MAXIMIZE,
                range=(0.0, 1.0),
                source=f"{formula}; {_CLAP}, package laion-clap 1.1.7 with its own preparation",
            ),
            "metrics.laion.checkpoints:describe",
            "metrics/laion",
        )
        for name, kind, title, formula in _OF_LAION
    },
}

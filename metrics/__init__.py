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

_CELLS = "F1 of the cells (frame, {}) that sound in content and output"
_BASIC_PITCH = "by Basic Pitch, Bittner et al. (2022), ICASSP"
_NOTE_DEPARTURES = ("note maps are compared, without creating and matching notes",)
_SWIFT_F0 = "Salamon et al. (2014), IEEE Signal Processing Magazine 31(2), by swift-f0 0.3"
_MELODY_DEPARTURES = ("a frame that is unvoiced in the output is a miss",)

# Name, class, title, source, departures and description of what needs the extra `notes`.
_PITCH_SCORES: tuple[tuple[str, str, str, str, tuple[str, ...], str], ...] = (
    (
        "notes",
        "notes:Notes",
        "Notes",
        f"{_CELLS.format('pitch class')}, {_BASIC_PITCH}",
        _NOTE_DEPARTURES,
        "note_maps",
    ),
    (
        "notes.octave",
        "notes:NotesOctave",
        "Notes (octaves)",
        f"{_CELLS.format('key')}, {_BASIC_PITCH}",
        _NOTE_DEPARTURES,
        "note_maps",
    ),
    (
        "melody",
        "melody:Melody",
        "Melody (RPA)",
        f"raw pitch accuracy of the output, {_SWIFT_F0}",
        _MELODY_DEPARTURES,
        "contours",
    ),
    (
        "melody.chroma",
        "melody:MelodyChroma",
        "Melody (RCA)",
        f"raw chroma accuracy of the output, {_SWIFT_F0}",
        _MELODY_DEPARTURES,
        "contours",
    ),
    (
        "melody.voiced",
        "melody:MelodyVoiced",
        "Voiced",
        "share of the output's time that has a pitch, by swift-f0 0.3",
        (),
        "contours",
    ),
)

# How far the own style is ahead of the others of the run: name, class, title, clips.
_MARGIN = "cosine of output and the mean of {clips}, less the largest such cosine of another style"
_CLAP_MARGINS: tuple[tuple[str, str, str, str], ...] = (
    ("sf.margin", "StyleMargin", "SF margin (held-out)", "held-out style clips"),
    ("sf.seen.margin", "StyleMarginSeen", "SF margin (seen)", "the fitted style clips"),
)

_MUSICNN = "MusicNN as in Pons and Serra (2019), arXiv 1909.06654, trained on MagnaTagATune"
_LEVELLED = "audio is levelled, and at most three windows of it are heard"
# Name, class, title, formula, and whether it compares with the other styles of the run.
_MUSICNN_SCORES: tuple[tuple[str, str, str, str, bool], ...] = (
    (
        "sf.musicnn",
        "StyleFit",
        "SF-MusicNN (held-out)",
        "max(0, cosine) of output and the mean of held-out style clips",
        False,
    ),
    (
        "sf.musicnn.margin",
        "StyleMargin",
        "SF-MusicNN margin (held-out)",
        _MARGIN.format(clips="held-out style clips"),
        True,
    ),
    (
        "sf.musicnn.seen",
        "StyleFitSeen",
        "SF-MusicNN (seen)",
        "max(0, cosine) of output and the mean of the fitted style clips",
        False,
    ),
    (
        "sf.musicnn.seen.margin",
        "StyleMarginSeen",
        "SF-MusicNN margin (seen)",
        _MARGIN.format(clips="the fitted style clips"),
        True,
    ),
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
    **{
        name: Entry(
            f"metrics.clap.scores:{kind}",
            MetricInfo(
                title=title,
                direction=Direction.MAXIMIZE,
                range=(-2.0, 2.0),
                source=f"{_MARGIN.format(clips=clips)}; {_CLAP}",
                departures=(_OWN_PREPARATION,),
                needs=("rivals",),
            ),
            "metrics.clap.checkpoints:describe",
        )
        for name, kind, title, clips in _CLAP_MARGINS
    },
    # A judge that was trained on recorded music, the same in both profiles.
    **{
        name: Entry(
            f"metrics.musicnn.scores:{kind}",
            MetricInfo(
                title=title,
                direction=Direction.MAXIMIZE,
                range=(-2.0, 2.0) if needs_rivals else (0.0, 1.0),
                source=f"{formula}; {_MUSICNN}",
                departures=(_LEVELLED,),
                needs=("rivals",) if needs_rivals else (),
            ),
            "metrics.musicnn.checkpoints:describe",
        )
        for name, kind, title, formula, needs_rivals in _MUSICNN_SCORES
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
    **{
        name: Entry(
            f"metrics.pitch.{kind}",
            MetricInfo(
                title=title,
                direction=Direction.MAXIMIZE,
                range=(0.0, 1.0),
                source=source,
                departures=departures,
            ),
            f"metrics.pitch.{module}:describe",
        )
        for name, kind, title, source, departures, module in _PITCH_SCORES
    },
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

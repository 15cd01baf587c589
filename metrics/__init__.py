"""The metrics.

This file is the catalog: plain data, so that listing the metrics imports none of them.
"""

from __future__ import annotations

import math
from typing import Literal

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

_RIVALS: tuple[Literal["rivals", "target"], ...] = ("rivals",)
_CLAP_MUSIC_SCORES = (
    *((*facts, _RIVALS[:0]) for facts in _CLAP_SCORES),
    *(
        (name, kind, title, _MARGIN.format(clips=clips), (_UNSEEN_CLIPS,), _RIVALS)
        for name, kind, title, clips in _CLAP_MARGINS[:1]
    ),
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

# What other papers report, to be set beside their numbers; no suite has them by default, and none
# is a good judge (each module says what it hears).
_LPAPS = "arXiv 2402.10009, code AudioEditingCode evals/lpaps.py"
_LPAPS_DEPARTURES = (
    "the full profile loads music_speech_epoch_15_esc_89.25.pt as the source does",
    "the mini profile has the mini CLAP, three stages, whose values compare with nothing published",
    "a clip that fits into the window is heard once",
)
_ELSEWHERE: dict[str, Entry] = {
    "lpaps": Entry(
        "metrics.clap.lpaps:Lpaps",
        MetricInfo(
            title="LPAPS",
            direction=Direction.MINIMIZE,
            range=(0.0, 16.0),
            source=f"as reported elsewhere: distance inside CLAP of content and output; {_LPAPS}",
            departures=_LPAPS_DEPARTURES,
        ),
        "metrics.clap.checkpoints:describe_lpaps",
    ),
    "lpaps.channel": Entry(
        "metrics.clap.lpaps:LpapsOfChannels",
        MetricInfo(
            title="LPAPS (channel axis)",
            direction=Direction.MINIMIZE,
            range=(0.0, 16.0),
            source=f"the same with the axis of LPIPS, arXiv 1801.03924; {_LPAPS}",
            departures=("the code normalises over tokens, this over channels", *_LPAPS_DEPARTURES),
        ),
        "metrics.clap.checkpoints:describe_lpaps",
    ),
    "cqt1-pcc": Entry(
        "metrics.cqt1_pcc:LoudestBinCorrelation",
        MetricInfo(
            title="CQT1-PCC",
            direction=Direction.MAXIMIZE,
            range=(-1.0, 1.0),
            source="as reported elsewhere: correlation of the loudest constant-Q bins of content "
            "and output; arXiv 2504.10826",
            departures=("the constant-Q transform is librosa's, not nnAudio's",),
        ),
    ),
    "lsd": Entry(
        "metrics.lsd:LogSpectralDistance",
        MetricInfo(
            title="LSD (dB)",
            direction=Direction.MINIMIZE,
            range=(0.0, math.inf),
            source="as reported elsewhere: log-spectral distance of output and target; "
            "arXiv 2102.05749",
            departures=("sums are float64 and samples resampled by soxr",),
            needs=("target",),
        ),
    ),
}

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
    "target.notes": Entry(
        "metrics.target:TargetNotes",
        MetricInfo(
            title="Notes of the true result",
            direction=Direction.MAXIMIZE,
            range=(0.0, 1.0),
            source=f"as `notes`, of true result and output, {_BASIC_PITCH}",
            departures=_NOTE_DEPARTURES,
            needs=("target",),
        ),
        "metrics.pitch.note_maps:describe",
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
    # A second judge: the same questions to another CLAP, or to one that brackets name.
    **{
        f"{name}@music": Entry(
            f"metrics.clap.music:{kind}",
            MetricInfo(
                title=f"{title} (CLAP music)",
                direction=Direction.MAXIMIZE,
                range=(-2.0, 2.0) if needs else (0.0, 1.0),
                source=f"{formula}; {_CLAP}, checkpoint music_audioset_epoch_15_esc_90.14 or the "
                "one in brackets",
                departures=(_OWN_PREPARATION, *departures),
                needs=needs,
            ),
            "metrics.clap.music_checkpoints:describe",
            parameters="metrics.clap.music_checkpoints:MusicParameters",
        )
        for name, kind, title, formula, departures, needs in _CLAP_MUSIC_SCORES
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
    **_ELSEWHERE,
}

"""Melody: whether the output follows the pitch of the content.

**Measure**: c_t and o_t are the pitches of content and output in frame t (`contours`), v_t and u_t
whether the frame is voiced (1 or 0), over the frames both have; d_t = 1200 log2(o_t / c_t) cents.

* `melody` (raw pitch accuracy, RPA) = sum v_t u_t [|d_t| < 50] / sum v_t.
* `melody.chroma` (raw chroma accuracy, RCA) = the same with d_t - 1200 floor(d_t / 1200 + 1/2),
  which folds octaves. A gap to `melody` says that the method has moved the octave.
* `melody.voiced` = the mean of u_t, which the other two keep beside them: of noise and of chords it
  is low.

All lie in [0, 1], higher is closer. The content is the reference, so they are not symmetric. Frames
are compared in place.

A tracker of one pitch cannot hear everything, and must not answer with 0 where it is deaf. So a
content without one clear pitch (chords, noise, bells; plucked tines too, which `notes` hears) and a
style without any (bells, fire, birds) have no score.

References:
    Salamon, Gómez, Ellis, Richard (2014), "Melody extraction from polyphonic music signals",
    IEEE Signal Processing Magazine 31(2) (RPA, RCA). Departure: a frame that is unvoiced in the
    output is a miss, whatever pitch the tracker offers there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import numpy as np
from numpy.typing import NDArray

from bench.api import Clip, Json, Output, Style, UnsupportedError
from bench.cache import Cache
from bench.outputs import usable
from metrics.pitch.contours import CLEAR, VOICED, Contour, clear_share, facts, open_contours, voiced
from metrics.pitch.metric import Heard, PitchMetric
from metrics.pitch.remembered import Remembered

VERSION = "1"
TOLERANCE_CENTS = 50.0
OCTAVE_CENTS = 1200.0
LEAST_CONTENT_SHARE = 0.6  # of clear frames; chords have up to .55, melodies from .9 on
LEAST_STYLE_SHARE = 0.4  # of clear frames in the median clip; tubular bells have up to .33


def deviations(content: Contour, output: Contour) -> NDArray[np.float64]:
    """d_t in cents of each frame that is voiced in the content; infinite where the output is not.

    Example:
        >>> content = np.array([[440.0, 440.0, 440.0], [1.0, 1.0, 0.0]], np.float32)
        >>> deviations(content, np.array([[220.0, 440.0], [1.0, 0.0]], np.float32)).tolist()
        [-1200.0, inf]
    """
    frames = min(content.shape[1], output.shape[1])
    first, second = content[:, :frames], output[:, :frames]
    asked = voiced(first)
    answered = voiced(second)[asked]
    pitches = (first[0, asked].astype(np.float64), second[0, asked].astype(np.float64))
    cents = np.full(len(answered), np.inf)
    cents[answered] = OCTAVE_CENTS * np.log2(pitches[1][answered] / pitches[0][answered])
    return cents


def pitch_accuracy(content: Contour, output: Contour) -> float:
    """RPA: the share of the content's voiced frames whose pitch the output has.

    Raises:
        UnsupportedError: No frame of the content that the output reaches is voiced.
    """
    return _share_within(deviations(content, output))


def chroma_accuracy(content: Contour, output: Contour) -> float:
    """RCA: the same with octaves folded.

    Raises:
        UnsupportedError: No frame of the content that the output reaches is voiced.
    """
    cents = deviations(content, output)
    heard = np.isfinite(cents)
    cents[heard] -= OCTAVE_CENTS * np.floor(cents[heard] / OCTAVE_CENTS + 0.5)
    return _share_within(cents)


def _share_within(cents: NDArray[np.float64]) -> float:
    if not len(cents):
        raise UnsupportedError("content has no pitch in the time of the output")
    return float(np.mean(np.abs(cents) < TOLERANCE_CENTS))


def voiced_share(content: Contour, output: Contour) -> float:
    """The share of the output's frames that have a pitch; 0 for an output without a frame."""
    frames = min(content.shape[1], output.shape[1])
    return float(voiced(output[:, :frames]).mean()) if frames else 0.0


def style_clips(style: Style) -> list[Clip]:
    """The recordings by which a style is known to have a pitch, without the silent ones."""
    return usable((*style.clips, *style.heldout_clips), f"style {style.id!r}")


class MelodyMetric(PitchMetric):
    """A comparison of contours."""

    @staticmethod
    def open_hearing(cache: Cache) -> Remembered:
        """Load swift-f0."""
        return open_contours(cache)

    @staticmethod
    def settings() -> Mapping[str, Json]:
        """Version, rules, model and libraries."""
        rules: dict[str, Json] = {
            "voiced": VOICED,
            "clear": CLEAR,
            "tolerance_cents": TOLERANCE_CENTS,
            "least_content_share": LEAST_CONTENT_SHARE,
            "least_style_share": LEAST_STYLE_SHARE,
        }
        return {"version": VERSION, **rules, **facts()}

    @staticmethod
    def beside(content: Heard, output: Heard) -> Mapping[str, float]:
        """How much of the output has a pitch: of two low scores, which one is noise."""
        return {"voiced": voiced_share(content, output)}

    def require_heard(self, hearing: Remembered, output: Output) -> None:
        """Refuse a content that is no melody, and a style that has no pitch."""
        share = clear_share(hearing.of(output.content.audio))
        if share < LEAST_CONTENT_SHARE:
            raise UnsupportedError(
                f"content has no single clear pitch: {share:.0%} of its time has one, and at "
                f"least {LEAST_CONTENT_SHARE:.0%} is needed"
            )
        clips = style_clips(output.style)
        shares = [clear_share(one) for one in hearing.of_all(clip.audio for clip in clips)]
        if shares and np.median(shares) < LEAST_STYLE_SHARE:
            raise UnsupportedError(
                f"style {output.style.id!r} has no clear pitch: {np.median(shares):.0%} of the "
                f"time of its clips has one, and at least {LEAST_STYLE_SHARE:.0%} is needed"
            )


@final
class Melody(MelodyMetric):
    """Raw pitch accuracy of the output, in [0, 1], higher is closer."""

    name = "melody"

    @staticmethod
    def compare(content: Heard, output: Heard) -> float:
        """Octaves are told apart."""
        return pitch_accuracy(content, output)


@final
class MelodyChroma(MelodyMetric):
    """Raw chroma accuracy of the output, in [0, 1], higher is closer."""

    name = "melody.chroma"

    @staticmethod
    def compare(content: Heard, output: Heard) -> float:
        """Octaves are folded."""
        return chroma_accuracy(content, output)


@final
class MelodyVoiced(MelodyMetric):
    """The share of the output's time that has a pitch, in [0, 1], higher is more melodic."""

    name = "melody.voiced"

    @staticmethod
    def compare(content: Heard, output: Heard) -> float:
        """Only the output is heard; the content says how long."""
        return voiced_share(content, output)

"""Melody against tunes whose answer is known, and the scores against their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.api import Audio, UnsupportedError
from metrics.pitch.contours import clear_share, open_contours
from metrics.pitch.melody import (
    Melody,
    MelodyChroma,
    MelodyVoiced,
    chroma_accuracy,
    deviations,
    pitch_accuracy,
    voiced_share,
)
from tests.metrics.pitch.tones import RATE, SCALE, noise, output, own_cache, together, tune, wrong


def contour(audio: Audio) -> np.ndarray:
    return open_contours(own_cache()).of(audio)


def both(content: Audio, made: Audio) -> tuple[float, float]:
    """RPA and RCA."""
    first, second = contour(content), contour(made)
    return pitch_accuracy(first, second), chroma_accuracy(first, second)


def test_a_tune_has_its_own_melody_at_any_level() -> None:
    content = tune(SCALE)
    assert both(content, content) == (1, 1)
    quieter = Audio(content.waveform * np.float32(0.1), RATE)
    assert min(both(content, quieter)) > 0.999


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_rate_does_not_matter(rate: int) -> None:
    assert min(both(tune(SCALE), tune(SCALE, rate=rate))) > 0.98


def test_an_octave_down_has_the_classes_and_not_the_pitches() -> None:
    accuracy, classes = both(tune(SCALE), tune([pitch - 12 for pitch in SCALE]))
    assert accuracy == 0
    assert classes > 0.97


def test_a_semitone_up_has_nothing() -> None:
    assert max(both(tune(SCALE), tune([pitch + 1 for pitch in SCALE]))) < 0.03


@pytest.mark.parametrize("count", [2, 4, 6, 8])
def test_the_scores_fall_as_the_share_of_wrong_notes_grows(count: int) -> None:
    right = 1 - count / len(SCALE)
    assert both(tune(SCALE), tune(wrong(count))) == pytest.approx((right, right), abs=0.03)


def test_what_is_left_out_is_missed_and_lowers_the_voiced_share() -> None:
    content, half = tune(SCALE), tune([*SCALE[:4], 0, 0, 0, 0])
    assert both(content, half) == pytest.approx((0.5, 0.5), abs=0.03)
    assert voiced_share(contour(content), contour(half)) == pytest.approx(0.5, abs=0.03)
    assert both(half, content) == pytest.approx((1, 1), abs=0.03)  # the content is the reference


def as_defined(content: np.ndarray, made: np.ndarray) -> tuple[float, float]:
    """Frame by frame, in Python's own numbers."""
    asked = right = right_class = 0
    for (wanted, sure), (given, sure_too) in zip(content.T, made.T, strict=False):
        if sure < 0.5:
            continue
        asked += 1
        if sure_too < 0.5:
            continue
        cents = 1200 * math.log2(float(given) / float(wanted))
        right += abs(cents) < 50
        right_class += abs(cents - 1200 * math.floor(cents / 1200 + 0.5)) < 50
    return right / asked, right_class / asked


def test_the_scores_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(5)
    semitones = rng.integers(-14, 14, (2, 400)) + rng.normal(0, 0.3, (2, 400))
    first, second = (
        np.stack([220 * 2 ** (row / 12), rng.random(400)]).astype(np.float32) for row in semitones
    )
    second = second[:, :390]
    found = pitch_accuracy(first, second), chroma_accuracy(first, second)
    assert found == pytest.approx(as_defined(first, second), abs=1e-12)
    assert 0 < found[0] < found[1] < 1


@pytest.mark.parametrize(
    ("semitones", "right", "right_class"),
    [(0.49, 1, 1), (-0.49, 1, 1), (0.51, 0, 0), (11.6, 0, 1), (-12.4, 0, 1), (24, 0, 1), (6, 0, 0)],
)
def test_half_a_semitone_is_the_limit_in_any_octave(
    semitones: float, right: int, right_class: int
) -> None:
    content = np.array([[440.0], [0.5]], np.float32)
    made = np.array([[440.0 * 2 ** (semitones / 12)], [0.5]], np.float32)
    assert (pitch_accuracy(content, made), chroma_accuracy(content, made)) == (right, right_class)


def test_frames_without_a_pitch_in_the_output_are_misses() -> None:
    content = np.array([[440.0, 440.0], [1.0, 1.0]], np.float32)
    made = np.array([[440.0, 440.0], [1.0, 0.49]], np.float32)
    assert deviations(content, made).tolist() == [0, math.inf]
    assert (pitch_accuracy(content, made), chroma_accuracy(content, made)) == (0.5, 0.5)


def test_a_content_without_a_voiced_frame_is_declined() -> None:
    with pytest.raises(UnsupportedError, match="content has no pitch in the time of the output"):
        pitch_accuracy(np.zeros((2, 9), np.float32), np.ones((2, 9), np.float32))


@pytest.mark.parametrize("samples", [1, 100, 511, 512, 1500])
def test_a_sound_has_a_frame_for_each_whole_hop_and_at_least_one(samples: int) -> None:
    short = Audio(tune([69], rate=16_000).waveform[:, :samples], 16_000)
    assert contour(short).shape == (2, max(1, samples // 256))


def test_a_sound_of_which_no_sample_is_left_has_no_frame() -> None:
    heard = contour(Audio(np.ones((1, 1), np.float32), 192_000))
    assert heard.shape in {(2, 0), (2, 1)}  # as the resampler rounds a twelfth of a sample
    assert clear_share(heard) == 0
    assert voiced_share(heard, heard) == 0


@pytest.mark.parametrize("kind", [Melody, MelodyChroma, MelodyVoiced])
def test_what_the_tracker_cannot_hear_is_declined(kind: type[Melody]) -> None:
    metric = kind()
    metric.load("mini", "cpu")
    content, hiss = tune(SCALE[:4]), noise(2)
    chords = together(*(tune([low, low + 2, low + 5, low]) for low in (48, 54, 61)))
    scores = metric.score(
        [output(content, content), output(content, hiss), output(chords, content),
         output(content, content, hiss), output(hiss, Audio(hiss.waveform * 0, RATE))]
    )  # fmt: skip
    statuses = [score.status for score in scores]
    assert statuses == ["ok", "ok", "unsupported", "unsupported", "unsupported"]
    assert {score.name for score in scores} == {kind.name}
    reasons = [str(score.reason).partition(":")[0] for score in scores[2:]]
    unclear = "content has no single clear pitch"
    assert reasons == [unclear, "style 'toy' has no clear pitch", unclear]
    assert scores[0].value == pytest.approx(1, abs=0.05)
    assert scores[0].detail["voiced"] == pytest.approx(1, abs=0.05)
    assert scores[1].detail["voiced"] == pytest.approx(0, abs=0.05)
    assert scores[1].value == pytest.approx(0, abs=0.05)

"""Closeness to the true result: closed forms, identities, and what silence gets."""

from __future__ import annotations

import numpy as np
import pytest

from bench.api import Audio, Clip, Output, Style
from metrics.target import (
    CEILING_DB,
    FLOOR_DB,
    LEVEL,
    TargetChroma,
    TargetMel,
    TargetNotes,
    log_mel,
    mel_distance_db,
)

RATE = 22050
RNG = np.random.default_rng(0)


def sound(waveform: np.ndarray) -> Audio:
    return Audio(waveform.astype(np.float32)[None], RATE)


def sine(hz: float, seconds: float = 1.0, amplitude: float = 0.3) -> Audio:
    return sound(amplitude * np.sin(2 * np.pi * hz * np.arange(round(RATE * seconds)) / RATE))


NOISE = sound(RNG.uniform(-0.3, 0.3, RATE))


def output(audio: Audio, target: Audio | None) -> Output:
    return Output(Clip("c", "piano", NOISE), Style("violin", ()), audio, target=target)


def test_a_sine_has_its_level_in_its_band() -> None:
    loudest = log_mel(sine(1000.0))[:, 5:-5].max(axis=0)
    level_db = 20 * np.log10(LEVEL * np.sqrt(2))  # amplitude at that root mean square
    # Neighbouring bins of the Hann window, weighted by a triangle with its top elsewhere.
    assert np.all(np.abs(loudest - level_db) < 2.0)


def test_the_distance_is_a_distance() -> None:
    first, second = sine(440.0), NOISE
    assert mel_distance_db(first, first) == 0.0
    assert mel_distance_db(first, second) == mel_distance_db(second, first) > 5.0


def test_level_does_not_matter() -> None:
    quiet = Audio(NOISE.waveform * np.float32(0.1), RATE)
    assert mel_distance_db(NOISE, quiet) < 1e-3


def test_parts_of_a_clip_keep_their_distance_when_it_is_levelled() -> None:
    """Half of a clip lies 20 dB below the rest."""
    two = np.concatenate([NOISE.mono, NOISE.mono * np.float32(0.1)])
    spectrum = log_mel(sound(two))
    middle = spectrum.shape[1] // 2
    loud, soft = spectrum[:, 4 : middle - 4], spectrum[:, middle + 4 : -4]
    assert np.median(loud) - np.median(soft) == pytest.approx(20.0, abs=0.5)


def test_silence_is_the_floor_and_far_from_everything() -> None:
    silent = sound(np.zeros(RATE))
    assert np.all(log_mel(silent) == FLOOR_DB)
    (score,) = TargetMel().score([output(silent, NOISE)])
    (right,) = TargetMel().score([output(NOISE, NOISE)])
    assert score.status == "silent"
    assert score.value is not None
    assert right.value == 0.0
    assert 20.0 < score.value <= CEILING_DB - FLOOR_DB
    (chroma,) = TargetChroma().score([output(silent, NOISE)])
    assert (chroma.value, chroma.status) == (0.0, "silent")


def test_the_true_result_is_what_counts_and_not_the_content() -> None:
    """The content is noise throughout; only the target says which of two notes is right."""
    low, high = sine(440.0), sine(660.0)
    right, wrong = TargetChroma().score([output(low, low), output(high, low)])
    assert right.value == pytest.approx(1.0)
    assert wrong.value is not None
    assert wrong.value < 0.2


@pytest.mark.parametrize("metric", [TargetMel(), TargetChroma()])
def test_without_a_true_result_there_is_no_score(metric: TargetMel | TargetChroma) -> None:
    missing, silent = metric.score([output(NOISE, None), output(NOISE, sound(np.zeros(RATE)))])
    assert (missing.value, missing.status) == (None, "unsupported")
    assert "has no true result" in str(missing.reason)
    assert (silent.value, silent.status) == (None, "unsupported")


def chord(*keys: int) -> Audio:
    """Tones of six partials each, for two seconds."""
    times = np.arange(2 * RATE) / RATE
    hertz = [440 * 2 ** ((key - 69) / 12) for key in keys]
    tones = [np.sin(2 * np.pi * f * n * times) / n for f in hertz for n in range(1, 7)]
    return sound(0.1 * np.sum(tones, axis=0))


def test_notes_are_those_of_the_true_result_whatever_its_length() -> None:
    metric = TargetNotes()
    metric.load("mini", "cpu")
    right, wrong = chord(60, 64), chord(61, 66)
    longer = sound(np.concatenate([right.mono, right.mono]))
    asked = [
        Output(Clip("c", "piano", wrong), Style("violin", ()), heard, target=target)
        for heard, target in ((right, right), (right, longer), (wrong, right), (right, None))
    ]
    same, cut, other, none = metric.score(asked)
    assert same.value == 1.0
    assert cut.value is not None
    assert cut.value > 0.95  # the last frames hear that the sound goes on
    assert other.value is not None
    assert other.value < 0.2
    assert (none.status, none.name) == ("unsupported", "target.notes")
    (silent,) = metric.score([output(NOISE, sound(np.zeros(RATE)))])
    assert str(silent.reason).startswith("of the true result: ")

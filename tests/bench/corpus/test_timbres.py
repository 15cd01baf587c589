"""Procedural timbres: formulas against independent ones, seeds, windows, and every family."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.fft import next_fast_len
from scipy.special import jv

from bench.corpus.melodies import Note
from bench.corpus.procedural import (
    STRING_RATE,
    Part,
    as_array,
    fast_length,
    hash_noise,
    render_parts,
    string_damping,
)
from bench.corpus.timbres import FAMILIES, PARTIALS, Timbre, draw_timbre

RATE = 16_000
SECOND = RATE
FLOAT32 = float(np.finfo(np.float32).eps)


def level_of(*levels: float) -> np.ndarray:
    return np.array([*levels, *[0.0] * (PARTIALS - len(levels))])


def held(pitch: int = 69, onset_s: float = 0.0, duration_s: float = 2.0) -> tuple[Note, ...]:
    return (Note(onset_s, duration_s, pitch, 127),)


def plain(**numbers: object) -> Timbre:
    """A sine that starts at once and holds."""
    return replace(Timbre("test", level=level_of(1.0), attack_s=1e-9), **numbers)  # type: ignore[arg-type]


def rendered(timbre: Timbre, notes: tuple[Note, ...], num_samples: int = SECOND) -> np.ndarray:
    return as_array(render_parts([Part(timbre, notes, peak=1.0)], num_samples, RATE))[0]


def amplitude(waveform: np.ndarray, hertz: float) -> float:
    """Amplitude of a sine that fits a whole number of times into one second."""
    return float(2 * np.abs(np.fft.rfft(waveform))[round(hertz)] / len(waveform))


def test_one_partial_is_a_sine_of_the_key() -> None:
    time = np.arange(SECOND) / RATE
    expected = np.sin(2 * np.pi * 440.0 * time)
    # A phase of one turn in float32, a sine of slope 2 pi, two spectra of 2**15 bins.
    assert rendered(plain(), held()) == pytest.approx(expected, abs=64 * FLOAT32)


def test_partials_keep_their_levels_and_those_too_high_are_left_out() -> None:
    timbre = plain(level=level_of(1.0, 0.5, 0.0, 0.25, *[0.0] * 15, 1.0))  # 20 x 440 Hz
    waveform = rendered(timbre, held())
    found = [amplitude(waveform, 440.0 * number) for number in (1, 2, 3, 4)]
    assert np.array(found) / found[0] == pytest.approx([1, 0.5, 0, 0.25], abs=1e-4)
    folded = abs(8800.0 - RATE)
    assert amplitude(waveform, folded) < 1e-4


def test_frequency_modulation_has_the_side_bands_of_bessel_functions() -> None:
    index, carrier = 1.5, 440.0
    timbre = plain(fm_ratio=0.125, fm_index=index, fm_decay=0.0)
    waveform = rendered(timbre, held())
    order = np.arange(-3, 4)
    found = np.array([amplitude(waveform, carrier + n * 55) for n in order])
    assert found / found[3] == pytest.approx(np.abs(jv(order, index)) / jv(0, index), abs=1e-3)


def test_a_glide_and_a_chirp_end_where_their_frequency_says() -> None:
    timbre = plain(glide=0.5, glide_s=0.1, chirp=0.25)
    waveform = rendered(timbre, held(), 2 * SECOND)
    around = waveform[SECOND - 400 : SECOND + 400] * np.hanning(800)
    peak = np.argmax(np.abs(np.fft.rfft(around, 1 << 16))) * RATE / (1 << 16)
    assert peak == pytest.approx(440 * (1 + 0.5 * np.exp(-10) + 0.25), rel=2e-3)


@pytest.mark.parametrize("delay", [40, 100])
def test_a_string_loses_what_the_loop_of_karplus_and_strong_loses(delay: int) -> None:
    # y[n] = g (y[n - N] + y[n - N - 1]) / 2: each mode is a root of its characteristic polynomial.
    gain = 0.995
    polynomial = np.zeros(delay + 2)
    polynomial[0], polynomial[-2:] = 1.0, -gain / 2
    roots = np.roots(polynomial)
    hertz = STRING_RATE / (delay + 0.5)
    number = np.arange(1, 9)
    angle = 2 * np.pi * number * hertz / STRING_RATE
    nearest = np.abs(np.angle(roots)[:, None] - angle).argmin(0)
    expected = -np.log(np.abs(roots[nearest])) * STRING_RATE
    loss = torch.tensor(-np.log(gain))
    found = string_damping(torch.from_numpy(number), torch.tensor(hertz), loss)
    # The poles lie a little inside the unit circle, where the formula takes the mean's gain.
    assert found.numpy() == pytest.approx(expected, rel=0.02)


def test_hashed_noise_is_uniform_white_and_other_for_every_seed() -> None:
    index = torch.arange(1 << 16)
    first, second = (hash_noise(torch.tensor(seed), index).numpy() for seed in (4, 8))
    error = 5 / np.sqrt(len(index))  # five standard errors of a mean of values within 1
    assert abs(first.mean()) < error
    assert abs((first**2).mean() - 1 / 3) < error
    assert max(abs((first[lag:] * first[:-lag]).mean()) for lag in (1, 2, 3, 64, 1024)) < error
    assert abs((first * second).mean()) < error
    assert first.min() >= -1
    assert first.max() < 1


def test_a_window_is_a_cut_of_the_whole() -> None:
    timbre = replace(
        draw_timbre(3, 6), reverb=0.0, drive=0.0, formant_db=np.zeros(4), tilt_db=0.0, noise=0.3
    )
    notes = held(60, 0.0, 0.4) + held(64, 0.45, 0.4) + held(67, 0.9, 0.6)
    start = 7000
    whole = as_array(render_parts([Part(timbre, notes, seed=5)], SECOND, RATE))[0][start:]
    part = Part(timbre, notes, start_s=start / RATE, seed=5)
    alone = as_array(render_parts([part], SECOND - start, RATE))[0]
    assert alone == pytest.approx(whole * 0.9 / np.abs(whole).max(), abs=256 * FLOAT32)


def test_a_voice_falls_silent_just_before_it_takes_its_next_note() -> None:
    pitches = (57, 69, 81)  # all three voices; a fourth note takes that of the first
    notes = tuple(Note(0.0, 2.0, pitch, 127) for pitch in pitches)
    waveform = rendered(plain(), (*notes, Note(0.5, 1.0, 93, 127)), SECOND // 2)
    time = np.arange(SECOND // 2) / RATE
    tones = [np.sin(2 * np.pi * hertz * time) for hertz in (220.0, 440.0, 880.0)]
    expected = np.clip((0.5 - time) / 0.004, 0, 1) * tones[0] + tones[1] + tones[2]
    expected /= np.abs(expected).max()
    assert waveform == pytest.approx(expected, abs=256 * FLOAT32)


def test_a_timbre_follows_from_its_seed_and_number_alone() -> None:
    first, again, other = draw_timbre(1, 9), draw_timbre(1, 9), draw_timbre(2, 9)
    assert np.array_equal(first.ratio, again.ratio)
    assert first.attack_s == again.attack_s
    assert not np.array_equal(first.level, other.level)


def test_one_seed_gives_the_same_samples() -> None:
    parts = [Part(draw_timbre(1, number), held(), seed=number) for number in range(len(FAMILIES))]
    first, again = (render_parts(parts, 4000, RATE) for _ in range(2))
    assert torch.equal(first, again)


def test_every_timbre_is_finite_audible_and_as_loud_as_asked() -> None:
    numbers = range(2 * len(FAMILIES))
    parts = [Part(draw_timbre(11, number), held(64), seed=number, peak=0.5) for number in numbers]
    waveforms = as_array(render_parts(parts, 8000, RATE))
    assert np.isfinite(waveforms).all()
    assert np.abs(waveforms).max(axis=1) == pytest.approx(0.5, rel=4 * FLOAT32)
    assert {part.timbre.family for part in parts} == set(FAMILIES)
    # No two sound alike: their long-term spectra differ.
    spectra = np.abs(np.fft.rfft(waveforms))
    spectra /= np.linalg.norm(spectra, axis=1, keepdims=True)
    likeness = spectra @ spectra.T - np.eye(len(spectra))
    assert likeness.max() < 0.995


def test_nothing_sounds_before_the_first_note_and_after_the_last() -> None:
    waveform = rendered(plain(release_s=0.01), held(onset_s=0.25, duration_s=0.25))
    rounding = 64 * FLOAT32  # of two spectra
    assert np.abs(waveform[: RATE // 4 - 1]).max() < rounding
    assert np.abs(waveform[int(0.7 * RATE) :]).max() < rounding
    silent = rendered(plain(), ())
    assert not silent.any()


def test_a_fast_length_is_that_of_scipy() -> None:
    for least in (*range(1, 400), 81_920, 93_001, 130_001):
        assert fast_length(least) == next_fast_len(least, real=True)

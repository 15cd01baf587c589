"""Chroma similarity against tones whose answer is known."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest

from bench.api import Audio, Clip, Output, Style, UnsupportedError
from metrics.chroma import ChromaSimilarity, chroma, chroma_similarity, frame_cosines
from tests import rounding

RATE = 22050
HARMONICS = {"flute": (1.0, 0.1), "clarinet": (1.0, 0.0, 0.3), "strings": (1.0, 0.6, 0.3, 0.2)}


def melody(pitches: list[int], *, timbre: str = "flute", rate: int = RATE) -> Audio:
    """Half a second per MIDI pitch."""
    time = np.arange(rate // 2) / rate
    notes = []
    for pitch in pitches:
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        partials = enumerate(HARMONICS[timbre], start=1)
        notes.append(sum(a * np.sin(2 * np.pi * k * frequency * time) for k, a in partials))
    return Audio((0.1 * np.concatenate(notes)).astype(np.float32)[None], rate)


THREADS = """
import sys
from pathlib import Path
from bench.audio import read_audio
from metrics.chroma import chroma_similarity
sounds = [read_audio(path) for path in sorted(Path(sys.argv[1]).rglob("*.flac"))]
print([chroma_similarity(*pair).hex() for pair in zip(sounds, sounds[1:])])
"""


@pytest.mark.slow
def test_a_score_does_not_depend_on_the_number_of_threads(checkout: Path) -> None:
    """To the last bit: a run may go on where fewer cores are free."""
    said = [
        subprocess.run(
            [sys.executable, "-c", THREADS, str(checkout / "datasets/mini/content")],
            env=os.environ | {"OPENBLAS_NUM_THREADS": str(number), "OMP_NUM_THREADS": str(number)},
            cwd=checkout, capture_output=True, text=True, check=True,
        ).stdout
        for number in (1, 2)
    ]  # fmt: skip
    assert said[0] == said[1]
    assert said[0].count("0x") >= 5


SCALE = [60, 62, 64, 65, 67, 69, 71, 72]


@pytest.mark.parametrize("pitch", [48, 60, 66, 69, 83])
def test_a_tone_lies_in_its_pitch_class(pitch: int) -> None:
    energy = chroma(melody([pitch])).sum(axis=1)
    assert energy.argmax() == pitch % 12
    near = [(pitch + step) % 12 for step in (-1, 0, 1)]  # the bank's windows overlap by a semitone
    assert energy[near].sum() > 0.97 * energy.sum()


def test_a_clip_is_like_itself_at_any_level_and_octave() -> None:
    content = melody(SCALE)
    quieter = Audio(content.waveform * np.float32(0.01), RATE)
    octave_up = melody([pitch + 12 for pitch in SCALE])
    assert chroma_similarity(content, content) == pytest.approx(1, abs=1e-9)
    assert chroma_similarity(content, quieter) == pytest.approx(1, abs=1e-6)
    assert chroma_similarity(content, octave_up) > 0.98


def test_another_timbre_matters_less_than_other_notes() -> None:
    content = melody(SCALE, timbre="flute")
    same_notes = chroma_similarity(content, melody(SCALE, timbre="strings"))
    other_notes = chroma_similarity(content, melody(SCALE[::-1], timbre="flute"))
    assert same_notes > 0.9
    assert other_notes < 0.3


def test_tritones_share_nothing() -> None:
    assert chroma_similarity(melody([60] * 4), melody([66] * 4)) < 0.02


def test_the_rate_does_not_matter() -> None:
    content = melody(SCALE)
    assert chroma_similarity(content, melody(SCALE, rate=44100)) > 0.999


def test_rests_of_the_content_count_for_nothing() -> None:
    rest = np.zeros((1, RATE), np.float32)
    content = Audio(np.concatenate([melody(SCALE).waveform, rest], axis=1), RATE)
    noise = (0.1 * np.random.default_rng(0).standard_normal((1, RATE))).astype(np.float32)
    noisy = Audio(np.concatenate([melody(SCALE).waveform, noise], axis=1), RATE)
    assert chroma_similarity(content, noisy) > 0.97


def test_frame_cosines_agree_with_the_definition() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random((12, 5)), rng.random((12, 7))
    expected = [
        np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
        for a, b in zip(first.T, second.T, strict=False)
    ]
    assert frame_cosines(first, second).tolist() == pytest.approx(expected)


def test_a_silent_frame_matches_nothing() -> None:
    assert frame_cosines(np.zeros((12, 2)), np.ones((12, 2))).tolist() == [0, 0]


def test_a_content_of_rumble_is_declined() -> None:
    silence = Audio(np.zeros((1, RATE), np.float32), RATE)
    with pytest.raises(UnsupportedError, match="no energy above 55 Hz"):
        chroma_similarity(silence, melody([60, 60]))


def test_loud_notes_count_by_their_amplitude() -> None:
    """The weight is the root of the energy: ten times as loud counts ten times, not a hundred.

    Of two notes of eight seconds each, the louder one is kept and the softer one is moved by a
    tritone, where the cosine is 0.
    """
    loud, soft, moved = (melody([pitch] * 16).waveform for pitch in (60, 60, 66))
    content = Audio(np.concatenate([loud, soft * np.float32(0.1)], axis=1), RATE)
    output = Audio(np.concatenate([loud, moved], axis=1), RATE)
    assert chroma_similarity(content, output) == pytest.approx(10 / 11, abs=0.003)


def test_the_weighted_mean_agrees_with_one_written_frame_by_frame() -> None:
    """Spectra by numpy's FFT, energies and cosines by loops; only the filter bank is librosa's."""
    fading = np.exp(-np.arange(4 * RATE) / RATE).astype(np.float32)
    content = Audio(melody(SCALE).waveform * fading, RATE)
    output = melody([60, 66, 64, 70, 67, 61, 71, 62], timbre="strings")
    bank = librosa.filters.chroma(sr=RATE, n_fft=8192, tuning=0.0)
    bank[:, np.arange(4097) * RATE / 8192 < 55.0] = 0
    window = np.zeros(8192)
    window[2048:6144] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(4096) / 4096)
    total = weights = 0.0
    for start in range(0, 4 * RATE + 1, 1024):
        vectors = []
        for audio in (content, output):
            padded = np.pad(audio.mono.astype(float), 4096)
            power = np.abs(np.fft.rfft(window * padded[start : start + 8192])) ** 2
            vectors.append([float(row @ power) for row in bank])
        kept, made = vectors
        dot = sum(a * b for a, b in zip(kept, made, strict=True))
        norm = math.hypot(*kept) * math.hypot(*made)
        weight = math.sqrt(sum(kept))
        total, weights = total + weight * dot / norm, weights + weight
    assert 0.3 < total / weights < 0.9
    spectra = rounding.of_fft(8192)  # in float32 there; four enter a cosine, two of them squared
    assert chroma_similarity(content, output) == pytest.approx(total / weights, abs=4 * spectra)


def test_outputs_have_the_same_scores_in_threads_beside_an_accelerator() -> None:
    pairs = [(melody([60, 64, 67]), melody([60 + step, 64, 67])) for step in range(6)]
    clips = [(Clip("c", "c", content), output) for content, output in pairs]
    outputs = [Output(content, Style("s", ()), output) for content, output in clips]
    found = []
    for device in ("cpu", "cuda"):
        metric = ChromaSimilarity()
        metric.load("mini", device)
        found.append([score.value for score in metric.score(outputs)])
    assert found[0] == found[1]
    assert len(set(found[0])) == len(outputs)

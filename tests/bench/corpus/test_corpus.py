"""The corpus: melodies, sounds of nature, captions, and rendering where the synthesiser exists."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.corpus import rendering
from bench.corpus.melodies import HELD_OUT_TUNES, TRAINING_TUNES

MINI = Path(__file__).resolve().parents[3] / "datasets" / "mini"
RATE = 22_050


def loudest_pitch(waveform: np.ndarray, sample_rate: int) -> float:
    """MIDI pitch of the largest peak of the spectrum."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), 1 << 17))
    frequency = np.argmax(spectrum) * sample_rate / (1 << 17)
    return float(69 + 12 * np.log2(frequency / 440))


def test_one_seed_gives_one_melody() -> None:
    first, again, other = (
        rendering.random_melody(np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", range(20))
def test_melodies_stay_in_their_scale_and_time(seed: int) -> None:
    melody = rendering.random_melody(np.random.default_rng(seed), duration_s=4.0)
    classes = {note.pitch % 12 for note in melody.notes}
    assert len(classes) <= (5 if melody.mode == "pentatonic" else 7)
    assert all(0 <= note.onset_s < 4.0 and 30 <= note.pitch <= 100 for note in melody.notes)
    onsets = [note.onset_s for note in melody.notes]
    assert onsets == sorted(onsets)
    assert len(onsets) > 1


def test_without_chords_one_note_sounds_at_a_time() -> None:
    notes = rendering.random_melody(np.random.default_rng(1), chord_probability=0).notes
    pairs = list(itertools.pairwise(notes))
    assert pairs
    assert all(a.onset_s + a.duration_s <= b.onset_s + 1e-9 for a, b in pairs)


def test_tunes_for_test_are_not_tunes_of_training() -> None:
    assert not set(HELD_OUT_TUNES) & set(TRAINING_TUNES)
    assert not set(HELD_OUT_TUNES.values()) & set(TRAINING_TUNES.values())


def test_a_written_tune_keeps_its_intervals_and_beats() -> None:
    melody = rendering.tune_melody(HELD_OUT_TUNES["twinkle"], tempo_bpm=60, transpose=2)
    assert [note.pitch for note in melody.notes[:3]] == [62, 62, 69]
    assert [note.onset_s for note in melody.notes[:3]] == [0, 1, 2]
    assert (melody.key, melody.mode) == ("D", "major")


def test_held_out_sounds_are_not_trained() -> None:
    assert not set(rendering.HELD_OUT_INSTRUMENTS) & set(rendering.TRAINED_SOUNDS)


@pytest.mark.parametrize("sound", sorted(rendering.NATURAL))
def test_sounds_of_nature_are_finite_audible_and_reproducible(sound: str) -> None:
    first, again, other = (
        rendering.training_clip(sound, np.random.default_rng(seed), duration_s=2.0)
        for seed in (1, 1, 2)
    )
    assert first.waveform.shape == (2 * RATE,)
    assert first.waveform.dtype == np.float32
    assert np.abs(first.waveform).max() == pytest.approx(0.9, abs=1e-3)
    np.testing.assert_array_equal(first.waveform, again.waveform)
    assert not np.array_equal(first.waveform, other.waveform)


def test_captions_name_the_sound() -> None:
    rng = np.random.default_rng(0)
    melody = rendering.random_melody(rng)
    texts = {rendering.caption("flute", melody, rng) for _ in range(100)}
    assert all("flute" in text and text == text.lower() for text in texts)
    assert any(melody.mode in text for text in texts)


@pytest.mark.parametrize(("tempo_bpm", "word"), [(90, "slow "), (120, ""), (140, "fast ")])
def test_tempo_words(tempo_bpm: float, word: str) -> None:
    assert rendering.tempo_word(tempo_bpm) == word


def test_the_bundled_clips_are_what_the_recipe_says() -> None:
    paths = sorted(MINI.rglob("*.flac"))
    infos = [soundfile.info(path) for path in paths]
    assert len(paths) == 32
    assert {(i.samplerate, i.channels, i.frames, i.subtype) for i in infos} == {
        (RATE, 1, 5 * RATE, "PCM_16")
    }


@pytest.mark.corpus
@pytest.mark.parametrize("pitch", [60, 72])
def test_a_rendered_note_has_its_pitch(pitch: int) -> None:
    note = rendering.Note(0.0, 1.0, pitch, 100)
    waveform = rendering.render_notes([note], rendering.INSTRUMENTS["flute"], 1.0, RATE)
    assert loudest_pitch(waveform, RATE) == pytest.approx(pitch, abs=0.3)


@pytest.mark.corpus
def test_rendering_is_the_same_whatever_was_rendered_before() -> None:
    notes = rendering.random_melody(np.random.default_rng(3)).notes
    first = rendering.render_notes(notes, 0, 2.0, RATE)
    rendering.render_notes(notes, 40, 1.0, 16_000)
    again = rendering.render_notes(notes, 0, 2.0, RATE)
    assert first.shape == (2 * RATE,)
    np.testing.assert_array_equal(first, again)


@pytest.mark.corpus
def test_later_notes_leave_earlier_samples_alone() -> None:
    first, second = rendering.Note(0.0, 0.5, 60, 90), rendering.Note(1.0, 0.5, 67, 110)
    alone = rendering.render_notes([first], 0, 2.0, RATE)
    both = rendering.render_notes([first, second], 0, 2.0, RATE)
    np.testing.assert_array_equal(alone[: RATE - 64], both[: RATE - 64])
    assert np.abs(alone - both)[RATE:].max() > 0.01

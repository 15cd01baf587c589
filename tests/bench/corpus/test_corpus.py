"""The corpus: melodies, sounds of nature, captions, and rendering where the synthesiser exists."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.checkout import DATASETS
from bench.corpus import rendering
from bench.corpus.melodies import (
    HELD_OUT_TUNES,
    TRAINING_TUNES,
    Note,
    random_melody,
    tune_melody,
)
from bench.corpus.nature import NATURAL
from bench.corpus.pairs_dataset import changed, chords_below, verdict, write_pairs_dataset
from bench.corpus.synthesiser import render_notes

MINI = DATASETS / "mini"
RATE = 22_050


def loudest_pitch(waveform: np.ndarray, sample_rate: int) -> float:
    """MIDI pitch of the largest peak of the spectrum."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), 1 << 17))
    frequency = np.argmax(spectrum) * sample_rate / (1 << 17)
    return float(69 + 12 * np.log2(frequency / 440))


def test_one_seed_gives_one_melody() -> None:
    first, again, other = (random_melody(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", range(20))
def test_melodies_stay_in_their_scale_and_time(seed: int) -> None:
    melody = random_melody(np.random.default_rng(seed), duration_s=4.0)
    classes = {note.pitch % 12 for note in melody.notes}
    assert len(classes) <= (5 if melody.mode == "pentatonic" else 7)
    assert all(0 <= note.onset_s < 4.0 and 30 <= note.pitch <= 100 for note in melody.notes)
    onsets = [note.onset_s for note in melody.notes]
    assert onsets == sorted(onsets)
    assert len(onsets) > 1


def test_without_chords_one_note_sounds_at_a_time() -> None:
    notes = random_melody(np.random.default_rng(1), chord_probability=0).notes
    pairs = list(itertools.pairwise(notes))
    assert pairs
    assert all(a.onset_s + a.duration_s <= b.onset_s + 1e-9 for a, b in pairs)


def test_tunes_for_test_are_not_tunes_of_training() -> None:
    assert not set(HELD_OUT_TUNES) & set(TRAINING_TUNES)
    assert not set(HELD_OUT_TUNES.values()) & set(TRAINING_TUNES.values())


def test_a_written_tune_keeps_its_intervals_and_beats() -> None:
    melody = tune_melody(HELD_OUT_TUNES["twinkle"], tempo_bpm=60, transpose=2)
    assert [note.pitch for note in melody.notes[:3]] == [62, 62, 69]
    assert [note.onset_s for note in melody.notes[:3]] == [0, 1, 2]
    assert (melody.key, melody.mode) == ("D", "major")


def test_held_out_sounds_are_not_trained() -> None:
    assert not set(rendering.HELD_OUT_INSTRUMENTS) & set(rendering.TRAINED_SOUNDS)


@pytest.mark.parametrize("sound", sorted(NATURAL))
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
    melody = random_melody(rng)
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
    note = Note(0.0, 1.0, pitch, 100)
    waveform = render_notes([note], rendering.INSTRUMENTS["flute"], 1.0, RATE)
    assert loudest_pitch(waveform, RATE) == pytest.approx(pitch, abs=0.3)


@pytest.mark.corpus
def test_rendering_is_the_same_whatever_was_rendered_before() -> None:
    notes = random_melody(np.random.default_rng(3)).notes
    first = render_notes(notes, 0, 2.0, RATE)
    render_notes(notes, 40, 1.0, 16_000)
    again = render_notes(notes, 0, 2.0, RATE)
    assert first.shape == (2 * RATE,)
    np.testing.assert_array_equal(first, again)


@pytest.mark.corpus
def test_later_notes_leave_earlier_samples_alone() -> None:
    first, second = Note(0.0, 0.5, 60, 90), Note(1.0, 0.5, 67, 110)
    alone = render_notes([first], 0, 2.0, RATE)
    both = render_notes([first, second], 0, 2.0, RATE)
    np.testing.assert_array_equal(alone[: RATE - 64], both[: RATE - 64])
    assert np.abs(alone - both)[RATE:].max() > 0.01


def test_chords_lie_below_the_tune_and_in_its_key() -> None:
    for name, tune in HELD_OUT_TUNES.items():
        chords = chords_below(name)
        assert max(note.pitch for note in chords) < min(pitch for pitch, _ in tune)
        assert {note.pitch % 12 for note in chords[:1]} == {tune[-1][0] % 12}
        assert [sum(n.onset_s == one.onset_s for n in chords) for one in chords] == [3] * len(
            chords
        )


@pytest.mark.parametrize(("share", "wrong"), [(0.0, 0), (0.25, 2), (1.0, 9)])
def test_so_many_notes_are_wrong_by_up_to_five_semitones(share: float, wrong: int) -> None:
    notes = [Note(number / 2, 0.5, 60, 100) for number in range(12)]  # of which nine are heard
    made = changed(notes[:9], share, 0, np.random.default_rng(1))
    steps = [abs(note.pitch - 60) for note in made]
    assert sum(step > 0 for step in steps) == wrong
    assert max(steps) <= 5
    assert [note.onset_s for note in made] == [note.onset_s for note in notes[:9]]


def test_notes_may_all_be_moved() -> None:
    notes = [Note(number / 2, 0.5, 60, 100) for number in range(4)]
    made = changed(notes, 0.0, -12, np.random.default_rng(1))
    assert [note.pitch for note in made] == [48] * 4


@pytest.mark.corpus
def test_the_pairs_are_rendered_as_their_card_says(tmp_path: Path) -> None:
    written = write_pairs_dataset(tmp_path / "pairs")
    assert len(written) == 172
    assert "as in the card" in verdict(tmp_path / "pairs")
    sound, rate = soundfile.read(written[0])
    assert (rate, len(sound)) == (22_050, 110_250)
    assert np.abs(sound).max() == pytest.approx(0.9, abs=1e-3)

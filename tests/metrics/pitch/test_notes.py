"""Notes against tunes whose answer is known, and the score against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from bench.api import Audio, UnsupportedError
from metrics.pitch.note_maps import open_note_maps, unpacked
from metrics.pitch.notes import Notes, NotesOctave, agreement, folded, require_notes
from tests.metrics.pitch.tones import RATE, SCALE, noise, output, own_cache, together, tune, wrong


def note_map(audio: Audio) -> np.ndarray:
    return unpacked(open_note_maps(own_cache()).of(audio))


def both(content: Audio, made: Audio) -> tuple[float, float]:
    """`notes` and `notes.octave`."""
    first, second = note_map(content), note_map(made)
    return agreement(folded(first), folded(second)), agreement(first, second)


def test_a_tune_has_its_own_notes_at_any_level() -> None:
    content = tune(SCALE)
    assert both(content, content) == (1, 1)
    quieter = Audio(content.waveform * np.float32(0.1), RATE)
    assert min(both(content, quieter)) > 0.999


def test_another_octave_has_the_classes_and_not_the_keys() -> None:
    notes, octave = both(tune(SCALE), tune([pitch - 12 for pitch in SCALE]))
    assert notes > 0.9
    assert octave < 0.1


def test_a_semitone_up_has_nothing() -> None:
    """But for C, which follows B and B, which stands where C was: edges of notes."""
    assert max(both(tune(SCALE), tune([pitch + 1 for pitch in SCALE]))) < 0.1


@pytest.mark.parametrize("count", [2, 4, 6, 8])
def test_the_score_falls_as_the_share_of_wrong_notes_grows(count: int) -> None:
    right = 1 - count / len(SCALE)
    assert both(tune(SCALE), tune(wrong(count))) == pytest.approx((right, right), abs=0.05)


def test_another_timbre_keeps_the_notes_of_chords() -> None:
    lines = [[pitch + step for pitch in (48, 53, 55, 48)] for step in (0, 4, 7)]
    content, made, other = (
        together(*(tune(line, partials=partials) for line in moved))
        for partials, moved in (
            ((1.0, 0.5, 0.3), lines),
            ((1.0, 0.1, 0.4, 0.1), lines),
            ((1.0, 0.5, 0.3), [[pitch + 1 for pitch in line] for line in lines]),
        )
    )
    assert min(both(content, made)) > 0.85
    assert max(both(content, other)) < 0.25


def test_agreement_is_f1_of_sets_of_cells() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.random((40, 88)) < 0.1, rng.random((35, 88)) < 0.1
    wanted, given = ({(t, k) for t in range(35) for k in range(88) if one[t, k]}
                     for one in (first, second))  # fmt: skip
    precision, recall = (len(wanted & given) / len(one) for one in (given, wanted))
    assert agreement(first, second) == pytest.approx(2 * precision * recall / (precision + recall))
    assert agreement(np.zeros((3, 12), bool), np.zeros((3, 12), bool)) == 0


def test_folding_takes_the_octaves_of_a_class_together() -> None:
    notes = np.random.default_rng(4).random((30, 88)) < 0.05
    expected = [{key % 12 for key in np.flatnonzero(frame)} for frame in notes]
    assert [set(np.flatnonzero(frame).tolist()) for frame in folded(notes)] == expected


@pytest.mark.parametrize(
    ("frames", "sounding", "classes", "declined"),
    [(50, 10, 1, False), (50, 9, 2, True), (45, 9, 1, True), (100, 19, 3, True), (0, 0, 0, True)],
)
def test_ten_cells_and_a_fifth_of_the_time_make_notes(
    frames: int, sounding: int, classes: int, declined: bool
) -> None:
    content = np.zeros((frames, 12), bool)
    content[:sounding, :classes] = True
    if declined:
        with pytest.raises(UnsupportedError, match="content has no notes: one is heard in"):
            require_notes(content)
    else:
        require_notes(content)


@pytest.mark.parametrize("kind", [Notes, NotesOctave])
def test_a_content_without_notes_is_declined_whatever_the_output(kind: type[Notes]) -> None:
    metric = kind()
    metric.load("mini", "cpu")
    hiss, silence = noise(2), Audio(np.zeros((1, 2 * RATE), np.float32), RATE)
    content = tune(SCALE[:4])
    scores = metric.score(
        [output(hiss, hiss), output(hiss, silence), output(content, content),
         output(content, silence), output(silence, content)]
    )  # fmt: skip
    found = [(score.name, score.status, score.value) for score in scores]
    assert found == [
        (kind.name, "unsupported", None),
        (kind.name, "unsupported", None),
        (kind.name, "ok", 1.0),
        (kind.name, "silent", 0.0),
        (kind.name, "unsupported", None),
    ]
    assert str(scores[0].reason).startswith("content has no notes: one is heard in ")
    assert scores[4].reason == "content is silent (below -60 dBFS)"

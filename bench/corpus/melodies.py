"""Melodies: notes in time, random walks over scales, and public-domain tunes.

All tunes are traditional or by composers who died before 1925; they were written down here from
memory as pitches and lengths, so no edition is copied.

**Conventions**: times in seconds; a tune is a tuple of (MIDI pitch, length in beats); middle C is
60; the tunes of `HELD_OUT_TUNES` are kept out of every training and are what the bundled content
clips play.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
}
_KEYS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")


@dataclass(frozen=True, slots=True)
class Note:
    """One key press: onset and length in seconds, MIDI pitch, velocity 1 to 127."""

    onset_s: float
    duration_s: float
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Melody:
    """Notes in time, with what a caption may say about them.

    Args:
        notes: In order of onset; simultaneous notes form chords.
        key: Name of the tonic, "C" to "B", flats as "Bb".
        mode: "major", "minor" or "pentatonic".
        tempo_bpm: Beats per minute.
    """

    notes: tuple[Note, ...]
    key: str
    mode: str
    tempo_bpm: float


Tune = tuple[tuple[int, float], ...]


def _tune(text: str) -> Tune:
    """Read "pitch pitch:beats ..."; one beat where none is given."""
    pairs = (note.partition(":") for note in text.split())
    return tuple((int(pitch), float(beats or 1)) for pitch, _, beats in pairs)


TRAINING_TUNES: dict[str, Tune] = {
    "mary_had_a_little_lamb": _tune("64 62 60 62 64 64 64:2 62 62 62:2 64 67 67:2"),
    "london_bridge": _tune("67:1.5 69:.5 67 65 64 65 67:2 62 64 65:2 64 65 67:2"),
    "jingle_bells": _tune("64 64 64:2 64 64 64:2 64 67 60:1.5 62:.5 64:4"),
    "amazing_grace": _tune(
        "62 67:2 71:.5 67:.5 71:2 69 67:2 64 62:2 62 67:2 71:.5 67:.5 71:2 69 74:4"
    ),
    "oh_susanna": _tune("60:.5 62:.5 64 67 67:1.5 69:.5 67 64 60:1.5 62:.5 64 64 62 60 62:3"),
    "auld_lang_syne": _tune("60 65:1.5 65:.5 65 69 67:1.5 65:.5 67 69 65 65 69 72 74:3"),
    "when_the_saints": _tune("60 64 65 67:4 60 64 65 67:4 60 64 65 67:2 64:2 60:2 64:2 62:4"),
    "row_your_boat": _tune("60:1.5 60:1.5 60 62:.5 64:1.5 64 62:.5 64 65:.5 67:3"),
    "au_clair_de_la_lune": _tune("60 60 60 62 64:2 62:2 60 64 62 62 60:4"),
    "fur_elise": _tune(
        "76:.5 75:.5 76:.5 75:.5 76:.5 71:.5 74:.5 72:.5 69:1.5 60:.5 64:.5 69:.5 71:1.5"
    ),
}
HELD_OUT_TUNES: dict[str, Tune] = {
    "ode_to_joy": _tune("64 64 65 67 67 65 64 62 60 60 62 64 64:1.5 62:.5 62:2"),
    "twinkle": _tune("60 60 67 67 69 69 67:2 65 65 64 64 62 62 60:2"),
    "frere_jacques": _tune("60 62 64 60 60 62 64 60 64 65 67:2 64 65 67:2"),
    "greensleeves": _tune(
        "69 72:2 74 76:1.5 78:.5 76 74:2 71 67:1.5 69:.5 71 72:2 69 69:1.5 68:.5 69 71:2 68 64:3"
    ),
    "minuet_in_g": _tune("74 67:.5 69:.5 71:.5 72:.5 74 67 67 76 72:.5 74:.5 76:.5 78:.5 79 67 67"),
    "morning_mood": _tune(
        "79 76 74 72 74 76 79 76 74 72 74:.5 76:.5 74:.5 76:.5 79 76 79 81 76 81 79 76 74 72:3"
    ),
    "scarborough_fair": _tune("62:2 62 69:2 69 64:1.5 65:.5 64 62:3 69 72 74:2 72 69 71 67 69:3"),
    "korobeiniki": _tune(
        "76 71:.5 72:.5 74 72:.5 71:.5 69 69:.5 72:.5 76 74:.5 72:.5 71:1.5 72:.5 74 76"
    ),
}


def _scale_pitch(tonic: int, scale: Sequence[int], degree: int) -> int:
    octave, step = divmod(degree, len(scale))
    return tonic + 12 * octave + scale[step]


def _walk(
    rng: np.random.Generator, tonic: int, scale: Sequence[int], beat_s: float, duration_s: float
) -> Iterator[Note]:
    """A tune as a random walk over scale degrees, with rests in half of the tunes."""
    now_s, degree = 0.0, int(rng.integers(0, 10))
    rest_probability = float(rng.choice([0.0, 0.1]))
    while now_s < duration_s:
        length_s = beat_s * float(rng.choice([0.5, 0.5, 1, 1, 1, 2]))
        degree = int(np.clip(degree + rng.choice([-3, -2, -1, -1, 0, 1, 1, 2, 3]), -2, 13))
        velocity = int(rng.integers(75, 121))
        if rng.random() >= rest_probability:
            yield Note(now_s, length_s, _scale_pitch(tonic, scale, degree), velocity)
        now_s += length_s


def _triads(
    rng: np.random.Generator, tonic: int, scale: Sequence[int], beat_s: float, duration_s: float
) -> Iterator[Note]:
    """Soft triads of the scale, one every two beats."""
    for onset_s in np.arange(0, duration_s, 2 * beat_s):
        root = int(rng.choice([0, 3, 4]))
        for degree in (root, root + 2, root + 4):
            yield Note(float(onset_s), 2 * beat_s, _scale_pitch(tonic, scale, degree), 60)


def random_melody(
    rng: np.random.Generator, *, duration_s: float = 5.12, chord_probability: float = 0.25
) -> Melody:
    """Compose a melody: a random walk over a random scale, some with soft triads an octave below.

    Args:
        rng: Source of every choice.
        duration_s: Notes begin before this time.
        chord_probability: Share of melodies with accompaniment, in [0, 1]; 0 gives one voice.
    """
    mode = str(rng.choice(list(_SCALES)))
    key = int(rng.integers(0, 12))
    tempo_bpm = float(rng.uniform(80, 150))
    tonic = 60 + key - (12 if key > 6 else 0)
    rest = (_SCALES[mode], 60 / tempo_bpm, duration_s)
    notes = list(_walk(rng, tonic, *rest))
    if rng.random() < chord_probability:
        notes += _triads(rng, tonic - 12, *rest)
    return Melody(tuple(sorted(notes, key=lambda note: note.onset_s)), _KEYS[key], mode, tempo_bpm)


def tune_melody(
    tune: Tune, *, tempo_bpm: float = 120.0, transpose: int = 0, velocity: int = 100
) -> Melody:
    """Play a written tune at a tempo, moved by semitones. The last note is taken for the tonic."""
    beat_s, now_s, notes = 60 / tempo_bpm, 0.0, []
    for pitch, beats in tune:
        notes.append(Note(now_s, beats * beat_s, pitch + transpose, velocity))
        now_s += beats * beat_s
    tonic = (tune[-1][0] + transpose) % 12
    mode = "minor" if (tonic + 3) % 12 in {(p + transpose) % 12 for p, _ in tune} else "major"
    return Melody(tuple(notes), _KEYS[tonic], mode, tempo_bpm)

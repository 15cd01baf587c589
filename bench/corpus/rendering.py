"""The corpus that this project renders itself: sounds, melodies and captions for training.

Melodies are random walks over scales or public-domain tunes (`bench.corpus.melodies`). A software
synthesiser plays them (`bench.corpus.synthesiser`), and procedural sounds of nature
(`bench.corpus.nature`) join them. Everything follows from a seed: the same arguments give the same
samples. The bundled clips are rendered in `bench.corpus.mini_dataset`.

**Conventions**: waveforms are mono float32 of shape (sample,); pitches are MIDI numbers, 60 is
middle C; rates in Hz, times in seconds; random numbers come from a `numpy.random.Generator` that
the caller seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.corpus.melodies import TRAINING_TUNES, Melody, random_melody, tune_melody
from bench.corpus.nature import NATURAL
from bench.corpus.synthesiser import render_notes

# General MIDI program numbers, from 0.
INSTRUMENTS: dict[str, int] = {
    "piano": 0,
    "music box": 10,
    "vibraphone": 11,
    "marimba": 12,
    "organ": 19,
    "accordion": 21,
    "guitar": 24,
    "electric guitar": 30,
    "violin": 40,
    "cello": 42,
    "harp": 46,
    "strings": 48,
    "choir": 52,
    "trumpet": 56,
    "saxophone": 65,
    "oboe": 68,
    "clarinet": 71,
    "flute": 73,
    "sitar": 104,
    "banjo": 105,
    "kalimba": 108,
    "bagpipe": 109,
    "steel drums": 114,
}
# No model of this project hears these before the benchmark does, nor `bench.corpus.nature.UNHEARD`.
HELD_OUT_INSTRUMENTS: tuple[str, ...] = ("kalimba", "bagpipe", "steel drums")
TRAINED_SOUNDS: tuple[str, ...] = (
    *(name for name in INSTRUMENTS if name not in HELD_OUT_INSTRUMENTS),
    *NATURAL,
)

_PEAK = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class CorpusClip:
    """A rendered clip: waveform (sample,) of peak 0.9, the sound's name, caption, melody."""

    waveform: NDArray[np.float32]
    sound: str
    caption: str
    melody: Melody | None


def training_melody(rng: np.random.Generator, duration_s: float) -> Melody:
    """Mostly random melodies, one in twelve a known tune of the training set."""
    if rng.random() >= 1 / 12:
        return random_melody(rng, duration_s=duration_s)
    name = str(rng.choice(list(TRAINING_TUNES)))
    tempo_bpm, transpose = float(rng.uniform(90, 160)), int(rng.integers(-4, 6))
    return tune_melody(TRAINING_TUNES[name], tempo_bpm=tempo_bpm, transpose=transpose)


def _scale_peak(waveform: NDArray[np.floating]) -> NDArray[np.float32]:
    peak = float(np.abs(waveform).max())
    return (waveform * (_PEAK / max(peak, 1e-6))).astype(np.float32)


def render_sound(
    sound: str, melody: Melody | None, rng: np.random.Generator, duration_s: float, sample_rate: int
) -> NDArray[np.float32]:
    """Render one sound with its peak at 0.9.

    An instrument plays the melody; a sound of nature ignores it and draws from `rng`.
    """
    if sound in NATURAL:
        return _scale_peak(NATURAL[sound](rng, duration_s, sample_rate))
    notes = melody.notes if melody else ()
    return _scale_peak(render_notes(notes, INSTRUMENTS[sound], duration_s, sample_rate))


def tempo_word(tempo_bpm: float) -> str:
    """The word a caption uses for a tempo; empty for the middle range."""
    if tempo_bpm < 100:
        return "slow "
    return "fast " if tempo_bpm > 130 else ""


def caption(sound: str, melody: Melody | None, rng: np.random.Generator) -> str:
    """Describe a clip in a few lower-case words: sound, for instruments also tempo, key, mode.

    Args:
        sound: A key of `INSTRUMENTS` or `NATURAL`.
        melody: What an instrument plays; ignored for sounds of nature.
        rng: Chooses the wording.
    """
    wordings = [sound, f"{sound} music", f"the sound of {sound}"]
    if sound not in NATURAL and melody is not None:
        speed = tempo_word(melody.tempo_bpm)
        tonality = f"{melody.key} {melody.mode}".lower()
        wordings += [
            f"a {speed}melody played on {sound}",
            f"{sound} playing a {speed}melody",
            f"{sound} playing a {speed}melody in {tonality}",
        ]
    return str(rng.choice(wordings))


def training_clip(
    sound: str, rng: np.random.Generator, *, duration_s: float = 5.12, sample_rate: int = 22050
) -> CorpusClip:
    """Draw one clip of a sound for training: melody, caption and waveform.

    Raises:
        DatasetError: The synthesiser or the soundfont is not installed.
    """
    melody = None if sound in NATURAL else training_melody(rng, duration_s)
    waveform = render_sound(sound, melody, rng, duration_s, sample_rate)
    return CorpusClip(waveform, sound, caption(sound, melody, rng), melody)

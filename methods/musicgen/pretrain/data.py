"""The training corpus of the mini MusicGen melody: melodies on the token grid, and chroma.

Notes begin on token borders, with one velocity and one gain per instrument, so that the same
instrument, pitch and time since the onset give the same waveform and nearly the same codes, which
a model of this size needs to learn anything. The melody condition is drawn from the clip itself or
from the same melody on another instrument, perhaps in another octave, so that the model reads pitch
classes and not timbre.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.api import ConfigError
from bench.corpus.melodies import Note
from bench.corpus.synthesiser import render_notes
from methods.musicgen.chroma import ChromaSettings, dominant_pitch_class

LOGGER = logging.getLogger(__name__)

SAMPLE_RATE = 16_000
HOP_LENGTH = 640  # one token and one chroma frame: 25 Hz
NUM_FRAMES = 128
NUM_SAMPLES = NUM_FRAMES * HOP_LENGTH
DURATION_S = NUM_SAMPLES / SAMPLE_RATE
CHROMA = ChromaSettings(SAMPLE_RATE, 2048, HOP_LENGTH)

INSTRUMENTS = {
    "piano": 0,
    "organ": 19,
    "flute": 73,
    "saxophone": 65,
    "violin": 40,
    "accordion": 21,
    "music box": 10,
    "bells": 14,
}
_OTHER_TIMBRES = (*INSTRUMENTS.values(), 46, 11, 20, 12)  # harp, vibraphone, reed organ, marimba
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
_STEPS = (-3, -2, -2, -1, -1, 1, 1, 2, 2, 3)
_LOWEST = 60
_VELOCITY = 100
_PEAK = 0.5
VALIDATION_CLIPS = 64  # the first clips of the corpus: never trained on, by codec or language model


@dataclass(frozen=True, slots=True)
class FrameNote:
    """A note on the token grid: first frame, length in frames, MIDI pitch 60 to 71."""

    start: int
    length: int
    pitch: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """Rendered clips.

    Args:
        waveform: int16 (clip, sample); full scale 32768.
        instrument: Index into `INSTRUMENTS`, shape (clip,).
        note: Pitch class of the score per frame, -1 in rests, shape (clip, frame).
        chroma: Dominant pitch class per frame of the clip (0) and of the same melody elsewhere (1),
            shape (clip, 2, frame).
    """

    waveform: NDArray[np.int16]
    instrument: NDArray[np.int64]
    note: NDArray[np.int64]
    chroma: NDArray[np.int64]

    def audio(self, clips: slice | NDArray[np.int64]) -> torch.Tensor:
        """Return the chosen clips as float waveforms, shape (clip, sample)."""
        return torch.from_numpy(self.waveform[clips].astype(np.float32) / 32768.0)


@dataclass(frozen=True, slots=True)
class Material:
    """What a language model learns from: clips as the codes of a codec. A few bytes per frame.

    Args:
        codes: (clip, codebook, frame).
        instrument: As in `Corpus`.
        chroma: As in `Corpus`.
    """

    codes: NDArray[np.int64]
    instrument: NDArray[np.int64]
    chroma: NDArray[np.int64]

    def write(self, path: Path) -> None:
        """Keep it in a file, in one move."""
        partial = path.with_suffix(".partial.npz")
        named = {"codes": self.codes, "instrument": self.instrument, "chroma": self.chroma}
        np.savez_compressed(
            partial, allow_pickle=False, **{k: v.astype(np.int16) for k, v in named.items()}
        )
        partial.replace(path)

    @staticmethod
    def read(path: Path) -> Material:
        """Read such a file.

        Raises:
            ConfigError: There is none.
        """
        if not path.is_file():
            raise ConfigError(
                f"{path} is not there; the language model learns from it. Write it: the stage "
                "`codes` takes the committed codec, `quantise` one that was trained in the folder."
            )
        with np.load(path, allow_pickle=False) as stored:
            named = ("codes", "instrument", "chroma")
            return Material(*(stored[name].astype(np.int64) for name in named))


def compose(generator: random.Random) -> list[FrameNote]:
    """Draw a melody of one octave in a random key: small steps, .24 to 1.2 s per note."""
    beat = generator.randint(6, 10)
    root = generator.randint(0, 11)
    scale = sorted((root + step) % 12 for step in generator.choice(_SCALES))
    degree, frame = generator.randint(0, 6), 0
    notes: list[FrameNote] = []
    while frame < NUM_FRAMES:
        if generator.random() < 0.06:
            frame += beat
            continue
        if generator.random() < 0.9:
            degree = max(0, min(6, degree + generator.choice(_STEPS)))
        length = beat * generator.choice((1, 1, 1, 2, 2, 3))
        notes.append(FrameNote(frame, length, _LOWEST + scale[degree]))
        frame += length
    return notes


def render(melody: list[FrameNote], program: int, octave: int = 0) -> NDArray[np.float32]:
    """Render a melody; each note is released half a frame before its end. Shape (sample,)."""
    frame_s = HOP_LENGTH / SAMPLE_RATE
    notes = [
        Note(n.start * frame_s, (n.length - 0.5) * frame_s, n.pitch + 12 * octave, _VELOCITY)
        for n in melody
    ]
    rendered: NDArray[np.float32] = render_notes(notes, program, DURATION_S, SAMPLE_RATE)
    return rendered


def gains(seed: int = 0) -> dict[str, float]:
    """Return one gain per instrument that puts the mean peak of six melodies at .5."""
    generator = random.Random(seed)  # noqa: S311  (music, not secrets)
    melodies = [compose(generator) for _ in range(6)]
    return {
        name: _PEAK / float(np.mean([np.abs(render(m, program)).max() for m in melodies]))
        for name, program in INSTRUMENTS.items()
    }


def score_pitch_class(melody: list[FrameNote]) -> NDArray[np.int64]:
    """Return the pitch class that sounds in each frame, -1 in rests."""
    pitch_class = np.full(NUM_FRAMES, -1, np.int64)
    for note in melody:
        pitch_class[note.start : note.start + note.length] = note.pitch % 12
    return pitch_class


def clip_chroma(waveform: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the dominant pitch class of each token frame, shape (frame,)."""
    frames = dominant_pitch_class(torch.from_numpy(waveform), CHROMA)[:NUM_FRAMES]
    result: NDArray[np.int64] = frames.numpy()
    return result


def build(num_clips: int, seed: int) -> Corpus:
    """Render the corpus; instruments take turns. About 25 clips a second."""
    generator = random.Random(seed)  # noqa: S311  (music, not secrets)
    names = list(INSTRUMENTS)
    gain = gains()
    waveform = np.zeros((num_clips, NUM_SAMPLES), np.int16)
    instrument = np.arange(num_clips) % len(names)
    note = np.zeros((num_clips, NUM_FRAMES), np.int64)
    chroma = np.zeros((num_clips, 2, NUM_FRAMES), np.int64)
    for clip in range(num_clips):
        name = names[instrument[clip]]
        melody = compose(generator)
        own = render(melody, INSTRUMENTS[name]) * gain[name]
        other = render(melody, generator.choice(_OTHER_TIMBRES), generator.choice((-1, 0, 0, 1)))
        waveform[clip] = (own * 32767.0).clip(-32767, 32767).astype(np.int16)
        note[clip] = score_pitch_class(melody)
        chroma[clip] = np.stack([clip_chroma(own.astype(np.float32)), clip_chroma(other)])
        if clip % 500 == 499:
            LOGGER.info("rendered %d of %d clips", clip + 1, num_clips)
    return Corpus(waveform, instrument, note, chroma)


def load_corpus(work: Path, num_clips: int = 2400, seed: int = 1) -> Corpus:
    """Return the corpus kept in `work`, rendering it the first time."""
    path = work / f"corpus-{num_clips}-{seed}.npz"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        corpus = build(num_clips, seed)
        np.savez(
            path,
            waveform=corpus.waveform,
            instrument=corpus.instrument,
            note=corpus.note,
            chroma=corpus.chroma,
        )
    stored = np.load(path)
    return Corpus(*(stored[name] for name in ("waveform", "instrument", "note", "chroma")))

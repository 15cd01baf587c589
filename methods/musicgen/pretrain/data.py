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
from bench.corpus.nature import bell_stroke
from bench.corpus.synthesiser import render_notes
from methods.musicgen.chroma import ChromaSettings, dominant_pitch_class

LOGGER = logging.getLogger(__name__)

SAMPLE_RATE = 16_000
HOP_LENGTH = 640  # one token and one chroma frame: 25 Hz
NUM_FRAMES = 128
NUM_SAMPLES = NUM_FRAMES * HOP_LENGTH
DURATION_S = NUM_SAMPLES / SAMPLE_RATE
CHROMA = ChromaSettings(SAMPLE_RATE, 2048, HOP_LENGTH)

BELLS = "bells"
# General MIDI programs, from 0; bells are struck by formula.
_PROGRAMS = {
    "piano": 0,
    "organ": 19,
    "flute": 73,
    "saxophone": 65,
    "violin": 40,
    "accordion": 21,
    "music box": 10,
    "tubular bells": 14,
    "harp": 46,
    "vibraphone": 11,
    "reed organ": 20,
    "marimba": 12,
}
INSTRUMENTS = (
    "piano",
    "organ",
    "flute",
    "saxophone",
    "violin",
    "accordion",
    "music box",
    BELLS,
)
_CONDITION_SOUNDS = (*_PROGRAMS, BELLS)  # of a melody on another instrument
_BELL_OCTAVE = 1  # above the melody, in the middle of where `nature.bells` strikes
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
_STEPS = (-3, -2, -2, -1, -1, 1, 1, 2, 2, 3)
_LOWEST = 60
_VELOCITY = 100
_PEAK = 0.5
_VERSION = 2  # of the corpus: counts up where a seed gives other clips than before
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
        codec: Digest of the codec whose codes these are, see `codec.identity`.
    """

    codes: NDArray[np.int64]
    instrument: NDArray[np.int64]
    chroma: NDArray[np.int64]
    codec: str

    def write(self, path: Path) -> None:
        """Keep it in a file, in one move."""
        partial = path.with_suffix(".partial.npz")
        named = {"codes": self.codes, "instrument": self.instrument, "chroma": self.chroma}
        np.savez_compressed(
            partial,
            allow_pickle=False,
            codec=np.array(self.codec),
            **{k: v.astype(np.int16) for k, v in named.items()},
        )
        partial.replace(path)

    @staticmethod
    def read(path: Path) -> Material:
        """Read such a file.

        Raises:
            ConfigError: There is none, or it does not say whose codes it holds.
        """
        if not path.is_file():
            raise ConfigError(
                f"{path} is not there; the language model learns from it. Write it: the stage "
                "`codes` takes the codec of the folder, or else the committed one."
            )
        with np.load(path, allow_pickle=False) as stored:
            if "codec" not in stored:
                raise ConfigError(
                    f"{path} does not say which codec its codes are of; an older version wrote it. "
                    "Write it anew with the stage `codes`."
                )
            codes, instrument, chroma = (
                stored[name].astype(np.int64) for name in ("codes", "instrument", "chroma")
            )
            return Material(codes, instrument, chroma, str(stored["codec"]))


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


def render(melody: list[FrameNote], sound: str, octave: int = 0) -> NDArray[np.float32]:
    """Render a melody; each note is released half a frame before its end. Shape (sample,).

    Args:
        melody: On the token grid.
        sound: `BELLS`, or a name of `_PROGRAMS`.
        octave: Added to every pitch.
    """
    frame_s = HOP_LENGTH / SAMPLE_RATE
    notes = [
        Note(n.start * frame_s, (n.length - 0.5) * frame_s, n.pitch + 12 * octave, _VELOCITY)
        for n in melody
    ]
    if sound == BELLS:
        return _struck(notes)
    rendered: NDArray[np.float32] = render_notes(notes, _PROGRAMS[sound], DURATION_S, SAMPLE_RATE)
    return rendered


def _struck(notes: list[Note]) -> NDArray[np.float32]:
    """Bells that ring on: nobody damps one."""
    signal = np.zeros(NUM_SAMPLES)
    for note in notes:
        start = round(note.onset_s * SAMPLE_RATE)
        if start < NUM_SAMPLES:
            strike_hz = 440.0 * 2 ** ((note.pitch + 12 * _BELL_OCTAVE - 69) / 12)
            stroke = bell_stroke(strike_hz, DURATION_S, SAMPLE_RATE)
            signal[start:] += stroke[: NUM_SAMPLES - start]
    return signal.astype(np.float32)


def gains(seed: int = 0) -> dict[str, float]:
    """Return one gain per instrument that puts the mean peak of six melodies at .5."""
    generator = random.Random(seed)  # noqa: S311  (music, not secrets)
    melodies = [compose(generator) for _ in range(6)]
    return {
        name: _PEAK / float(np.mean([np.abs(render(m, name)).max() for m in melodies]))
        for name in INSTRUMENTS
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
    gain = gains()
    waveform = np.zeros((num_clips, NUM_SAMPLES), np.int16)
    instrument = np.arange(num_clips) % len(INSTRUMENTS)
    note = np.zeros((num_clips, NUM_FRAMES), np.int64)
    chroma = np.zeros((num_clips, 2, NUM_FRAMES), np.int64)
    for clip in range(num_clips):
        name = INSTRUMENTS[instrument[clip]]
        melody = compose(generator)
        own = render(melody, name) * gain[name]
        other = render(melody, generator.choice(_CONDITION_SOUNDS), generator.choice((-1, 0, 0, 1)))
        waveform[clip] = (own * 32767.0).clip(-32767, 32767).astype(np.int16)
        note[clip] = score_pitch_class(melody)
        chroma[clip] = np.stack([clip_chroma(own.astype(np.float32)), clip_chroma(other)])
        if clip % 500 == 499:
            LOGGER.info("rendered %d of %d clips", clip + 1, num_clips)
    return Corpus(waveform, instrument, note, chroma)


def load_corpus(work: Path, num_clips: int = 2400, seed: int = 1) -> Corpus:
    """Return the corpus kept in `work`, rendering it the first time."""
    path = work / f"corpus-{num_clips}-{seed}-v{_VERSION}.npz"
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

"""The corpus this project renders itself: training clips and the bundled mini dataset.

Melodies are random walks over scales or public-domain tunes (`bench.corpus.melodies`); a software
synthesiser plays them with the instruments of the FluidR3 General MIDI soundfont (MIT licence);
procedural sounds of nature (`bench.corpus.nature`) join them. Everything follows from a seed: the
same arguments give the same samples.

`python -m bench.corpus FOLDER` writes the content and style clips of the mini dataset.

Needs the optional extra `corpus` (pyfluidsynth) and the Debian packages libfluidsynth3 and
fluid-soundfont-gm, for rendering only.

**Conventions**: waveforms are mono float32 of shape (sample,); pitches are MIDI numbers, 60 is
middle C; rates in Hz, times in seconds; random numbers come from a `numpy.random.Generator` that
the caller seeds.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from bench.api import DatasetError
from bench.corpus.melodies import (
    HELD_OUT_TUNES,
    TRAINING_TUNES,
    Melody,
    Note,
    random_melody,
    tune_melody,
)
from bench.corpus.nature import NATURAL

__all__ = [
    "HELD_OUT_INSTRUMENTS",
    "INSTRUMENTS",
    "NATURAL",
    "SOUNDFONT",
    "TRAINED_SOUNDS",
    "CorpusClip",
    "Melody",
    "Note",
    "caption",
    "random_melody",
    "render_notes",
    "render_sound",
    "tempo_word",
    "training_clip",
    "tune_melody",
    "write_mini_dataset",
]

logger = logging.getLogger(__name__)

SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
_DEBIAN_PACKAGES = "libfluidsynth3 and fluid-soundfont-gm"

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
}
# No model of this project hears these before the benchmark does.
HELD_OUT_INSTRUMENTS: tuple[str, ...] = ("kalimba", "bagpipe")
TRAINED_SOUNDS: tuple[str, ...] = (
    *(name for name in INSTRUMENTS if name not in HELD_OUT_INSTRUMENTS),
    *NATURAL,
)

# A key is released before the next note begins, as a player lifts the finger.
_SOUNDING_SHARE = 0.92
_PEAK = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class CorpusClip:
    """A rendered clip: waveform (sample,) of peak 0.9, the sound's name, caption, melody."""

    waveform: NDArray[np.float32]
    sound: str
    caption: str
    melody: Melody | None


def _training_melody(rng: np.random.Generator, duration_s: float) -> Melody:
    """Mostly random melodies, one in twelve a known tune of the training set."""
    if rng.random() >= 1 / 12:
        return random_melody(rng, duration_s=duration_s)
    name = str(rng.choice(list(TRAINING_TUNES)))
    tempo_bpm, transpose = float(rng.uniform(90, 160)), int(rng.integers(-4, 6))
    return tune_melody(TRAINING_TUNES[name], tempo_bpm=tempo_bpm, transpose=transpose)


# ---------------------------------------------------------------------------- sound


@cache
def _fluidsynth() -> ModuleType:
    """The synthesiser's Python module; imported late because it loads a system library."""
    try:
        import fluidsynth
    except ImportError as error:
        raise DatasetError(
            f"The synthesiser cannot be loaded ({error}); rendering needs it. "
            f"Install the Debian packages {_DEBIAN_PACKAGES} and `pip install pyfluidsynth`."
        ) from error
    if not SOUNDFONT.is_file():
        raise DatasetError(
            f"soundfont {SOUNDFONT} is missing; rendering needs it. "
            f"Install the Debian packages {_DEBIAN_PACKAGES}."
        )
    module: ModuleType = fluidsynth
    return module


class _Player:
    """One synthesiser for one clip: a reused one carries state from clip to clip."""

    def __init__(self, program: int, sample_rate: int, gain: float) -> None:
        module = _fluidsynth()
        quiet = {"synth.reverb.active": 0, "synth.chorus.active": 0}
        # Loading samples on demand makes a fresh synthesiser cost 20 ms, where the whole soundfont
        # costs 200.
        lazy = {"synth.dynamic-sample-loading": 1}
        self._synth = module.Synth(gain=gain, samplerate=sample_rate, **quiet, **lazy)
        self._write = module._fl.fluid_synth_write_float  # noqa: SLF001 - undithered samples
        self._write.restype = ctypes.c_int
        font = self._synth.sfload(str(SOUNDFONT))
        self._synth.program_select(0, font, 0, program)

    def render(self, num_samples: int) -> NDArray[np.float32]:
        """The next samples, mean of the two channels."""
        stereo = np.zeros((2, num_samples), np.float32)
        left, right = (ctypes.c_void_p(channel.ctypes.data) for channel in stereo)
        self._write(ctypes.c_void_p(self._synth.synth), num_samples, left, 0, 1, right, 0, 1)
        return np.asarray(stereo.mean(axis=0))

    def play(self, note: Note, *, press: bool) -> None:
        """Press or release a key."""
        if press:
            self._synth.noteon(0, note.pitch, note.velocity)
        else:
            self._synth.noteoff(0, note.pitch)

    def close(self) -> None:
        """Free the synthesiser."""
        self._synth.delete()


def _key_events(notes: Sequence[Note], sample_rate: int) -> list[tuple[int, bool, Note]]:
    """(sample, pressed, note) in order of time; releases before presses at the same sample."""
    presses = [(int(n.onset_s * sample_rate), True, n) for n in notes]
    ends = [(n.onset_s + _SOUNDING_SHARE * n.duration_s, n) for n in notes]
    releases = [(int(end_s * sample_rate), False, note) for end_s, note in ends]
    return sorted(presses + releases, key=lambda event: event[:2])


def render_notes(
    notes: Sequence[Note],
    program: int,
    duration_s: float,
    sample_rate: int,
    *,
    gain: float = 0.5,
) -> NDArray[np.float32]:
    """Play notes on one instrument of the General MIDI soundfont.

    A fresh synthesiser without reverb and chorus per call: the same arguments give the same bits.
    Onsets fall on the synthesiser's blocks of 64 samples.

    Args:
        notes: Any order; what lies after `duration_s` is cut.
        program: General MIDI program, 0 to 127 (see `INSTRUMENTS`).
        duration_s: Length of the clip in seconds, truncated to whole samples.
        sample_rate: Hz, 8000 to 96000.
        gain: Linear level of the synthesiser. There is no normalisation: one note keeps its level
            whatever else plays.

    Returns:
        Mono float32 of shape (sample,).

    Raises:
        DatasetError: The synthesiser or the soundfont is not installed.
    """
    num_samples = int(duration_s * sample_rate)
    player, pieces, position = _Player(program, sample_rate, gain), [], 0
    for sample, press, note in _key_events(notes, sample_rate):
        if sample >= num_samples:
            break
        if sample > position:
            pieces.append(player.render(sample - position))
            position = sample
        player.play(note, press=press)
    pieces.append(player.render(num_samples - position))
    player.close()
    return np.concatenate(pieces)


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


# ---------------------------------------------------------------------------- text and clips


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
    melody = None if sound in NATURAL else _training_melody(rng, duration_s)
    waveform = render_sound(sound, melody, rng, duration_s, sample_rate)
    return CorpusClip(waveform, sound, caption(sound, melody, rng), melody)


# ---------------------------------------------------------------------------- the bundled dataset

_MINI_SAMPLE_RATE, _MINI_DURATION_S = 22050, 5.0
# category -> tunes with tempo (beats per minute) and shift (semitones), within the instrument's
# usual register
_MINI_CONTENT: dict[str, tuple[tuple[str, float, int], ...]] = {
    "piano": (("ode_to_joy", 160.0, 0), ("minuet_in_g", 130.0, 0)),
    "violin": (("greensleeves", 170.0, 0), ("scarborough_fair", 160.0, 5)),
    "flute": (("morning_mood", 180.0, 0), ("korobeiniki", 140.0, 0)),
    "guitar": (("twinkle", 150.0, 0), ("frere_jacques", 150.0, -3)),
}
_MINI_STYLES = ("accordion", "kalimba", "bells", "music box")
_MINI_STYLE_CLIPS = 6
# Apart from every training seed, so that no style clip repeats a training clip.
_MINI_SEED = 90210


def _mini_clips() -> Iterator[tuple[Path, NDArray[np.float32]]]:
    """(path inside the dataset, waveform) of every bundled clip."""
    timing = (_MINI_DURATION_S, _MINI_SAMPLE_RATE)
    for category, tunes in _MINI_CONTENT.items():
        for name, tempo_bpm, transpose in tunes:
            melody = tune_melody(HELD_OUT_TUNES[name], tempo_bpm=tempo_bpm, transpose=transpose)
            rng = np.random.default_rng(_MINI_SEED)
            waveform = render_sound(category, melody, rng, *timing)
            yield Path("content", category, f"{category}_{name}.flac"), waveform
    for index, style in enumerate(_MINI_STYLES):
        folder = style.replace(" ", "_")
        for number in range(_MINI_STYLE_CLIPS):
            rng = np.random.default_rng((_MINI_SEED, index, number))
            melody = random_melody(rng, duration_s=_MINI_DURATION_S)
            waveform = render_sound(style, melody, rng, *timing)
            yield Path("style", folder, f"{folder}_{number + 1}.flac"), waveform


def write_mini_dataset(folder: Path) -> list[Path]:
    """Write the mini dataset's clips as 16-bit mono FLAC of 5 s at 22,050 Hz; return their paths.

    Raises:
        DatasetError: The synthesiser or the soundfont is not installed.
    """
    import soundfile

    written = []
    for name, waveform in _mini_clips():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, waveform, _MINI_SAMPLE_RATE, subtype="PCM_16")
        written.append(path)
    logger.info("wrote %d clips under %s", len(written), folder)
    return written

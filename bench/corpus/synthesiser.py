"""A software synthesiser: notes on the instruments of a General MIDI soundfont.

It needs the optional extra `corpus` (pyfluidsynth), the Debian package libfluidsynth3, and that of
the soundfont.

**Conventions**: waveforms are mono float32 of shape (sample,); pitches are MIDI numbers, 60 is
middle C; rates in Hz, times in seconds.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from bench.api import DatasetError
from bench.corpus.melodies import Note

DEBIAN = Path("/usr/share/sounds/sf2")
DEBIAN_COMPRESSED = Path("/usr/share/sounds/sf3")


@dataclass(frozen=True, slots=True)
class Soundfont:
    """A General MIDI soundfont: its file, and the Debian package that puts it into a folder."""

    file: str
    package: str
    folder: Path = DEBIAN

    @property
    def path(self) -> Path:
        """Where it lies: in the folder that BENCH_SOUNDFONTS names, else where Debian puts it."""
        named = os.environ.get("BENCH_SOUNDFONTS")
        own = Path(named).expanduser() / self.file if named else None
        return own if own is not None and own.is_file() else self.folder / self.file


FLUID_R3 = Soundfont("FluidR3_GM.sf2", "fluid-soundfont-gm")  # what the mini models were trained on
TIM_GM = Soundfont("TimGM6mb.sf2", "timgm6mb-soundfont")  # what no model has heard
# MIT licence too, and other recordings; a compressed soundfont, which libfluidsynth reads as well.
MUSESCORE = Soundfont(
    "MuseScore_General_Full.sf3", "musescore-general-soundfont", Path("/usr/share/sounds/sf3")
)
# A key is released before the next note begins, as a player lifts the finger.
SOUNDING_SHARE = 0.92


@cache
def _fluidsynth(soundfont: Soundfont) -> ModuleType:
    """The synthesiser's Python module; imported late because it loads a system library."""
    needed = f"Install the Debian packages libfluidsynth3 and {soundfont.package}"
    try:
        import fluidsynth
    except ImportError as error:
        raise DatasetError(
            f"The synthesiser cannot be loaded ({error}); rendering needs it. {needed} and "
            "`pip install pyfluidsynth`."
        ) from error
    if not soundfont.path.is_file():
        raise DatasetError(
            f"soundfont {soundfont.path} is missing; rendering needs it. {needed}, or name the "
            "folder of the file with BENCH_SOUNDFONTS."
        )
    module: ModuleType = fluidsynth
    return module


class _Player:
    """One synthesiser for one clip: a reused one carries state from clip to clip."""

    def __init__(
        self, program: int, sample_rate: int, gain: float, soundfont: Soundfont = FLUID_R3
    ) -> None:
        module = _fluidsynth(soundfont)
        quiet = {"synth.reverb.active": 0, "synth.chorus.active": 0}
        # Loading samples on demand makes a fresh synthesiser cost 20 ms, where the whole soundfont
        # costs 200.
        lazy = {"synth.dynamic-sample-loading": 1}
        self._synth = module.Synth(gain=gain, samplerate=sample_rate, **quiet, **lazy)
        self._write = module._fl.fluid_synth_write_float  # noqa: SLF001 - undithered samples
        self._write.restype = ctypes.c_int
        font = self._synth.sfload(str(soundfont.path))
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
    ends = [(n.onset_s + SOUNDING_SHARE * n.duration_s, n) for n in notes]
    releases = [(int(end_s * sample_rate), False, note) for end_s, note in ends]
    return sorted(presses + releases, key=lambda event: event[:2])


def render_notes(
    notes: Sequence[Note],
    program: int,
    duration_s: float,
    sample_rate: int,
    *,
    gain: float = 0.5,
    soundfont: Soundfont = FLUID_R3,
) -> NDArray[np.float32]:
    """Play notes on one instrument of a General MIDI soundfont.

    A fresh synthesiser without reverb and chorus per call: the same arguments give the same bits.
    Onsets fall on the synthesiser's blocks of 64 samples.

    Args:
        notes: Any order; what lies after `duration_s` is cut.
        program: General MIDI program, 0 to 127.
        duration_s: Length of the clip in seconds, truncated to whole samples.
        sample_rate: Hz, 8000 to 96000.
        gain: Linear level of the synthesiser. There is no normalisation: one note keeps its level
            whatever else plays.
        soundfont: What the instrument sounds like.

    Returns:
        Mono float32 of shape (sample,).

    Raises:
        DatasetError: The synthesiser or the soundfont is not installed.
    """
    num_samples = int(duration_s * sample_rate)
    player, pieces, position = _Player(program, sample_rate, gain, soundfont), [], 0
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

"""Where training audio comes from: sources, what each holds, and under which licence.

A source names a clip by a number and renders it from (seed, number) alone, so a training can ask
for any clip at any time and nothing needs to be stored. What no model may hear is left out here, of
every source: `HELD_OUT_INSTRUMENTS` by their General MIDI programs, `UNHEARD` of the sounds of
nature, the tunes of `HELD_OUT_TUNES`. Recordings are no source at all.

Two soundfonts are none either: TimGM6mb (GPL, and the dataset `pairs` is rendered with it), and any
whose licence this file does not name.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.api import DatasetError, UnknownNameError
from bench.corpus.melodies import Note
from bench.corpus.nature import NATURAL
from bench.corpus.rendering import (
    HELD_OUT_INSTRUMENTS,
    INSTRUMENTS,
    TRAINED_SOUNDS,
    training_clip,
    training_melody,
)
from bench.corpus.synthesiser import FLUID_R3, MUSESCORE, Soundfont, render_notes

Waveform = NDArray[np.float32]
_GENERAL_MIDI = range(120)  # the programs above are noises: a helicopter, applause, a gun shot
_PEAK = 0.9
_OF_CLIPS = 3  # ends their seeds: see `stream`


@dataclass(frozen=True, slots=True)
class Source:
    """Where clips come from.

    Args:
        name: As the command line has it.
        timbres: How many; None is without end, 0 where none are here.
        licence: Of what it is made from.
        origin: What that is.
        soundfont: What must be installed; None needs nothing.
    """

    name: str
    timbres: int | None
    licence: str
    origin: str
    soundfont: Soundfont | None = None

    @property
    def present(self) -> bool:
        """Whether this machine can render it."""
        if self.soundfont is None:
            return self.timbres != 0
        return self.soundfont.path.is_file() and importlib.util.find_spec("fluidsynth") is not None


def allowed_programs() -> tuple[int, ...]:
    """General MIDI programs that a training may hear, from 0."""
    unheard = {INSTRUMENTS[name] for name in HELD_OUT_INSTRUMENTS}
    return tuple(program for program in _GENERAL_MIDI if program not in unheard)


PROCEDURAL = Source("procedural", None, "CC0-1.0", "formulas: bench/corpus/timbres.py")
NATURE = Source("nature", len(NATURAL), "CC0-1.0", "formulas: bench/corpus/nature.py")
WORDED = Source(
    "worded",
    len(TRAINED_SOUNDS),
    "MIT (soundfont), CC0-1.0 (nature)",
    "FluidR3 GM by Frank Wen, and nature: the sounds that have words",
    FLUID_R3,
)
FLUID = Source(
    "fluid", len(allowed_programs()), "MIT", "all programs of FluidR3 GM by Frank Wen", FLUID_R3
)
MUSESCORE_GENERAL = Source(
    "musescore",
    len(allowed_programs()),
    "MIT",
    "all programs of MuseScore General by S. Christian Collins",
    MUSESCORE,
)
SAMPLES = Source(
    "samples", 0, "CC0-1.0", "recorded notes: instruments in the folder that BENCH_SAMPLES names"
)
SOURCES: dict[str, Source] = {
    source.name: source
    for source in (PROCEDURAL, NATURE, WORDED, FLUID, MUSESCORE_GENERAL, SAMPLES)
}

_SOUNDS = {NATURE.name: tuple(NATURAL), WORDED.name: TRAINED_SOUNDS}


def as_here(source: Source) -> Source:
    """A source as this machine has it: which instruments of recorded notes there are, it decides.

    Raises:
        DatasetError: One of those cannot be used.
    """
    if source.name != SAMPLES.name:
        return source
    from bench.corpus.recorded_notes import instruments

    found = instruments()
    named = f"recorded notes: {', '.join(one.name for one in found)}"
    return replace(SAMPLES, timbres=len(found), origin=named) if found else SAMPLES


def sources_named(names: Sequence[str]) -> list[Source]:
    """The sources of these names, all of which this machine can render.

    Raises:
        UnknownNameError: A name is none of `SOURCES`.
        DatasetError: What a source is made from is not installed.
    """
    for name in names:
        if name not in SOURCES:
            raise UnknownNameError(f"source {name!r} is not known; there are {', '.join(SOURCES)}.")
    found = [as_here(SOURCES[name]) for name in names]
    for source in found:
        if source.soundfont and not source.present:
            raise DatasetError(
                f"source {source.name!r} needs {source.soundfont.file} of the Debian package "
                f"{source.soundfont.package}, libfluidsynth3 and pyfluidsynth, which are not all "
                "here. Install them, or leave the source out."
            )
        if not source.present:
            raise DatasetError(
                f"source {source.name!r} needs instruments, and there are none: BENCH_SAMPLES "
                "names a folder with one folder per instrument, in the SFZ format and under CC0. "
                "Set it, or leave the source out."
            )
    return found


def timbres_of(source: Source) -> tuple[int, ...]:
    """What `play` can play a melody on: programs of a soundfont, places of instruments."""
    return tuple(range(source.timbres or 0)) if source.soundfont is None else allowed_programs()


def play(
    source: Source, timbre: int, notes: Sequence[Note], duration_s: float, sample_rate: int
) -> Waveform:
    """Play notes on one timbre of a whole soundfont, or on an instrument of recorded notes.

    Args:
        source: With a soundfont, or `SAMPLES` as it is here.
        timbre: One of `timbres_of`.
        notes: What is played.
        duration_s: Seconds.
        sample_rate: Hz.

    Returns:
        float32 (sample,), at whatever level.
    """
    if source.soundfont is not None:
        return render_notes(notes, timbre, duration_s, sample_rate, soundfont=source.soundfont)
    from bench.corpus.recorded_notes import instruments, play_instrument

    return play_instrument(instruments()[timbre], notes, duration_s, sample_rate)


def render_clip(
    source: Source, seed: int, number: int, *, duration_s: float = 5.12, sample_rate: int = 22_050
) -> Waveform:
    """Render a clip of any source but the procedural one, which plays batches (`stream`).

    Args:
        source: One of `SOURCES`.
        seed: Of the list of clips.
        number: In the list; timbres take turns.
        duration_s: Seconds.
        sample_rate: Hz.

    Returns:
        float32 (sample,), its peak at 0.9.
    """
    rng = np.random.default_rng((seed, number, 0, _OF_CLIPS))
    if source.name in _SOUNDS:
        sounds = _SOUNDS[source.name]
        sound = sounds[number % len(sounds)]
        return training_clip(sound, rng, duration_s=duration_s, sample_rate=sample_rate).waveform
    timbres = timbres_of(source)
    if not timbres:
        raise ValueError(f"source {source.name!r} renders batches; ask `bench.corpus.stream`.")
    notes = training_melody(rng, duration_s).notes
    waveform = play(source, timbres[number % len(timbres)], notes, duration_s, sample_rate)
    peak = max(float(np.abs(waveform).max()), 1e-6)
    return np.asarray(waveform * (_PEAK / peak), np.float32)


def listing() -> str:
    """All sources, one a line: name, timbres, licence, whether it is here, what it is made from."""
    lines = []
    for source in map(as_here, SOURCES.values()):
        count = "endless" if source.timbres is None else str(source.timbres)
        state = "here" if source.present else "not here"
        lines.append(f"{source.name:<12}{count:>8}  {state:<9}{source.licence:<34}{source.origin}")
    return "\n".join(lines)

"""The clips of the dataset `pairs`: the same tunes on several instruments.

So the true result of every transfer is known: a content in a style is its tune on the instrument of
that style.

`content/<instrument>/<instrument>_<tune>` plays the held-out tunes, on some instruments also with
chords below; `style/<instrument>` plays random melodies, so that a style never plays a tune; and
`changed/<change>/<instrument>_<tune>` is a content with wrong notes, or as a whole too low or too
high. The soundfont is one that no model of this project was trained on, and no tune was in any
training.

**Conventions**: mono 16-bit WAV of 5 s at 22,050 Hz, whose peak is 0.9; all follows from one seed.
"""

from __future__ import annotations

import hashlib
import logging
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.checkout import DATASETS
from bench.corpus.melodies import HELD_OUT_TUNES, Note, random_melody, tune_melody
from bench.corpus.synthesiser import TIM_GM, render_notes
from bench.files import file_digest, renewed_folder

logger = logging.getLogger(__name__)

CARD = DATASETS / "pairs.toml"
SAMPLE_RATE, DURATION_S, TEMPO_BPM, PEAK = 22050, 5.0, 140.0, 0.9
# General MIDI program numbers, from 0.
INSTRUMENTS: dict[str, int] = {
    "accordion": 21,
    "clarinet": 71,
    "flute": 73,
    "kalimba": 108,
    "music_box": 10,
    "piano": 0,
    "tubular_bells": 14,
    "violin": 40,
}
WITH_CHORDS = ("accordion", "clarinet", "piano", "violin")
PARTS = ("content", "style", "changed")  # folders
STYLE_CLIPS = 5
CHANGED_INSTRUMENT = "violin"
CHANGED_TUNES = 6
# Of each change: the share of notes that are wrong, by 1 to 5 semitones; what all notes move by.
CHANGES: dict[str, tuple[float, int]] = {
    "wrong_notes_10": (0.1, 0),
    "wrong_notes_25": (0.25, 0),
    "wrong_notes_50": (0.5, 0),
    "wrong_notes_all": (1.0, 0),
    "octave_down": (0.0, -12),
    "semitone_up": (0.0, 1),
}
_CHORDS = {"major": (0, 4, 7), "minor": (0, 3, 7)}  # steps above the tune's tonic
_CHORD_BEATS = 4
_SEED = 140_908  # of no training


def _tune(name: str) -> list[Note]:
    return list(tune_melody(HELD_OUT_TUNES[name], tempo_bpm=TEMPO_BPM).notes)


def chords_below(name: str) -> list[Note]:
    """Three notes held below a tune, struck anew every four beats."""
    tune = HELD_OUT_TUNES[name]
    lowest, tonic = min(pitch for pitch, _ in tune), tune[-1][0] % 12
    root = lowest - 12 - (lowest - tonic) % 12
    chord = _CHORDS[tune_melody(tune).mode]
    length_s = _CHORD_BEATS * 60 / TEMPO_BPM
    onsets = np.arange(0.0, DURATION_S, length_s).tolist()
    return [Note(onset, length_s, root + step, 60) for onset in onsets for step in chord]


def changed(notes: list[Note], wrong: float, shift: int, rng: np.random.Generator) -> list[Note]:
    """Notes of which a share has another pitch, by 1 to 5 semitones, and all are moved by some.

    Args:
        notes: A melody; those that begin in the clip count.
        wrong: Share of the notes, rounded to whole ones.
        shift: Semitones.
        rng: Draws which notes, and how they are wrong.
    """
    heard = [place for place, note in enumerate(notes) if note.onset_s < DURATION_S]
    chosen = rng.permutation(heard)[: round(wrong * len(heard))]
    steps = dict(zip(chosen.tolist(), _steps(rng, len(chosen)), strict=True))
    return [
        replace(note, pitch=note.pitch + shift + steps.get(place, 0))
        for place, note in enumerate(notes)
    ]


def _steps(rng: np.random.Generator, count: int) -> list[int]:
    sizes, signs = rng.integers(1, 6, count), rng.choice([-1, 1], count)
    return [int(step) for step in sizes * signs]


def _scores() -> Iterator[tuple[Path, int, list[Note]]]:
    """(path in the dataset, without its suffix; program; notes) of every clip."""
    for index, (instrument, program) in enumerate(INSTRUMENTS.items()):
        for tune in HELD_OUT_TUNES:
            place = Path("content", instrument, f"{instrument}_{tune}")
            yield place, program, _tune(tune)
            if instrument in WITH_CHORDS:
                yield Path(f"{place}_chords"), program, _tune(tune) + chords_below(tune)
        for number in range(STYLE_CLIPS):
            melody = random_melody(
                np.random.default_rng((_SEED, index, number)), duration_s=DURATION_S
            )
            name = f"{instrument}_{number + 1}"
            yield Path("style", instrument, name), program, list(melody.notes)
    for kind, (change, how) in enumerate(CHANGES.items()):
        for number, tune in enumerate(list(HELD_OUT_TUNES)[:CHANGED_TUNES]):
            rng = np.random.default_rng((_SEED, kind, number, 1))
            place = Path("changed", change, f"{CHANGED_INSTRUMENT}_{tune}")
            yield place, INSTRUMENTS[CHANGED_INSTRUMENT], changed(_tune(tune), *how, rng)


def _rendered(notes: list[Note], program: int) -> NDArray[np.float32]:
    ordered = sorted(notes, key=lambda note: note.onset_s)
    waveform = render_notes(ordered, program, DURATION_S, SAMPLE_RATE, soundfont=TIM_GM)
    return (waveform * (PEAK / float(np.abs(waveform).max()))).astype(np.float32)


def write_pairs_dataset(folder: Path) -> list[Path]:
    """Render all clips into a folder, which appears whole, and return their paths.

    Raises:
        DatasetError: The synthesiser or the soundfont is not installed.
    """
    import soundfile

    written = []
    with renewed_folder(folder, keep=lambda path: path.parts[0] not in PARTS) as fresh:
        for place, program, notes in _scores():
            path = fresh / f"{place}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, _rendered(notes, program), SAMPLE_RATE, subtype="PCM_16")
            written.append(folder / f"{place}.wav")
    logger.info("wrote %d clips under %s; %s", len(written), folder, verdict(folder))
    return written


def digest_of(folder: Path) -> str:
    """SHA-256 over the paths and bytes of all clips of a folder, 64 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.wav"), key=lambda path: path.relative_to(folder).as_posix()):
        line = f"{path.relative_to(folder).as_posix()} {file_digest(path)}\n"
        digest.update(line.encode())
    return digest.hexdigest()


def verdict(folder: Path) -> str:
    """Whether clips are those that the card announces, in words."""
    found = digest_of(folder)
    wanted = tomllib.loads(CARD.read_text(encoding="utf-8"))["rendering"]["digest"]
    if found == wanted:
        return f"digest {found[:12]}, as in the card"
    return (
        f"digest {found[:12]}, the card says {wanted[:12]}: another version of the synthesiser or "
        "of the soundfont, so scores may differ from published ones in their last digits"
    )

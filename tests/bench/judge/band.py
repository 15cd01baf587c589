"""A small band whose pieces are known: four tunes on four made-up instruments, and their styles.

No file and no synthesiser is needed, and no model has heard these sounds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from bench.corpus.melodies import HELD_OUT_TUNES, Note, random_melody, tune_melody

RATE, SECONDS = 22_050, 3.0
TUNES = ("ode_to_joy", "twinkle", "minuet_in_g", "korobeiniki")
CARD = """
schema_version = 1
name = "band"
licence = "CC0-1.0"
redistributable = true
targets = "{category}_{piece}"
"""
Tone = Callable[[np.ndarray, float], np.ndarray]


def organ(time: np.ndarray, hz: float) -> np.ndarray:
    """Odd partials that do not die away."""
    tone = sum(np.sin(2 * np.pi * n * hz * time) / n for n in (1, 3, 5, 7))
    return np.asarray(tone * np.minimum(1, time / 0.02))


def plucked(time: np.ndarray, hz: float) -> np.ndarray:
    """Many partials, of which the higher die away sooner."""
    parts = (np.sin(2 * np.pi * n * hz * time) * np.exp(-3 * n * time) for n in range(1, 13))
    return np.asarray(sum(parts))


def reed(time: np.ndarray, hz: float) -> np.ndarray:
    """A bright buzz with vibrato."""
    phase = hz * time + 0.01 * hz / 5 * np.sin(2 * np.pi * 5 * time)
    parts = (np.sin(2 * np.pi * n * phase) / n**0.5 for n in range(1, 16))
    return np.asarray(sum(parts) * np.minimum(1, time / 0.08))


def whistle(time: np.ndarray, hz: float) -> np.ndarray:
    """A pure tone in breath."""
    breath = np.random.default_rng(round(hz)).normal(size=len(time))
    return np.asarray((np.sin(2 * np.pi * hz * time) + 0.15 * breath) * np.minimum(1, time / 0.05))


TONES: dict[str, Tone] = {"organ": organ, "plucked": plucked, "reed": reed, "whistle": whistle}


def play(notes: tuple[Note, ...], tone: Tone) -> np.ndarray:
    """Notes on one instrument, peak .9."""
    sound = np.zeros(round(RATE * SECONDS))
    for note in notes:
        start = round(note.onset_s * RATE)
        length = min(round(0.92 * note.duration_s * RATE), len(sound) - start)
        if length > 0:
            time = np.arange(length) / RATE
            fade = np.minimum(1, (length - np.arange(length)) / (0.01 * RATE))
            sound[start : start + length] += tone(time, 440 * 2 ** ((note.pitch - 69) / 12)) * fade
    return np.asarray(0.9 * sound / np.abs(sound).max())


def write_band(root: Path) -> Path:
    """Write the clips and the card into a folder and return it."""
    for number, (instrument, tone) in enumerate(TONES.items()):
        for name in TUNES:
            tune = tune_melody(HELD_OUT_TUNES[name], tempo_bpm=140.0)
            _write(root / "content" / instrument / f"{instrument}_{name}.wav", tune.notes, tone)
        for take in range(3):
            rng = np.random.default_rng((7, number, take))
            melody = random_melody(rng, duration_s=SECONDS, chord_probability=0.0)
            _write(root / "style" / instrument / f"{instrument}_{take}.wav", melody.notes, tone)
    tune = tune_melody(HELD_OUT_TUNES[TUNES[0]], tempo_bpm=140.0, transpose=1)
    _write(root / "changed" / "semitone_up" / f"whistle_{TUNES[0]}.wav", tune.notes, whistle)
    (root / "dataset.toml").write_text(CARD, encoding="utf-8")
    return root


def _write(path: Path, notes: tuple[Note, ...], tone: Tone) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, play(notes, tone), RATE, subtype="PCM_16")

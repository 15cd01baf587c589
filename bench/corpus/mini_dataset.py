"""The clips of the bundled mini dataset, rendered from the same seed every time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.corpus.melodies import HELD_OUT_TUNES, random_melody, tune_melody
from bench.corpus.rendering import render_sound

logger = logging.getLogger(__name__)

_SAMPLE_RATE, _DURATION_S = 22050, 5.0
# category -> tunes with tempo (beats per minute) and shift (semitones), within the instrument's
# usual register
_CONTENT: dict[str, tuple[tuple[str, float, int], ...]] = {
    "piano": (("ode_to_joy", 160.0, 0), ("minuet_in_g", 130.0, 0)),
    "violin": (("greensleeves", 170.0, 0), ("scarborough_fair", 160.0, 5)),
    "flute": (("morning_mood", 180.0, 0), ("korobeiniki", 140.0, 0)),
    "guitar": (("twinkle", 150.0, 0), ("frere_jacques", 150.0, -3)),
}
_STYLES = ("accordion", "kalimba", "bells", "music box")
_STYLE_CLIPS = 6
# Apart from every training seed, so that no style clip repeats a training clip.
_SEED = 90210


def _clips() -> Iterator[tuple[Path, NDArray[np.float32]]]:
    """(path inside the dataset, waveform) of every bundled clip."""
    timing = (_DURATION_S, _SAMPLE_RATE)
    for category, tunes in _CONTENT.items():
        for name, tempo_bpm, transpose in tunes:
            melody = tune_melody(HELD_OUT_TUNES[name], tempo_bpm=tempo_bpm, transpose=transpose)
            rng = np.random.default_rng(_SEED)
            waveform = render_sound(category, melody, rng, *timing)
            yield Path("content", category, f"{category}_{name}.flac"), waveform
    for index, style in enumerate(_STYLES):
        folder = style.replace(" ", "_")
        for number in range(_STYLE_CLIPS):
            rng = np.random.default_rng((_SEED, index, number))
            melody = random_melody(rng, duration_s=_DURATION_S)
            waveform = render_sound(style, melody, rng, *timing)
            yield Path("style", folder, f"{folder}_{number + 1}.flac"), waveform


def write_mini_dataset(folder: Path) -> list[Path]:
    """Write the mini dataset's clips as 16-bit mono FLAC of 5 s at 22,050 Hz; return their paths.

    Raises:
        DatasetError: The synthesiser or the soundfont is not installed.
    """
    import soundfile

    written = []
    for name, waveform in _clips():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, waveform, _SAMPLE_RATE, subtype="PCM_16")
        written.append(path)
    logger.info("wrote %d clips under %s", len(written), folder)
    return written

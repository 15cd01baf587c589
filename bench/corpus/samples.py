"""Clips of every source of training audio, as files: to listen to, and to look at.

**Conventions**: mono 16-bit FLAC of 5.12 s at 22,050 Hz, FOLDER/SOURCE/NUMBER.flac; procedural
clips also carry their family in the name.
"""

from __future__ import annotations

import logging
from pathlib import Path

from bench.corpus.procedural import as_array, render_parts
from bench.corpus.sources import PROCEDURAL, SOURCES, Source, Waveform, as_here, render_clip
from bench.corpus.stream import CLIP_S, take_of

logger = logging.getLogger(__name__)

SAMPLE_RATE = 22_050
_SEED = 1


def _clip(source: Source, number: int) -> tuple[str, Waveform]:
    """Name and waveform of a clip."""
    if source != PROCEDURAL:
        waveform = render_clip(source, _SEED, number, duration_s=CLIP_S, sample_rate=SAMPLE_RATE)
        return f"{number:05d}", waveform
    part = take_of(_SEED, number)
    rendered = render_parts([part], int(CLIP_S * SAMPLE_RATE), SAMPLE_RATE)
    return f"{number:05d}_{part.timbre.family}", as_array(rendered)[0]


def write_timbres(folder: Path, count: int) -> list[Path]:
    """Write the first clips of every source that is here; return their paths."""
    import soundfile

    written = []
    for source in map(as_here, SOURCES.values()):
        for number in range(count if source.present else 0):
            name, waveform = _clip(source, number)
            path = folder / source.name / f"{name}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, waveform, SAMPLE_RATE, subtype="PCM_16")
            written.append(path)
    logger.info("wrote %d clips under %s", len(written), folder)
    return written

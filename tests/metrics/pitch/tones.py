"""Tunes of additive tones, and the models that hear them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from bench.api import Audio, Clip, Output, Style
from bench.cache import Cache

RATE = 22_050
NOTE_S = 0.5
SCALE = (60, 62, 64, 65, 67, 69, 71, 72)
PARTIALS = (1.0, 0.25, 0.1)  # strong ones are heard as keys of their own


@cache
def own_cache() -> Cache:
    """A cache of this process alone, so that each sound is heard by the model."""
    return Cache(Path(tempfile.mkdtemp()))


def tune(
    pitches: Sequence[int], *, partials: Sequence[float] = PARTIALS, rate: int = RATE
) -> Audio:
    """Half a second per MIDI pitch, with ends of 10 ms; 0 is a rest."""
    time = np.arange(round(NOTE_S * rate)) / rate
    ends = np.minimum(1, np.minimum(time, time[-1] - time) / 0.01)
    notes = [
        (pitch > 0)
        * ends
        * sum(
            level * np.sin(2 * np.pi * k * 440 * 2 ** ((pitch - 69) / 12) * time)
            for k, level in enumerate(partials, start=1)
        )
        for pitch in pitches
    ]
    return Audio((0.2 * np.concatenate(notes)).astype(np.float32)[None], rate)


def together(*tunes: Audio) -> Audio:
    """Several tunes at once."""
    return Audio(sum((one.waveform for one in tunes), np.float32(0)), tunes[0].sample_rate)


def noise(seconds: float, level: float = 0.1) -> Audio:
    """White noise."""
    drawn = np.random.default_rng(7).standard_normal(round(seconds * RATE))
    return Audio((level * drawn).astype(np.float32)[None], RATE)


def wrong(count: int) -> list[int]:
    """The scale with its first notes moved by a tritone."""
    return [pitch + 6 if place < count else pitch for place, pitch in enumerate(SCALE)]


def output(content: Audio, made: Audio, style: Audio | None = None) -> Output:
    """An output; the style sounds like the content unless another sound is given."""
    clip = Clip("content", "tone", content)
    recordings = (Clip("style", "tone", content if style is None else style),)
    return Output(clip, Style("toy", recordings), made)

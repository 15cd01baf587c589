"""Each sound is heard once, and alike in whatever company and order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Audio
from bench.cache import Cache
from metrics.level import LEVEL_RMS, levelled
from metrics.pitch.contours import open_contours
from metrics.pitch.note_maps import open_note_maps
from metrics.pitch.remembered import Remembered
from tests.metrics.pitch.tones import RATE, SCALE, own_cache, tune


def test_a_sound_is_heard_once_and_kept_under_all_that_decides_it(tmp_path: Path) -> None:
    heard: list[Audio] = []

    def hear(audio: Audio) -> np.ndarray:
        heard.append(audio)
        return audio.waveform[0, :3]

    first, second = tune([60]), tune([62])
    ours = Remembered("test", hear, {"model": "a"}, Cache(tmp_path))
    again = Audio(first.waveform.copy(), first.sample_rate)
    found = ours.of_all([first, second, again, first])
    assert len(heard) == 2
    assert [one.tolist() for one in found] == [
        one.waveform[0, :3].tolist() for one in (first, second, first, first)
    ]
    Remembered("test", hear, {"model": "a"}, Cache(tmp_path)).of(again)  # from the disk
    assert len(heard) == 2
    Remembered("test", hear, {"model": "b"}, Cache(tmp_path)).of(first)
    assert len(heard) == 3


@pytest.mark.parametrize("open_hearing", [open_note_maps, open_contours])
def test_a_sound_is_heard_alike_alone_and_beside_others(
    open_hearing: Any,  # noqa: ANN401 - a function with a cache of its own
    tmp_path: Path,
) -> None:
    """To the last bit, although others go on in other threads."""
    sounds = [tune([pitch] * 4) for pitch in SCALE[:4]]
    together = open_hearing(Cache(tmp_path)).of_all(sounds)
    for sound, beside in zip(sounds, together, strict=True):
        open_hearing.cache_clear()
        alone = open_hearing(Cache(tmp_path / "alone")).of(sound)
        assert alone.dtype == beside.dtype
        assert np.array_equal(alone, beside)
    open_hearing.cache_clear()


@pytest.mark.parametrize("gain", [1e-2, 1.0, 30.0])
def test_every_sound_is_heard_at_one_level(gain: float) -> None:
    sound = tune(SCALE)
    heard = levelled(Audio(sound.waveform * np.float32(gain), RATE), 16_000)
    assert np.sqrt(np.mean(heard.astype(float) ** 2)) == pytest.approx(LEVEL_RMS, rel=1e-6)


def test_channels_are_averaged_and_what_is_below_hearing_is_not_raised() -> None:
    sound = tune([60])
    both = Audio(np.concatenate([sound.waveform, np.zeros_like(sound.waveform)]), RATE)
    assert np.allclose(levelled(both, RATE), levelled(sound, RATE), atol=1e-6)
    faint = Audio(sound.waveform * np.float32(1e-4), RATE)
    assert not levelled(faint, RATE).any()
    opposite = Audio(np.concatenate([sound.waveform, -sound.waveform]), RATE)
    for open_hearing in (open_note_maps, open_contours):
        heard = open_hearing(own_cache()).of(opposite)
        assert not (heard[1] if heard.dtype == np.float32 else heard).any()

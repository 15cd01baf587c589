"""The windows and frames of a note map, by the description of its model, and what it hears."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from bench.api import Audio
from metrics.level import levelled
from metrics.pitch.note_maps import (
    FOLDER,
    frames_of,
    open_note_maps,
    open_session,
    posteriors,
    unpacked,
    windows_of,
)
from tests.metrics.pitch.tones import NOTE_S, RATE, SCALE, own_cache, tune

# As stated by the wheel basic-pitch 0.4.0.
DIGESTS = {
    "nmp.onnx": "2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec",
    "LICENSE": "929c910bae2152fa87199a5d0660e09263419b7eee6d4b301d05ee2aaf211c37",
    "NOTICE": "b810e55c0e3b520fabb45fc2ccc74880187bf84e309971968541cc812dcde905",
}
A4 = 69 - 21  # its key


def test_the_model_is_the_published_one_and_its_notice_lies_beside_it() -> None:
    found = {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in DIGESTS}
    assert found == DIGESTS
    assert DIGESTS["nmp.onnx"] in (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")


def described_windows(mono: np.ndarray) -> list[np.ndarray]:
    """15 frames of silence, then steps of 36,164 samples until the sound has ended."""
    padded, found, start = np.concatenate([np.zeros(3840), mono]), [], 0
    while start < len(padded):
        window = padded[start : start + 43_844]
        found.append(np.concatenate([window, np.zeros(43_844 - len(window))]))
        start += 36_164
    return found


@pytest.mark.parametrize(
    "samples", [1, 256, 257, 22_050, 36_163, 36_164, 36_665, 36_666, 110_250, 300_001]
)
def test_windows_are_those_of_the_package_without_those_that_are_dropped(samples: int) -> None:
    mono = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    found, described = windows_of(mono), described_windows(mono)
    frames = samples * 86 // 22_050
    assert frames == frames_of(samples)
    assert 142 * len(found) >= frames > 142 * (len(found) - 1)
    assert len(found) <= len(described)
    assert all(np.array_equal(*pair) for pair in zip(found, described, strict=False))


def test_frames_of_windows_are_put_together_as_the_package_does() -> None:
    session = open_session(FOLDER / "nmp.onnx")
    mono = levelled(tune(SCALE), RATE)
    kept = []
    for window in described_windows(mono):
        given = window.astype(np.float32)[None, :, None]
        (notes,) = session.run(["StatefulPartitionedCall:1"], {"serving_default_input_2:0": given})
        kept.append(notes[0][15:-15])
    expected = np.concatenate(kept)[: 4 * 86]
    assert np.array_equal(posteriors(session, mono), expected)


def test_a_sine_sounds_on_its_key_as_it_did_where_this_was_written() -> None:
    """Five layers of at most 1,024 terms in float32 stay within 1e-4 of each other."""
    sine = (0.1 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    found = posteriors(open_session(FOLDER / "nmp.onnx"), levelled(Audio(sine[None], RATE), RATE))
    assert found.shape == (172, 88)
    assert found[20:150].mean(axis=0).argmax() == A4
    assert found[86, A4 - 1 : A4 + 2].tolist() == pytest.approx(GOLDEN, abs=1e-4)


GOLDEN = (0.0792916, 0.6177562, 0.0846251)


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
def test_the_notes_of_a_scale_sound_one_after_the_other(rate: int) -> None:
    notes = unpacked(open_note_maps(own_cache()).of(tune(SCALE, rate=rate)))
    middles = [round((place + 0.5) * NOTE_S * 86) for place in range(len(SCALE))]
    assert [np.flatnonzero(notes[frame]).tolist() for frame in middles] == [
        [pitch - 21] for pitch in SCALE
    ]


@pytest.mark.parametrize("samples", [1, 100, 256, 257, 2000])
def test_a_sound_too_short_for_a_frame_has_none(samples: int) -> None:
    short = Audio(tune([69]).waveform[:, :samples], RATE)
    notes = unpacked(open_note_maps(own_cache()).of(short))
    assert notes.shape == (samples * 86 // 22_050, 88)


def test_silence_has_no_notes() -> None:
    silence = Audio(np.zeros((1, RATE), np.float32), RATE)
    assert not unpacked(open_note_maps(own_cache()).of(silence)).any()

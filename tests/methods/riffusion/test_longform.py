"""Windows over long spectrograms: nothing is lost, and the identity stays the identity."""

from __future__ import annotations

import numpy as np
import pytest

from bench.api import Audio, Clip, StyleState, StyleTransferMethod, TransferRequest
from methods.riffusion.checkpoints import MINI_FOLDER
from methods.riffusion.controls import NullPrompt, VaeRoundTrip, Vocoder
from methods.riffusion.longform import count_overlap, cut_windows, join_windows, place_windows
from methods.riffusion.parameters.guided import NullPromptParameters
from methods.riffusion.spectrogram import MINI_PARAMETERS

RATE = 22_050
GEOMETRY = MINI_PARAMETERS.geometry(RATE)
WINDOW = MINI_PARAMETERS.num_frames
SECONDS = (3.0, 5.0, 5.12, 5.2, 12.3, 60.0)
needs_weights = pytest.mark.skipif(
    not (MINI_FOLDER / "unet" / "config.json").is_file(), reason="no mini weights here"
)


def _columns(seconds: float) -> int:
    return GEOMETRY.count_frames(round(seconds * RATE))


def _image(columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, columns)).astype(np.uint8)


@pytest.mark.parametrize("seconds", SECONDS)
def test_a_model_that_changes_nothing_gives_the_image_back(seconds: float) -> None:
    image = _image(_columns(seconds))
    joined = join_windows(cut_windows(image, WINDOW), image.shape[1])
    assert np.array_equal(joined, image)


@pytest.mark.parametrize("columns", [*map(_columns, SECONDS), WINDOW + 2, 2 * WINDOW - 15, 513])
def test_windows_cover_every_column_and_overlap(columns: int) -> None:
    starts = place_windows(columns, WINDOW)
    assert starts[0] == 0
    if columns > WINDOW + 1:
        assert starts[-1] + WINDOW == columns
        assert all(0 < d <= WINDOW - count_overlap(WINDOW) for d in np.diff(starts))
    else:
        assert starts == [0]


def test_clips_up_to_the_window_are_not_cut() -> None:
    assert [len(cut_windows(_image(_columns(s)), WINDOW)) for s in SECONDS] == [1, 1, 1, 2, 3, 13]


def test_unlike_windows_fade_with_equal_power() -> None:
    columns = 2 * WINDOW - count_overlap(WINDOW)
    loud, silent = (np.full((4, WINDOW), grey, dtype=np.uint8) for grey in (0, 255))
    power = (1 - join_windows([loud, silent], columns)[0] / 255) ** 8
    seam = power[WINDOW - count_overlap(WINDOW) : WINDOW]
    assert power[: WINDOW - count_overlap(WINDOW)] == pytest.approx(1)
    assert power[WINDOW:] == pytest.approx(0)
    assert seam + seam[::-1] == pytest.approx(1, abs=0.05)
    assert (np.diff(seam) < 0).all()


def test_equal_powers_stay_in_the_fade() -> None:
    one, other = _image(WINDOW, 1), _image(WINDOW, 2)
    columns = 2 * WINDOW - count_overlap(WINDOW)
    joined = join_windows([np.full_like(one, 100), np.full_like(other, 100)], columns)
    assert (joined == 100).all()


def _tones(seconds: float) -> Clip:
    times = np.arange(round(seconds * RATE)) / RATE
    pitch = 330 * 2 ** (np.floor(times * 2) % 5 / 12)
    tone = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.exp(-3 * (times % 0.5))
    return Clip("tones", "tests", Audio(tone.astype(np.float32)[None], RATE))


def _render(kind: type[StyleTransferMethod], content: Clip, parameters: object) -> Audio:
    method = kind()
    method.load("mini", "cpu")
    return method.transfer([TransferRequest(content, StyleState(), parameters, 1)])[0]


@pytest.mark.weights
@needs_weights
@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (Vocoder, Vocoder.Parameters()),
        (VaeRoundTrip, VaeRoundTrip.Parameters()),
        (NullPrompt, NullPromptParameters(num_inference_steps=2, strength=0.5)),
    ],
)
def test_a_long_piece_keeps_its_length_and_its_level(
    kind: type[StyleTransferMethod], parameters: object
) -> None:
    content = _tones(7.0)  # two windows
    made = _render(kind, content, parameters)
    assert made.num_samples == content.audio.num_samples
    thirds = [part.std() for part in np.array_split(made.mono, 3)]
    assert min(thirds) > 0.5 * max(thirds)


@pytest.mark.slow
@pytest.mark.weights
@needs_weights
@pytest.mark.parametrize("seconds", SECONDS)
def test_every_length_is_kept(seconds: float) -> None:
    content = _tones(seconds)
    made = _render(NullPrompt, content, NullPromptParameters(num_inference_steps=2, strength=0.5))
    assert made.num_samples == content.audio.num_samples

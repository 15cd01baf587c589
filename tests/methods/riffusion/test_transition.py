"""From one style to another: what lies between two, and that the ends are those of each style."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api import Audio, Clip, ConfigError, StyleState, TransferRequest
from bench.cache import Cache
from methods.riffusion.checkpoints import MINI_FOLDER
from methods.riffusion.conditioning import ContextTable
from methods.riffusion.parameters.guided import TextParameters
from methods.riffusion.parameters.settings import StylisationSettings
from methods.riffusion.text import RiffusionText
from methods.riffusion.transition import (
    TransitionSettings,
    amounts,
    blend_settings,
    blend_tables,
    join_states,
    slerp,
    split_state,
)

RATE = 22_050
FAST = TextParameters(num_inference_steps=4, vae_sample="mode")


def _state(text: str, size: int = 2) -> StyleState:
    return StyleState({"vector": np.full(size, len(text), np.float32)}, {"text": text})


@pytest.mark.parametrize("curve", [0.5, 1.0, 2.0])
def test_amounts_rise_from_0_to_1_and_are_symmetric(curve: float) -> None:
    steps = amounts(7, curve)
    assert (steps[0], steps[3], steps[-1]) == (0.0, 0.5, 1.0)
    assert all(a < b for a, b in pairwise(steps))
    assert np.array(steps) + np.array(steps[::-1]) == pytest.approx(np.ones(7))


def test_noise_between_two_keeps_its_length() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(8, 16, 32, generator=generator) for _ in range(2))
    for amount in (0.0, 0.25, 0.5, 0.75, 1.0):
        assert float(slerp(one, other, amount).std()) == pytest.approx(1.0, abs=0.02)
    assert slerp(one, other, 0) is one
    assert slerp(one, other, 1) is other
    assert torch.equal(slerp(one, one, 0.3), one)


def test_the_angle_grows_evenly() -> None:
    one, other = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    third = slerp(one, other / 2, 1 / 3)
    assert torch.allclose(third, torch.tensor([np.cos(np.pi / 6), np.sin(np.pi / 6)]).float())


def test_strength_and_guidance_lie_on_the_line() -> None:
    start = StylisationSettings(0.4, 3.0)
    end = TransitionSettings(strength=0.8, guidance_scale=7.0).end(start)
    middle = blend_settings(start, end, 0.25)
    assert (middle.strength, middle.guidance_scale) == pytest.approx((0.5, 4.0))
    assert blend_settings(start, end, 0) == start
    assert blend_settings(start, end, 1) == end
    assert TransitionSettings().end(start) == start


def test_contexts_lie_on_the_line() -> None:
    visited = torch.tensor([1, 21])
    one, other = (ContextTable(visited, *torch.rand(3, 2, 3, 4)) for _ in "ab")
    middle = blend_tables(one, other, 0.5)
    assert torch.allclose(middle.styled, (one.styled + other.styled) / 2)
    assert torch.allclose(middle.empty, (one.empty + other.empty) / 2)
    assert blend_tables(one, other, 1) is other
    with pytest.raises(ValueError, match="unlike timesteps"):
        blend_tables(one, replace(one, visited=visited + 1), 0.5)


def test_a_curve_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="curve is 0"):
        TransitionSettings(curve=0)


def test_joined_states_come_apart_again_also_from_the_disk(tmp_path: Path) -> None:
    joined = join_states(_state("bells"), _state("organ", 3), TransitionSettings(strength=0.7))
    cache = Cache(tmp_path)
    cache.save_state("0" * 64, joined, {"wall_s": 1.0})
    loaded = cache.load_state("0" * 64)
    assert loaded is not None
    way = split_state(loaded)
    assert way is not None
    assert way.settings == TransitionSettings(strength=0.7)
    assert (way.first.meta, way.second.meta) == ({"text": "bells"}, {"text": "organ"})
    assert [way.first.arrays["vector"].size, way.second.arrays["vector"].size] == [2, 3]


def test_the_state_of_one_style_is_no_transition() -> None:
    assert split_state(_state("bells")) is None


def _tones(seconds: float) -> Clip:
    times = np.arange(round(seconds * RATE)) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 440 * times) * np.exp(-3 * (times % 0.5))
    return Clip("tones", "tests", Audio(tone.astype(np.float32)[None], RATE))


@pytest.fixture(scope="module")
def method() -> RiffusionText:
    loaded = RiffusionText()
    loaded.load("mini", "cpu")
    return loaded


def _render(method: RiffusionText, *states: StyleState, seconds: float) -> list[Audio]:
    content = _tones(seconds)
    return method.transfer([TransferRequest(content, state, FAST, 1) for state in states])


@pytest.mark.weights
@pytest.mark.skipif(not (MINI_FOLDER / "unet" / "config.json").is_file(), reason="no mini weights")
class TestRendering:
    """With the mini model."""

    def test_a_piece_begins_in_the_first_style_and_keeps_its_length(
        self, method: RiffusionText
    ) -> None:
        joined = join_states(_state("accordion"), _state("bells"))
        first, between = _render(method, _state("accordion"), joined, seconds=9.0)
        assert between.num_samples == first.num_samples == 9 * RATE
        opening, close = slice(RATE, 3 * RATE), slice(6 * RATE, 8 * RATE)
        assert _likeness(first, between, opening) > 0.95
        assert _likeness(first, between, close) < 0.95

    def test_a_piece_of_one_window_is_rendered_half_way(self, method: RiffusionText) -> None:
        joined = join_states(_state("bells"), _state("organ"))
        outputs = _render(method, _state("bells"), _state("organ"), joined, seconds=2.0)
        assert len({output.digest for output in outputs}) == len(outputs)
        assert outputs[2].num_samples == 2 * RATE


def _likeness(one: Audio, other: Audio, place: slice) -> float:
    """Cosine of the magnitude spectra of a stretch."""
    spectra = [np.abs(np.fft.rfft(audio.mono[place])) for audio in (one, other)]
    return float(spectra[0] @ spectra[1] / np.prod([np.linalg.norm(s) for s in spectra]))

"""Matching of Gram matrices: identities, gradients, and that the optimiser makes its steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench import counts
from bench.api import (
    Audio,
    Clip,
    ConfigError,
    ContentError,
    FitRequest,
    Style,
    TransferRequest,
    UnsupportedError,
)
from methods.gatys.matching import (
    Target,
    content_loss,
    gram,
    mean_grams,
    optimise,
    relative_error,
    style_loss,
)
from methods.gatys.parameters import PRESETS, Architecture, MatchSettings, ShallowParameters
from methods.gatys.rendering import magnitudes, match, read
from methods.gatys.shallow import GEOMETRY, RandomNetwork, Shallow
from methods.phase import stft
from tests import rounding

RATE = GEOMETRY.sample_rate
TINY = Architecture(num_layers=2, num_filters=16, kernel_length=5)


def _clip(seconds: float, pitch_hz: float, name: str = "clip") -> Clip:
    times = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * k * pitch_hz * times) / k for k in range(1, 5))
    waveform = 0.2 * tone * np.exp(-5 * (times % 0.25))
    return Clip(name, "tests", Audio(waveform.astype(np.float32)[None], RATE))


def _network(architecture: Architecture = TINY, num_bins: int = 1025) -> RandomNetwork:
    return RandomNetwork(architecture, num_bins, seed=0)


def _loss_after(
    network: RandomNetwork, content: Clip, style: Clip, settings: MatchSettings
) -> tuple[float, float]:
    """Style loss and content loss of what was found."""
    shortest = TINY.shortest
    seen, other = (read(clip, GEOMETRY, shortest, "cpu") for clip in (content, style))
    grams = mean_grams([network(other.spectrum, other.scale)])
    target = Target(network(seen.spectrum, seen.scale).content, grams)
    found = network(match(seen, network, grams, settings, seed=1).spectrum, seen.scale)
    return float(style_loss(found, target)), float(content_loss(found, target))


def test_a_gram_matrix_is_the_mean_product_of_channels() -> None:
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert gram(features).tolist() == [[2.5, 5.5], [5.5, 12.5]]


def test_a_relative_error_is_0_at_the_target_and_1_at_silence() -> None:
    target = torch.tensor([3.0, 4.0])
    assert float(relative_error(target, target)) == 0
    assert float(relative_error(torch.zeros(2), target)) == 1


def test_a_style_has_no_style_loss_and_a_content_no_content_loss() -> None:
    seen = read(_clip(1, 300), GEOMETRY, TINY.shortest, "cpu")
    features = _network()(seen.spectrum, seen.scale)
    target = Target(features.content, mean_grams([features]))
    assert float(style_loss(features, target)) == 0
    assert float(content_loss(features, target)) == 0


def test_several_clips_give_the_mean_of_their_gram_matrices() -> None:
    network = _network(num_bins=8)
    clips = [network(torch.rand(8, 20) + n, 1.0) for n in range(3)]
    means = mean_grams(clips)
    assert len(means) == len(clips[0].style) > 0
    for layer, mean in enumerate(means):
        each = torch.stack([gram(one.style[layer]) for one in clips])
        terms = each[0].numel() + len(each) + clips[0].style[layer].shape[-1]
        atol = rounding.likely(terms, scale=rounding.magnitude(each))
        torch.testing.assert_close(mean, each.mean(dim=0), rtol=0, atol=atol)


def test_the_gradient_is_that_of_finite_differences() -> None:
    network = _network(Architecture(2, 4, 3), num_bins=3)
    generator = torch.Generator().manual_seed(1)
    start, content, style = (
        torch.rand(3, 9, dtype=torch.float64, generator=generator) for _ in range(3)
    )
    target = Target(network(content, 1.0).content, mean_grams([network(style, 1.0)]))

    def loss(spectrum: torch.Tensor) -> torch.Tensor:
        features = network(spectrum, 1.0)
        return style_loss(features, target) + 0.3 * content_loss(features, target)

    assert torch.autograd.gradcheck(loss, (start.requires_grad_(),), eps=1e-6, atol=1e-6)


def test_the_networks_weights_have_the_spread_of_the_source() -> None:
    network = RandomNetwork(Architecture(2, 64, 11), 1025, seed=3)
    for weight, inputs in zip(network.weights, (1025, 64), strict=True):
        assert weight.shape == (64, inputs, 11)
        expected = np.sqrt(2) * np.sqrt(2 / ((inputs + 64) * 11))
        assert float(weight.std()) == pytest.approx(expected, rel=0.02)


def test_the_optimiser_makes_all_its_iterations_and_the_loss_falls() -> None:
    before = counts.counts()
    weights = torch.linspace(0.1, 3, 60).reshape(6, 10)

    def rosenbrock(x: torch.Tensor) -> torch.Tensor:
        return (weights * (x - 1) ** 2).sum() + 50 * (x[1:] - x[:-1] ** 2).square().sum()

    found = optimise(rosenbrock, torch.zeros(6, 10), steps=25)
    assert found.iterations == 25
    assert found.evaluations >= 25
    assert (counts.counts() - before)["gatys"] == found.evaluations
    assert found.losses[-1] < 0.5 * found.losses[0]
    assert sorted(found.losses, reverse=True) == found.losses


def test_the_optimiser_reaches_the_minimum_within_its_bounds() -> None:
    wanted = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    found = optimise(lambda x: (x - wanted).square().sum(), torch.full((2, 2), 9.0), steps=50)
    assert torch.allclose(found.spectrum, wanted.clamp_min(0), atol=1e-4)


def test_a_start_in_fortran_order_is_taken() -> None:
    start = torch.from_numpy(np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    found = optimise(lambda x: (x - start).square().sum(), start, steps=3)
    torch.testing.assert_close(found.spectrum, start, rtol=rounding.worst(8), atol=0)


@pytest.mark.parametrize("init", ["content", "noise"])
def test_matching_lowers_the_style_loss(init: str) -> None:
    settings = MatchSettings(0.02, init, 30, "griffin-lim", 1)  # type: ignore[arg-type]  # from the table
    network, content, style = _network(), _clip(1, 300), _clip(1.2, 700)
    start = _loss_after(network, content, style, MatchSettings(0.0, "content", 1, "content", 1))
    assert _loss_after(network, content, style, settings)[0] < 0.3 * start[0]


def test_more_weight_on_the_content_keeps_more_of_it() -> None:
    network, content, style = _network(), _clip(1, 300), _clip(1, 700)
    losses = [
        _loss_after(network, content, style, MatchSettings(weight, "content", 30, "content", 1))[1]
        for weight in (0.0, 0.1, 10.0)
    ]
    assert losses[0] > losses[1] > losses[2]


def _render(content: Clip, *style: Clip, seed: int = 1, **parameters: object) -> Audio:
    small = {"num_filters": 16, "kernel_length": 5, "steps": 5, "griffin_lim_iterations": 8}
    used = ShallowParameters(**{**small, **parameters})  # type: ignore[arg-type]  # the table above
    method = Shallow()
    method.load("mini", "cpu")
    (state,) = method.fit([FitRequest(Style("s", style), used, 1)], lambda _f, _t: None)
    (made,) = method.transfer([TransferRequest(content, state, used, seed)])
    return made


def test_a_content_that_is_the_style_comes_back() -> None:
    clip = _clip(1, 440)
    made = _render(clip, clip, phase="content")
    assert np.abs(made.waveform - clip.audio.waveform).max() < 0.02
    assert made.mono.std() == pytest.approx(clip.audio.mono.std(), rel=1e-3)


def test_a_spectrum_goes_back_to_its_magnitudes() -> None:
    clip = _clip(1, 440)
    seen = read(clip, GEOMETRY, 1, "cpu")
    whole = np.pad(clip.audio.waveform, ((0, 0), (0, -clip.audio.num_samples % 512)))
    expected = stft(torch.from_numpy(whole), GEOMETRY)[0].abs()
    made = magnitudes(seen.spectrum, seen.scale)
    # The transforms differ by a factor; log1p and expm1 hand on what a logarithm below 8 rounds.
    norm = float(np.sqrt(np.sum(np.hanning(GEOMETRY.win_length) ** 2)) * np.abs(whole).max())
    atol = rounding.of_fft(GEOMETRY.n_fft, scale=norm / rounding.magnitude(expected))
    atol += rounding.worst(8 + 4)
    torch.testing.assert_close(made / made.max(), expected / expected.max(), rtol=0, atol=atol)


def test_a_quieter_content_gives_the_same_music_quieter() -> None:
    clip, style = _clip(1, 440), _clip(1, 600)
    quiet = Clip("quiet", "tests", Audio(0.125 * clip.audio.waveform, RATE))
    loud, soft = _render(clip, style), _render(quiet, style)
    assert np.array_equal(soft.waveform, 0.125 * loud.waveform)  # a power of 2 rounds nothing


def test_seeds_decide_start_and_phase() -> None:
    clip, style = _clip(1, 440), _clip(1, 600)
    first, same, other = (_render(clip, style, seed=seed, init="noise") for seed in (1, 1, 2))
    assert first.digest == same.digest
    assert first.digest != other.digest


def test_clips_shorter_than_the_kernels_are_refused() -> None:
    with pytest.raises(ContentError, match=r"'short' lasts 0.20 s; this network needs"):
        _render(_clip(0.2, 440, "short"), _clip(1, 600), kernel_length=15)
    with pytest.raises(UnsupportedError, match="has 1 clips, none of them with 15 frames"):
        _render(_clip(1, 440), _clip(0.2, 600), kernel_length=15)


def test_presets_are_those_of_the_sources() -> None:
    shapes = {name: preset.architecture for name, preset in PRESETS.items()}
    assert shapes["ulyanov"] == Architecture(1, 4096, 11)
    assert shapes["duong"] == Architecture(2, 2048, 11)
    grinstein = PRESETS["grinstein"].settings
    assert (grinstein.init, grinstein.content_weight) == ("content", 0.0)
    assert PRESETS["ulyanov"].settings.steps == 300


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"preset": "gatys"}, "preset is 'gatys'"),
        ({"num_filters": 0}, "num_filters 0"),
        ({"content_weight": -1.0}, "content_weight is -1.0"),
        ({"steps": 0}, "steps is 0"),
        ({"init": "style"}, "init is 'style'"),
        ({"init": "noise", "content_weight": 0.0}, "nothing of the content would enter"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ShallowParameters(**parameters)  # type: ignore[arg-type]  # wrong on purpose

"""MusicGen-Style on generated state dicts: names, double guidance, and what each use hears."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api import (
    Audio,
    CheckpointError,
    Clip,
    ConfigError,
    FitRequest,
    Style,
    TransferRequest,
    UnsupportedError,
)
from methods.musicgen.generation import Guide, continue_codes, guided
from methods.musicgen.sampling import Sampling
from methods.musicgen.style import MusicgenStyle, double_guided, excerpt_of
from methods.musicgen.style_checkpoints import HUB_CHECKPOINTS, describe
from methods.musicgen.style_conditioner import (
    ConditionerSettings,
    ResidualQuantiser,
    StyleConditioner,
    sinusoid,
)
from methods.musicgen.style_loading import (
    StyleModel,
    conditioner_of,
    decoder_of,
    decoder_state,
    features_of,
    read_published,
)
from methods.musicgen.style_parameters import StyleParameters
from tests import rounding
from tests.methods.musicgen import tiny_style as tiny
from tests.methods.tiny_subject import TinySubject

RATE = 32_000


@pytest.fixture(scope="module")
def model() -> StyleModel:
    return tiny.tiny_model()


@pytest.fixture
def method(model: StyleModel) -> MusicgenStyle:
    made = MusicgenStyle()
    made.use(model)
    return made


LOGITS = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
# Two scales of at most 6, a few sums and products.
BOUND = rounding.worst(12, scale=6 * 6 * rounding.magnitude(LOGITS), dtype=torch.float64)
BOTH, STYLE, NOTHING = LOGITS.chunk(3)


def test_a_text_scale_of_one_is_ordinary_guidance() -> None:
    ordinary = guided(torch.cat([BOTH, NOTHING]), 3.0)
    torch.testing.assert_close(double_guided(LOGITS, 3.0, 1.0), ordinary, rtol=0, atol=BOUND)


def test_scales_of_one_are_text_and_style_alone() -> None:
    torch.testing.assert_close(double_guided(LOGITS, 1.0, 1.0), BOTH, rtol=0, atol=BOUND)


def test_a_text_scale_of_zero_is_guidance_by_the_style() -> None:
    by_style = guided(torch.cat([STYLE, NOTHING]), 3.0)
    torch.testing.assert_close(double_guided(LOGITS, 3.0, 0.0), by_style, rtol=0, atol=BOUND)


def test_scales_of_zero_are_no_condition() -> None:
    torch.testing.assert_close(double_guided(LOGITS, 0.0, 5.0), NOTHING, rtol=0, atol=BOUND)


def test_equal_logits_are_left_alone_by_any_scale() -> None:
    same = torch.cat([BOTH, BOTH, BOTH])
    torch.testing.assert_close(double_guided(same, 4.0, 6.0), BOTH, rtol=0, atol=BOUND)


def test_every_published_weight_has_its_place() -> None:
    state = tiny.published_state()
    decoder, conditioner = decoder_of(state), conditioner_of(state)
    renamed = decoder_state(state)
    assert set(renamed) == set(decoder.state_dict())
    joined = torch.cat(
        [renamed[f"model.decoder.layers.1.self_attn.{k}_proj.weight"] for k in "qkv"]
    )
    assert torch.equal(joined, state["transformer.layers.1.self_attn.in_proj_weight"])
    fc1 = decoder.get_parameter("model.decoder.layers.0.fc1.weight")
    assert torch.equal(fc1, state["transformer.layers.0.linear1.weight"])
    own = "condition_provider.conditioners.self_wav.rvq.vq.layers.2._codebook.embed"
    assert torch.equal(conditioner.state_dict()["rvq.vq.layers.2._codebook.embed"], state[own])
    assert conditioner.settings == ConditionerSettings(24, 64, 1, 1, 3, 8, 128)


def test_the_published_conditioner_has_its_sizes() -> None:
    with torch.device("meta"):
        conditioner = StyleConditioner()
    learnt = sum(parameter.numel() for parameter in conditioner.parameters())
    per_layer = 12 * 512**2 + 4 * 512  # attention 4 w^2, feed-forward 8 w^2, two norms
    assert learnt == (768 * 512 + 512) + 8 * per_layer + (512 * 1536 + 1536)
    assert len([name for name in conditioner.state_dict() if name.endswith("embed")]) == 6


def test_a_weight_too_few_or_too_many_is_refused() -> None:
    state = tiny.published_state()
    del state["out_norm.bias"]
    with pytest.raises(CheckpointError, match=r"language model does not fit its weights"):
        decoder_of(state)
    state = tiny.published_state()
    state["condition_provider.conditioners.self_wav.extra"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"style conditioner does not fit its weights"):
        conditioner_of(state)


def test_a_published_file_is_read_as_tensors_alone(tmp_path: Path) -> None:
    path = tmp_path / "state_dict.bin"
    torch.save({"best_state": tiny.published_state(), "xp.cfg": "dataset: none"}, path)
    assert set(read_published(path)) == set(tiny.published_shapes())
    torch.save({"best_state": {"emb.0.weight": torch.zeros(2, 2)}}, path)
    with pytest.raises(CheckpointError, match=r"lacks condition_provider.conditioners.self_wav"):
        read_published(path)


def test_features_load_under_both_names_of_weight_normalisation(tmp_path: Path) -> None:
    original = tiny.tiny_features().eval()
    new, old = "conv.parametrizations.weight.original", ("conv.weight_g", "conv.weight_v")
    state = {
        name.replace(f"{new}0", old[0]).replace(f"{new}1", old[1]): value
        for name, value in original.state_dict().items()
    }
    torch.save(state, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(original.config.to_dict()))
    loaded = features_of(tmp_path).eval()
    waveform = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, got = original(waveform), loaded(waveform)
    wanted = expected.last_hidden_state
    atol = rounding.of_networks(loaded, scale=rounding.magnitude(wanted))
    torch.testing.assert_close(got.last_hidden_state, wanted, rtol=0, atol=atol)
    del state["encoder.layer_norm.bias"]
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"lacks encoder.layer_norm.bias"):
        features_of(tmp_path)


def test_positions_begin_at_cosine_one_and_sine_zero() -> None:
    positions = sinusoid(3, 8)
    assert positions[0].tolist() == [1.0] * 4 + [0.0] * 4
    assert float(positions[2, 0]) == pytest.approx(np.cos(2.0), abs=rounding.worst(8))
    assert float(positions[2, 7]) == pytest.approx(np.sin(2.0 / 10_000), abs=rounding.worst(8))


@pytest.mark.usefixtures("in_double")
def test_a_transformer_layer_is_that_of_the_library() -> None:
    """PyTorch's own layer with the same weights, biases zero."""
    settings = ConditionerSettings(24, 64, 1, 2, 1, 8, 128)
    conditioner = StyleConditioner(settings).eval()
    ours = conditioner.transformer.layers[0]
    theirs = torch.nn.TransformerEncoderLayer(
        64, 2, 256, 0.0, "gelu", batch_first=True, norm_first=True
    ).eval()
    state = {name: torch.zeros_like(value) for name, value in theirs.state_dict().items()}
    theirs.load_state_dict({**state, **ours.state_dict()})
    values = torch.randn(2, 7, 64)
    with torch.no_grad():
        expected = theirs(values)
        atol = rounding.of_networks(ours, scale=rounding.magnitude(expected))
        torch.testing.assert_close(ours(values), expected, rtol=0, atol=atol)


def test_each_stage_of_the_quantiser_leaves_less() -> None:
    settings = ConditionerSettings(24, 16, 1, 1, 4, 64, 8)
    quantiser = ResidualQuantiser(settings)
    for number, stage in enumerate(quantiser.vq.layers):
        stage._codebook.embed[0] = 0.0  # a stage may leave what it cannot mend
        stage._codebook.embed[1:] /= 2**number
    values = torch.randn(1, 40, 16)
    left = [float((values - quantiser(values, stages)).square().mean()) for stages in range(5)]
    assert left[0] == pytest.approx(float(values.square().mean()))
    assert all(later <= earlier for earlier, later in pairwise(left))
    assert left[-1] < 0.9 * left[0]


def test_every_fifteenth_frame_is_kept(model: StyleModel) -> None:
    features = torch.randn(1, 224, tiny.FEATURES)
    with torch.no_grad():
        whole = model.conditioner(features, 2)
    assert whole.shape == (1, 15, tiny.HIDDEN)


def test_given_codes_stay_and_the_rest_is_drawn(model: StyleModel) -> None:
    given = torch.randint(0, 16, (1, 4, 5), generator=torch.Generator().manual_seed(0))
    guide = Guide((torch.randn(1, 3, tiny.HIDDEN),), lambda logits: logits)
    own = [torch.Generator().manual_seed(1)]
    codes = continue_codes(model.decoder, guide, (given, 9), Sampling(1.0, 16, 1.0), own)
    assert codes.shape == (1, 4, 9)
    assert torch.equal(codes[..., :5], given)
    assert int(codes.max()) < 16


def test_greedy_codes_continue_themselves(model: StyleModel) -> None:
    """The first frames of a greedy generation, given as a prompt, lead to the same rest."""
    guide = Guide((torch.randn(1, 3, tiny.HIDDEN),), lambda logits: logits)
    greedy, own = Sampling(1.0, 1, 1.0), [torch.Generator()]
    nothing = torch.empty(1, 4, 0, dtype=torch.long)
    whole = continue_codes(model.decoder, guide, (nothing, 8), greedy, own)
    again = continue_codes(model.decoder, guide, (whole[..., :4], 8), greedy, own)
    assert torch.equal(whole, again)


def clip(seed: int, seconds: float = 0.4) -> Clip:
    noise = np.random.default_rng(seed).standard_normal(round(RATE * seconds))
    audio = Audio((0.3 * seed * noise).astype(np.float32)[None], RATE)
    return Clip(f"clip {seed}", "noise", audio)


def made(method: MusicgenStyle, use: str, style: int, content: int, text: str = "bells") -> str:
    parameters = StyleParameters(use=use, excerpt_s=0.3, prompt_s=0.2)  # type: ignore[arg-type]  # a literal
    fit = FitRequest(Style("s", (clip(style),), text=text), parameters, 0)
    (state,) = method.fit([fit], lambda *_: None)
    (audio,) = method.transfer([TransferRequest(clip(content), state, parameters, 1)])
    assert audio.num_samples == clip(content).audio.num_samples
    return audio.digest


def test_what_each_use_hears(method: MusicgenStyle) -> None:
    style_alone = made(method, "style", 1, 2)
    assert made(method, "style", 1, 3, "accordion") == style_alone
    assert made(method, "style", 4, 2) != style_alone
    prompted = made(method, "prompt", 1, 2)
    assert made(method, "prompt", 1, 3) != prompted
    assert made(method, "prompt", 4, 2) != prompted
    from_content = made(method, "content", 1, 2)
    assert made(method, "content", 4, 2) == from_content
    assert made(method, "content", 1, 3) != from_content
    assert made(method, "content", 1, 2, "accordion") != from_content


def test_the_prompt_is_not_in_the_output(method: MusicgenStyle, model: StyleModel) -> None:
    parameters = StyleParameters(use="prompt", prompt_s=0.2)
    given = method._prompt(clip(2), parameters)
    assert given.shape == (1, 4, -(-6400 // model.hop_length))
    assert method._prompt(clip(2), StyleParameters()).shape == (1, 4, 0)


def test_an_excerpt_lies_in_the_clip_and_is_drawn() -> None:
    parameters = StyleParameters(excerpt_s=0.1)
    starts = set()
    for seed in range(6):
        cut = excerpt_of(clip(1), parameters, seed).audio
        assert cut.num_samples == 3200
        (place,) = np.flatnonzero(clip(1).audio.waveform[0] == cut.waveform[0, 0])[:1]
        starts.add(int(place))
    assert len(starts) == 6
    middle = excerpt_of(clip(1), dataclasses.replace(parameters, excerpt="middle"), 0).audio
    assert middle.waveform[0, 0] == clip(1).audio.waveform[0, (12_800 - 3200) // 2]
    whole = excerpt_of(clip(1), StyleParameters(excerpt_s=3.0), 0).audio
    assert whole.num_samples == 12_800


@pytest.mark.parametrize("use", [pytest.param("style", marks=pytest.mark.slow), "content"])
def test_the_contract_on_random_weights(use: str) -> None:
    subject = TinySubject(
        "musicgen-style",
        lambda method: method.use(tiny.tiny_model()),
        RATE,
        {"use": use, "excerpt_s": 0.5},
    )
    assert subject.broken() == []


def test_there_is_no_mini_model() -> None:
    with pytest.raises(UnsupportedError, match=r"musicgen-style has no mini model"):
        MusicgenStyle().load("mini", "cpu")
    assert describe("mini").weights == ()
    assert describe("full").weights == tuple(checkpoint.name for checkpoint in HUB_CHECKPOINTS)


def test_refusals(method: MusicgenStyle) -> None:
    with pytest.raises(ConfigError, match=r"text_guidance_scale is 0.5"):
        StyleParameters(text_guidance_scale=0.5)
    with pytest.raises(ConfigError, match=r"stages is 0"):
        StyleParameters(stages=0)
    with pytest.raises(ConfigError, match=r"prompt_s is 9"):
        StyleParameters(prompt_s=9)
    for use, style, reason in (
        ("style", Style("s", ()), "0 clips; use=style"),
        ("content", Style("s", (clip(1),)), "no text; use=content"),
    ):
        request = FitRequest(style, StyleParameters(use=use), 0)  # type: ignore[arg-type]  # a literal
        with pytest.raises(UnsupportedError, match=reason):
            method.fit([request], lambda *_: None)

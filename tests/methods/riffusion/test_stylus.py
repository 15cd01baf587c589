"""Style injection: attention, starts and joint passes, on random weights and in closed form."""

from __future__ import annotations

import json
from typing import cast

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention

from bench.api import CheckpointError, ConfigError
from methods.riffusion.backbone import Backbone
from methods.riffusion.checkpoints import MINI_FOLDER
from methods.riffusion.editing.injection import (
    Injection,
    JointAttention,
    choose_layers,
    heard_tokens,
    injected,
)
from methods.riffusion.editing.inversion import climb, descend
from methods.riffusion.editing.joint import InvertedStyle, inject, trajectories
from methods.riffusion.editing.matching import adain, match_start, match_values
from methods.riffusion.editing.samplers import of_source
from methods.riffusion.parameters.edits import InjectionSettings, SourceSettings
from methods.riffusion.parameters.itinerary import Convention, plan_climb
from methods.riffusion.parameters.stylus import StylusParameters

SHAPE = (4, 4, 8)
TOKENS = 8  # of the tiny decoder's self-attention: 2 x 4


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(query_dim=16, heads=2, dim_head=8)


def attend(layer: Attention, processor: JointAttention, rows: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return processor(layer, rows)


def plain(layer: Attention, rows: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = layer(rows)
    return result


def passed(backbone: Backbone, rows: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        t = torch.full((len(rows),), 501)
        contexts = backbone.encode_prompt("").expand(len(rows), -1, -1)
        return backbone.predict_noise(rows, t, contexts)


def jointly(backbone: Backbone, processor: JointAttention, rows: torch.Tensor) -> torch.Tensor:
    unet = backbone.parts.unet
    with injected(unet, choose_layers(list(unet.attn_processors), "all"), processor):
        return passed(backbone, rows)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("clips", [1, 2])
def test_equal_rows_attend_as_they_always_do(gamma: float, alpha: float, clips: int) -> None:
    layer, row = attention(), draw(1, TOKENS, 16)
    rows = row.expand(clips + 2, -1, -1)
    found = attend(layer, JointAttention(Injection(gamma, alpha, 1.0), clips, 1), rows)
    torch.testing.assert_close(found, plain(layer, rows), rtol=0, atol=1e-5)


@pytest.mark.parametrize("clips", [1, 2])
def test_a_joint_pass_of_equal_rows_is_the_plain_pass(tiny_backbone: Backbone, clips: int) -> None:
    rows = draw(1, *SHAPE).expand(clips + 2, -1, -1, -1)
    sharp = JointAttention(Injection(0.75, 0.9, 1.5), clips, 1)
    even = JointAttention(Injection(0.75, 0.9, 1.0), clips, 1)
    expected = passed(tiny_backbone, rows)
    torch.testing.assert_close(jointly(tiny_backbone, even, rows), expected, rtol=0, atol=1e-5)
    found = jointly(tiny_backbone, sharp, rows)
    assert float((found[-1] - expected[-1]).abs().max()) > 1e-4
    torch.testing.assert_close(found[:-1], expected[:-1], rtol=0, atol=1e-5)


def test_nothing_leaks_back_into_styles_and_contents(tiny_backbone: Backbone) -> None:
    """Two styles, two contents, two that are denoised: the first four are as in a plain pass."""
    rows = draw(6, *SHAPE)
    processor = JointAttention(Injection(0.5, 0.9, 1.0), 2, 2)
    found = jointly(tiny_backbone, processor, rows)
    torch.testing.assert_close(found[:4], passed(tiny_backbone, rows)[:4], rtol=0, atol=1e-5)
    swapped = rows[[1, 0, 3, 2, 5, 4]]
    other = jointly(tiny_backbone, processor, swapped)[[1, 0, 3, 2, 5, 4]]
    torch.testing.assert_close(found, other, rtol=0, atol=1e-5)


def test_without_style_and_preserved_queries_attention_is_the_contents() -> None:
    layer, rows = attention(), draw(3, TOKENS, 16)
    rows[1] = rows[2]
    found = attend(layer, JointAttention(Injection(0.0, 0.0, 1.0), 1, 1), rows)
    torch.testing.assert_close(found, plain(layer, rows), rtol=0, atol=1e-6)


def test_wholly_preserved_queries_do_not_read_what_is_denoised() -> None:
    layer, rows = attention(), draw(3, TOKENS, 16)
    processor = JointAttention(Injection(1.0, 0.9, 1.0), 1, 1)
    found = attend(layer, processor, rows)
    rows[2] += 1
    assert torch.equal(attend(layer, processor, rows), found)


def test_a_whole_style_does_not_read_the_contents_keys_and_weights_are_linear() -> None:
    layer, rows = attention(), draw(3, TOKENS, 16)

    def running(alpha: float, given: torch.Tensor) -> torch.Tensor:
        return attend(layer, JointAttention(Injection(0.0, alpha, 1.0), 1, 1), given)[2]

    changed = rows.clone()
    changed[1] += 1
    assert torch.equal(running(1.0, changed), running(1.0, rows))
    assert not torch.allclose(running(0.5, changed), running(0.5, rows))
    middle = (running(0.0, rows) + running(1.0, rows)) / 2
    torch.testing.assert_close(running(0.5, rows), middle, rtol=0, atol=1e-6)
    beyond = 1.5 * running(1.0, rows) - 0.5 * running(0.0, rows)
    torch.testing.assert_close(running(1.5, rows), beyond, rtol=0, atol=1e-6)


def test_temperature_goes_from_the_mean_of_all_to_the_best_alone() -> None:
    layer, rows = attention(), draw(3, TOKENS, 16)

    def running(temperature: float) -> torch.Tensor:
        return attend(layer, JointAttention(Injection(0.0, 1.0, temperature), 1, 1), rows)[2]

    with torch.no_grad():
        key, value = layer.to_k(rows[0]), layer.to_v(rows[0])
        query = layer.to_q(rows[2])
        mean = layer.to_out[0](value.mean(dim=0))
        split = [each.unflatten(-1, (2, 8)).transpose(0, 1) for each in (query, key, value)]
        best = (split[0] @ split[1].transpose(1, 2)).argmax(dim=-1)
        chosen = torch.stack([v[b] for v, b in zip(split[2], best, strict=True)], dim=1)
        sharpest = layer.to_out[0](chosen.flatten(1))
    torch.testing.assert_close(running(0.0), mean.expand(TOKENS, -1), rtol=0, atol=1e-6)
    torch.testing.assert_close(running(1e4), sharpest, rtol=0, atol=1e-4)


def test_what_a_style_pads_is_not_looked_up() -> None:
    layer, rows = attention(), draw(4, TOKENS, 16)  # 2 x 4 tokens of 4 x 8 latents
    weights = torch.tensor([[1.0] * 5 + [0.0] * 3, [1.0] * 8])
    heard = heard_tokens(weights, (4, 8), 3)
    assert heard[TOKENS].tolist() == [0, 1, 2, 4, 5, 6, *range(8, 16)]
    assert sorted(heard) == [2, 8, 32]
    processor = JointAttention(Injection(0.5, 0.9, 1.0), 2, 1, heard)
    found = attend(layer, processor, rows)[-1]
    rows[0, [3, 7]] += 5
    assert torch.equal(attend(layer, processor, rows)[-1], found)
    rows[0, 2] += 5
    assert not torch.equal(attend(layer, processor, rows)[-1], found)


def test_between_two_styles_lies_what_each_of_them_gives() -> None:
    """Two clips of the first style, one of which ends early, and one of the second, which does."""
    layer, rows = attention(), draw(5, TOKENS, 16)
    weights = torch.tensor([[1.0] * 5 + [0.0] * 3, [1.0] * 8, [1.0] * 3 + [0.0] * 5])
    how = Injection(0.5, 0.9, 1.0)

    def running(processor: JointAttention, chosen: list[int]) -> torch.Tensor:
        return attend(layer, processor, rows[chosen])[-1]

    def heard(*clips: int) -> dict[int, torch.Tensor]:
        return heard_tokens(weights[list(clips)], (4, 8), 3)

    both = JointAttention(how, 3, 1, heard(0, 1, 2), mix=(2, 0.25))
    first = running(JointAttention(how, 2, 1, heard(0, 1)), [0, 1, 3, 4])
    second = running(JointAttention(how, 1, 1, heard(2)), [2, 3, 4])
    expected = torch.lerp(first, second, 0.25)
    torch.testing.assert_close(running(both, [0, 1, 2, 3, 4]), expected, rtol=0, atol=1e-6)
    assert float((first - second).abs().max()) > 1e-2


def test_the_former_attention_is_back_after_an_error(tiny_backbone: Backbone) -> None:
    unet, rows = tiny_backbone.parts.unet, draw(1, *SHAPE)
    before, expected = dict(unet.attn_processors), passed(tiny_backbone, rows)
    processor = JointAttention(Injection(0.5, 0.9, 1.0), 1, 1)
    names = choose_layers(list(before), "all")
    places: list[int] = []

    def fail_within() -> None:
        with injected(unet, names, processor):
            places.append(list(unet.attn_processors.values()).count(processor))
            raise KeyError("out of luck")

    with pytest.raises(KeyError, match="out of luck"):
        fail_within()
    assert places == [len(names)]
    assert unet.attn_processors == before
    assert torch.equal(passed(tiny_backbone, rows), expected)


def test_a_start_has_the_styles_mean_and_spread() -> None:
    contents, styles = draw(2, 3, 4, 8) * 2 + 1, draw(1, 3, 4, 8, seed=1) - 3
    weights = torch.ones(1, 8)
    found = match_start(contents, styles, weights, "adain")
    for channel in range(3):
        values, wanted = found[:, channel], styles[:, channel]
        assert float(values.mean()) == pytest.approx(float(wanted.mean()), abs=1e-5)
        assert float(values.std()) == pytest.approx(float(wanted.std()), abs=1e-5)
    again = match_start(found, styles, weights, "adain")
    torch.testing.assert_close(again, found, rtol=0, atol=1e-5)
    own = match_start(styles, styles, weights, "adain")
    torch.testing.assert_close(own, styles, rtol=0, atol=1e-5)
    assert torch.equal(match_start(contents, styles, weights, "off"), contents)


def test_a_channel_without_spread_is_moved_and_not_scaled() -> None:
    contents = torch.full((1, 2, 4, 8), 0.5)
    found = adain(contents, draw(2, 32))
    assert bool(torch.isfinite(found).all())
    assert float(found[0, 0].std()) == 0


def test_padded_columns_of_a_style_have_no_say_in_its_statistics() -> None:
    contents, styles = draw(1, 3, 4, 8), draw(1, 3, 4, 8, seed=1)
    weights = torch.tensor([[1.0] * 5 + [0.0] * 3])
    found = match_start(contents, styles, weights, "adain")
    styles[..., 5:] = 100
    assert torch.equal(match_start(contents, styles, weights, "adain"), found)


def test_a_start_may_have_all_values_of_the_style() -> None:
    contents, styles = draw(1, 3, 4, 8), draw(1, 3, 4, 8, seed=1)
    found = match_start(contents, styles, torch.ones(1, 8), "efdm")
    for made, given, own in zip(found[0], styles[0], contents[0], strict=True):
        torch.testing.assert_close(made.flatten().sort()[0], given.flatten().sort()[0])
        assert torch.equal(made.flatten().argsort(), own.flatten().argsort())
    torch.testing.assert_close(match_values(styles, styles[0].flatten(1)), styles)
    shorter = match_values(contents, torch.tensor([[0.0, 1.0]] * 3))
    torch.testing.assert_close(shorter.flatten(2).sort()[0][0, 0], torch.linspace(0, 1, 32))


@pytest.mark.parametrize(("inversion", "first", "count"), [("label", 751, 4), ("released", 501, 3)])
def test_a_content_as_its_own_style_comes_back_as_well_as_without_any(
    tiny_backbone: Backbone, inversion: Convention, first: int, count: int
) -> None:
    settings = InjectionSettings(num_inference_steps=4, inversion=inversion, layers="all")
    backbone, latents = tiny_backbone, draw(1, *SHAPE)
    grid, moves = settings.grid(), plan_climb(settings.grid(), inversion)
    states = trajectories(backbone, moves, latents)
    style = InvertedStyle(states, torch.ones(1, 8))
    seen: list[tuple[torch.Tensor, int]] = []
    handle = backbone.parts.unet.register_forward_pre_hook(
        lambda _module, inputs: seen.append((inputs[0], int(inputs[1][0])))
    )
    starts = match_start(states[:, -1], states[:, -1], style.weights, "adain")
    found = inject(backbone, settings, style, states, starts)
    handle.remove()
    assert (len(seen), len(seen[0][0]), seen[0][1]) == (count, 3, first)
    assert 3 * count + len(moves) == settings.rows()
    # The style is shown as it stood at each label; the clean latent counts as level 1 as released.
    levels = {"label": [4, 3, 2, 1], "released": [2, 1, 0]}[inversion]
    for (rows, _), level in zip(seen, levels, strict=True):
        assert torch.equal(rows[:2], states[[0, 0], level])
    predict = of_source(backbone, SourceSettings())
    top = climb(predict, backbone.schedule, moves, latents)[-1]
    without = descend(predict, backbone.schedule, grid[:count], top)
    error, allowed = ((each - latents).norm() for each in (found, without))
    assert float(error) <= 3 * float(allowed) + 1e-3


def test_a_contents_own_style_weighs_nothing_where_all_rows_are_equal(
    tiny_backbone: Backbone,
) -> None:
    """At the first step content, style and what is denoised are one."""
    outputs = []
    for alpha in (0.1, 1.0):
        settings = InjectionSettings(0.5, 2, alpha=alpha, layers="all")
        states = trajectories(tiny_backbone, plan_climb(settings.grid()), draw(1, *SHAPE))
        style = InvertedStyle(states, torch.ones(1, 8))
        outputs.append(inject(tiny_backbone, settings, style, states, states[:, 1]))
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-4)


def test_contents_go_through_alike_alone_and_in_company(tiny_backbone: Backbone) -> None:
    settings = InjectionSettings(num_inference_steps=2, layers="every")
    latents = draw(3, *SHAPE)
    states = trajectories(tiny_backbone, plan_climb(settings.grid()), latents)
    style = InvertedStyle(states[:1], torch.ones(1, 8))
    contents, starts = states[1:], states[1:, -1]
    together = inject(tiny_backbone, settings, style, contents, starts)
    alone = inject(tiny_backbone, settings, style, contents[1:], starts[1:])
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=1e-3)
    swapped = InvertedStyle(contents[:1], torch.ones(1, 8))
    other = inject(tiny_backbone, settings, swapped, contents[1:], starts[1:])
    assert float((other - alone).abs().max()) > 1e-4


def names_of(unet: UNet2DConditionModel) -> list[str]:
    return list(unet.attn_processors)


def test_layers_of_stable_diffusion_are_those_of_the_source() -> None:
    """Output blocks 6 to 11 there are the attentions of up_blocks 2 and 3 here."""
    unet = UNet2DConditionModel(
        block_out_channels=(8,) * 4, attention_head_dim=4, norm_num_groups=4
    )
    fine = choose_layers(names_of(unet), "fine")
    expected = [
        f"up_blocks.{k}.attentions.{m}.transformer_blocks.0" for k in (2, 3) for m in range(3)
    ]
    assert [name.removesuffix(".attn1.processor") for name in fine] == expected
    assert len(choose_layers(names_of(unet), "all")) == 9
    assert len(choose_layers(names_of(unet), "every")) == 16


def test_layers_of_the_mini_model_are_the_finest_that_it_has() -> None:
    config = json.loads((MINI_FOLDER / "unet" / "config.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config)
    fine = choose_layers(names_of(cast("UNet2DConditionModel", unet)), "fine")
    assert [name[:25] for name in fine] == [f"up_blocks.1.attentions.{m}." for m in range(2)]


def test_a_decoder_without_attention_is_refused() -> None:
    with pytest.raises(CheckpointError, match="the decoder of the U-Net has no self-attention"):
        choose_layers(["mid_block.attentions.0.transformer_blocks.0.attn1.processor"], "fine")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma": 1.5}, r"gamma is 1\.5"),
        ({"temperature": 0.0}, r"temperature 0\.0"),
        ({"layers": "some"}, "layers is 'some'; it must be fine, all, every"),
        ({"adain": "on"}, "adain is 'on'; it must be off, adain, efdm"),
        ({"style_clips": "all"}, "style_clips is 'all'; it must be first or join"),
        ({"width_mode": "report"}, "width_mode is 'report', which leaves pictures of unequal"),
        ({"inversion": "up"}, "inversion is 'up'; it must be label, level, released"),
        ({"phase": "content", "unstretch": False}, "phase is 'content' and unstretch false"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StylusParameters(**changes)  # type: ignore[arg-type]  # what a user may type


def test_changing_how_a_content_attends_never_changes_the_fit() -> None:
    fields = StylusParameters.__dataclass_fields__
    fit = {name for name, item in fields.items() if item.metadata["role"] == "fit"}
    assert fit == {
        "num_inference_steps", "inversion", "style_clips", "fit_vae_sample", "fit_width_mode",
    }  # fmt: skip

"""The frozen model and the placeholder's injection (tve.md checks D1 and D2)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.api import CheckpointError
from methods.riffusion.backbone import Backbone, draw_latents, read_backbone
from methods.riffusion.checkpoints import MINI_FOLDER, describe
from methods.riffusion.conditioning import LearntConditioning
from methods.riffusion.embedding import TimeVaryingEmbedding
from methods.riffusion.fitting.inversion import weighted_error
from methods.riffusion.schedule import add_noise


def test_injection_changes_the_placeholder_and_what_follows_only(tiny_backbone: Backbone) -> None:
    torch.manual_seed(0)
    first = tiny_backbone.encode_placeholder(torch.randn(1, 32))
    second = tiny_backbone.encode_placeholder(torch.randn(1, 32))
    assert torch.equal(first[:, 0], second[:, 0])
    assert (first[:, 1:] != second[:, 1:]).any(dim=-1).all()


def test_injecting_the_placeholders_own_embedding_changes_nothing(tiny_backbone: Backbone) -> None:
    own = tiny_backbone.word_embedding("*")
    injected = tiny_backbone.encode_placeholder(own[None])
    assert torch.equal(injected, tiny_backbone.encode_prompt("*"))


def test_the_empty_prompt_has_no_row_to_write(tiny_backbone: Backbone) -> None:
    torch.manual_seed(0)
    learnt = LearntConditioning(tiny_backbone, TimeVaryingEmbedding(torch.randn(32)))
    before = tiny_backbone.encode_prompt("")
    learnt.cond(torch.tensor([5]))
    assert torch.equal(learnt.uncond(torch.tensor([5])), before)
    assert torch.equal(learnt.uncond(torch.tensor([900])), before)


def test_gradient_reaches_the_row_and_no_frozen_weight(tiny_backbone: Backbone) -> None:
    torch.manual_seed(0)
    row = torch.randn(2, 32, requires_grad=True)
    tiny_backbone.encode_placeholder(row).pow(3).sum().backward()
    assert row.grad is not None
    assert row.grad.abs().min(dim=1).values.max() > 0
    parts = tiny_backbone.parts
    frozen = [w for m in (parts.vae, parts.unet, parts.text_encoder) for w in m.parameters()]
    assert not any(weight.requires_grad or weight.grad is not None for weight in frozen)


def test_gradient_of_the_loss_equals_finite_differences(tiny_backbone: Backbone) -> None:
    torch.manual_seed(0)
    for module in (tiny_backbone.parts.unet, tiny_backbone.parts.text_encoder):
        module.double()
    learner = TimeVaryingEmbedding(0.1 * torch.randn(32)).double()
    latents, noise = torch.randn(2, 2, 4, 8, 8, dtype=torch.float64)
    timesteps = torch.tensor([120, 700])
    noisy = add_noise(tiny_backbone.schedule, latents, noise, timesteps)

    def loss() -> torch.Tensor:
        contexts = tiny_backbone.encode_placeholder(learner(timesteps))
        predicted = tiny_backbone.predict_noise(noisy, timesteps, contexts)
        return weighted_error(predicted, noise, torch.ones(2, 1, 1, 8))

    loss().backward()
    weight, step = learner.final.weight, 1e-4
    where = tuple(int(i) for i in divmod(int(weight.grad.abs().argmax()), 32))  # type: ignore[union-attr]  # backward set it
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[where] += sign * step
            values.append(loss().item())
            weight[where] -= sign * step
    expected = (values[0] - values[1]) / (2 * step)
    assert weight.grad[where].item() == pytest.approx(expected, rel=1e-4)  # type: ignore[index]  # ditto


def test_an_image_has_one_posterior_whatever_its_company(tiny_backbone: Backbone) -> None:
    images = torch.randint(0, 256, (3, 16, 24), dtype=torch.uint8)
    together = tiny_backbone.encode(images)
    alone = tiny_backbone.encode(images[1:2])
    assert together.mean.shape == (3, 4, 8, 12)
    assert torch.equal(together.mean[1:2], alone.mean)


def test_draws_from_the_posterior_have_its_moments(tiny_backbone: Backbone) -> None:
    moments = tiny_backbone.encode(torch.randint(0, 256, (1, 16, 16), dtype=torch.uint8))
    generator = torch.Generator().manual_seed(0)
    draws = torch.cat([draw_latents(moments, [generator]) for _ in range(2000)])
    assert ((draws.mean(0) - moments.mean[0]) / moments.std[0]).abs().max() < 0.1
    assert (draws.std(0) / moments.std[0]).log().abs().max() < 0.1
    assert torch.equal(draw_latents(moments, [generator], "mode"), moments.mean)


def test_decoding_gives_grey_images_of_the_encoded_size(tiny_backbone: Backbone) -> None:
    painted = tiny_backbone.decode(torch.randn(2, 4, 8, 12))
    assert painted.shape == (2, 16, 24)
    assert painted.dtype == torch.uint8


def test_a_word_of_several_tokens_cannot_be_injected(tiny_backbone: Backbone) -> None:
    with pytest.raises(CheckpointError, match="'ab' is 2 tokens"):
        tiny_backbone.find_token("ab")


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vae/config\.json is missing"):
        read_backbone(tmp_path)


def test_profiles_are_described_without_loading() -> None:
    assert describe("mini").sample_rate == 22_050
    assert describe("full").weights == ("hub:riffusion/riffusion-model-v1@main",)
    assert (MINI_FOLDER.parent / "backbone.py").is_file()

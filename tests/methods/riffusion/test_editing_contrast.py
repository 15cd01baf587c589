"""The contrastive pull of steering: its gradient, its loss in closed form, and what it costs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from methods.riffusion.backbone import Backbone
from methods.riffusion.conditioning import PromptConditioning
from methods.riffusion.editing.contrast import TEMPERATURE, contrastive_loss, pull
from methods.riffusion.editing.steering import draw_times, steer
from methods.riffusion.parameters.edits import SteeringSettings
from methods.riffusion.schedule import add_noise

SHAPE = (2, 4, 8, 16)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(
        torch.get_default_dtype()
    )


def loss_of(
    backbone: Backbone, contents: torch.Tensor, moved: torch.Tensor, prompts: tuple[str, str]
) -> float:
    """The loss by its definition, sum after sum, of features that hooks of our own note."""
    seen: list[torch.Tensor] = []
    names = [name for name in backbone.parts.unet.attn_processors if ".attn1" in name]
    handles = [
        backbone.parts.unet.get_submodule(name.removesuffix(".processor")).register_forward_hook(
            lambda _layer, _inputs, output: seen.append(output)
        )
        for name in names
        if name.startswith("up_blocks")
    ]
    t, noise = torch.tensor([301, 701]), drawn(*SHAPE, seed=3)
    for latents, prompt in zip((contents, moved), prompts, strict=True):
        contexts = backbone.encode_prompt(prompt).expand(2, -1, -1)
        backbone.predict_noise(add_noise(backbone.schedule, latents, noise, t), t, contexts)
    for handle in handles:
        handle.remove()
    total, half = 0.0, len(seen) // 2
    for before, now in zip(seen[:half], seen[half:], strict=True):
        times = int(math.sqrt(before.shape[1] * 2))  # latents are twice as long as high
        for row in range(2):
            place = [
                (one[row] / one[row].norm(dim=1, keepdim=True)).reshape(times // 2, times, -1)
                for one in (before, now)
            ]
            likeness = torch.einsum("ftc,fuc->tu", *place) / TEMPERATURE
            total += float((likeness.logsumexp(dim=1) - likeness.diagonal()).mean())
    return total


@pytest.mark.usefixtures("in_double")
def test_the_pull_is_the_gradient_of_the_loss(tiny_backbone: Backbone) -> None:
    contents, moved = drawn(*SHAPE, seed=1), drawn(*SHAPE, seed=2)
    told, styled = (tiny_backbone.encode_prompt(p).expand(2, -1, -1) for p in ("", "a"))
    draw = drawn(*SHAPE, seed=3), torch.tensor([301, 701])
    found = pull(tiny_backbone, contents, moved, draw, (told, styled))
    way, step = drawn(*SHAPE, seed=4), 1e-5
    ahead, behind = (
        loss_of(tiny_backbone, contents, moved + side * step * way, ("", "a")) for side in (1, -1)
    )
    assert float((found * way).sum()) == pytest.approx((ahead - behind) / (2 * step), rel=1e-5)
    assert all(weight.grad is None for weight in tiny_backbone.parts.unet.parameters())


@pytest.mark.usefixtures("in_double")
def test_a_row_is_pulled_as_it_is_alone(tiny_backbone: Backbone) -> None:
    contents, moved = drawn(*SHAPE, seed=1), drawn(*SHAPE, seed=2)
    context = tiny_backbone.encode_prompt("a")
    noise, t = drawn(*SHAPE, seed=3), torch.tensor([301, 701])
    both = pull(tiny_backbone, contents, moved, (noise, t), (context.expand(2, -1, -1),) * 2)
    alone = pull(tiny_backbone, contents[1:], moved[1:], (noise[1:], t[1:]), (context, context))
    torch.testing.assert_close(both[1:], alone, rtol=1e-8, atol=1e-12)


def test_features_at_equal_angles_cost_what_a_softmax_of_them_says() -> None:
    """Positive pairs at cosine p, all others at q: log(1 + (n - 1) exp((q - p) / temperature))."""
    n, p, q = 5, 0.9, 0.8
    before = torch.eye(n, dtype=torch.float64)
    now = (p - q) * before + q
    expected = math.log(1 + (n - 1) * math.exp((q - p) / TEMPERATURE))
    found = contrastive_loss(before.expand(3, -1, -1), now.expand(3, -1, -1))
    assert float(found) == pytest.approx(3 * expected, rel=1e-12)


def test_steering_takes_the_pull_with_its_weight_and_its_rate(tiny_backbone: Backbone) -> None:
    """Under one prompt for content and style nothing else moves the first update's latent."""
    settings = SteeringSettings(1.0, 1.0, 1, source_prompt="a")
    held = replace(settings, contrast_weight=3.0)
    contents, noises = drawn(*SHAPE, seed=1), drawn(1, *SHAPE, seed=2)
    times = draw_times(settings, [1, 2])
    prompt, rows = PromptConditioning(tiny_backbone, "a"), []
    handle = tiny_backbone.parts.unet.register_forward_pre_hook(
        lambda _module, inputs: rows.append(len(inputs[0]))
    )
    free, pulled = (
        steer(tiny_backbone, prompt, one, latents=contents, noises=noises, times=times)
        for one in (settings, held)
    )
    handle.remove()
    # The content as it is, row by row; both rows on their way; and twice both for the pull.
    assert rows == [1, 1, 2, 2, 2, 2]
    context = prompt.cond(times[0])
    by_hand = pull(tiny_backbone, contents, contents, (noises[0], times[0]), (context, context))
    torch.testing.assert_close(free - pulled, 8 * 3 * by_hand, rtol=1e-3, atol=1e-5)
    assert float(by_hand.abs().max()) > 1e-4
    assert held.rows() == settings.rows() + 4

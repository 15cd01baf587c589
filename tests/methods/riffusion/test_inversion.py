"""The fitting loop: several styles at once, resuming, and what it learns (tve.md check F1)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.api import ConfigError
from methods.riffusion.backbone import Backbone, Moments
from methods.riffusion.conditioning import PromptConditioning
from methods.riffusion.embedding import ReportEncoder, StaticVector, TimeVaryingEmbedding
from methods.riffusion.fitting.draws import Ahead
from methods.riffusion.fitting.inversion import (
    Fit,
    StyleImages,
    ValidationGrid,
    begin_fit,
    validation_loss,
    weighted_error,
)
from methods.riffusion.fitting.learning import build_seeded, initial_embedding
from methods.riffusion.fitting.training import gather, run_fits, take_step
from methods.riffusion.parameters.settings import FittingPlan, LearnerChoice
from tests import rounding
from tests.gradients import flat, step

PLAN = FittingPlan(steps=6, batch_size=2, learning_rate=1e-2, checkpoint_every=2)


def _images(seed: int, count: int = 2) -> StyleImages:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(count, 4, 8, 8, generator=generator)
    return StyleImages(Moments(mean, torch.full_like(mean, 0.1)), torch.ones(count, 1, 1, 8))


def _fit(seed: int, plan: FittingPlan = PLAN, checkpoint: Path | None = None) -> Fit:
    start = torch.zeros(32)
    learner = build_seeded(lambda: TimeVaryingEmbedding(start), seed)
    return begin_fit(_images(seed), learner, plan, seed=seed, checkpoint=checkpoint)


def _silent(_fraction: float, _text: str) -> None:
    """No progress wanted."""


@pytest.mark.usefixtures("in_double")
def test_gradients_of_styles_fitted_together_equal_those_alone(tiny_backbone: Backbone) -> None:
    together = [_fit(seed) for seed in (1, 2, 3)]
    gradients = step(tiny_backbone, together)
    for seed, fit, ours in zip((1, 2, 3), together, gradients, strict=True):
        alone = _fit(seed)
        (theirs,) = step(tiny_backbone, [alone])
        parts = tiny_backbone.parts
        networks = (parts.text_encoder, parts.unet, fit.learner)
        bound = rounding.of_networks(*networks, passes=rounding.BACKWARD)
        assert fit.losses == pytest.approx(alone.losses, rel=bound)
        largest = rounding.magnitude(flat(theirs))
        torch.testing.assert_close(flat(ours), flat(theirs), atol=bound * largest, rtol=0)


def test_a_fit_repeats_bit_by_bit(tiny_backbone: Backbone) -> None:
    states = []
    for _ in range(2):
        fit = _fit(4)
        run_fits(tiny_backbone, [fit], _silent)
        states.append(fit.learner.state_dict())
    assert states[0].keys() == states[1].keys() > set()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_fit_leaves_the_global_random_state_alone(tiny_backbone: Backbone) -> None:
    before = torch.random.get_rng_state()
    run_fits(tiny_backbone, [_fit(4)], _silent)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_resumed_fit_equals_an_uninterrupted_one(tiny_backbone: Backbone, tmp_path: Path) -> None:
    whole = _fit(5)
    run_fits(tiny_backbone, [whole], _silent)
    broken = _fit(5, checkpoint=tmp_path)
    with pytest.raises(KeyboardInterrupt, match="stop"):
        run_fits(tiny_backbone, [broken], _stop_after_half)
    resumed = _fit(5, checkpoint=tmp_path)
    assert 0 < resumed.step < PLAN.steps
    run_fits(tiny_backbone, [resumed], _silent)
    assert resumed.losses == whole.losses
    for name, value in whole.learner.state_dict().items():
        assert torch.equal(resumed.learner.state_dict()[name], value)


def _stop_after_half(fraction: float, _text: str) -> None:
    if fraction >= 0.5:
        raise KeyboardInterrupt("stop")


def test_a_checkpoint_of_another_fit_is_not_continued(
    tiny_backbone: Backbone, tmp_path: Path
) -> None:
    run_fits(tiny_backbone, [_fit(5, checkpoint=tmp_path)], _silent)
    assert _fit(6, checkpoint=tmp_path).step == 0


def test_one_draw_met_again_and_again_is_learnt(tiny_backbone: Backbone) -> None:
    fit = _fit(7, FittingPlan(steps=40, batch_size=2, learning_rate=1e-2))
    company = gather(Ahead(tiny_backbone), [fit], 1)
    for _ in range(fit.steps):
        take_step(tiny_backbone, company, 0)
    assert fit.losses[-1] < min(fit.losses[:3])


def test_validation_loss_depends_on_its_grid_alone(tiny_backbone: Backbone) -> None:
    null, images = PromptConditioning(tiny_backbone), _images(1)
    torch.manual_seed(0)
    first = validation_loss(tiny_backbone, null, images)
    torch.manual_seed(1)
    assert validation_loss(tiny_backbone, null, images) == first
    assert validation_loss(tiny_backbone, null, images, ValidationGrid(seed=1)) != first


def test_a_time_varying_row_learns_what_no_static_one_can() -> None:
    torch.manual_seed(0)
    timesteps = torch.arange(0, 1000, 10)
    direction = torch.randn(16)
    target = torch.sign(timesteps.float() - 500)[:, None] * direction
    errors = []
    for learner in (TimeVaryingEmbedding(torch.zeros(16)), StaticVector(torch.zeros(16))):
        optimiser = torch.optim.AdamW(learner.parameters(), lr=3e-3)
        for _ in range(150):
            loss = (learner(timesteps) - target).pow(2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        errors.append(loss.item())
    assert errors[0] < 0.3 * errors[1]


def test_report_learners_are_fitted_by_the_same_loop(tiny_backbone: Backbone) -> None:
    fits = [
        begin_fit(_images(seed), build_seeded(lambda: ReportEncoder(32), seed), PLAN, seed=seed)
        for seed in (1, 2)
    ]
    run_fits(tiny_backbone, fits, _silent)
    assert [fit.step for fit in fits] == [6, 6]


def test_padding_does_not_enter_the_loss() -> None:
    predicted, noise = torch.zeros(1, 2, 3, 4), torch.ones(1, 2, 3, 4)
    noise[..., 3:] = 100
    weights = torch.tensor([1.0, 1, 1, 0]).reshape(1, 1, 1, 4)
    assert weighted_error(predicted, noise, weights).item() == 1


def test_initial_embeddings_are_what_they_say(tiny_backbone: Backbone) -> None:
    text = tiny_backbone.parts.text_encoder
    embeddings = {name.rsplit(".", 1)[-1]: m for name, m in text.named_modules()}
    token, position = embeddings["token_embedding"], embeddings["position_embedding"]
    number = tiny_backbone.parts.tokenizer.convert_tokens_to_ids("n</w>")
    expected = token.weight[number] + position.weight[0]
    assert torch.equal(initial_embedding(tiny_backbone, "letter_n"), expected)
    assert torch.equal(initial_embedding(tiny_backbone, "init_word:n"), token.weight[number])
    assert not initial_embedding(tiny_backbone, "zeros").any()


@pytest.mark.parametrize(
    "e0", ["nonsense", "", "init_word", "init_word: ", "zeros ", "xinit_word:n"]
)
def test_a_fit_starts_from_nothing_that_there_is_not(e0: str) -> None:
    with pytest.raises(ConfigError, match=f"e0 is '{e0}'; it must be letter_n, placeholder"):
        LearnerChoice("ti", e0)


def test_a_plan_without_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match="steps 0"):
        FittingPlan(steps=0, batch_size=1, learning_rate=1e-3)

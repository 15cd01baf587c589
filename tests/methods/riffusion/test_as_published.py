"""The algorithm as the authors coded it, and the engine: one result from the same draws.

`tests/benchmarks/gpu_full.py` compares their speed; here it is shown that both compute the same.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from bench.seeds import generator
from methods.riffusion.backbone import Backbone
from methods.riffusion.embedding import TimeVaryingEmbedding
from methods.riffusion.parameters.settings import StylisationSettings
from methods.riffusion.schedule import Schedule

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests import rounding
from tests.benchmarks.as_published import Published
from tests.benchmarks.published_parity import PLAN, stylisation_gap, training_gap, twin

SCALE = 10.0  # of noises under guidance, in units of the largest latent


@dataclass(frozen=True)
class Twins:
    """The engine and the published algorithm around equal weights, and an image."""

    engine: Backbone
    published: Published
    learner: TimeVaryingEmbedding
    image: torch.Tensor


@pytest.fixture
def twins(in_double: torch.dtype, tiny_backbone: Backbone, twin_backbone: Backbone) -> Twins:
    for backbone in (tiny_backbone, twin_backbone):
        backbone.parts.vae.encoder.register_forward_pre_hook(_widen)
        for attention in backbone.parts.vae.modules():
            if hasattr(attention, "upcast_softmax"):
                attention.upcast_softmax = False  # to float32
    alphas = tiny_backbone.schedule.alphas_cumprod.double()
    tiny_backbone.schedule = Schedule(alphas)
    torch.manual_seed(1)
    learner = TimeVaryingEmbedding(torch.randn(tiny_backbone.context_dim, dtype=in_double), "full")
    published = twin(alphas, twin_backbone.parts, learner)
    image = torch.randint(0, 256, (1, 16, 16), generator=generator(2)).to(torch.uint8)
    return Twins(tiny_backbone, published, learner, image)


def _widen(_module: object, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Pixels are float32; the networks of this test are float64."""
    return tuple(each.double() for each in inputs)


def _rounding(twins: Twins, *, passes: int) -> float:
    """How far the twins may differ, relative to the largest latent or loss."""
    networks = (twins.engine.parts.text_encoder, twins.engine.parts.unet, twins.learner)
    return rounding.of_networks(*networks, passes=passes, scale=SCALE)


def test_training_gives_the_same_losses_and_the_same_embedding(twins: Twins) -> None:
    losses, weights = training_gap(twins.engine, twins.published, twins.learner, twins.image)
    bound = _rounding(twins, passes=rounding.BACKWARD)
    assert losses <= bound
    assert weights <= rounding.of_adam(bound, rate=PLAN.learning_rate, steps=PLAN.steps)


def test_a_stylisation_gives_the_same_latents(twins: Twins) -> None:
    settings = StylisationSettings(0.5, 3.5, 50)
    gap = stylisation_gap(twins.engine, twins.published, twins.learner, twins.image, settings)
    assert gap <= _rounding(twins, passes=len(settings.itinerary().timesteps))


def test_another_embedding_gives_other_latents(twins: Twins) -> None:
    settings = StylisationSettings(0.6, 3.5, 50)
    twins.published.embedding.final.weight.data.neg_()
    gap = stylisation_gap(twins.engine, twins.published, twins.learner, twins.image, settings)
    assert gap > 1e6 * _rounding(twins, passes=len(settings.itinerary().timesteps))

"""The algorithm as the authors coded it, and the engine: one result from the same draws.

`tests/benchmarks/gpu_full.py` compares their speed; here it is shown that both compute the same.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from bench.seeds import generator
from methods.riffusion.backbone import Backbone
from methods.riffusion.embedding import TimeVaryingEmbedding
from methods.riffusion.stylisation import StylisationSettings

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.benchmarks.as_published import Published
from tests.benchmarks.published_parity import stylisation_gap, training_gap, twin


@dataclass(frozen=True)
class Twins:
    """The engine and the published algorithm around equal weights, and an image."""

    engine: Backbone
    published: Published
    learner: TimeVaryingEmbedding
    image: torch.Tensor


@pytest.fixture
def twins(tiny_backbone: Backbone) -> Twins:
    torch.manual_seed(1)
    learner = TimeVaryingEmbedding(torch.randn(tiny_backbone.context_dim), "full")
    alphas = tiny_backbone.schedule.alphas_cumprod
    published = twin(alphas, copy.deepcopy(tiny_backbone.parts), learner)
    image = torch.randint(0, 256, (1, 16, 16), generator=generator(2)).to(torch.uint8)
    return Twins(tiny_backbone, published, learner, image)


def test_training_gives_the_same_losses_and_the_same_embedding(twins: Twins) -> None:
    losses, weights = training_gap(twins.engine, twins.published, twins.learner, twins.image)
    assert losses < 1e-5
    assert weights < 1e-4


def test_a_stylisation_gives_the_same_latents(twins: Twins) -> None:
    settings = StylisationSettings(0.5, 3.5, 50)
    gap = stylisation_gap(twins.engine, twins.published, twins.learner, twins.image, settings)
    assert gap < 1e-4


def test_another_embedding_gives_other_latents(twins: Twins) -> None:
    settings = StylisationSettings(0.6, 3.5, 50)
    twins.published.embedding.final.weight.data.neg_()
    gap = stylisation_gap(twins.engine, twins.published, twins.learner, twins.image, settings)
    assert gap > 1e-4

"""The trainable embeddings against the published description (tve.md checks C1 to C6)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.api import ConfigError
from methods.riffusion.backbone import Backbone
from methods.riffusion.conditioning import LearntConditioning, tabulate
from methods.riffusion.dropout import draw_kept, drop
from methods.riffusion.embedding import (
    ReportEncoder,
    StaticVector,
    TimeVaryingEmbedding,
    sinusoid,
)
from methods.riffusion.parameters.tve import PRESETS, TveParameters
from tests import rounding

TIMESTEPS = torch.tensor([0, 1, 500, 999])


class PublishedAttention(nn.Module):
    """Eight heads of 64: queries, keys, values without bias, softmax over the context's tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(768, 512, bias=False) for _ in range(3))
        self.to_out = nn.Linear(512, 768)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Attend, written out with einsum."""
        q, k, v = self.to_q(x), self.to_k(context), self.to_v(context)
        q, k, v = (part.reshape(*part.shape[:2], 8, 64) for part in (q, k, v))
        weights = (torch.einsum("bihd,bjhd->bhij", q, k) * 64**-0.5).softmax(-1)
        out = torch.einsum("bhij,bjhd->bihd", weights, v).reshape(*x.shape[:2], 512)
        return self.to_out(out)


class PublishedEmbedding(nn.Module):
    """The released module, from its description: features, three linear layers, two attentions."""

    def __init__(self, e0: torch.Tensor) -> None:
        super().__init__()
        self.e0 = e0
        self.time_embed = nn.Sequential(nn.Linear(768, 3072), nn.SiLU(), nn.Linear(3072, 3072))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(3072, 768))
        self.attn1, self.attn2 = PublishedAttention(), PublishedAttention()
        self.net = nn.Sequential(nn.Dropout(0.05), nn.Linear(768, 768))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The embedding of timesteps with the features (batch, 768)."""
        h = (self.emb_layers(self.time_embed(features)) + self.e0)[:, None]
        return self.net(self.attn2(self.attn1(h, h), h))[:, 0]


def _copy(published: PublishedEmbedding, ours: TimeVaryingEmbedding) -> None:
    pairs = {
        "time.first": published.time_embed[0],
        "time.second": published.time_embed[2],
        "time.third": published.emb_layers[1],
        "attention1": published.attn1,
        "attention2": published.attn2,
        "final": published.net[1],
    }
    for name, source in pairs.items():
        if name == "attention1" and ours.attention1 is None:
            continue
        weights = source.state_dict()
        target = ours.get_submodule(name)
        target.load_state_dict({key: weights[key] for key in target.state_dict()})


@pytest.fixture
def published(in_double: torch.dtype) -> PublishedEmbedding:
    torch.manual_seed(3)
    return PublishedEmbedding(torch.randn(768, dtype=in_double) * 0.02).eval()


def test_features_are_cosines_then_sines_of_falling_frequencies() -> None:
    """An angle t f is as wrong as f = exp(-x), x <= ln 10000, makes it: up to 2 + x roundings."""
    angles = [[float(t) * 10_000 ** (-k / 384) for k in range(384)] for t in TIMESTEPS]
    rows = [[math.cos(a) for a in row] + [math.sin(a) for a in row] for row in angles]
    found = sinusoid(TIMESTEPS, 768).double()
    for k in range(384):
        x = math.log(10_000) * k / 384
        bound = rounding.worst(4, scale=1 + 999 * math.exp(-x) * (2 + x))
        for column in (k, 384 + k):
            expected = torch.tensor([row[column] for row in rows], dtype=torch.float64)
            torch.testing.assert_close(found[:, column], expected, rtol=0, atol=bound)


@pytest.mark.parametrize("parameter_set", ["live", "full"])
def test_embedding_equals_the_published_module(
    published: PublishedEmbedding, parameter_set: str
) -> None:
    ours = TimeVaryingEmbedding(published.e0, parameter_set)  # type: ignore[arg-type]  # a parametrised literal
    _copy(published, ours)
    with torch.no_grad():
        expected = published(sinusoid(TIMESTEPS, 768).double())
        bound = rounding.of_networks(ours, scale=rounding.magnitude(expected))
        torch.testing.assert_close(ours(TIMESTEPS), expected, atol=bound, rtol=0)


def test_parameter_counts_at_full_width_are_the_published_ones() -> None:
    e0 = torch.zeros(768)
    counts = [
        sum(weight.numel() for weight in module.parameters())
        for module in (
            TimeVaryingEmbedding(e0, "full"),
            TimeVaryingEmbedding(e0, "live"),
            ReportEncoder(768),
            StaticVector(e0),
        )
    ]
    assert counts == [17_900_544, 15_540_480, 19_478_016, 768]


def test_weights_left_out_have_no_gradient() -> None:
    """The softmax over one key is constant; in double precision what is left of it is rounding."""
    torch.manual_seed(0)
    module = TimeVaryingEmbedding(torch.randn(48), "full").double()
    module(TIMESTEPS).pow(2).sum().backward()
    gradients = {
        name: 0.0 if weight.grad is None else float(weight.grad.abs().max())
        for name, weight in module.named_parameters()
    }
    dead = [
        size
        for name, size in gradients.items()
        if name.startswith("attention1") or name.endswith(("2.to_q.weight", "2.to_k.weight"))
    ]
    assert len(dead) == 7
    assert max(dead) < 1e-10 * max(gradients.values())


def test_features_of_timestep_zero_are_ones_then_zeros() -> None:
    features = sinusoid(torch.tensor([0]), 64)
    assert torch.equal(features[0], torch.cat([torch.ones(32), torch.zeros(32)]))


def test_report_form_does_not_depend_on_the_batch_it_is_in() -> None:
    torch.manual_seed(0)
    module, states = ReportEncoder(32).double(), torch.randn(4, 8, 32).double()
    alone = torch.cat([module(t[None], s[None]) for t, s in zip(TIMESTEPS, states, strict=True)])
    bound = rounding.of_networks(module, scale=rounding.magnitude(alone))
    torch.testing.assert_close(module(TIMESTEPS, states), alone, atol=bound, rtol=0)


@pytest.mark.usefixtures("in_double")
def test_report_form_equals_library_attention_over_one_key() -> None:
    torch.manual_seed(0)
    module, state = ReportEncoder(32).eval(), torch.randn(1, 1, 32)
    hidden = module.time(TIMESTEPS[2:3])[:, None] + state
    for attention in (module.attention1, module.attention2):
        hidden, _ = attention(hidden, hidden, hidden)
    expected = functional.linear(hidden, module.final.weight, module.final.bias)
    bound = rounding.of_networks(module, scale=rounding.magnitude(expected))
    torch.testing.assert_close(module(TIMESTEPS[2:3], state), expected, atol=bound, rtol=0)


def test_only_the_sequence_form_attends_across_positions() -> None:
    states = torch.randn(1, 8, 32)
    changed = states.clone()
    changed[0, 7] += 1
    for over_positions in (False, True):
        torch.manual_seed(0)
        module = ReportEncoder(32, over_positions=over_positions)
        same = torch.allclose(
            module(TIMESTEPS[:1], states)[0, 0], module(TIMESTEPS[:1], changed)[0, 0]
        )
        assert same is not over_positions


def test_table_of_contexts_equals_contexts_computed_on_the_fly(tiny_backbone: Backbone) -> None:
    torch.manual_seed(0)
    learnt = LearntConditioning(tiny_backbone, TimeVaryingEmbedding(torch.randn(32)))
    table = tabulate(learnt, [1, 21, 650], torch.device("cpu"))
    for timestep in (21, 650):
        t = torch.tensor([timestep])
        assert torch.equal(table.cond(t), learnt.cond(t))
        assert torch.equal(table.uncond(t), learnt.uncond(t))


def test_dropout_is_seeded_and_keeps_the_mean() -> None:
    ones = torch.ones(200_000)
    first, again = (
        drop(ones, draw_kept((ones.shape,), torch.Generator().manual_seed(1)), 0) for _ in range(2)
    )
    assert torch.equal(first, again)
    assert first.mean().item() == pytest.approx(1, abs=3e-3)
    assert (first == 0).double().mean().item() == pytest.approx(0.05, abs=3e-3)
    assert drop(ones, (), 0) is ones


@pytest.mark.parametrize(
    "learner",
    [
        TimeVaryingEmbedding(torch.ones(32)),
        TimeVaryingEmbedding(torch.ones(32), "full"),
        ReportEncoder(32),
        ReportEncoder(32, over_positions=True),
    ],
    ids=["live", "full", "report", "over positions"],
)
def test_dropout_acts_at_every_place_that_a_learner_names(
    learner: TimeVaryingEmbedding | ReportEncoder,
) -> None:
    """Without what one place keeps, the result is another; with all kept it is the same."""
    inputs = (TIMESTEPS, *([torch.randn(4, 8, 32)] if isinstance(learner, ReportEncoder) else []))
    places = learner.dropouts(4, 8)
    everything = [torch.ones(shape) for shape in places]
    assert torch.equal(learner(*inputs, everything), learner(*inputs))
    for place in range(len(places)):
        nothing = [*everything]
        nothing[place] = torch.zeros(places[place])
        assert not torch.allclose(learner(*inputs, nothing), learner(*inputs))


def test_a_preset_is_the_default_of_what_is_not_given() -> None:
    assert TveParameters(preset="paper").plan() == PRESETS["paper"].plan
    assert TveParameters(preset="paper", steps=7).plan().steps == 7
    assert TveParameters(preset="report").plan().count_steps(15) == 45_000


def test_impossible_parameters_are_refused_before_a_model_is_loaded() -> None:
    with pytest.raises(ConfigError, match=r"strength 1\.0"):
        TveParameters(strength=1.0)
    with pytest.raises(ConfigError, match=r"guidance_scale is 0\.5"):
        TveParameters(guidance_scale=0.5)

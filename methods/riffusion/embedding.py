"""The trainable parts: time-varying embeddings in two forms, and a static vector.

Both time-varying forms contain attention that does nothing: the placeholder is one token, the
softmax runs over one key, and what is left is an affine map. `live` parameters leave the idle
weights out; outputs and gradients are the same (tested).

**Conventions**: dim is the width of the text encoder (768 at full size); dropout is live only where
its factors are given (`methods.riffusion.dropout`).

References:
    Li et al. (AAAI 2024), arXiv 2402.13763, section "time-varying textual inversion"; its
    released code, which decides where the two differ.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from methods.riffusion.conditioning import ContextLearner, Learner, RowLearner
from methods.riffusion.dropout import Kept, Places, drop
from methods.riffusion.parameters.settings import LearnerForm, ParameterSet

_HEADS = 8


def sinusoid(timesteps: torch.Tensor, dim: int) -> torch.Tensor:
    """Fourier features of timesteps, [cos | sin], shape (batch, dim).

    Frequencies are exp(-ln(10000) k / (dim / 2)), k = 0..dim/2 - 1.
    """
    half = dim // 2
    index = torch.arange(half, dtype=torch.float32, device=timesteps.device)
    arguments = timesteps.float()[:, None] * torch.exp(-math.log(10_000) * index / half)
    return torch.cat([arguments.cos(), arguments.sin()], dim=-1)


class TimeNetwork(nn.Module):
    """g(t): Fourier features through three linear layers, SiLU after the first two."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.first = nn.Linear(dim, 4 * dim)
        self.second = nn.Linear(4 * dim, 4 * dim)
        self.third = nn.Linear(4 * dim, dim)

    def forward(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Vectors (batch, dim) of timesteps (batch,)."""
        features = sinusoid(timesteps, self.dim).to(self.first.weight.dtype)
        hidden = functional.silu(self.second(functional.silu(self.first(features))))
        out: torch.Tensor = self.third(hidden)
        return out


class CrossAttention(nn.Module):
    """Attention as in Stable Diffusion's transformer blocks: only the output has a bias.

    Head width is 64 at dim 768 and shrinks in proportion.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        inner = _inner_width(dim)
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_k = nn.Linear(dim, inner, bias=False)
        self.to_v = nn.Linear(dim, inner, bias=False)
        self.to_out = nn.Linear(inner, dim)

    def forward(self, query: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Attend from query (batch, token, dim) to context (batch, token, dim)."""
        attended = _attend(
            _split_heads(self.to_q(query)),
            _split_heads(self.to_k(context)),
            _split_heads(self.to_v(context)),
        )
        out: torch.Tensor = self.to_out(_merge_heads(attended))
        return out


def _inner_width(dim: int) -> int:
    return _HEADS * max(1, dim * 2 // (3 * _HEADS))


def _split_heads(values: torch.Tensor) -> torch.Tensor:
    batch, token, width = values.shape
    return values.reshape(batch, token, _HEADS, width // _HEADS).transpose(1, 2)


def _merge_heads(values: torch.Tensor) -> torch.Tensor:
    return values.transpose(1, 2).flatten(2)


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, kept: Kept = ()
) -> torch.Tensor:
    """softmax(q k / sqrt(width)) v in plain steps, which can be stacked over styles."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    return drop(scores.softmax(dim=-1), kept, 0) @ value


class CollapsedAttention(nn.Module):
    """What `CrossAttention` comes to when there is one key: values, then output."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.to_v = nn.Linear(dim, _inner_width(dim), bias=False)
        self.to_out = nn.Linear(_inner_width(dim), dim)

    def forward(self, context: torch.Tensor) -> torch.Tensor:
        """Map context (batch, 1, dim) to (batch, 1, dim)."""
        out: torch.Tensor = self.to_out(self.to_v(context))
        return out


class TimeVaryingEmbedding(RowLearner):
    """MusicTI's embedding v(t) of the placeholder.

    h = g(t) + e0; v = Wf drop(drop(Wo Wv h + bo)) + bf, with the two attentions around it that
    change nothing. No residual, no normalisation, no feed-forward, PyTorch's default
    initialisation: v at the start has no relation to e0.

    Args:
        e0: The frozen initial embedding, (dim,).
        parameter_set: "live" leaves out the 2,360,064 weights (at dim 768) whose gradient is
            exactly 0; "full" keeps them.

    References:
        MusicTI's released ldm/modules/embedding_manager.py. The paper's figure says feed-forward;
        the code has dropout and one linear layer.
    """

    def __init__(self, e0: torch.Tensor, parameter_set: ParameterSet = "live") -> None:
        super().__init__()
        dim = len(e0)
        self.register_buffer("e0", e0.detach().clone())
        self.time = TimeNetwork(dim)
        self.attention1 = CrossAttention(dim) if parameter_set == "full" else None
        self.attention2 = (
            CrossAttention(dim) if parameter_set == "full" else CollapsedAttention(dim)
        )
        self.final = nn.Linear(dim, dim)

    def dropouts(self, rows: int, tokens: int) -> Places:
        """Twice before the last layer."""
        del tokens
        return ((rows, 1, len(self.get_buffer("e0"))),) * 2

    def forward(self, timesteps: torch.Tensor, kept: Kept = ()) -> torch.Tensor:
        """The embedding v at timesteps (batch,), shape (batch, dim)."""
        hidden = (self.time(timesteps) + self.get_buffer("e0"))[:, None]
        attended = self._attend(hidden)
        out: torch.Tensor = self.final(drop(drop(attended, kept, 0), kept, 1))
        return out[:, 0]

    def _attend(self, hidden: torch.Tensor) -> torch.Tensor:
        if self.attention1 is None:
            collapsed: torch.Tensor = self.attention2(hidden)
            return collapsed
        full: torch.Tensor = self.attention2(self.attention1(hidden, hidden), hidden)
        return full


class StaticVector(RowLearner):
    """Textual inversion: one vector for all timesteps.

    Args:
        start: Its initial value, (dim,).

    References:
        Gal et al. (2022), arXiv 2208.01618. Departure: only the vector is a parameter, not the
        embedding table around it.
    """

    def __init__(self, start: torch.Tensor) -> None:
        super().__init__()
        self.vector = nn.Parameter(start.detach().clone())

    def dropouts(self, rows: int, tokens: int) -> Places:
        """Nowhere."""
        del rows, tokens
        return ()

    def forward(self, timesteps: torch.Tensor, kept: Kept = ()) -> torch.Tensor:
        """The vector, once per timestep, (batch, dim)."""
        del kept
        return self.vector.expand(len(timesteps), -1)


class ReportEncoder(ContextLearner):
    """The reproduction report's form: after the text encoder, at all its positions.

    Per position: c = Wf drop(A2(A1(g(t) + state))) + bf, where A1 and A2 are multi-head
    attentions over a single key. The report's code left batch_first off, so that with more than
    one item it attended across the batch; that is not reproduced.

    Args:
        dim: Width of the states, divisible by 8.
        over_positions: True lets it attend over the positions of a text (`report_seq`, an
            ablation).
    """

    def __init__(self, dim: int, *, over_positions: bool = False) -> None:
        super().__init__()
        self.over_positions = over_positions
        self.options = (over_positions,)
        self.time = TimeNetwork(dim)
        self.attention1 = nn.MultiheadAttention(dim, _HEADS)
        self.attention2 = nn.MultiheadAttention(dim, _HEADS)
        self.final = nn.Linear(dim, dim)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def dropouts(self, rows: int, tokens: int) -> Places:
        """Weights of both attentions, and before the last layer."""
        keys = (
            (rows, _HEADS, tokens, tokens) if self.over_positions else (rows * tokens, _HEADS, 1, 1)
        )
        return keys, keys, (rows, tokens, self.final.in_features)

    def forward(
        self, timesteps: torch.Tensor, states: torch.Tensor, kept: Kept = ()
    ) -> torch.Tensor:
        """Contexts (batch, token, dim) from timesteps (batch,) and states (batch, token, dim)."""
        hidden = self.time(timesteps)[:, None] + states
        keys = hidden if self.over_positions else hidden.flatten(0, 1)[:, None]
        attended = multi_head(self.attention1, keys, kept[:1])
        attended = multi_head(self.attention2, attended, kept[1:2])
        out: torch.Tensor = self.final(drop(attended.reshape(hidden.shape), kept, 2))
        return out


def multi_head(
    weights: nn.MultiheadAttention, values: torch.Tensor, kept: Kept = ()
) -> torch.Tensor:
    """Self-attention over axis 1 of (batch, token, dim); factors drop attention weights."""
    projected = functional.linear(values, weights.in_proj_weight, weights.in_proj_bias)
    query, key, value = (_split_heads(part) for part in projected.chunk(3, dim=-1))
    out: torch.Tensor = weights.out_proj(_merge_heads(_attend(query, key, value, kept)))
    return out


def build_learner(
    form: LearnerForm, start: torch.Tensor, parameter_set: ParameterSet = "live"
) -> Learner:
    """A learner of a form, from a start (dim,)."""
    if form == "ti":
        return StaticVector(start)
    if form == "musicti":
        return TimeVaryingEmbedding(start, parameter_set)
    return ReportEncoder(len(start), over_positions=form == "report_seq")

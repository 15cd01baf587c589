"""The style conditioner of MusicGen-Style: an excerpt of music as a few quantised vectors.

**Source**: Rouard, Adi, Copet, Roebel and Defossez (2024), "Audio Conditioning for Music Generation
via Discrete Bottleneck Features", arXiv 2407.12563, section 3.2, and the released configuration:
features at 75 Hz, a transformer without causal mask, batch normalisation, residual quantisation,
every 15th frame (config/conditioner/style2music.yaml and audiocraft/modules/conditioners.py of
facebookresearch/audiocraft at commit 896ec7c47f5e5d1e5aa1e4b260c4405328bf009d).

Its parts have the names of the released checkpoint, so that its state dict loads strictly.

**Conventions**: features and states are (batch, frame, dim).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class ConditionerSettings:
    """Sizes; the defaults are those of the released checkpoint.

    Args:
        feature_width: Of the features that come in.
        width: Of the transformer.
        layers: Of the transformer.
        heads: Of each layer; they divide the width.
        code_books: Stages of the residual quantiser.
        codes: Entries of each.
        output_width: Of the language model.
        stride: Frames per frame that is kept.
    """

    feature_width: int = 768
    width: int = 512
    layers: int = 8
    heads: int = 8
    code_books: int = 6
    codes: int = 1024
    output_width: int = 1536
    stride: int = 15


def sinusoid(num_frames: int, width: int) -> Tensor:
    """Positions (frame, width), [cos | sin], the slowest frequency 1/10000."""
    half = width // 2
    rate = 10_000.0 ** (-torch.arange(half) / (half - 1))
    phase = torch.arange(num_frames)[:, None] * rate
    return torch.cat([phase.cos(), phase.sin()], dim=-1)


class _Attention(nn.Module):
    """Self-attention over all frames, without biases."""

    def __init__(self, settings: ConditionerSettings) -> None:
        super().__init__()
        width = settings.width
        self.heads = settings.heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        nn.init.normal_(self.in_proj_weight, std=1 / math.sqrt(width))
        self.out_proj = nn.Linear(width, width, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """Attend, (batch, frame, width)."""
        projected = functional.linear(values, self.in_proj_weight)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in projected.chunk(3, dim=-1)
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out


class _Layer(nn.Module):
    """A transformer layer that normalises first."""

    def __init__(self, settings: ConditionerSettings) -> None:
        super().__init__()
        width = settings.width
        self.self_attn = _Attention(settings)
        self.linear1 = nn.Linear(width, 4 * width, bias=False)
        self.linear2 = nn.Linear(4 * width, width, bias=False)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, values: Tensor) -> Tensor:
        """Attention and a feed-forward network, each added to what came in."""
        values = values + self.self_attn(self.norm1(values))
        added: Tensor = values + self.linear2(functional.gelu(self.linear1(self.norm2(values))))
        return added


class _Transformer(nn.Module):
    def __init__(self, settings: ConditionerSettings) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(settings) for _ in range(settings.layers))

    def forward(self, values: Tensor) -> Tensor:
        values = values + sinusoid(values.shape[1], values.shape[2]).to(values)
        for layer in self.layers:
            values = layer(values)
        return values


class _CodeBook(nn.Module):
    """Codes and the statistics they were learnt with, which inference does not use."""

    def __init__(self, settings: ConditionerSettings) -> None:
        super().__init__()
        shape = (settings.codes, settings.width)
        self.register_buffer("inited", torch.ones(1))
        self.register_buffer("cluster_size", torch.zeros(settings.codes))
        self.register_buffer("embed", torch.randn(shape))
        self.register_buffer("embed_avg", torch.zeros(shape))

    def forward(self, values: Tensor) -> Tensor:
        """The nearest code to each vector."""
        codes: Tensor = self.get_buffer("embed")
        distance = codes.square().sum(dim=1) - 2.0 * values @ codes.T
        return codes[distance.argmin(dim=-1)]


class _Stage(nn.Module):
    def __init__(self, settings: ConditionerSettings) -> None:
        super().__init__()
        self._codebook = _CodeBook(settings)

    def forward(self, values: Tensor) -> Tensor:
        nearest: Tensor = self._codebook(values)
        return nearest


class _Stages(nn.Module):
    def __init__(self, settings: ConditionerSettings) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Stage(settings) for _ in range(settings.code_books))


class ResidualQuantiser(nn.Module):
    """Each stage quantises what the ones before it left over.

    References:
        Zeghidour et al. (2021), SoundStream, algorithm 1.
    """

    def __init__(self, settings: ConditionerSettings) -> None:
        super().__init__()
        self.vq = _Stages(settings)

    def forward(self, values: Tensor, stages: int) -> Tensor:
        """The sum of the nearest codes of the first `stages` stages."""
        left = values
        for stage in self.vq.layers[:stages]:
            left = left - stage(left)
        return values - left


class StyleConditioner(nn.Module):
    """From features of an excerpt to the vectors that stand before the text.

    References:
        Rouard et al. (2024), section 3.2.
    """

    def __init__(self, settings: ConditionerSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or ConditionerSettings()
        width = self.settings.width
        self.embed = nn.Linear(self.settings.feature_width, width)
        self.transformer = _Transformer(self.settings)
        self.batch_norm = nn.BatchNorm1d(width, affine=False)
        self.rvq = ResidualQuantiser(self.settings)
        self.output_proj = nn.Linear(width, self.settings.output_width)

    def forward(self, features: Tensor, stages: int) -> Tensor:
        """Vectors (batch, ceil(frame / 15), output width) of features (batch, frame, dim).

        Args:
            features: At 75 Hz.
            stages: Of the quantiser that are used, from 1: fewer let less of the excerpt through.
        """
        hidden = self.transformer(self.embed(features))
        hidden = self.batch_norm(hidden.transpose(1, 2)).transpose(1, 2)
        kept = self.rvq(hidden, stages)[:, :: self.settings.stride]
        out: Tensor = self.output_proj(kept)
        return out

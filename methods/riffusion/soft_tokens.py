"""Soft tokens: what a style clip sounds like, as one row for "*" and a few tokens beside it.

A small network reads the latents of a clip, forgets when what happened, and writes

* one **row** that takes the place of the embedding of "*", so that the text encoder reads it as it
  reads a word: the space that textual inversion searches;
* `TOKENS` **tokens** that go straight into cross-attention, in place of the last positions of the
  context, which no caption reaches.

It is trained with the noise predictor (`methods.riffusion.pretrain.wide`), each time on another
clip of the timbre that is to be painted. No judge is asked: its input is the latents alone.

**Conventions**: latents (clip, channel, height, width), standard per channel; contexts (clip,
token, dim).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

SOFT_FILE = "soft_tokens/model.safetensors"  # beside the other parts of the weights
TOKENS = 4
STATISTICS = 3
_HIDDEN = 128
# How far a unit of the last layer moves: a word's row is about .5 long, a context's token 5.5.
_ROW_SCALE, _TOKEN_SCALE = 0.3, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Soft:
    """What is heard: rows (clip, dim) and tokens (clip, token, dim)."""

    row: Tensor
    tokens: Tensor


def statistics(latents: Tensor) -> Tensor:
    """Mean, spread and mean step along time, of each channel and height; (clip, 3 x both).

    Example:
        >>> statistics(torch.tensor([[[[1.0, 3.0, 1.0, 3.0]]]])).tolist()
        [[2.0, 1.0, 2.0]]
    """
    steps = latents.diff(dim=-1).abs().mean(-1)
    parts = (latents.mean(-1), latents.std(-1, correction=0), steps)
    return torch.cat([part.flatten(1) for part in parts], 1)


class SoftTokens(nn.Module):
    """Latents of clips to soft tokens; two layers on statistics.

    Args:
        places: Channels times heights of the latents.
        row: What "*" means to begin with, (dim,).
        tokens: The tokens to begin with, (`TOKENS`, dim).
    """

    def __init__(self, places: int, row: Tensor, tokens: Tensor) -> None:
        super().__init__()
        self.first = nn.Linear(STATISTICS * places, _HIDDEN)
        self.second = nn.Linear(_HIDDEN, (1 + TOKENS) * len(row))
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)
        self.register_buffer("row", row.detach().clone())
        self.register_buffer("tokens", tokens.detach().clone())

    def forward(self, latents: Tensor) -> Soft:
        """The soft tokens of each clip."""
        return self.of_statistics(statistics(latents))

    def of_statistics(self, measured: Tensor) -> Soft:
        """The soft tokens of statistics (clip, number), such as means over the clips of a style."""
        moved = self.second(functional.silu(self.first(measured)))
        moved = moved.view(len(moved), 1 + TOKENS, -1)
        row = self.get_buffer("row") + _ROW_SCALE * moved[:, 0]
        return Soft(row, self.get_buffer("tokens") + _TOKEN_SCALE * moved[:, 1:])


def with_tokens(contexts: Tensor, tokens: Tensor) -> Tensor:
    """Contexts whose last positions are soft tokens.

    Args:
        contexts: (clip, token, dim).
        tokens: (clip, `TOKENS`, dim).
    """
    return torch.cat([contexts[:, : -tokens.shape[1]], tokens], 1)


def read_soft(folder: Path) -> SoftTokens:
    """The network of a folder of weights that has one, in float32."""
    return soft_from({name: value.float() for name, value in load_file(folder / SOFT_FILE).items()})


def soft_from(state: Mapping[str, Tensor]) -> SoftTokens:
    """The network of stored weights."""
    places = state["first.weight"].shape[1] // STATISTICS
    network = SoftTokens(places, state["row"], state["tokens"])
    network.load_state_dict(dict(state))
    return network

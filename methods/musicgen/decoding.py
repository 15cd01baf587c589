"""The decoder at work on one batch: reads a column of codes, says what may follow.

What it has read stays in its cache. Where passes are recorded or compiled the cache has its full
size from the start, because they need fixed shapes; else it grows, which is faster on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, MusicgenMelodyForCausalLM, StaticCache
from transformers.models.musicgen_melody.modeling_musicgen_melody import (
    MusicgenMelodySinusoidalPositionalEmbedding as SinusoidalPositions,
)

from methods.acceleration import Accelerated, Acceleration, choose_acceleration

# Places that a faster pass may write to while it is tried out.
_SPARE = 8


class Positions(nn.Module):
    """Sinusoidal positions, looked up on the device.

    The library's own module compares the position with its table's length, and so makes the device
    wait at every step; no such pass can be recorded. Here the table is long enough from the start.

    Args:
        table: (position, dim).
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("table", table.detach(), persistent=False)

    def forward(self, inputs_embeds: Tensor, past_key_values_length: Tensor | int = 0) -> Tensor:
        """Positions (token, dim) of tokens after so many others."""
        table: Tensor = self.get_buffer("table")
        ids = torch.arange(inputs_embeds.shape[1], device=table.device) + past_key_values_length
        return table.index_select(0, ids)


@contextmanager
def looked_up(decoder: MusicgenMelodyForCausalLM, positions: Positions | None) -> Iterator[None]:
    """Have a decoder use `positions` for a while; None leaves it as it is."""
    inner: Any = decoder.model.decoder
    own = inner.embed_positions
    inner.embed_positions = positions or own
    try:
        yield
    finally:
        inner.embed_positions = own


class CachedDecoder:
    """A decoder that has read a prefix and some columns of codes.

    Args:
        decoder: The language model.
        states: What stands before the codes, (row, position, dim).
        most_columns: How many columns will be read.
        way: How passes are made faster; left out, what suits the device.
    """

    def __init__(
        self,
        decoder: MusicgenMelodyForCausalLM,
        states: Tensor,
        most_columns: int,
        way: Acceleration | None = None,
    ) -> None:
        chosen = way or choose_acceleration(decoder.device)
        self._decoder = decoder
        self._prefix: Tensor | None = states.to(decoder.dtype)
        self._length = states.shape[1]
        self._cache: Cache | None = None
        self._positions: Positions | None = None
        if chosen != "eager":
            places = self._length + most_columns + _SPARE
            table = SinusoidalPositions.get_embedding(places, decoder.config.hidden_size)
            self._positions = Positions(table.to(decoder.device, decoder.dtype))
            self._cache = StaticCache(config=decoder.config, max_cache_len=places)
        self._pass = Accelerated(
            "MusicGen's decoder", self._plain_pass, chosen, decoder.dtype, self._rewind
        )

    @torch.no_grad()
    def read(self, column: Tensor) -> Tensor:
        """Logits (row, codebook, code) of what follows a column (row, codebook)."""
        with looked_up(self._decoder, self._positions):
            logits = (self._plain_pass if self._prefix is not None else self._pass)(column)
        self._prefix = None  # in the cache from now on
        self._length += 1
        return logits

    def _plain_pass(self, column: Tensor) -> Tensor:
        output = self._decoder(
            input_ids=column.reshape(-1, 1),
            encoder_hidden_states=self._prefix,
            past_key_values=self._cache,
            use_cache=True,
        )
        self._cache = output.past_key_values
        last: Tensor = output.logits[:, -1]
        return last.reshape(*column.shape, last.shape[-1])

    def _rewind(self) -> None:
        """Let the next pass write where the last one did."""
        for layer in self._cache.layers if self._cache is not None else ():
            layer.cumulative_length.fill_(self._length)

"""The decoder at work on one batch: reads a column of codes, says what may follow.

What it has read stays in its cache. Where passes are recorded or compiled the cache has its full
size from the start, because they need fixed shapes; else it grows, which is faster on a CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import Cache, MusicgenMelodyForCausalLM, StaticCache

from methods.acceleration import Accelerated, Acceleration, choose_acceleration

# Places that a faster pass may write to while it is tried out.
_SPARE = 8


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
        if chosen != "eager":
            places = self._length + most_columns + _SPARE
            self._cache = StaticCache(config=decoder.config, max_cache_len=places)
        self._pass = Accelerated(
            "MusicGen's decoder", self._plain_pass, chosen, decoder.dtype, self._rewind
        )

    @torch.no_grad()
    def read(self, column: Tensor) -> Tensor:
        """Logits (row, codebook, code) of what follows a column (row, codebook)."""
        if self._prefix is None:
            logits = self._pass(column)
        else:
            logits = self._plain_pass(column)
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

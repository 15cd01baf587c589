"""The decoder at work on one batch: reads a column of codes, says what may follow.

What it has read stays in its cache, and a step looks at the filled part of it: at exactly that in
plain passes, at no more than a part of what is still to come where passes are recorded, because
they need fixed shapes. See `methods.musicgen.caches`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, MusicgenMelodyForCausalLM
from transformers.models.musicgen_melody.modeling_musicgen_melody import (
    MusicgenMelodySinusoidalPositionalEmbedding as SinusoidalPositions,
)

from methods.acceleration import Accelerated, Acceleration, choose_acceleration
from methods.musicgen.caches import (
    aligned,
    ends,
    fixed,
    growing,
    look_at,
    part_of,
    parts_worth_recording,
    rewind,
)

# Places that a faster pass may write to while it is tried out.
_SPARE = 8


class Positions(nn.Module):
    """Sinusoidal positions, looked up on the device.

    The library's own module compares the position with its table's length, and so makes the device
    wait at every step; no such pass can be recorded. In some versions its table does not lie on the
    device either. Here it does, and is long enough from the start.

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
def looked_up(decoder: MusicgenMelodyForCausalLM, positions: Positions) -> Iterator[None]:
    """Have a decoder use `positions` for a while."""
    inner: Any = decoder.model.decoder
    own = inner.embed_positions
    inner.embed_positions = positions
    try:
        yield
    finally:
        inner.embed_positions = own


def shared_rows(states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """How the rows of a batch go with those of its prefix.

    Args:
        states: Of each version, with a row for each clip or one for all.

    Returns:
        For each row of the batch its row of the prefix, and for each row of the prefix the first
        row of the batch that begins with it.

    Example:
        >>> shared_rows([torch.zeros(3, 1, 1), torch.zeros(1, 1, 1)])
        (tensor([0, 1, 2, 3, 3, 3]), tensor([0, 1, 2, 3]))
    """
    counts = [len(one) for one in states]
    clips, starts = max(counts), accumulate(counts, initial=0)
    rows = [torch.arange(count) for count in counts]
    sources = [start + row.expand(clips) for start, row in zip(starts, rows, strict=False)]
    return torch.cat(sources), torch.cat([n * clips + row for n, row in enumerate(rows)])


class _Recordable:
    """What a decoder needs for passes of fixed shapes: a cache, and what is filled of it.

    Args:
        decoder: The language model.
        source: For each row, which row of the prefix it begins with (row,).
        lengths: Positions of the prefix, and how many columns will be read.
        parts: Into how many parts they are cut; left out, so many that recording each pays.
    """

    def __init__(
        self,
        decoder: MusicgenMelodyForCausalLM,
        source: Tensor,
        lengths: tuple[int, int],
        parts: int | None,
    ) -> None:
        config, (prefix, most_columns) = decoder.config, lengths
        places = aligned(prefix + most_columns + _SPARE)
        each = (
            2 * len(source) * config.num_hidden_layers * config.hidden_size * decoder.dtype.itemsize
        )
        self.cache = fixed(config.num_hidden_layers, places, source)
        self._ends = ends(prefix, places, parts or parts_worth_recording(each, prefix, places))
        self._hidden = torch.full(
            (1, 1, 1, places), -torch.inf, device=decoder.device, dtype=decoder.dtype
        )
        self._hidden[..., :prefix] = 0.0

    def visible(self, filled: int) -> Tensor:
        """What is added to the scores of a step that fills so many: 0 there, -inf beyond it."""
        self._hidden[..., filled - 1] = 0.0
        return self._hidden[..., : part_of(self._ends, filled)]


class CachedDecoder:
    """A decoder that has read a prefix and some columns of codes, in versions of each clip.

    Rows are all clips of the first version, then those of the next.

    Args:
        decoder: The language model.
        states: What stands before the codes in each version, (clip, position, dim), or (1,
            position, dim) where it is the same for all clips; it is then read once, and their first
            columns must be equal.
        most_columns: How many columns will be read.
        way: How passes are made faster; left out, what suits the device.
        parts: Into how many parts the columns are cut where passes are recorded, each of which
            looks no further than to its end; left out, as many as pay.
    """

    def __init__(
        self,
        decoder: MusicgenMelodyForCausalLM,
        states: Sequence[Tensor],
        most_columns: int,
        way: Acceleration | None = None,
        parts: int | None = None,
    ) -> None:
        chosen = way or choose_acceleration(decoder.device)
        layers, self._length = decoder.config.num_hidden_layers, states[0].shape[1]
        self._decoder = decoder
        self._prefix: Tensor | None = torch.cat(list(states)).to(decoder.dtype)
        self._source, self._first = (rows.to(decoder.device) for rows in shared_rows(states))
        table = SinusoidalPositions.get_embedding(
            self._length + most_columns + _SPARE, decoder.config.hidden_size
        )
        self._positions = Positions(table.to(decoder.device, decoder.dtype))
        self._recordable: _Recordable | None = None
        self._cache: Cache = growing(layers, self._length + most_columns, self._source)
        if chosen != "eager":
            cut = parts if chosen == "graph" else 1  # compiling takes longer than any part saves
            self._recordable = _Recordable(decoder, self._source, (self._length, most_columns), cut)
            self._cache = self._recordable.cache
        self._pass = Accelerated(
            "MusicGen's decoder", self._plain_pass, chosen, decoder.dtype, self._rewind
        )

    @torch.no_grad()
    def read(self, column: Tensor) -> Tensor:
        """Logits (row, codebook, code) of what follows a column (row, codebook)."""
        recordable = self._recordable
        mask = () if recordable is None else (recordable.visible(self._length + 1),)
        with looked_up(self._decoder, self._positions):
            if self._prefix is None:
                logits = self._pass(column, *mask)
            else:
                logits = self._plain_pass(column[self._first])[self._source]
        self._prefix = None  # in the cache from now on
        self._length += 1
        return logits

    def _plain_pass(self, column: Tensor, visible: Tensor | None = None) -> Tensor:
        if visible is not None:
            look_at(self._cache, visible.shape[-1])
        output = self._decoder(
            input_ids=column.reshape(-1, 1),
            encoder_hidden_states=self._prefix,
            attention_mask=visible,
            past_key_values=self._cache,
            use_cache=True,
        )
        last: Tensor = output.logits[:, -1]
        return last.reshape(*column.shape, last.shape[-1])

    def _rewind(self) -> None:
        """Let the next pass write where the last one did."""
        if self._recordable is not None:
            rewind(self._cache, self._length)

"""What AudioLDM 2 is told of a text: states of T5, and states that GPT-2 makes of T5's and CLAP's.

The U-Net looks up both. Here they lie in one tensor, so that tables of contexts, batches and
guidance need not know of it: first the rows of GPT-2, then those of T5, each filled up with zeros
to one width; a last column says which rows there are.

**Conventions**: contexts are float32 (batch, token, dim).

References:
    Liu et al. (2024), AudioLDM 2, arXiv 2308.05734, section III; `encode_prompt` of
    `AudioLDM2Pipeline` in diffusers, which this equals but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import pad

from bench.api import UnsupportedError

GENERATED = 8  # `max_new_tokens` of language_model/config.json of cvssp/audioldm2
MOST_TOKENS = 128  # of a text; T5's rows are filled up to them, so that texts can share a batch


@dataclass(frozen=True, slots=True, eq=False)
class TextParts:
    """The library objects that read texts."""

    clap: Any  # transformers.ClapModel, of which the text branch is used
    t5: Any  # transformers.T5EncoderModel
    projection: Any  # diffusers.AudioLDM2ProjectionModel
    gpt2: Any  # transformers.GPT2Model
    clap_tokenizer: Any
    t5_tokenizer: Any

    @property
    def widths(self) -> tuple[int, int]:
        """Dimensions of the states of GPT-2 and of T5."""
        return int(self.gpt2.config.n_embd), int(self.t5.config.d_model)


@torch.no_grad()
def encode(parts: TextParts, prompt: str, tokens: int = 0) -> torch.Tensor:
    """The context (1, token, dim) of a text.

    Args:
        parts: Frozen, on one device.
        prompt: The text.
        tokens: T5 reads it filled up to so many tokens, as the empty prompt is beside a longer one:
            GPT-2 counts the places that are filled up.

    Raises:
        UnsupportedError: The text is longer than `MOST_TOKENS`.
    """
    told = parts.clap_tokenizer(prompt, truncation=True, return_tensors="pt").to(parts.clap.device)
    heard = parts.clap.get_text_features(**told).pooler_output[:, None]
    length = max(tokens, count_tokens(parts, prompt))
    read = parts.t5_tokenizer(
        prompt, padding="max_length", max_length=length, return_tensors="pt"
    ).to(parts.t5.device)
    states = parts.t5(**read).last_hidden_state
    joined = parts.projection(
        hidden_states=heard,
        hidden_states_1=states,
        attention_mask=read.attention_mask.new_ones((1, 1)),
        attention_mask_1=read.attention_mask,
    )
    return _pack(
        _generate(parts, joined.hidden_states, joined.attention_mask), states, read.attention_mask
    )


def count_tokens(parts: TextParts, prompt: str) -> int:
    """Tokens of a text for T5, its end among them.

    Raises:
        UnsupportedError: They are more than `MOST_TOKENS`.
    """
    count = len(parts.t5_tokenizer(prompt)["input_ids"])
    if count > MOST_TOKENS:
        raise UnsupportedError(
            f"text {prompt[:40]!r}... has {count} tokens; AudioLDM 2 is told at most {MOST_TOKENS} "
            "here. Shorten it."
        )
    return count


def _generate(parts: TextParts, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The states (1, `GENERATED`, dim) with which GPT-2 goes on; each is read in its turn."""
    for _ in range(GENERATED):
        made = parts.gpt2(inputs_embeds=states, attention_mask=mask).last_hidden_state
        states = torch.cat([states, made[:, -1:]], dim=1)
        mask = torch.cat([mask, mask.new_ones((len(mask), 1))], dim=1)
    return states[:, -GENERATED:]


def _pack(generated: torch.Tensor, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Both streams in one tensor, with the column that says which rows there are."""
    width = max(generated.shape[-1], states.shape[-1])
    there = torch.cat([states.new_ones(1, GENERATED), mask.to(states.dtype)], dim=1)
    streams = [pad(stream, (0, width - stream.shape[-1])) for stream in (generated, states)]
    packed = torch.cat([torch.cat(streams, dim=1), there[..., None]], dim=-1)
    return pad(packed, (0, 0, 0, GENERATED + MOST_TOKENS - packed.shape[1]))


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """What the U-Net looks up: states of GPT-2 and of T5, and which of the latter there are."""

    generated: torch.Tensor
    states: torch.Tensor
    mask: torch.Tensor


def unpack(contexts: torch.Tensor, widths: tuple[int, int]) -> Streams:
    """The streams of contexts, whose states have these widths.

    Between two styles a row is there that is there in either of them.
    """
    first, second = contexts[:, :GENERATED], contexts[:, GENERATED:]
    return Streams(
        first[..., : widths[0]], second[..., : widths[1]], (second[..., -1] > 0).to(contexts.dtype)
    )

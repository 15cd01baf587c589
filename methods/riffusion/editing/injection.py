"""Style injection: attention in which a content looks up keys and values of a style.

The rows of a joint pass are the latents of n style clips, of B contents, and of the B contents that
are being denoised ("running"), all at one noise level. In the chosen self-attention layers the
running rows get what their group's other rows hold at this very place; those get what they always
get. So no features are stored: the trajectories of the inversions are enough.

**Conventions**: queries, keys and values are (row, head, token, width).

References:
    Chung, Hyun, Heo (2024), Style Injection in Diffusion, arXiv 2312.09008, equations 5 to 7
    (query preservation, temperature); Stylus, arXiv 2411.15913, for the weight of the style: its
    released code lacks the attention, so `alpha` is inferred from what it stores and from its
    README.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from bench.api import CheckpointError
from methods.riffusion.parameters.edits import Layers

_LEVEL = re.compile(r"up_blocks\.(\d+)\.")
_SELF_ATTENTION = ".attn1.processor"


def choose_layers(processors: Sequence[str], layers: Layers) -> tuple[str, ...]:
    """Names of the self-attention layers that inject, by their place and not by a number.

    Args:
        processors: Names of all attention processors of a U-Net, as diffusers has them.
        layers: "fine" takes the levels of the decoder that have self-attention but for the
            coarsest, if there are several; "all" all of them; "every" encoder and middle too.

    Raises:
        CheckpointError: The decoder has no self-attention.

    Example:
        >>> names = [f"up_blocks.{k}.attentions.0.attn1.processor" for k in (1, 2, 3)]
        >>> [name[:11] for name in choose_layers(names, "fine")]
        ['up_blocks.2', 'up_blocks.3']
    """
    own = [name for name in processors if name.endswith(_SELF_ATTENTION)]
    levels = {name: int(found.group(1)) for name in own if (found := _LEVEL.match(name))}
    if not levels:
        raise CheckpointError(
            f"the decoder of the U-Net has no self-attention ({len(processors)} attention layers "
            "in all); a style is injected there. Use another checkpoint."
        )
    coarsest = min(levels.values())
    several = len(set(levels.values())) > 1
    fine = [name for name, level in levels.items() if level > coarsest or not several]
    return tuple({"fine": fine, "all": list(levels), "every": own}[layers])


@dataclass(frozen=True, slots=True)
class Injection:
    """How the running rows attend.

    Args:
        gamma: Share of the content's queries in theirs.
        alpha: Weight of the style's keys and values against the content's.
        temperature: Factor of the logits.
    """

    gamma: float
    alpha: float
    temperature: float


class JointAttention:
    """An attention processor for rows of style clips, contents and running contents.

    Args:
        injection: How the running rows attend.
        num_styles: n, the first rows.
        num_contents: B, the rows after them, and the last ones.
        heard: By the number of tokens of a clip at a layer, those of all clips in a row that show
            sound; None where all do.
        mix: Where the clips are of two styles, how many are of the first, and the share of the
            second.
    """

    def __init__(
        self,
        injection: Injection,
        num_styles: int,
        num_contents: int,
        heard: Mapping[int, torch.Tensor] | None = None,
        mix: tuple[int, float] | None = None,
    ) -> None:
        self._injection = injection
        first, self._share = mix or (num_styles, 0.0)
        self._parts = [slice(0, first), slice(first, num_styles)][: 2 if mix else 1]
        self._contents = slice(num_styles, num_styles + num_contents)
        self._running = slice(num_styles + num_contents, num_styles + 2 * num_contents)
        # Divided now, since a recorded pass cannot wait for the sizes of what is looked up.
        self._heard = None if heard is None else _divided(heard, self._parts)

    def __call__(
        self,
        attn: Any,  # noqa: ANN401 - diffusers.models.attention_processor.Attention
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """States (row, token, channel) after self-attention and its output projection."""
        del encoder_hidden_states, attention_mask, temb  # self-attention within blocks has none
        query, key, value = (
            layer(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        others = slice(0, self._running.start)
        plain = functional.scaled_dot_product_attention(query[others], key[others], value[others])
        joined = torch.cat([plain, self._inject(query, key, value)])
        projected = attn.to_out[0](joined.transpose(1, 2).flatten(2))
        result: torch.Tensor = attn.to_out[1](projected) / attn.rescale_output_factor
        return result

    def _inject(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """What the running rows see: out = A_c + alpha (A_s - A_c)."""
        how, contents = self._injection, self._contents
        asked = how.gamma * query[contents] + (1 - how.gamma) * query[self._running]
        asked = how.temperature * asked
        if how.alpha == 0:
            return functional.scaled_dot_product_attention(asked, key[contents], value[contents])
        pool = partial(self._pooled, rows=len(asked))
        seen = [
            functional.scaled_dot_product_attention(asked, pool(key, part), pool(value, part))
            for part in range(len(self._parts))
        ]
        of_style = seen[0] if len(seen) == 1 else torch.lerp(seen[0], seen[1], self._share)
        if how.alpha == 1:
            return of_style
        own = functional.scaled_dot_product_attention(asked, key[contents], value[contents])
        return own + how.alpha * (of_style - own)

    def _pooled(self, features: torch.Tensor, part: int, rows: int) -> torch.Tensor:
        """Features of a style's clips as of one, (row, head, token, width), without padding."""
        joined = features[self._parts[part]].transpose(0, 1).flatten(1, 2)
        if self._heard is not None:
            joined = joined[:, self._heard[features.shape[2]][part]]
        return joined[None].expand(rows, -1, -1, -1)


def heard_tokens(
    weights: torch.Tensor, shape: Sequence[int], levels: int
) -> dict[int, torch.Tensor]:
    """Tokens of style clips that show sound, by the number of a clip's tokens at a layer.

    Args:
        weights: (clip, column), 1 where a latent column shows sound, else 0.
        shape: Rows and columns of latents.
        levels: How often the U-Net may halve them.
    """
    rows, columns = shape
    found = {}
    for level in range(levels):
        factor = 2**level
        if rows % factor or columns % factor:
            break
        pooled = functional.max_pool1d(weights[:, None], factor)[:, 0]
        tokens = pooled[:, None].expand(-1, rows // factor, -1).flatten()
        found[rows // factor * (columns // factor)] = tokens.nonzero()[:, 0]
    return found


def _divided(
    heard: Mapping[int, torch.Tensor], parts: Sequence[slice]
) -> dict[int, list[torch.Tensor]]:
    """What is heard of each part of the clips, counted from where it begins."""
    return {
        tokens: [
            own[(own >= part.start * tokens) & (own < part.stop * tokens)] - part.start * tokens
            for part in parts
        ]
        for tokens, own in heard.items()
    }


@contextmanager
def injected(unet: Any, names: Sequence[str], processor: JointAttention) -> Iterator[None]:  # noqa: ANN401 - diffusers is untyped
    """Let some layers attend by a processor; the former ones are back in the end, come what may."""
    former = dict(unet.attn_processors)
    # The library empties what it is given, so it gets copies.
    unet.set_attn_processor({**former, **dict.fromkeys(names, processor)})
    try:
        yield
    finally:
        unet.set_attn_processor(dict(former))

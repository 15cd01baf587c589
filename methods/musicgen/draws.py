"""Drawing codes, each clip from its own generator, whatever else is in its batch.

A code is drawn by the Gumbel-max identity: the argmax of log-probabilities plus Gumbel noise is a
draw from the distribution (Gumbel 1954). The noise comes from uniform numbers of the clip's
generator on the CPU, which are the same for every device. They are drawn and moved for many steps
at a time: the device is not waited for, nor does it wait but for the first of them.

**Conventions**: logits and noise of a step are (batch, codebook, code).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from bench.batching import in_parallel
from bench.device import place
from methods.musicgen.sampling import Sampling

# Steps whose noise is drawn at once: 67 MB for 64 clips of the published model.
STEPS_AHEAD = 32


def gumbel_noise(
    generators: Sequence[torch.Generator],
    shape: tuple[int, int],
    steps: int,
    device: torch.device,
) -> Iterator[Tensor]:
    """Noise of each step in turn, on the device.

    Args:
        generators: One per clip, on the CPU. A clip's numbers are those that it would draw step by
            step.
        shape: Code books and codes.
        steps: How many there are.
        device: Where codes are drawn.
    """
    for first in range(0, steps, STEPS_AHEAD):
        count = min(STEPS_AHEAD, steps - first)

        def drawn(generator: torch.Generator, count: int = count) -> Tensor:
            return torch.rand((count, *shape), generator=generator)

        uniform = torch.stack(in_parallel(drawn, generators, device.type), dim=1)
        yield from -torch.log(-torch.log(place(uniform, device).clamp(1e-20, 1.0 - 1e-7)))


def draw(logits: Tensor, sampling: Sampling, noise: Tensor) -> Tensor:
    """Draw codes (batch, codebook) from the softmax of the likeliest logits, by Gumbel noise."""
    scaled = logits.float() / sampling.temperature
    kept = min(sampling.top_k, scaled.shape[-1])
    lowest = scaled.topk(kept, dim=-1).values[..., -1:]
    return (scaled.masked_fill(scaled < lowest, -torch.inf) + noise).argmax(dim=-1)

"""Inversions are made once per content and kept, for other styles, guidances and sweeps.

They are kept in pieces of some steps (`edits.BLOCK`), so that another strength takes the first of
the same pieces. A piece is named by all that decides it: the states that it begins with, and what
the model is told. On the CPU contents are inverted one at a time, so that an inversion does not
depend on the company in which it was first asked for, and nothing that is kept changes a result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import torch

from bench.batching import Batcher
from methods.riffusion.conditioning import Denoiser

_TOGETHER = 16  # rows of the U-Net in one pass, but on the CPU
Make = Callable[[list[int]], torch.Tensor]  # what some rows of a batch give, (row, ...)


def recall(
    backbone: Denoiser,
    facts: str,
    decisive: Sequence[torch.Tensor],
    make: Make,
    *,
    rows_each: int = 1,
) -> torch.Tensor:
    """What rows of a batch give, (row, ...), made for those of which it is not known yet.

    Args:
        backbone: Whose memory is used.
        facts: What is made, and the settings that decide it.
        decisive: The tensors that decide it, (row, ...) each.
        make: Makes it for the rows of these numbers.
        rows_each: Rows of the U-Net that each of them takes.
    """
    keys = [_key(facts, row) for row in zip(*(each.cpu() for each in decisive), strict=True)]
    found = {key: backbone.inversions.find(key) for key in keys}
    missing = [keys.index(key) for key, value in found.items() if value is None]
    batcher = Batcher(1 if backbone.device.type == "cpu" else _TOGETHER // rows_each)
    made = batcher.run(missing, lambda rows: list(make(list(rows))))
    for row, value in zip(missing, made, strict=True):
        found[keys[row]] = backbone.inversions.keep(keys[row], value)
    return torch.stack([value for value in map(found.get, keys) if value is not None])


def _key(facts: str, tensors: Sequence[torch.Tensor]) -> str:
    name = hashlib.sha256(facts.encode())
    for tensor in tensors:
        name.update(str(tuple(tensor.shape)).encode())
        name.update(tensor.contiguous().numpy().tobytes())
    return name.hexdigest()

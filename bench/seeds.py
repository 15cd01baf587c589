"""Seeds: one number for each draw, from what the draw is about.

A seed is a hash of names, so that adding a method, style or content never changes the draws of the
others.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive_seed(*parts: str | int) -> int:
    """A seed in [0, 2**63) from any number of names and numbers.

    The parts are written as a JSON list before hashing (SHA-256), so neither joining ("ab", "c"
    against "a", "bc") nor type (1 against "1") makes two lists equal.

    Example:
        >>> derive_seed("a", 1) == derive_seed("a", 1), derive_seed("a", 1) == derive_seed("a", "1")
        (True, False)
    """
    text = json.dumps(list(parts), ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator, by default on the CPU: noise drawn there is the same for every device.

    Another device draws other numbers. It is for what is too large to be drawn on the host and
    copied, in results whose identity holds the kind of device.
    """
    import torch

    return torch.Generator(device=device).manual_seed(seed)

"""Dropout whose draws are made before the pass that uses them.

A learner says in which shapes it drops (`Places`). Whoever applies it draws a factor for each value
there, 0 or 1 / (1 - p), and hands the factors over; a learner without factors drops nothing. So the
same draws can be made ahead for many steps, be stacked over styles, and be read by another
implementation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

RATE = 0.05  # of both published learners
Places = tuple[tuple[int, ...], ...]
Kept = Sequence[torch.Tensor]


def draw_kept(
    places: Places, generator: torch.Generator, *, steps: tuple[int, ...] = ()
) -> tuple[torch.Tensor, ...]:
    """Factors for each place: 0 with a probability of 5 %, else what keeps the mean.

    Args:
        places: Shapes, in the order in which the learner drops.
        generator: On the CPU.
        steps: Leading axes, to draw for several steps at once.

    Example:
        >>> (factors,) = draw_kept(((2, 3),), torch.Generator().manual_seed(0), steps=(4,))
        >>> factors.shape
        torch.Size([4, 2, 3])
    """
    return tuple(
        (torch.rand((*steps, *shape), generator=generator) >= RATE) / (1 - RATE) for shape in places
    )


def drop(values: torch.Tensor, kept: Kept, place: int) -> torch.Tensor:
    """Values times the factors of a place; as they are where there are no factors."""
    return values * kept[place] if kept else values

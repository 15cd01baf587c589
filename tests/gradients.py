"""One step of fits, and the gradients that it took: an optimiser keeps none for a single style.

**Conventions**: a fit's gradients are named as its learner's weights are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from methods.riffusion.backbone import Backbone
from methods.riffusion.fitting.draws import Ahead
from methods.riffusion.fitting.inversion import Fit
from methods.riffusion.fitting.training import gather, take_step


def step(backbone: Backbone, fits: Sequence[Fit]) -> list[dict[str, torch.Tensor]]:
    """Take one step of fits together; the gradients of each, in their order."""
    company = gather(Ahead(backbone), fits, 1)
    take_step(backbone, company, 0)
    found = {}
    for stack in company.stacks:
        for number, fit in enumerate(stack.fits):
            found[fit] = {
                name: weight.grad[number].clone()
                for name, weight in stack.weights.items()
                if weight.grad is not None
            }
    return [found[fit] for fit in fits]


def flat(gradients: dict[str, torch.Tensor]) -> torch.Tensor:
    """All of them, one after the other."""
    return torch.cat([gradient.flatten() for gradient in gradients.values()])
